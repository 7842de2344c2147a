//! Tensors of the files, brought onto the device.

use std::collections::HashMap;

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::tower::{Dense, Norm};
use crate::engine::EngineError;

/// The tensors of a model's files, and the device they go to.
pub(super) struct Reader<'a> {
    tensors: HashMap<String, TensorView<'a>>,
    device: &'a Device,
    precision: FloatDType,
}

impl<'a> Reader<'a> {
    pub(super) fn new(files: &[&'a [u8]], device: &'a Device, precision: FloatDType) -> Result<Self, EngineError> {
        let mut tensors = HashMap::new();
        for file in files {
            let parsed = SafeTensors::deserialize(file).map_err(|error| refused(format!("no complete safetensors file: {error}")))?;
            for (name, view) in parsed.tensors() {
                if let Some(twice) = tensors.insert(name, view).map(|_| "a tensor is in more than one file") {
                    return Err(refused(twice.to_owned()));
                }
            }
        }
        Ok(Self { tensors, device, precision })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// In which dense layers compute.
    pub(super) fn precision(&self) -> FloatDType {
        self.precision
    }

    /// The finite numbers of a tensor of this shape.
    pub(super) fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        let view = self.tensors.get(name).ok_or_else(|| refused(format!("tensor {name:?} is missing")))?;
        if view.shape() != shape {
            return Err(refused(format!("tensor {name:?} is {:?}, the model needs {shape:?}", view.shape())));
        }
        let data = view.data();
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Dtype::F16 => data.as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
            Dtype::BF16 => data.as_chunks::<2>().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
            dtype => return Err(refused(format!("tensor {name:?} holds {dtype:?}; f32, f16 and bf16 are understood"))),
        };
        if values.iter().any(|value| !value.is_finite()) {
            return Err(refused(format!("tensor {name:?} holds a value that is not a finite number")));
        }
        Ok(values)
    }

    /// Numbers on the device, in full precision.
    pub(super) fn tensor<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), self.device)
    }

    /// Weights of dense layers of one shape (outputs first) side by side, transposed, in the precision of the device.
    pub(super) fn linear(&self, names: &[&str], shape: &[usize]) -> Result<Tensor<2>, EngineError> {
        let outputs = shape.first().copied().unwrap_or(0);
        let inputs = shape.iter().skip(1).product();
        let mut values = Vec::with_capacity(names.len() * outputs * inputs);
        for name in names {
            values.extend(self.numbers(name, shape)?);
        }
        // Laid out anew on the device: a view that is only turned would be turned again for every product.
        let weight = self.tensor(values, [names.len() * outputs, inputs]).cast(self.precision).transpose();
        Ok(weight.mul_scalar(1.0))
    }

    /// Dense layers that read the same input, as one.
    pub(super) fn dense(&self, names: &[String], [outputs, inputs]: [usize; 2]) -> Result<Dense, EngineError> {
        let weights: Vec<String> = names.iter().map(|name| format!("{name}.weight")).collect();
        let weight = self.linear(&weights.iter().map(String::as_str).collect::<Vec<_>>(), &[outputs, inputs])?;
        let mut bias = Vec::new();
        for name in names {
            bias.extend(self.numbers(&format!("{name}.bias"), &[outputs])?);
        }
        let length = bias.len();
        Ok(Dense { weight, bias: self.tensor(bias, [length]).cast(self.precision) })
    }

    /// A normalisation, which is computed in full precision.
    pub(super) fn norm(&self, name: &str, width: usize, epsilon: f32) -> Result<Norm, EngineError> {
        let part = |part: &str| Ok::<_, EngineError>(self.tensor(self.numbers(&format!("{name}.{part}"), &[width])?, [width]));
        Ok(Norm { weight: part("weight")?, bias: part("bias")?, epsilon: f64::from(epsilon) })
    }
}

fn refused(what: String) -> EngineError {
    EngineError::Refused { what }
}
