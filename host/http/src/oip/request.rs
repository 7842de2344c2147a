//! A request for inference: JSON, with tensors in binary form behind it.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use breakwater_core::Failure;
use breakwater_operations::Tensor;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::data::Data;
use super::{LENGTH_HEADER, MAX_NAME, MAX_TENSORS, malformed, values};
use crate::caller::header_invalid;
use crate::form::field_invalid;
use crate::json;

/// What may be said besides, by name.
type Parameters = BTreeMap<String, Value>;

/// Parameters of the protocol that change what the data means and that this service does not know.
const UNSUPPORTED: [&str; 6] =
    ["classification", "shared_memory_region", "shared_memory_byte_size", "shared_memory_offset", "sequence_id", "sequence_start"];

/// A request for inference.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = InferRequest)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    /// Given back with the answer; at most 256 bytes.
    #[schema(example = "42")]
    id: Option<String>,
    /// `binary_data_output` (bool): outputs in binary form unless an output says otherwise. `timeout` (number): microseconds that the call
    /// may take, never longer than the service allows.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    parameters: Parameters,
    /// The model's inputs; `GET /v2/models/{model}` lists them.
    inputs: Vec<BodyInput>,
    /// The outputs wanted; all when absent or empty.
    #[serde(default)]
    outputs: Vec<BodyOutput>,
}

/// A tensor for the model.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = InferInput)]
#[serde(deny_unknown_fields)]
pub(crate) struct BodyInput {
    /// The input's name.
    #[schema(example = "image")]
    name: String,
    /// Its sizes.
    #[schema(example = json!([1]))]
    shape: Vec<i64>,
    /// `FP16` (binary form only), `FP32`, `INT64` or `BYTES`.
    #[schema(example = "BYTES")]
    datatype: String,
    /// `binary_data_size` (number): bytes of the data behind the JSON, instead of `data`. `content_type` (text): `base64` for texts that are
    /// bytes in base64.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    parameters: Parameters,
    /// The elements in row-major order, nested or flat: numbers, or texts for `BYTES`.
    #[schema(value_type = Option<Vec<Object>>)]
    data: Option<Data>,
}

/// An output that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = InferRequestedOutput)]
#[serde(deny_unknown_fields)]
pub(crate) struct BodyOutput {
    /// The output's name.
    #[schema(example = "embedding")]
    name: String,
    /// `binary_data` (bool): whether it is wanted in binary form.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    parameters: Parameters,
}

/// What is wanted back.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Wanted {
    /// Names, each with whether it is wanted in binary form; empty means all.
    pub(crate) outputs: Vec<(String, bool)>,
    /// Whether outputs that are not named are wanted in binary form.
    pub(crate) binary: bool,
}

/// A request that was read.
#[derive(Debug)]
pub(crate) struct InferRequest {
    pub(crate) id: Option<String>,
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) wanted: Wanted,
    /// The longest the call may take.
    pub(crate) timeout: Option<std::time::Duration>,
}

/// Refuses bodies in an encoding or of a type that nobody can mean. Clients of the protocol often name no type.
///
/// # Errors
/// `http.unsupported-media-type`.
pub(crate) fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?").trim().to_ascii_lowercase());
    let encoding = text(header::CONTENT_ENCODING).is_none_or(|encoding| encoding == "identity");
    let content_type = text(header::CONTENT_TYPE);
    let essence = content_type.as_deref().map(|text| text.split(';').next().unwrap_or_default().trim());
    if encoding && matches!(essence, None | Some("application/json" | "application/octet-stream")) {
        return Ok(());
    }
    let message = "send application/json, or application/octet-stream with tensors behind the JSON, without Content-Encoding";
    Err(Failure::invalid("http.unsupported-media-type", message))
}

/// Reads a body.
///
/// # Errors
/// `request.header-invalid`, `request.json-invalid`, `request.field-invalid`, `tensor.shape`, `tensor.type`, `tensor.malformed`,
/// `tensor.too-large` (limit), `tensor.parameter-unsupported`.
pub(crate) fn read(headers: &HeaderMap, mut body: Bytes) -> Result<InferRequest, Failure> {
    let text = match json_length(headers)? {
        Some(length) if length <= body.len() => body.split_to(length),
        Some(length) => return Err(header_invalid(LENGTH_HEADER, &format!("says {length}, but the body has {} bytes", body.len()))),
        None => std::mem::take(&mut body),
    };
    let request = parse(&text)?;
    check_names("inputs", request.inputs.iter().map(|input| input.name.as_str()))?;
    check_names("outputs", request.outputs.iter().map(|output| output.name.as_str()))?;
    if request.inputs.is_empty() {
        return Err(field_invalid("inputs", "a model needs at least one input"));
    }
    if request.id.as_ref().is_some_and(|id| id.len() > MAX_NAME) {
        return Err(field_invalid("id", &format!("has at most {MAX_NAME} bytes")));
    }
    check_parameters(&request.parameters)?;
    let binary = flag(&request.parameters, "binary_data_output")?.unwrap_or(false);
    let wanted = |output: BodyOutput| {
        check_parameters(&output.parameters)?;
        Ok((output.name, flag(&output.parameters, "binary_data")?.unwrap_or(binary)))
    };
    let outputs = request.outputs.into_iter().map(wanted).collect::<Result<_, Failure>>()?;
    let timeout = number(&request.parameters, "timeout")?.filter(|timeout| *timeout > 0).map(std::time::Duration::from_micros);
    let inputs = request.inputs.into_iter().map(|given| input(given, &mut body)).collect::<Result<_, Failure>>()?;
    if !body.is_empty() {
        let message = format!("{} bytes follow the JSON that belong to no input", body.len());
        return Err(Failure::invalid("tensor.malformed", message));
    }
    Ok(InferRequest { id: request.id, inputs, wanted: Wanted { outputs, binary }, timeout })
}

fn json_length(headers: &HeaderMap) -> Result<Option<usize>, Failure> {
    let Some(value) = headers.get(LENGTH_HEADER) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    length.map(Some).ok_or_else(|| header_invalid(LENGTH_HEADER, "is the number of bytes of the JSON"))
}

/// Not over a tree of values, which would take many times the memory of a large tensor.
fn parse(text: &[u8]) -> Result<Body, Failure> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let request = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = json::pointer(error.path());
        let error = error.into_inner();
        if error.is_syntax() || error.is_eof() {
            return Failure::invalid("request.json-invalid", format!("the body is not valid JSON: {error}"));
        }
        field_invalid(path.trim_start_matches('/'), &error.to_string())
    })?;
    deserializer.end().map_err(|error| Failure::invalid("request.json-invalid", format!("the body is not valid JSON: {error}")))?;
    Ok(request)
}

fn check_names<'a>(field: &str, names: impl Iterator<Item = &'a str> + Clone) -> Result<(), Failure> {
    if names.clone().count() > MAX_TENSORS {
        return Err(field_invalid(field, &format!("has at most {MAX_TENSORS} tensors")));
    }
    for (index, name) in names.clone().enumerate() {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(field_invalid(field, &format!("has names of 1 to {MAX_NAME} bytes")));
        }
        if names.clone().take(index).any(|before| before == name) {
            return Err(field_invalid(field, &format!("has {name:?} twice")));
        }
    }
    Ok(())
}

fn check_parameters(parameters: &Parameters) -> Result<(), Failure> {
    match UNSUPPORTED.iter().find(|name| parameters.contains_key(**name)) {
        Some(name) => Err(Failure::invalid("tensor.parameter-unsupported", format!("the parameter {name} is not supported"))),
        None => Ok(()),
    }
}

fn flag(parameters: &Parameters, name: &str) -> Result<Option<bool>, Failure> {
    let read = |value: &Value| value.as_bool().ok_or_else(|| field_invalid(&format!("parameters/{name}"), "is true or false"));
    parameters.get(name).map(read).transpose()
}

fn number(parameters: &Parameters, name: &str) -> Result<Option<u64>, Failure> {
    let read = |value: &Value| value.as_u64().ok_or_else(|| field_invalid(&format!("parameters/{name}"), "is a whole number from 0"));
    parameters.get(name).map(read).transpose()
}

fn input(given: BodyInput, rest: &mut Bytes) -> Result<Tensor, Failure> {
    check_parameters(&given.parameters)?;
    let name = given.name;
    let data_type = values::data_type(&name, &given.datatype)?;
    let shape = values::shape(&name, &given.shape)?;
    match (number(&given.parameters, "binary_data_size")?, given.data) {
        (Some(_), Some(_)) => Err(malformed(&name, "has both data and a binary_data_size")),
        (None, None) => Err(malformed(&name, "has neither data nor a binary_data_size")),
        (None, Some(data)) => {
            let base64 = given.parameters.get("content_type").is_some_and(|kind| kind == "base64");
            let text = |text: String| {
                if !base64 {
                    return Ok(Bytes::from(text));
                }
                STANDARD.decode(text.trim()).map(Bytes::from).map_err(|_| malformed(&name, "has a text that is not standard base64"))
            };
            let data = values::of_json(&name, data_type, data, text)?;
            Ok(Tensor::new(name, shape, data)?)
        }
        (Some(size), None) => {
            let size = usize::try_from(size).ok().filter(|size| *size <= rest.len());
            let size = size.ok_or_else(|| malformed(&name, "has a binary_data_size beyond the end of the body"))?;
            Ok(Tensor::from_raw(name, shape, data_type, &rest.split_to(size))?)
        }
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
