//! The network's input, row by row.

use crate::input::Picture;
use crate::kernel::Kernels;
use crate::kernel::pixels::PixelScaling;
use crate::plan::Grid;

/// One image.
pub(crate) enum Source<'a> {
    /// Planes of so many values each.
    Planes { values: &'a [f32], plane: usize },
    /// A picture, checked to lie inside the input.
    Picture { picture: &'a Picture<'a>, scaling: &'a PixelScaling },
}

impl Source<'_> {
    /// Writes a row of the input as blocks of pixels.
    ///
    /// # Safety
    /// `out` is the first pixel of a row of `grid`.
    pub(super) unsafe fn row(&self, y: usize, grid: &Grid, out: *mut f32, kernels: &Kernels) {
        for block in 0..grid.blocks {
            // SAFETY: the run of a block is `width` pixels of `lanes` values.
            let run = unsafe { std::slice::from_raw_parts_mut(out.add(block * grid.block_stride), grid.width * grid.lanes) };
            match self {
                Self::Planes { values, plane } => {
                    let planes = values.chunks_exact(*plane).skip(block * grid.lanes).map(|plane| plane.get(y * grid.width..));
                    interleave(run, grid.lanes, planes.map(Option::unwrap_or_default), kernels);
                }
                Self::Picture { picture, scaling } => pixels(run, grid.lanes, (picture, scaling), y, kernels),
            }
        }
    }
}

/// Puts values of planes side by side; lanes without a plane become zero.
fn interleave<'a>(run: &mut [f32], lanes: usize, mut planes: impl Iterator<Item = &'a [f32]>, kernels: &Kernels) {
    if lanes == 3
        && let (Some(a), Some(b), Some(c)) = (planes.next(), planes.next(), planes.next())
    {
        // SAFETY: the machine has the instructions of its kernels.
        unsafe { (kernels.interleave)([a, b, c], run) };
        return;
    }
    run.fill(0.0);
    for (lane, plane) in planes.take(lanes).enumerate() {
        for (to, value) in run.iter_mut().skip(lane).step_by(lanes).zip(plane) {
            *to = *value;
        }
    }
}

/// Scales the bytes of a picture's row; what lies beyond the picture is black.
fn pixels(run: &mut [f32], lanes: usize, (picture, scaling): (&Picture<'_>, &PixelScaling), y: usize, kernels: &Kernels) {
    let black = scaling.pixel([0; 3]);
    let row = y.checked_sub(picture.top).filter(|row| *row < picture.rows);
    let bytes = row.and_then(|row| picture.pixels.get(row * picture.columns * 3..(row + 1) * picture.columns * 3)).unwrap_or_default();
    if lanes == 3 {
        let (start, end) = (picture.left * 3, picture.left * 3 + bytes.len());
        for beyond in [0..start, end..run.len()] {
            run.get_mut(beyond).unwrap_or_default().as_chunks_mut::<3>().0.fill(black);
        }
        if let Some(inside) = run.get_mut(start..end) {
            // SAFETY: the machine has the instructions of its kernels.
            unsafe { (kernels.pixels)(scaling, bytes, inside) };
        }
        return;
    }
    run.fill(0.0);
    let bytes = bytes.as_chunks::<3>().0;
    for (x, pixel) in run.chunks_exact_mut(lanes).enumerate() {
        let inside = x.checked_sub(picture.left).and_then(|column| bytes.get(column));
        let values = inside.map_or(black, |bytes| scaling.pixel(*bytes));
        for (to, value) in pixel.iter_mut().zip(values) {
            *to = value;
        }
    }
}
