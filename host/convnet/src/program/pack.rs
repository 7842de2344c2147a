//! Weights in the order in which kernels read them.

use crate::graph::weights::WeightTensor;
use crate::graph::{Conv, Padding};
use crate::kernel::Clamp;
use crate::memory::Memory;
use crate::program::{Dense, Depthwise, Window, panel_of, panels_of};

/// Weights and biases of one or several convolutions of one geometry, whose output channels follow each other.
pub(super) struct Filters<'a> {
    pub(super) convs: Vec<(&'a Conv, &'a WeightTensor, &'a WeightTensor)>,
    pub(super) in_channels: usize,
}

impl Filters<'_> {
    pub(super) fn out_channels(&self) -> usize {
        self.convs.iter().map(|(conv, ..)| conv.out_channels).sum()
    }

    pub(super) fn biases(&self, lanes: usize) -> Memory {
        let mut memory = Memory::zeros(self.out_channels().next_multiple_of(lanes));
        let biases = self.convs.iter().flat_map(|(_, _, bias)| &bias.values);
        for (to, bias) in memory.as_mut_slice().iter_mut().zip(biases) {
            *to = *bias;
        }
        memory
    }

    /// Hands out `(output channel, input channel, line, column, weight)` of every weight.
    fn each(&self, mut take: impl FnMut(usize, usize, usize, usize, f32)) {
        let mut first = 0;
        for (conv, weight, _) in &self.convs {
            let kernel = conv.kernel;
            let ins = weight.shape.get(1).copied().unwrap_or(1);
            let outs = conv.out_channels / conv.groups.max(1);
            for (index, value) in weight.values.iter().enumerate() {
                let (rest, column) = (index / kernel, index % kernel);
                let (rest, line) = (rest / kernel, rest % kernel);
                let (out, within) = (rest / ins, rest % ins);
                take(first + out, out / outs * ins + within, line, column, *value);
            }
            first += conv.out_channels;
        }
    }
}

pub(super) fn window(conv: &Conv) -> Window {
    let Padding { top, left, .. } = conv.padding;
    Window { size: conv.kernel, stride: conv.stride, top, left }
}

/// For `DenseRow`: per panel, line, block of the input, column, lane of the input: the panel's registers. Groups become zeros
/// between channels that do not see each other. `input_lanes` is how many channels of the input lie side by side.
pub(super) fn dense(filters: &Filters<'_>, conv: &Conv, clamp: Clamp, input_lanes: usize, lanes: usize) -> Dense {
    let kernel = conv.kernel;
    let in_blocks = filters.in_channels.div_ceil(input_lanes);
    let length = kernel * input_lanes;
    let last_length = length - (in_blocks * input_lanes - filters.in_channels);
    let line_length = (in_blocks - 1) * length + last_length;
    let depth = kernel * line_length;
    let out_blocks = filters.out_channels().div_ceil(lanes);
    let panels = panels_of(out_blocks, depth, lanes);
    let mut weights = Memory::zeros(out_blocks * depth * lanes);
    let packed = weights.as_mut_slice();
    filters.each(|out, input, line, column, value| {
        let (block, lane) = (out / lanes, out % lanes);
        let Some(panel) = panel_of(&panels, block) else {
            return;
        };
        let k = line * line_length + input / input_lanes * length + column * input_lanes + input % input_lanes;
        let at = panel.weights + (k * panel.blocks + block - panel.first_block) * lanes + lane;
        if let Some(to) = packed.get_mut(at) {
            *to = value;
        }
    });
    Dense { window: window(conv), clamp, length, last_length, panels, weights, bias: filters.biases(lanes) }
}

/// For `DepthwiseRow`: per block, line, column: a register.
pub(super) fn depthwise(filters: &Filters<'_>, conv: &Conv, clamp: Clamp, lanes: usize) -> Depthwise {
    let kernel = conv.kernel;
    let mut weights = Memory::zeros(filters.out_channels().div_ceil(lanes) * kernel * kernel * lanes);
    let packed = weights.as_mut_slice();
    filters.each(|out, _, line, column, value| {
        let at = ((out / lanes * kernel + line) * kernel + column) * lanes + out % lanes;
        if let Some(to) = packed.get_mut(at) {
            *to = value;
        }
    });
    Depthwise { window: window(conv), clamp, weights, bias: filters.biases(lanes) }
}
