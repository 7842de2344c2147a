//! One layer, some rows of it.

use crate::kernel::Clamp;
use crate::kernel::dense::DenseRow;
use crate::kernel::depthwise::DepthwiseRow;
use crate::kernel::pool::PoolRow;
use crate::kernel::rows::{AccumulateRow, AddRow, BilinearRow, ClampRow};
use crate::plan::{Grid, MAX_WINDOW, Stage, Taps};
use crate::program::{Dense, Depthwise, Kind, Window};
use crate::run::Run;

/// Pointers to the rows under a window.
pub(super) type Pointers = [*const f32; MAX_WINDOW];

/// Some rows of a layer.
pub(super) struct Rows<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) stage: &'a Stage,
    pub(super) scratch: *mut f32,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Run<'_> {
    /// Computes rows `start..end` of a layer. The plan has made sure that the rows they need are there.
    pub(super) fn rows(&self, stage: &Stage, scratch: *mut f32, start: usize, end: usize, pointers: &mut Pointers) {
        if start >= end {
            return;
        }
        let rows = Rows { run: self, stage, scratch, start, end };
        // SAFETY of every block here and below: grids lie inside the memory that was reserved for the plan, with the columns of
        // zeros that windows reach into; kernels get rows of grids with the numbers of blocks and columns that the grids have.
        match &self.program.layers[stage.layer].kind {
            Kind::Ingest => rows.each(|y| unsafe { self.source.row(y, &stage.output, rows.out(y), self.kernels) }),
            Kind::Dense(dense) => rows.dense(dense, pointers),
            Kind::Winograd(winograd) => rows.winograd(winograd, pointers),
            Kind::Depthwise(depthwise) => rows.depthwise(depthwise, pointers),
            Kind::MaxPool(window) => rows.max_pool(*window, pointers),
            Kind::Add { repeat, clamp } => rows.add(*repeat, *clamp),
            Kind::Resize { clamp, .. } => rows.resize(*clamp),
            Kind::Nearest { .. } => rows.resize(Clamp::None),
            Kind::Average => rows.average(),
            Kind::Clamp(clamp) => rows.clamp(*clamp),
            Kind::Sigmoid => rows.sigmoid(),
            Kind::Copy { from, to, count } => {
                rows.copy(*from, *to, *count, self.program.values[self.program.layers[stage.layer].output].channels)
            }
        }
        if stage.output.left + stage.output.right > 0 {
            rows.each(|y| rows.clear_edges(y));
        }
    }
}

impl Rows<'_> {
    fn each(&self, f: impl FnMut(usize)) {
        (self.start..self.end).for_each(f);
    }

    /// The first pixel of a row.
    pub(super) fn at(&self, grid: &Grid, y: usize) -> *mut f32 {
        let memory = self.run.memory(grid, self.scratch);
        // SAFETY: the grid lies inside its memory.
        unsafe { memory.add(grid.row(y)) }
    }

    fn out(&self, y: usize) -> *mut f32 {
        self.at(&self.stage.output, y)
    }

    /// Columns of zeros on both sides of a row.
    fn clear_edges(&self, y: usize) {
        let Grid { blocks, block_stride, lanes, left, right, width, .. } = self.stage.output;
        for block in 0..blocks {
            // SAFETY: the columns belong to the run of the block.
            unsafe {
                let run = self.out(y).add(block * block_stride);
                run.sub(left * lanes).write_bytes(0, left * lanes);
                run.add(width * lanes).write_bytes(0, right * lanes);
            }
        }
    }

    /// Points to the leftmost pixel under the window of the first output pixel, for each row under the window of row `y`. Rows
    /// beyond the image are zeros.
    pub(super) fn window(&self, input: &Grid, window: Window, y: usize, pointers: &mut Pointers) {
        for (line, pointer) in pointers.iter_mut().take(window.size).enumerate() {
            let row = (y * window.stride + line).checked_sub(window.top).filter(|row| *row < input.height);
            let first = match row {
                Some(row) => self.at(input, row).cast_const(),
                // SAFETY: the row of zeros is as long as the longest row that is read beyond an edge.
                None => unsafe { self.run.zeros.add(input.left * input.lanes) },
            };
            // SAFETY: a row has as many columns of zeros to the left as the widest padding of its readers.
            *pointer = unsafe { first.sub(window.left * input.lanes) };
        }
    }

    fn dense(&self, dense: &Dense, pointers: &mut Pointers) {
        let Stage { input: Some(input), extra, output, .. } = self.stage else { return };
        for panel in &dense.panels {
            for y in self.start..self.end {
                self.window(input, dense.window, y, pointers);
                let (residual, residual_stride) = match extra {
                    // SAFETY: the residual has the output's blocks.
                    Some(extra) => {
                        (unsafe { self.at(extra, y).add(panel.first_block * extra.block_stride) }.cast_const(), extra.block_stride)
                    }
                    None => (std::ptr::null(), 0),
                };
                // SAFETY: the panel's weights, biases and blocks are those that the program packed.
                unsafe {
                    (self.run.kernels.dense)(&DenseRow {
                        rows: pointers.as_ptr(),
                        window: dense.window.size,
                        blocks: input.blocks,
                        block_stride: input.block_stride,
                        length: dense.length,
                        last_length: dense.last_length,
                        step: dense.window.stride * input.lanes,
                        weights: dense.weights.as_ptr().add(panel.weights),
                        bias: dense.bias.as_ptr().add(panel.first_block * output.lanes),
                        panel: panel.blocks,
                        residual,
                        residual_stride,
                        out: self.out(y).add(panel.first_block * output.block_stride),
                        out_stride: output.block_stride,
                        width: output.width,
                        clamp: dense.clamp,
                    });
                }
            }
        }
    }

    fn depthwise(&self, depthwise: &Depthwise, pointers: &mut Pointers) {
        let Stage { input: Some(input), output, .. } = self.stage else { return };
        self.each(|y| {
            self.window(input, depthwise.window, y, pointers);
            // SAFETY: weights and biases are those that the program packed.
            unsafe {
                (self.run.kernels.depthwise)(&DepthwiseRow {
                    rows: pointers.as_ptr(),
                    window: depthwise.window.size,
                    stride: depthwise.window.stride,
                    blocks: output.blocks,
                    block_stride: input.block_stride,
                    weights: depthwise.weights.as_ptr(),
                    bias: depthwise.bias.as_ptr(),
                    out: self.out(y),
                    out_stride: output.block_stride,
                    width: output.width,
                    clamp: depthwise.clamp,
                });
            }
        });
    }

    fn max_pool(&self, window: Window, pointers: &mut Pointers) {
        let Stage { input: Some(input), output, .. } = self.stage else { return };
        self.each(|y| {
            let lines =
                (0..window.size).filter_map(|line| (y * window.stride + line).checked_sub(window.top)).filter(|row| *row < input.height);
            let mut count = 0;
            for (row, pointer) in lines.zip(pointers.iter_mut()) {
                *pointer = self.at(input, row);
                count += 1;
            }
            // SAFETY: padding is smaller than the window, so at least one row and column lie in the image.
            unsafe {
                (self.run.kernels.max_pool)(&PoolRow {
                    rows: pointers.as_ptr(),
                    lines: count,
                    window: window.size,
                    stride: window.stride,
                    padding: window.left,
                    input_width: input.width,
                    blocks: output.blocks,
                    block_stride: input.block_stride,
                    out: self.out(y),
                    out_stride: output.block_stride,
                    width: output.width,
                });
            }
        });
    }

    fn add(&self, repeat: usize, clamp: Clamp) {
        let Stage { input: Some(input), extra: Some(extra), output, .. } = self.stage else { return };
        self.each(|y| {
            // SAFETY: shapes were checked; row `y / repeat` of the other input is there.
            unsafe {
                (self.run.kernels.add)(&AddRow {
                    a: self.at(input, y),
                    a_stride: input.block_stride,
                    b: self.at(extra, y / repeat.max(1)),
                    b_stride: extra.block_stride,
                    repeat: repeat.max(1),
                    out: self.out(y),
                    out_stride: output.block_stride,
                    blocks: output.blocks,
                    width: output.width,
                    clamp,
                });
            }
        });
    }

    fn resize(&self, clamp: Clamp) {
        let Stage { input: Some(input), extra, output, taps: Some(Taps { columns, rows }), .. } = self.stage else { return };
        let (source, straight) = match extra {
            Some(extra) => (extra, Some(input)),
            None => (input, None),
        };
        self.each(|y| {
            let Some(tap) = rows.get(y) else { return };
            // SAFETY: taps lie in the source.
            unsafe {
                (self.run.kernels.bilinear)(&BilinearRow {
                    a: straight.map_or(std::ptr::null(), |grid| self.at(grid, y).cast_const()),
                    a_stride: straight.map_or(0, |grid| grid.block_stride),
                    upper: self.at(source, tap.low),
                    lower: self.at(source, tap.high),
                    stride: source.block_stride,
                    weight: tap.weight,
                    taps: columns.as_ptr(),
                    out: self.out(y),
                    out_stride: output.block_stride,
                    blocks: output.blocks,
                    width: output.width,
                    clamp,
                });
            }
        });
    }

    /// One row; rows of the input one after the other, so that the sum does not depend on how many threads there are.
    fn average(&self) {
        let Stage { input: Some(input), output, .. } = self.stage else { return };
        let sums = self.out(0);
        for block in 0..output.blocks {
            // SAFETY: one pixel per block.
            unsafe { sums.add(block * output.block_stride).write_bytes(0, output.lanes) };
        }
        for y in 0..input.height {
            let factor = if y + 1 == input.height { 1.0 / (input.height * input.width) as f32 } else { 1.0 };
            // SAFETY: input and output have the same blocks.
            unsafe {
                (self.run.kernels.accumulate)(&AccumulateRow {
                    a: self.at(input, y),
                    a_stride: input.block_stride,
                    sums,
                    sums_stride: output.block_stride,
                    blocks: output.blocks,
                    width: input.width,
                    factor,
                });
            }
        }
    }

    fn clamp(&self, clamp: Clamp) {
        let Stage { input: Some(input), output, .. } = self.stage else { return };
        self.each(|y| {
            // SAFETY: input and output have the same shape.
            unsafe {
                (self.run.kernels.clamp)(&ClampRow {
                    a: self.at(input, y),
                    a_stride: input.block_stride,
                    out: self.out(y),
                    out_stride: output.block_stride,
                    blocks: output.blocks,
                    width: output.width,
                    clamp,
                });
            }
        });
    }

    fn sigmoid(&self) {
        self.clamp(Clamp::None);
        let output = &self.stage.output;
        self.each(|y| {
            for block in 0..output.blocks {
                // SAFETY: the run of the block.
                unsafe { (self.run.kernels.sigmoid)(self.out(y).add(block * output.block_stride), output.width * output.lanes) };
            }
        });
    }

    /// Channel by channel: positions have nothing to do with registers. Behind the tensor's last channel come zeros.
    fn copy(&self, from: usize, to: usize, count: usize, channels: usize) {
        let Stage { input: Some(input), output, .. } = self.stage else { return };
        let padded = if to + count == channels { output.blocks * output.lanes } else { to + count };
        self.each(|y| {
            for channel in to..padded {
                let (block, lane) = (channel / output.lanes, channel % output.lanes);
                let source = (channel < to + count).then(|| channel - to + from);
                for x in 0..output.width {
                    // SAFETY: the channel's lane in its block.
                    unsafe {
                        let value = source.map_or(0.0, |source| {
                            let run = source / input.lanes * input.block_stride;
                            *self.at(input, y).add(run + x * input.lanes + source % input.lanes)
                        });
                        *self.out(y).add(block * output.block_stride + x * output.lanes + lane) = value;
                    }
                }
            }
        });
    }
}
