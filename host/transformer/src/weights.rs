//! The tensors of a model, by name, still in the files' bytes.

use std::collections::HashMap;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use crate::error::WeightsError;

/// The tensors of one or more safetensors files under the names that Hugging Face gives them. Nothing is copied: towers take what
/// they need, in the order in which they read it, and the files can be given back then. Tensors that no tower asks for
/// (`logit_scale`, `position_ids` and whatever else a file holds) are not looked at.
#[derive(Debug)]
pub struct ClipWeights<'a> {
    tensors: HashMap<String, Stored<'a>>,
}

#[derive(Debug)]
struct Stored<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    data: &'a [u8],
}

/// How the numbers of a tensor are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32 bits.
    F32,
    /// 16 bits, 5 of them an exponent.
    F16,
    /// The upper half of 32 bits.
    Bf16,
}

/// A tensor of floating-point numbers whose shape was checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tensor<'a> {
    pub(crate) precision: Precision,
    data: &'a [u8],
}

impl<'a> ClipWeights<'a> {
    /// Reads the headers of the files of a model: one, or the parts that a large model is divided into.
    ///
    /// # Errors
    /// When a file is cut off or no safetensors, or two hold a tensor of the same name.
    pub fn read(files: &[&'a [u8]]) -> Result<Self, WeightsError> {
        let mut tensors = HashMap::new();
        for (file, bytes) in files.iter().enumerate() {
            let parsed = SafeTensors::deserialize(bytes).map_err(|source| WeightsError::Malformed { file, source })?;
            for (name, view) in parsed.iter() {
                let stored = Stored { dtype: view.dtype(), shape: view.shape().to_vec(), data: view.data() };
                if tensors.insert(name.to_owned(), stored).is_some() {
                    return Err(WeightsError::Repeated { name: name.to_owned() });
                }
            }
        }
        Ok(Self { tensors })
    }

    /// Whether the image tower's patches are there, so that it can be asked for.
    #[must_use]
    pub fn has_vision(&self) -> bool {
        self.tensors.contains_key("vision_model.embeddings.patch_embedding.weight")
    }

    /// Whether the text tower's vocabulary is there, so that it can be asked for.
    #[must_use]
    pub fn has_text(&self) -> bool {
        self.tensors.contains_key("text_model.embeddings.token_embedding.weight")
    }

    /// A tensor that must be there, of this shape, of finite numbers.
    pub(crate) fn tensor(&self, name: &str, expected: &[usize]) -> Result<Tensor<'a>, WeightsError> {
        let missing = || WeightsError::Missing { name: name.to_owned(), expected: expected.to_vec() };
        let stored = self.tensors.get(name).ok_or_else(missing)?;
        if stored.shape != expected {
            return Err(WeightsError::WrongShape { name: name.to_owned(), expected: expected.to_vec(), found: stored.shape.clone() });
        }
        let precision = match stored.dtype {
            Dtype::F32 => Precision::F32,
            Dtype::F16 => Precision::F16,
            Dtype::BF16 => Precision::Bf16,
            dtype => return Err(WeightsError::Dtype { name: name.to_owned(), dtype }),
        };
        let tensor = Tensor { precision, data: stored.data };
        if !tensor.is_finite() {
            return Err(WeightsError::NotFinite { name: name.to_owned() });
        }
        Ok(tensor)
    }
}

impl<'a> Tensor<'a> {
    /// The bytes of some rows of `row` numbers each.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.data
    }

    /// All numbers, widened.
    pub(crate) fn widen(&self) -> Vec<f32> {
        match self.precision {
            Precision::F32 => each(self.data, f32::from_le_bytes),
            Precision::F16 => each(self.data, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Precision::Bf16 => each(self.data, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        }
    }

    fn is_finite(&self) -> bool {
        // An exponent of ones only is an infinity or no number.
        let halves = |mask: u16| self.data.as_chunks::<2>().0.iter().all(|bytes| u16::from_le_bytes(*bytes) & mask != mask);
        match self.precision {
            Precision::F32 => self.data.as_chunks::<4>().0.iter().all(|bytes| f32::from_le_bytes(*bytes).is_finite()),
            Precision::F16 => halves(0x7c00),
            Precision::Bf16 => halves(0x7f80),
        }
    }
}

impl Precision {
    /// Bytes of a number.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

fn each<const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    data.as_chunks::<N>().0.iter().map(|bytes| value(*bytes)).collect()
}
