//! Bilinear resizing at half-pixel centres.

use std::collections::HashMap;

use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// How an engine resizes.
pub(super) enum Bilinear {
    /// With burn's own operation.
    Native,
    /// By gathering both neighbours along each axis and weighing them. burn 0.22's kernel for GPUs was seen to enlarge wrongly
    /// (through OpenGL on Mesa); gathering uses only operations that agree with the CPU everywhere.
    Gather {
        /// Where the taps are.
        device: Device,
        /// Taps by length before and after.
        taps: HashMap<(usize, usize), Taps>,
    },
}

/// For each output position along an axis, two input positions and the weight of the second.
#[derive(Clone)]
pub(super) struct Taps {
    low: Tensor<1, Int>,
    high: Tensor<1, Int>,
    weight: Tensor<1>,
}

/// Taps of so many pairs of lengths are kept.
const MAX_KEPT: usize = 64;

impl Bilinear {
    pub(super) fn gathering(device: Device) -> Self {
        Self::Gather { device, taps: HashMap::new() }
    }

    /// `x` with other rows and columns.
    pub(super) fn resize(&mut self, x: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
        match self {
            Self::Native => {
                let options = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
                interpolate(x, options.with_output_size([height, width]))
            }
            Self::Gather { device, taps } => {
                let x = along(x, 2, height, device, taps);
                along(x, 3, width, device, taps)
            }
        }
    }
}

fn along(x: Tensor<4>, axis: usize, to: usize, device: &Device, kept: &mut HashMap<(usize, usize), Taps>) -> Tensor<4> {
    let from = x.dims().get(axis).copied().unwrap_or(1);
    if kept.len() >= MAX_KEPT {
        kept.clear();
    }
    let Taps { low, high, weight } = kept.entry((from, to)).or_insert_with(|| taps(from, to, device)).clone();
    let mut shape = [1; 4];
    if let Some(length) = shape.get_mut(axis) {
        *length = to;
    }
    let (low, high) = (x.clone().select(axis, low), x.select(axis, high));
    low.clone() + (high - low) * weight.reshape(shape)
}

fn taps(from: usize, to: usize, device: &Device) -> Taps {
    let (mut low, mut high, mut weight) = (Vec::with_capacity(to), Vec::with_capacity(to), Vec::with_capacity(to));
    for position in positions(from, to) {
        low.push(position.0);
        high.push(position.1);
        weight.push(position.2);
    }
    Taps {
        low: Tensor::from_data(TensorData::new(low, [to]), device),
        high: Tensor::from_data(TensorData::new(high, [to]), device),
        weight: Tensor::from_data(TensorData::new(weight, [to]), device),
    }
}

/// Both neighbours of each output position and the weight of the second; edges are repeated.
fn positions(from: usize, to: usize) -> impl Iterator<Item = (i32, i32, f32)> {
    let last = from.saturating_sub(1);
    (0..to).map(move |index| {
        let source = ((index as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, last as f64);
        let low = source.floor() as usize;
        (low as i32, (low + 1).min(last) as i32, (source - low as f64) as f32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubling_and_halving_read_the_published_positions() {
        let doubled: Vec<_> = positions(3, 6).collect();
        assert_eq!(doubled, [(0, 1, 0.0), (0, 1, 0.25), (0, 1, 0.75), (1, 2, 0.25), (1, 2, 0.75), (2, 2, 0.0)]);
        assert_eq!(positions(4, 2).collect::<Vec<_>>(), [(0, 1, 0.5), (2, 3, 0.5)]);
        assert_eq!(positions(1, 2).collect::<Vec<_>>(), [(0, 0, 0.0), (0, 0, 0.0)]);
    }

    #[test]
    fn gathering_equals_burns_own_operation_on_the_cpu() {
        let device = Device::flex();
        let values: Vec<f32> = (0..2 * 3 * 5 * 7).map(|index| ((index * 37) % 101) as f32 / 101.0).collect();
        let x = Tensor::<4>::from_data(TensorData::new(values, [2, 3, 5, 7]), &device);
        let mut gathering = Bilinear::gathering(device);
        for size in [[10, 14], [2, 3], [5, 7], [7, 9]] {
            let expected = Bilinear::Native.resize(x.clone(), size).try_into_vec_as::<f32>().unwrap();
            let found = gathering.resize(x.clone(), size).try_into_vec_as::<f32>().unwrap();
            let largest = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(expected.len() == found.len() && largest < 1e-6, "{size:?}: {largest}");
        }
    }
}
