//! Tensors and their data in JSON.

use breakwater_core::Failure;
use breakwater_operations::{DataType, Tensor, TensorData};
use bytes::Bytes;

use super::data::Data;
use super::{MAX_DIMENSIONS, malformed};

/// The kind of values that a name stands for.
///
/// # Errors
/// `tensor.type`.
pub(crate) fn data_type(tensor: &str, name: &str) -> Result<DataType, Failure> {
    DataType::from_name(name).ok_or_else(|| {
        let name: String = name.chars().take(32).collect();
        let message = format!("the tensor {tensor:?} is of type {name:?}; types are FP32, FP16, INT64 and BYTES");
        Failure::invalid("tensor.type", message)
    })
}

/// A shape whose sizes are sizes.
///
/// # Errors
/// `tensor.shape`.
pub(crate) fn shape(tensor: &str, sizes: &[i64]) -> Result<Vec<usize>, Failure> {
    let invalid = |problem: String| Failure::invalid("tensor.shape", format!("the tensor {tensor:?} {problem}"));
    if sizes.len() > MAX_DIMENSIONS {
        return Err(invalid(format!("has {} dimensions; at most {MAX_DIMENSIONS} are possible", sizes.len())));
    }
    sizes.iter().map(|size| usize::try_from(*size).map_err(|_| invalid(format!("has the size {size} in its shape")))).collect()
}

/// A tensor's elements from JSON. `text` says what bytes a text stands for.
///
/// # Errors
/// `tensor.malformed`.
pub(crate) fn of_json(
    tensor: &str,
    data_type: DataType,
    data: Data,
    text: impl Fn(String) -> Result<Bytes, Failure>,
) -> Result<TensorData, Failure> {
    let data = match (data_type, data) {
        (DataType::Fp16, _) => return Err(malformed(tensor, "is FP16, which JSON has no form for; send its data in binary form")),
        (DataType::Fp32, Data::Whole(list)) => TensorData::Fp32(list.into_iter().map(|value| value as f32).collect()),
        (DataType::Fp32, Data::Real(list)) => TensorData::Fp32(list.into_iter().map(|value| value as f32).collect()),
        (DataType::Int64, Data::Whole(list)) => TensorData::Int64(list),
        (DataType::Bytes, Data::Texts(list)) => TensorData::Bytes(list.into_iter().map(text).collect::<Result<_, _>>()?),
        (DataType::Bytes, Data::Whole(list)) if list.is_empty() => TensorData::Bytes(Vec::new()),
        (data_type, _) => return Err(malformed(tensor, &format!("has data that is not {}", data_type.name()))),
    };
    match &data {
        TensorData::Fp32(list) if list.iter().any(|value| !value.is_finite()) => {
            Err(malformed(tensor, "has a number that FP32 cannot hold"))
        }
        _ => Ok(data),
    }
}

/// A tensor's elements as JSON.
///
/// # Errors
/// `tensor.malformed` for what JSON has no form for.
pub(crate) fn into_json(tensor: Tensor) -> Result<Data, Failure> {
    let name = tensor.name().to_owned();
    let no_form = |what: &str| malformed(&name, &format!("holds {what}, which JSON has no form for; ask for it in binary form"));
    match tensor.into_data() {
        TensorData::Fp16(_) => Err(no_form("FP16")),
        TensorData::Fp32(list) if list.iter().all(|value| value.is_finite()) => Ok(Data::Single(list)),
        TensorData::Fp32(_) => Err(no_form("a number that is not finite")),
        TensorData::Int64(list) => Ok(Data::Whole(list)),
        TensorData::Bytes(list) => {
            let text = |bytes: Bytes| String::from_utf8(bytes.into()).map_err(|_| no_form("bytes that are no text"));
            Ok(Data::Texts(list.into_iter().map(text).collect::<Result<_, _>>()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    fn json(data_type: DataType, text: &str) -> Result<TensorData, String> {
        let data = serde_json::from_str(text).unwrap();
        of_json("x", data_type, data, |text| Ok(text.into())).map_err(|failure| failure.code.into_owned())
    }

    fn texts(list: &[&'static [u8]]) -> TensorData {
        TensorData::Bytes(list.iter().map(|text| Bytes::from_static(text)).collect())
    }

    #[test]
    fn json_data_is_what_the_type_says() {
        assert_eq!(json(DataType::Fp32, "[1, [2.5], 0.1]"), Ok(TensorData::Fp32(vec![1.0, 2.5, 0.1])));
        assert_eq!(json(DataType::Int64, "[-9007199254740993]"), Ok(TensorData::Int64(vec![-9_007_199_254_740_993])));
        assert_eq!(json(DataType::Bytes, r#"["a"]"#), Ok(texts(&[b"a"])));
        assert_eq!(json(DataType::Bytes, "[]"), Ok(texts(&[])));
        for (data_type, text) in [
            (DataType::Fp16, "[1.0]"),
            (DataType::Fp32, r#"["a"]"#),
            (DataType::Fp32, "[1e39]"),
            (DataType::Int64, "[1.5]"),
            (DataType::Int64, "[9223372036854775808]"),
            (DataType::Bytes, "[1]"),
        ] {
            assert_eq!(json(data_type, text), Err("tensor.malformed".into()), "{data_type:?} {text}");
        }
    }

    #[test]
    fn what_json_cannot_hold_is_not_bent_into_it() {
        let written = |data: TensorData| into_json(Tensor::new("x", vec![1], data).unwrap());
        for data in [TensorData::Fp32(vec![f32::NAN]), TensorData::Fp16(vec![f16::ONE]), texts(&[b"\xff"])] {
            assert_eq!(written(data).unwrap_err().code, "tensor.malformed");
        }
        assert_eq!(written(texts(&["ü".as_bytes()])).unwrap(), Data::Texts(vec!["ü".into()]));
        assert_eq!(written(TensorData::Int64(vec![7])).unwrap(), Data::Whole(vec![7]));
    }

    #[test]
    fn a_shape_has_sizes_and_a_type_a_name() {
        assert_eq!(shape("x", &[2, 0]).unwrap(), [2, 0]);
        for sizes in [&[-1, 3][..], &[1; MAX_DIMENSIONS + 1]] {
            assert_eq!(shape("x", sizes).unwrap_err().code, "tensor.shape", "{sizes:?}");
        }
        assert_eq!(data_type("x", "INT64").unwrap(), DataType::Int64);
        assert_eq!(data_type("x", "fp32").unwrap_err().code, "tensor.type");
    }
}
