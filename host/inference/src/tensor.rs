//! Named arrays as they come from outside and go there: those of the Open Inference Protocol and of `wasi:nn`.

use bytes::Bytes;
use half::f16;
use serde::Serialize;

use crate::error::TensorError;

/// The most bytes of all tensors of a call together.
pub const MAX_TENSOR_BYTES: usize = 64 << 20;
/// The most dimensions of a tensor.
pub const MAX_RANK: usize = 8;
/// The most images or texts in a tensor.
pub const MAX_ITEMS: usize = 64;

/// What a tensor holds, under its name in the Open Inference Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DataType {
    /// Floating-point numbers of 32 bits.
    Fp32,
    /// Floating-point numbers of 16 bits.
    Fp16,
    /// Whole numbers of 64 bits with a sign.
    Int64,
    /// Byte strings.
    Bytes,
}

impl DataType {
    /// As the protocol writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "FP32",
            Self::Fp16 => "FP16",
            Self::Int64 => "INT64",
            Self::Bytes => "BYTES",
        }
    }

    /// From what the protocol writes; none for types that no model here takes.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Fp32, Self::Fp16, Self::Int64, Self::Bytes].into_iter().find(|known| known.name() == name)
    }
}

/// The elements of a tensor, the last dimension innermost.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// Floating-point numbers of 32 bits.
    Fp32(Vec<f32>),
    /// Floating-point numbers of 16 bits.
    Fp16(Vec<f16>),
    /// Whole numbers.
    Int64(Vec<i64>),
    /// Byte strings.
    Bytes(Vec<Bytes>),
}

/// A named array whose elements fit its shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    name: String,
    shape: Vec<usize>,
    data: TensorData,
}

/// What a model takes or gives, as a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// What it holds.
    #[serde(rename = "datatype")]
    pub data_type: DataType,
    /// Its dimensions; -1 for those that may have any value.
    pub shape: Vec<i64>,
}

impl Tensor {
    /// A tensor.
    ///
    /// # Errors
    /// `tensor.shape` when the elements are more or fewer than the shape says or it has more than [`MAX_RANK`] dimensions,
    /// `tensor.too-large` when they take more than [`MAX_TENSOR_BYTES`].
    pub fn new(name: impl Into<String>, shape: Vec<usize>, data: TensorData) -> Result<Self, TensorError> {
        let name = name.into();
        if shape.len() > MAX_RANK {
            return Err(TensorError::Rank { tensor: name, found: shape.len() });
        }
        let expected = shape.iter().try_fold(1usize, |product, edge| product.checked_mul(*edge));
        if expected != Some(data.len()) {
            return Err(TensorError::Elements { tensor: name, shape, found: data.len() });
        }
        if data.bytes() > MAX_TENSOR_BYTES {
            return Err(TensorError::TooLarge { found: data.bytes() });
        }
        Ok(Self { name, shape, data })
    }

    /// From little-endian bytes; byte strings are each preceded by their length in four bytes.
    ///
    /// # Errors
    /// As [`Self::new`]; `tensor.malformed` when the bytes end within an element.
    pub fn from_raw(name: impl Into<String>, shape: Vec<usize>, data_type: DataType, raw: &[u8]) -> Result<Self, TensorError> {
        let name = name.into();
        if raw.len() > MAX_TENSOR_BYTES {
            return Err(TensorError::TooLarge { found: raw.len() });
        }
        let malformed = || TensorError::Malformed { tensor: name.clone(), data_type };
        let data = match data_type {
            DataType::Fp32 => TensorData::Fp32(numbers(raw, f32::from_le_bytes).ok_or_else(malformed)?),
            DataType::Fp16 => TensorData::Fp16(numbers(raw, f16::from_le_bytes).ok_or_else(malformed)?),
            DataType::Int64 => TensorData::Int64(numbers(raw, i64::from_le_bytes).ok_or_else(malformed)?),
            DataType::Bytes => TensorData::Bytes(strings(raw).ok_or_else(malformed)?),
        };
        Self::new(name, shape, data)
    }

    /// As [`Self::from_raw`] reads it.
    #[must_use]
    pub fn to_raw(&self) -> Vec<u8> {
        match &self.data {
            TensorData::Fp32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorData::Fp16(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorData::Int64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorData::Bytes(strings) => {
                // A string cannot have more bytes than all tensors together may.
                let prefixed = |string: &Bytes| [&(string.len() as u32).to_le_bytes(), &**string].concat();
                strings.iter().flat_map(prefixed).collect()
            }
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its dimensions.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// What it holds.
    #[must_use]
    pub fn data_type(&self) -> DataType {
        match self.data {
            TensorData::Fp32(_) => DataType::Fp32,
            TensorData::Fp16(_) => DataType::Fp16,
            TensorData::Int64(_) => DataType::Int64,
            TensorData::Bytes(_) => DataType::Bytes,
        }
    }

    /// Its elements.
    #[must_use]
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// Its elements, without a copy.
    #[must_use]
    pub fn into_data(self) -> TensorData {
        self.data
    }
}

impl TensorData {
    fn len(&self) -> usize {
        match self {
            Self::Fp32(values) => values.len(),
            Self::Fp16(values) => values.len(),
            Self::Int64(values) => values.len(),
            Self::Bytes(strings) => strings.len(),
        }
    }

    /// Bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Fp32(values) => size_of_val(&**values),
            Self::Fp16(values) => size_of_val(&**values),
            Self::Int64(values) => size_of_val(&**values),
            Self::Bytes(strings) => strings.iter().map(|string| string.len() + 4).sum(),
        }
    }
}

fn numbers<T, const N: usize>(raw: &[u8], value: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
    let (chunks, rest) = raw.as_chunks::<N>();
    rest.is_empty().then(|| chunks.iter().map(|chunk| value(*chunk)).collect())
}

fn strings(mut raw: &[u8]) -> Option<Vec<Bytes>> {
    let mut strings = Vec::new();
    while !raw.is_empty() {
        let (length, rest) = raw.split_first_chunk::<4>()?;
        let (string, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        strings.push(Bytes::copy_from_slice(string));
        raw = rest;
    }
    Some(strings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(result: Result<Tensor, TensorError>) -> String {
        breakwater_core::Failure::from(result.unwrap_err()).code.into_owned()
    }

    #[test]
    fn every_type_comes_back_from_its_bytes() {
        let strings = vec![Bytes::from_static(b"a cat"), Bytes::new(), Bytes::from_static(&[0, 255])];
        for data in [
            TensorData::Fp32(vec![1.5, -0.0, f32::MAX]),
            TensorData::Fp16(vec![f16::from_f32(0.5), f16::ZERO, f16::MAX]),
            TensorData::Int64(vec![-1, 0, i64::MAX]),
            TensorData::Bytes(strings),
        ] {
            let tensor = Tensor::new("x", vec![3, 1], data).unwrap();
            let again = Tensor::from_raw("x", vec![3, 1], tensor.data_type(), &tensor.to_raw()).unwrap();
            assert_eq!(again, tensor);
            assert_eq!(DataType::from_name(tensor.data_type().name()), Some(tensor.data_type()));
        }
        assert_eq!(Tensor::from_raw("x", vec![1], DataType::Fp32, &1.0f32.to_le_bytes()).unwrap().data(), &TensorData::Fp32(vec![1.0]));
        assert_eq!(DataType::from_name("UINT8"), None);
    }

    #[test]
    fn shapes_and_sizes_are_checked() {
        let of = |shape: Vec<usize>, count: usize| Tensor::new("x", shape, TensorData::Int64(vec![0; count]));
        assert_eq!(code(of(vec![2, 3], 5)), "tensor.shape");
        assert_eq!(code(of(vec![usize::MAX, 2], 2)), "tensor.shape");
        assert_eq!(code(of(vec![1; MAX_RANK + 1], 1)), "tensor.shape");
        assert!(of(vec![1; MAX_RANK], 1).is_ok() && of(vec![], 1).is_ok());
        let most = MAX_TENSOR_BYTES / 8;
        assert!(of(vec![most], most).is_ok());
        assert_eq!(code(of(vec![most + 1], most + 1)), "tensor.too-large");
        assert_eq!(code(Tensor::from_raw("x", vec![1], DataType::Fp32, &vec![0; MAX_TENSOR_BYTES + 4])), "tensor.too-large");
    }

    #[test]
    fn bytes_that_end_within_an_element_are_refused() {
        for (data_type, raw) in [
            (DataType::Fp32, &[0u8; 5][..]),
            (DataType::Fp16, &[0; 3]),
            (DataType::Int64, &[0; 9]),
            (DataType::Bytes, &[1, 0, 0]),
            (DataType::Bytes, &[2, 0, 0, 0, 7]),
            (DataType::Bytes, &[255; 8]),
        ] {
            assert_eq!(code(Tensor::from_raw("x", vec![1], data_type, raw)), "tensor.malformed", "{data_type:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(raw in proptest::collection::vec(any::<u8>(), 0..64), count in 0usize..8) {
            for data_type in [DataType::Fp32, DataType::Fp16, DataType::Int64, DataType::Bytes] {
                drop(Tensor::from_raw("x", vec![count], data_type, &raw));
            }
        }
    }
}
