//! An answer to a request for inference: JSON, with tensors in binary form behind it.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use breakwater_core::Failure;
use breakwater_operations::Tensor;
use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::LENGTH_HEADER;
use super::data::Data;
use super::request::Wanted;
use super::values;

/// What a model gave.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferAnswer)]
pub(crate) struct Body {
    /// The model.
    #[schema(example = "efficientnet-lite0")]
    model_name: String,
    /// Its version: the beginning of the digest of its weights.
    model_version: String,
    /// As the request said.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Those that were wanted, in that order.
    outputs: Vec<BodyOutput>,
}

/// A tensor of the model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferOutput)]
pub(crate) struct BodyOutput {
    /// The output's name.
    #[schema(example = "embedding")]
    name: String,
    /// Its sizes.
    shape: Vec<usize>,
    /// `FP16`, `FP32`, `INT64` or `BYTES`.
    #[schema(example = "FP32")]
    datatype: &'static str,
    /// `binary_data_size`: bytes of its data behind the JSON.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Option<Object>)]
    parameters: Map<String, Value>,
    /// The elements in row-major order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    data: Option<Data>,
}

impl Wanted {
    /// Whether every output that is wanted is one of the model's.
    ///
    /// # Errors
    /// `tensor.unknown-output`.
    pub(crate) fn check<'a>(&self, outputs: impl Iterator<Item = &'a str> + Clone) -> Result<(), Failure> {
        let unknown = self.outputs.iter().find(|(name, _)| !outputs.clone().any(|known| known == name));
        let Some((name, _)) = unknown else { return Ok(()) };
        let known: Vec<_> = outputs.collect();
        Err(unknown_output(name).with_detail(json!({ "known": known })))
    }
}

fn unknown_output(name: &str) -> Failure {
    Failure::invalid("tensor.unknown-output", format!("the model has no output {name:?}"))
}

/// The answer, with what is wanted of the outputs.
///
/// # Errors
/// `tensor.unknown-output`, `tensor.malformed` for what JSON has no form for.
pub(crate) fn answer(
    (model, version): (String, String),
    id: Option<String>,
    wanted: &Wanted,
    mut outputs: Vec<Tensor>,
) -> Result<Response, Failure> {
    let named;
    let order: &[(String, bool)] = if wanted.outputs.is_empty() {
        named = outputs.iter().map(|output| (output.name().to_owned(), wanted.binary)).collect::<Vec<_>>();
        &named
    } else {
        &wanted.outputs
    };
    let (mut written, mut binary) = (Vec::with_capacity(order.len()), Vec::new());
    for (name, raw) in order {
        let place = outputs.iter().position(|output| output.name() == name).ok_or_else(|| unknown_output(name))?;
        let output = outputs.swap_remove(place);
        let (name, shape, datatype) = (output.name().to_owned(), output.shape().to_vec(), output.data_type().name());
        let (mut parameters, mut data) = (Map::new(), None);
        if *raw {
            let bytes = Bytes::from(output.to_raw());
            parameters.insert("binary_data_size".to_owned(), bytes.len().into());
            binary.push(bytes);
        } else {
            data = Some(values::into_json(output)?);
        }
        written.push(BodyOutput { name, shape, datatype, parameters, data });
    }
    let body = Body { model_name: model, model_version: version, id, outputs: written };
    let text = serde_json::to_vec(&body).map_err(|error| Failure::internal("an answer could not be written as JSON").caused_by(error))?;
    Ok(response(text.into(), &binary))
}

fn response(json: Bytes, binary: &[Bytes]) -> Response {
    let cache = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if binary.is_empty() {
        return ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json")), cache], json).into_response();
    }
    let length = (HeaderName::from_static(LENGTH_HEADER), HeaderValue::from(json.len()));
    let mut whole = BytesMut::with_capacity(json.len() + binary.iter().map(Bytes::len).sum::<usize>());
    whole.extend_from_slice(&json);
    binary.iter().for_each(|bytes| whole.extend_from_slice(bytes));
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    ([content_type, cache, length], whole.freeze()).into_response()
}

#[cfg(test)]
mod tests {
    use breakwater_operations::TensorData;

    use super::*;

    fn outputs() -> Vec<Tensor> {
        vec![
            Tensor::new("a", vec![1, 2], TensorData::Fp32(vec![0.1, 2.0])).unwrap(),
            Tensor::new("b", vec![1], TensorData::Int64(vec![7])).unwrap(),
        ]
    }

    async fn written(wanted: &Wanted) -> (axum::http::HeaderMap, Bytes) {
        let response = answer(("m".into(), "0123".into()), Some("42".into()), wanted, outputs()).unwrap();
        let (parts, body) = response.into_parts();
        (parts.headers, axum::body::to_bytes(body, 1 << 20).await.unwrap())
    }

    #[tokio::test]
    async fn everything_is_json_unless_something_else_is_wanted() {
        let (headers, body) = written(&Wanted::default()).await;
        assert_eq!((&headers["content-type"], headers.get(LENGTH_HEADER)), (&HeaderValue::from_static("application/json"), None));
        assert_eq!(
            String::from_utf8(body.to_vec()).unwrap(),
            r#"{"model_name":"m","model_version":"0123","id":"42","outputs":[{"name":"a","shape":[1,2],"datatype":"FP32","data":[0.1,2.0]},{"name":"b","shape":[1],"datatype":"INT64","data":[7]}]}"#
        );
    }

    #[tokio::test]
    async fn outputs_come_in_the_order_wanted_with_raw_ones_behind() {
        let wanted = Wanted { outputs: vec![("b".into(), true), ("a".into(), true)], binary: false };
        let (headers, body) = written(&wanted).await;
        assert_eq!(headers["content-type"], "application/octet-stream");
        let length: usize = headers[LENGTH_HEADER].to_str().unwrap().parse().unwrap();
        let json: Value = serde_json::from_slice(&body[..length]).unwrap();
        assert_eq!(json["outputs"][0], json!({ "name": "b", "shape": [1], "datatype": "INT64", "parameters": { "binary_data_size": 8 } }));
        assert_eq!(json["outputs"][1]["parameters"]["binary_data_size"], 8);
        assert_eq!(body[length..], [&7i64.to_le_bytes()[..], &0.1f32.to_le_bytes(), &2f32.to_le_bytes()].concat());
    }

    #[test]
    fn an_output_that_no_model_has_is_refused() {
        let wanted = Wanted { outputs: vec![("c".into(), false)], binary: false };
        assert_eq!(wanted.check(["a", "b"].into_iter()).unwrap_err().code, "tensor.unknown-output");
        assert!(answer(("m".into(), "1".into()), None, &wanted, outputs()).is_err());
        assert!(Wanted { outputs: vec![("b".into(), true)], binary: false }.check(["a", "b"].into_iter()).is_ok());
    }
}
