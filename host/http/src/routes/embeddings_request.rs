//! What `POST /v1/embeddings` takes: OpenAI's form, with pictures beside texts.

use breakwater_core::Failure;
use breakwater_operations::{EmbedInput, EmbedRequest, ImageSource};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::form::field_invalid;
use crate::json::{self, Known};
use crate::picture;

/// Texts and pictures to turn into numbers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmbeddingsRequest {
    /// The model, or an alias of models; the default when absent.
    #[schema(example = "efficientnet-lite0")]
    model: Option<String>,
    /// A text, a list of texts, or a list of texts and pictures: at most 256.
    #[schema(value_type = EmbeddingsInput, example = json!([{ "image": "data:image/png;base64,iVBORw0KGgo=" }]))]
    input: Value,
    /// `float`, or `base64` of little-endian numbers of 32 bits; `float` when absent.
    #[schema(example = "float")]
    encoding_format: Option<String>,
    /// How many numbers are expected. Models here give as many as they give: anything else is refused.
    #[schema(minimum = 1)]
    dimensions: Option<usize>,
    /// On whose behalf the call is made: what shares of traffic are stable by. At most 256 bytes.
    user: Option<String>,
}

impl Known for EmbeddingsRequest {
    const FIELDS: &'static [&'static str] = &["model", "input", "encoding_format", "dimensions", "user"];
}

/// What is turned into numbers.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used: a value is read with a clearer error than an untagged one gives")]
pub(crate) enum EmbeddingsInput {
    /// A text.
    Text(String),
    /// Texts and pictures.
    List(Vec<EmbeddingsItem>),
}

/// A text or a picture.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum EmbeddingsItem {
    /// A text.
    Text(String),
    /// One of its members.
    Object(EmbeddingsObject),
}

/// A text or a picture: one of `text`, `image` and `image_url`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct EmbeddingsObject {
    /// `text` or `image_url`, as in messages of a chat; may be absent.
    #[schema(rename = "type")]
    kind: Option<String>,
    /// A text.
    text: Option<String>,
    /// A picture in base64, a `data:` URL, or an address.
    image: Option<String>,
    /// A `data:` URL or an address, also as `{"url": "…"}`.
    #[schema(value_type = Option<String>)]
    image_url: Option<Value>,
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Float,
    Base64,
}

/// A request that was read.
#[derive(Debug, PartialEq)]
pub(crate) struct Embeddings {
    pub(crate) request: EmbedRequest,
    pub(crate) encoding: Encoding,
    pub(crate) dimensions: Option<usize>,
    pub(crate) user: Option<String>,
}

/// Reads a JSON body.
///
/// # Errors
/// What [`json::read`] fails with, `request.field-invalid`, `request.base64-invalid`, `request.url-invalid`, `image.too-many-bytes` (limit).
pub(crate) fn read(bytes: &[u8], max_bytes: u64) -> Result<Embeddings, Failure> {
    let request: EmbeddingsRequest = json::read(bytes)?;
    let encoding = match request.encoding_format.as_deref() {
        None | Some("float") => Encoding::Float,
        Some("base64") => Encoding::Base64,
        Some(_) => return Err(field_invalid("encoding_format", "is float or base64")),
    };
    let inputs = match request.input {
        Value::String(text) => vec![EmbedInput::Text(text)],
        Value::Array(list) => {
            let read = |(index, item)| one(&format!("input/{index}"), item, max_bytes);
            list.into_iter().enumerate().map(read).collect::<Result<_, _>>()?
        }
        _ => return Err(field_invalid("input", "is a text, or a list of texts and pictures")),
    };
    if inputs.is_empty() {
        return Err(field_invalid("input", "is empty"));
    }
    Ok(Embeddings { request: EmbedRequest { inputs, model: request.model }, encoding, dimensions: request.dimensions, user: request.user })
}

fn one(place: &str, item: Value, max_bytes: u64) -> Result<EmbedInput, Failure> {
    let mut fields = match item {
        Value::String(text) => return Ok(EmbedInput::Text(text)),
        Value::Object(fields) => fields,
        Value::Number(_) | Value::Array(_) => {
            return Err(field_invalid(place, "is no text: tokens are not taken, because every model has its own"));
        }
        _ => return Err(field_invalid(place, "is a text, or an object with text, image or image_url")),
    };
    let kind = fields.remove("type");
    let (name, value) = match (fields.len(), fields.into_iter().next()) {
        (1, Some(only)) => only,
        _ => return Err(field_invalid(place, "has exactly one of text, image and image_url")),
    };
    if kind.is_some_and(|kind| kind != name.as_str()) {
        return Err(field_invalid(&format!("{place}/type"), &format!("is another than {name}")));
    }
    let place = format!("{place}/{name}");
    match (name.as_str(), value) {
        ("text", Value::String(text)) => Ok(EmbedInput::Text(text)),
        ("image", Value::String(text)) => image(&text, max_bytes).map(EmbedInput::Image),
        ("image_url", Value::String(url)) => picture::referred(&url, max_bytes).map(EmbedInput::Image),
        ("image_url", Value::Object(mut inner)) => match inner.remove("url") {
            Some(Value::String(url)) => picture::referred(&url, max_bytes).map(EmbedInput::Image),
            _ => Err(field_invalid(&place, "has a url")),
        },
        ("text" | "image" | "image_url", _) => Err(field_invalid(&place, "is a text")),
        _ => Err(field_invalid(&place, "is not known; there are text, image and image_url")),
    }
}

/// Base64 has no colon, so the two cannot be taken for each other.
fn image(text: &str, max_bytes: u64) -> Result<ImageSource, Failure> {
    if text.contains(':') { picture::referred(text, max_bytes) } else { picture::decode(text, max_bytes).map(ImageSource::Bytes) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn inputs(input: Value) -> Result<Vec<EmbedInput>, String> {
        let body = json!({ "input": input });
        let read = read(body.to_string().as_bytes(), 6).map_err(|failure| failure.code.into_owned());
        read.map(|embeddings| embeddings.request.inputs)
    }

    #[test]
    fn every_form_of_input_is_understood() {
        let text = |text: &str| EmbedInput::Text(text.into());
        let bytes = EmbedInput::Image(ImageSource::Bytes("pictur".into()));
        let url = EmbedInput::Image(ImageSource::Url("https://a.example/b.jpg".into()));
        for (input, expected) in [
            (json!("a"), vec![text("a")]),
            (json!(["a", "b"]), vec![text("a"), text("b")]),
            (json!([{ "text": "a" }, "b"]), vec![text("a"), text("b")]),
            (json!([{ "image": "cGljdHVy" }]), vec![bytes.clone()]),
            (json!([{ "image": "data:image/png;base64,cGljdHVy" }]), vec![bytes.clone()]),
            (json!([{ "image": "https://a.example/b.jpg" }]), vec![url.clone()]),
            (json!([{ "image_url": "https://a.example/b.jpg" }]), vec![url.clone()]),
            (json!([{ "type": "image_url", "image_url": { "url": "https://a.example/b.jpg", "detail": "low" } }]), vec![url]),
            (json!([{ "type": "text", "text": "a" }, { "image_url": "data:;base64,cGljdHVy" }]), vec![text("a"), bytes]),
        ] {
            assert_eq!(inputs(input.clone()), Ok(expected), "{input}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (input, code) in [
            (json!([]), "request.field-invalid"),
            (json!({}), "request.field-invalid"),
            (json!(null), "request.field-invalid"),
            (json!([1, 2, 3]), "request.field-invalid"),
            (json!([[1, 2]]), "request.field-invalid"),
            (json!([null]), "request.field-invalid"),
            (json!([{}]), "request.field-invalid"),
            (json!([{ "text": "a", "image": "eA==" }]), "request.field-invalid"),
            (json!([{ "audio": "a" }]), "request.field-invalid"),
            (json!([{ "type": "text", "image": "eA==" }]), "request.field-invalid"),
            (json!([{ "image_url": {} }]), "request.field-invalid"),
            (json!([{ "image_url": "a.jpg" }]), "request.url-invalid"),
            (json!([{ "image": "file:///etc/passwd" }]), "request.url-invalid"),
            (json!([{ "image": "????" }]), "request.base64-invalid"),
            (json!([{ "image": "cGljdHVyZQ==" }]), "image.too-many-bytes"),
        ] {
            assert_eq!(inputs(input.clone()), Err(code.into()), "{input}");
        }
    }

    #[test]
    fn options_of_openai_are_read() {
        let body = json!({ "model": "clip", "input": "a", "encoding_format": "base64", "dimensions": 512, "user": "u-1" });
        let read = |body: &Value| read(body.to_string().as_bytes(), 6).map_err(|failure| failure.code.into_owned());
        let embeddings = read(&body).unwrap();
        assert_eq!((embeddings.request.model.as_deref(), embeddings.encoding), (Some("clip"), Encoding::Base64));
        assert_eq!((embeddings.dimensions, embeddings.user.as_deref()), (Some(512), Some("u-1")));
        assert_eq!(read(&json!({ "input": "a" })).unwrap().encoding, Encoding::Float);
        assert_eq!(read(&json!({ "input": "a", "encoding_format": "hex" })).unwrap_err(), "request.field-invalid");
        assert_eq!(read(&json!({ "input": "a", "dimensions": -1 })).unwrap_err(), "request.field-invalid");
        assert_eq!(read(&json!({ "model": "a" })).unwrap_err(), "request.field-invalid");
    }
}
