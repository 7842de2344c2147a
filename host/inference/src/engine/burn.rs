//! Networks computed by burn, on a GPU through wgpu or on the CPU through flex.

mod bilinear;
mod clip;

use std::sync::Arc;

use burn::tensor::activation::{leaky_relu, relu, sigmoid};
use burn::tensor::module::{conv2d, interpolate, max_pool2d};
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions, MaxPoolOptions, PadMode};
use burn::tensor::{Device, Tensor, TensorData, Transaction};

use rayon::ThreadPool;

use self::bilinear::Bilinear;
use crate::array::{Array, Outputs};
use crate::batch::Batch;
use crate::clip::Clip;
use crate::engine::{DeviceKind, Engine, EngineError, Session};
use crate::graph::shape::Shape;
use crate::graph::weights::{Network, WeightTensor};
use crate::graph::{Activation, Node, Op, Padding};

/// burn on one device.
#[derive(Debug, Clone)]
pub struct BurnEngine {
    device: Device,
    kind: DeviceKind,
    name: String,
    threads: Option<Arc<ThreadPool>>,
}

impl BurnEngine {
    /// The processor. Work is spread over `threads`, or over rayon's global pool.
    #[must_use]
    pub fn cpu(threads: Option<Arc<ThreadPool>>) -> Self {
        Self { device: Device::flex(), kind: DeviceKind::Cpu, name: "flex".to_owned(), threads }
    }

    /// An initialised wgpu device.
    #[must_use]
    pub fn gpu(device: Device, name: String) -> Self {
        Self { device, kind: DeviceKind::Gpu, name, threads: None }
    }
}

impl Engine for BurnEngine {
    fn device(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> DeviceKind {
        self.kind
    }

    /// On the CPU a batch costs as much as its images (`benches/RESULTS.md`), and one image already uses every thread.
    fn preferred_batch(&self) -> usize {
        match self.kind {
            DeviceKind::Cpu => 1,
            DeviceKind::Gpu => usize::MAX,
        }
    }

    fn prepare_clip(&self, clip: &Arc<Clip>) -> Result<Box<dyn Session>, EngineError> {
        Ok(Box::new(clip::ClipSession::new(clip, &self.device, self.kind, self.threads.clone())?))
    }

    fn prepare(&self, network: &Network) -> Result<Box<dyn Session>, EngineError> {
        let mut convolutions = Vec::new();
        for conv in network.graph().convolutions() {
            let tensor = |suffix: &str| {
                let found = network.weights().get(&format!("{}.{suffix}", conv.name));
                found.map_err(|error| EngineError::Output { what: error.to_string() })
            };
            let weight = Tensor::<4>::from_data(data(tensor("weight")?), &self.device);
            let bias = Tensor::<1>::from_data(data(tensor("bias")?), &self.device);
            let (padding, border) = borders(conv.padding);
            let options = ConvOptions::new([conv.stride; 2], padding, [1, 1], conv.groups);
            convolutions.push(Convolution { weight, bias, options, border });
        }
        let bilinear = match self.kind {
            DeviceKind::Cpu => Bilinear::Native,
            DeviceKind::Gpu => Bilinear::gathering(self.device.clone()),
        };
        Ok(Box::new(BurnSession {
            kind: self.kind,
            network: network.clone(),
            device: self.device.clone(),
            convolutions,
            threads: self.threads.clone(),
            bilinear,
        }))
    }
}

fn data(tensor: &WeightTensor) -> TensorData {
    TensorData::new(tensor.values.clone(), tensor.shape.clone())
}

struct Convolution {
    weight: Tensor<4>,
    bias: Tensor<1>,
    options: ConvOptions<2>,
    /// Zeros put around the input before, where the options cannot say it.
    border: Option<Border>,
}

/// Before and after the rows, before and after the columns.
type Border = [(usize, usize); 2];

/// burn's convolutions pad as much before as after: that is the first; any other padding is the second.
fn borders(padding: Padding) -> ([usize; 2], Option<Border>) {
    let Padding { top, left, bottom, right } = padding;
    if (top, left) == (bottom, right) {
        return ([top, left], None);
    }
    ([0, 0], Some([(top, bottom), (left, right)]))
}

/// The same with so many images: black ones are added, or the last ones are taken away.
fn batch_of(images: usize, array: Array) -> Result<Array, EngineError> {
    let shape = Shape { images, ..array.shape() };
    let mut values = array.into_values();
    values.resize(shape.elements().ok_or_else(|| missing("a size"))?, 0.0);
    Ok(Array::new(shape, values)?)
}

struct BurnSession {
    kind: DeviceKind,
    network: Network,
    device: Device,
    /// In the order of [`crate::graph::Graph::convolutions`].
    convolutions: Vec<Convolution>,
    threads: Option<Arc<ThreadPool>>,
    bilinear: Bilinear,
}

impl Session for BurnSession {
    fn run(&mut self, batch: Batch<'_>) -> Result<Outputs, EngineError> {
        let batch = batch.into_array()?;
        let images = batch.shape().images;
        // Few shapes, so that kernels are compiled and tuned once.
        let batch = if self.kind == DeviceKind::Gpu { batch_of(images.next_power_of_two(), batch)? } else { batch };
        let computed = batch.shape().images;
        let outputs = match self.threads.clone() {
            Some(threads) => threads.install(|| self.compute(batch)),
            None => self.compute(batch),
        }?;
        if images == computed {
            return Ok(outputs);
        }
        let firsts = outputs.iter().map(|(name, array)| Ok((name.to_owned(), batch_of(images, array.clone())?)));
        Ok(Outputs::new(firsts.collect::<Result<_, EngineError>>()?))
    }
}

impl BurnSession {
    fn compute(&mut self, batch: Array) -> Result<Outputs, EngineError> {
        let graph = self.network.graph();
        let shapes = graph.shapes(batch.shape())?;
        let dims = batch.shape().dims();
        let input = Tensor::<4>::from_data(TensorData::new(batch.into_values(), dims), &self.device);
        let mut results = Results { tensors: Vec::with_capacity(shapes.len()), uses: graph.uses() };
        let mut convolutions = self.convolutions.iter();
        for node in graph.nodes() {
            let inputs = node.inputs.iter().map(|id| results.take(id.index())).collect::<Result<Vec<_>, _>>()?;
            let output = match &node.op {
                Op::Input { .. } => input.clone(),
                Op::Conv(conv) => {
                    let layer = convolutions.next().ok_or_else(|| missing("a convolution"))?;
                    let x = inputs.into_iter().next().ok_or_else(|| missing("an input"))?;
                    let x = match layer.border {
                        Some(border) => x.pad(border, PadMode::Constant(0.0)),
                        None => x,
                    };
                    let y = conv2d(x, layer.weight.clone(), Some(layer.bias.clone()), layer.options.clone());
                    activate(y, conv.activation)
                }
                _ => compute(node, inputs, &mut self.bilinear)?,
            };
            results.tensors.push(Some(output));
        }
        self.read(&mut results, &shapes)
    }

    /// One transfer for all outputs. An error of any earlier operation surfaces here.
    fn read(&self, results: &mut Results, shapes: &[Shape]) -> Result<Outputs, EngineError> {
        let graph = self.network.graph();
        let mut transaction = Transaction::default();
        for output in graph.outputs() {
            transaction = transaction.register(results.take(output.node.index())?);
        }
        let read = transaction.try_execute().map_err(|error| EngineError::Device { what: error.to_string() })?;
        let mut arrays = Vec::with_capacity(read.len());
        for (output, data) in graph.outputs().iter().zip(read) {
            let shape = shapes.get(output.node.index()).copied().ok_or_else(|| missing("a shape"))?;
            let values = data.try_into_vec::<f32>().map_err(|error| EngineError::Device { what: error.to_string() })?;
            arrays.push((output.name.clone(), Array::new(shape, values)?));
        }
        Ok(Outputs::new(arrays))
    }
}

/// Tensors that are still needed.
struct Results {
    tensors: Vec<Option<Tensor<4>>>,
    uses: Vec<usize>,
}

impl Results {
    /// The tensor for one more use; it is handed over, not cloned, to the last one, which lets an engine work in place.
    fn take(&mut self, index: usize) -> Result<Tensor<4>, EngineError> {
        let slot = self.tensors.get_mut(index).ok_or_else(|| missing("a node"))?;
        let uses = self.uses.get_mut(index).ok_or_else(|| missing("a node"))?;
        *uses = uses.saturating_sub(1);
        let tensor = if *uses == 0 { slot.take() } else { slot.clone() };
        tensor.ok_or_else(|| missing("a tensor"))
    }
}

fn missing(what: &str) -> EngineError {
    EngineError::Output { what: format!("{what} of the graph is not there") }
}

/// Layers without weights.
fn compute(node: &Node, inputs: Vec<Tensor<4>>, bilinear: &mut Bilinear) -> Result<Tensor<4>, EngineError> {
    if node.op == Op::Concat {
        return Ok(Tensor::cat(inputs, 1));
    }
    let mut inputs = inputs.into_iter();
    let mut next = || inputs.next().ok_or_else(|| missing("an input"));
    let x = next()?;
    let [images, _, height, width] = x.dims();
    Ok(match node.op {
        Op::Input { .. } | Op::Conv(_) | Op::Concat => x,
        Op::MaxPool { kernel, stride, padding } => {
            max_pool2d(x, MaxPoolOptions::new([kernel; 2]).with_stride([stride; 2]).with_padding([padding; 2]))
        }
        Op::Add => x.add(next()?),
        Op::UpsampleNearest { factor } => {
            let options = InterpolateOptions::new(InterpolateMode::Nearest).with_align_corners(false);
            interpolate(x, options.with_output_size([height * factor, width * factor]))
        }
        Op::ResizeBilinear { numerator, denominator } => {
            let size = [height, width].map(|edge| (edge * numerator).checked_div(denominator).unwrap_or(edge));
            bilinear.resize(x, size)
        }
        Op::GlobalAveragePool => x.mean_dim(3).mean_dim(2),
        Op::Channels { start, count } => x.slice([0..images, start..start + count, 0..height, 0..width]),
        Op::Activate(activation) => activate(x, activation),
    })
}

fn activate(x: Tensor<4>, activation: Activation) -> Tensor<4> {
    match activation {
        Activation::Identity => x,
        Activation::Relu => relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu { slope } => leaky_relu(x, f64::from(slope)),
        Activation::Sigmoid => sigmoid(x),
    }
}
