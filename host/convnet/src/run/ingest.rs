//! The network's input, row by row.

use crate::input::Picture;
use crate::plan::Grid;

/// One image.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// Planes of so many values each.
    Planes { values: &'a [f32], plane: usize },
    /// A picture, checked to lie inside the input.
    Picture(&'a Picture<'a>),
}

impl Source<'_> {
    /// Writes a row of the input as blocks of pixels.
    ///
    /// # Safety
    /// `out` is the first pixel of a row of `grid`.
    pub(super) unsafe fn row(&self, y: usize, grid: &Grid, out: *mut f32) {
        for block in 0..grid.blocks {
            // SAFETY: the run of a block is `width` pixels of `lanes` values.
            let run = unsafe { std::slice::from_raw_parts_mut(out.add(block * grid.block_stride), grid.width * grid.lanes) };
            match self {
                Self::Planes { values, plane } => {
                    let planes = values.chunks_exact(*plane).skip(block * grid.lanes).map(|plane| plane.get(y * grid.width..));
                    interleave(run, grid.lanes, planes.map(Option::unwrap_or_default));
                }
                Self::Picture(picture) => pixels(run, grid.lanes, picture, y),
            }
        }
    }
}

/// Puts values of planes side by side; lanes without a plane become zero.
fn interleave<'a>(run: &mut [f32], lanes: usize, mut planes: impl Iterator<Item = &'a [f32]>) {
    if lanes == 3
        && let (Some(a), Some(b), Some(c)) = (planes.next(), planes.next(), planes.next())
    {
        for (pixel, ((a, b), c)) in run.as_chunks_mut::<3>().0.iter_mut().zip(a.iter().zip(b).zip(c)) {
            *pixel = [*a, *b, *c];
        }
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
fn pixels(run: &mut [f32], lanes: usize, picture: &Picture<'_>, y: usize) {
    let (mean, deviation) = (picture.scaling.mean, picture.scaling.deviation);
    let number = |bytes: [u8; 3]| {
        let [r, g, b] = bytes.map(f32::from);
        let [x0, x1, x2] = if picture.scaling.rgb { [r, g, b] } else { [b, g, r] };
        let ([m0, m1, m2], [d0, d1, d2]) = (mean, deviation);
        [(x0 - m0) / d0, (x1 - m1) / d1, (x2 - m2) / d2]
    };
    let black = number([0; 3]);
    let row = y.checked_sub(picture.top).filter(|row| *row < picture.rows);
    let bytes = row.and_then(|row| picture.pixels.get(row * picture.columns * 3..(row + 1) * picture.columns * 3)).unwrap_or_default();
    let (bytes, left) = (bytes.as_chunks::<3>().0, picture.left);
    if lanes == 3 {
        let pixels = run.as_chunks_mut::<3>().0;
        pixels.fill(black);
        for (pixel, bytes) in pixels.iter_mut().skip(left).zip(bytes) {
            *pixel = number(*bytes);
        }
        return;
    }
    run.fill(0.0);
    for (x, pixel) in run.chunks_exact_mut(lanes).enumerate() {
        let inside = x.checked_sub(left).and_then(|column| bytes.get(column));
        let values = inside.map_or(black, |bytes| number(*bytes));
        for (to, value) in pixel.iter_mut().zip(values) {
            *to = value;
        }
    }
}
