//! Convolutions by Winograd's transforms.

use std::ptr;

use crate::kernel::Clamp;
use crate::kernel::dense::DenseRow;
use crate::kernel::winograd::{InputTiles, MAX_TILE, OutputTiles};
use crate::plan::{Grid, Positions, Stage};
use crate::program::{Window, Winograd};
use crate::run::stage::{Pointers, Rows};

impl Rows<'_> {
    /// Rows of whole tiles: `start` is a multiple of the tile.
    pub(super) fn winograd(&self, winograd: &Winograd, pointers: &mut Pointers) {
        let Stage { input: Some(input), output, winograd: Some(positions), .. } = self.stage else { return };
        let first = self.start / winograd.tile;
        let count = self.end.div_ceil(winograd.tile) - first;
        let mut done = 0;
        while done < count {
            let rows = (count - done).min(positions.rows);
            // Tiles of several rows lie side by side.
            let width = rows * positions.columns;
            for row in 0..rows {
                self.transform_inputs(winograd, positions, input, (first + done + row, row, width), pointers);
            }
            self.multiply(winograd, positions, (input, output), width);
            for row in 0..rows {
                self.transform_outputs(winograd, positions, output, (first + done + row, row, width));
            }
            done += rows;
        }
    }

    /// The row of tiles `tile_row`, which is the `row`th of those that are `width` tiles together.
    fn transform_inputs(
        &self,
        winograd: &Winograd,
        positions: &Positions,
        input: &Grid,
        (tile_row, row, width): (usize, usize, usize),
        pointers: &mut Pointers,
    ) {
        let window = Window { size: winograd.span(), stride: winograd.tile, ..winograd.window };
        self.window(input, window, tile_row, pointers);
        let plane = width * input.lanes;
        // SAFETY: the plan has reserved a plane per position and block, and columns of zeros to the end of the last tile.
        unsafe {
            (self.run.kernels.winograd_input)(&InputTiles {
                tile: winograd.tile,
                rows: pointers.as_ptr(),
                blocks: input.blocks,
                block_stride: input.block_stride,
                tiles: positions.columns,
                out: self.scratch.add(positions.inputs + row * positions.columns * input.lanes),
                plane_stride: input.blocks * plane,
                out_stride: plane,
            });
        }
    }

    /// For each position the products of all tiles and channels.
    fn multiply(&self, winograd: &Winograd, positions: &Positions, (input, output): (&Grid, &Grid), width: usize) {
        let plane = width * input.lanes;
        for position in 0..winograd.span() * winograd.span() {
            for panel in &winograd.panels {
                // SAFETY: a position's planes are a row of `width` pixels for a window of one.
                unsafe {
                    let from = self.scratch.add(positions.inputs + position * input.blocks * plane).cast_const();
                    (self.run.kernels.dense)(&DenseRow {
                        rows: &raw const from,
                        window: 1,
                        blocks: input.blocks,
                        block_stride: plane,
                        length: input.lanes,
                        last_length: winograd.last_length,
                        step: input.lanes,
                        weights: winograd.weights.as_ptr().add(position * winograd.position_stride + panel.weights),
                        bias: winograd.zeros.as_ptr(),
                        panel: panel.blocks,
                        residual: ptr::null(),
                        residual_stride: 0,
                        out: self.scratch.add(positions.outputs + (position * output.blocks + panel.first_block) * plane),
                        out_stride: plane,
                        width,
                        clamp: Clamp::None,
                    });
                }
            }
        }
    }

    /// As [`Rows::transform_inputs`].
    fn transform_outputs(&self, winograd: &Winograd, positions: &Positions, output: &Grid, (tile_row, row, width): (usize, usize, usize)) {
        let plane = width * output.lanes;
        let mut out = [ptr::null_mut(); MAX_TILE];
        let mut residual = [ptr::null(); MAX_TILE];
        let lines = (tile_row * winograd.tile..self.end).take(winograd.tile);
        for ((y, out), residual) in lines.zip(&mut out).zip(&mut residual) {
            *out = self.at(output, y);
            *residual = self.stage.extra.map_or(ptr::null(), |extra| self.at(&extra, y).cast_const());
        }
        // SAFETY: the plan has reserved a plane per position and block; rows beyond the end are null.
        unsafe {
            (self.run.kernels.winograd_output)(&OutputTiles {
                tile: winograd.tile,
                from: self.scratch.add(positions.outputs + row * positions.columns * output.lanes),
                plane_stride: output.blocks * plane,
                from_stride: plane,
                blocks: output.blocks,
                tiles: positions.columns,
                bias: winograd.bias.as_ptr(),
                out,
                out_stride: output.block_stride,
                residual,
                residual_stride: self.stage.extra.map_or(0, |extra| extra.block_stride),
                width: output.width,
                clamp: winograd.clamp,
            });
        }
    }
}
