//! From coefficients to one plane of samples a component, for the part of the picture that is wanted.

use super::inverse_dct::{Reduced, Transform};
use super::scan::Coefficients;
use super::segments::{Component, Frame};

/// Columns or rows of MCUs.
pub(super) type Range = std::ops::Range<usize>;

/// A block with the place, in coding order, of its last coefficient that is not zero.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) coefficients: Coefficients,
    pub(super) last: u8,
}

impl Block {
    pub(super) const EMPTY: Self = Self { coefficients: [0; 64], last: 0 };
}

/// The samples of one component.
pub(super) struct Plane {
    transform: Transform,
    reduced: Reduced,
    pub(super) width: usize,
    pub(super) samples: Vec<u8>,
    /// Pixels each sample stands for, across and down.
    pub(super) stretch: (usize, usize),
}

impl Plane {
    /// For `columns` by `rows` of MCUs at `scale` (1, 2, 4, 8). Chroma that was stored at half the size is reduced half as much.
    /// `None` when factors do not divide each other or there is no quantisation table.
    pub(super) fn new(frame: &Frame, component: &Component, columns: usize, rows: usize, scale: usize) -> Option<Self> {
        let pixels = |factor: usize, most: usize| (most % factor == 0).then_some(8 / scale * (most / factor));
        let (across, down) = (pixels(component.across, frame.most.0)?, pixels(component.down, frame.most.1)?);
        let (width, height) = (across.min(8), down.min(8));
        let transform = Transform::new(width, height, component.quantisation.as_ref()?);
        let reduced = Reduced::new(&transform);
        let plane_width = columns * component.across * width;
        let samples = vec![0; plane_width * rows * component.down * height];
        Some(Self { transform, reduced, width: plane_width, samples, stretch: (across / width, down / height) })
    }

    /// Transforms a row of blocks into the plane's block row `row`.
    pub(super) fn put_row(&mut self, row: usize, blocks: &[Block]) {
        let band = self.width * self.transform.height;
        let Some(samples) = self.samples.get_mut(row * band..(row + 1) * band) else { return };
        put(&self.transform, &self.reduced, self.width, samples, blocks);
    }
}

/// Chooses the widest vectors the machine has. The arithmetic is the same, to the last bit.
fn put(transform: &Transform, reduced: &Reduced, width: usize, samples: &mut [u8], blocks: &[Block]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the machine was just found to have AVX2, which is all the function needs beyond the baseline.
        return unsafe { put_avx2(transform, reduced, width, samples, blocks) };
    }
    put_any(transform, reduced, width, samples, blocks);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn put_avx2(transform: &Transform, reduced: &Reduced, width: usize, samples: &mut [u8], blocks: &[Block]) {
    put_any(transform, reduced, width, samples, blocks);
}

#[inline(always)]
fn put_any(transform: &Transform, reduced: &Reduced, width: usize, samples: &mut [u8], blocks: &[Block]) {
    let (across, down) = (transform.width, transform.height);
    for (index, block) in blocks.iter().enumerate() {
        let left = index * across;
        if block.last == 0 {
            let level = transform.flat(&block.coefficients);
            for row in samples.chunks_exact_mut(width) {
                if let Some(row) = row.get_mut(left..left + across) {
                    row.fill(level);
                }
            }
        } else if across == 8 && down == 8 {
            let whole = transform.whole(&block.coefficients);
            for (row, values) in samples.chunks_exact_mut(width).zip(whole) {
                if let Some(row) = row.get_mut(left..left + 8) {
                    row.copy_from_slice(&values);
                }
            }
        } else {
            let mut values = [0; 64];
            reduced.block(transform, &block.coefficients, &mut values);
            for (row, values) in samples.chunks_exact_mut(width).zip(values.chunks_exact(across)) {
                if let Some(row) = row.get_mut(left..left + across) {
                    row.copy_from_slice(values);
                }
            }
        }
    }
}
