//! `extract-features` and `embed-text` as JSON.

use breakwater_core::{Digest, Failure, FailureKind, OperationSpec, Payload};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{double, image_source, read, read_reply};
use crate::features::{Features, space_model};
use crate::operation::{EMBED_TEXT, EXTRACT_FEATURES, Operation};
use crate::source::ImageSource;

/// The most features that an answer may hold. The largest models in use have 4096.
const MAX_DIMENSION: usize = breakwater_search::vector::MAX_DIMENSION;
/// The longest name of a model, in bytes.
const MAX_MODEL: usize = 128;

#[derive(Debug, Deserialize)]
struct ImageInput {
    image_path: Option<String>,
    model: Option<String>,
}

#[derive(Debug, Deserialize)]
struct TextInput {
    text: String,
    model: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Output {
    embedding: Vec<f64>,
    dimension: usize,
    model: String,
    normalized: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<Digest>,
    #[serde(default, skip_serializing_if = "is_zero")]
    tokens: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn output_schema() -> Value {
    json!({
        "type": "object",
        "required": ["embedding", "dimension", "model", "normalized"],
        "properties": {
            "embedding": { "type": "array", "minItems": 1, "maxItems": MAX_DIMENSION, "items": { "type": "number" } },
            "dimension": { "type": "integer", "minimum": 1, "maximum": MAX_DIMENSION },
            "model": { "type": "string", "minLength": 1, "maxLength": MAX_MODEL },
            "normalized": { "type": "boolean" },
            "revision": { "type": "string", "pattern": "^[0-9a-f]{64}$" },
            "tokens": { "type": "integer", "minimum": 0, "maximum": 1_000_000 }
        }
    })
}

fn spec_of(operation: &Operation, input_schema: Value) -> OperationSpec {
    OperationSpec {
        name: operation.name.to_owned(),
        summary: operation.summary.to_owned(),
        input_schema,
        output_schema: output_schema(),
        effect: operation.effect,
        idempotent: true,
        permission: None,
    }
}

fn model_schema() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": MAX_MODEL })
}

/// What everyone agrees on about `extract-features`.
pub(crate) fn spec() -> OperationSpec {
    let input = json!({
        "type": "object",
        "properties": { "image_path": { "type": "string", "minLength": 1, "maxLength": 4096 }, "model": model_schema() },
        "additionalProperties": false
    });
    spec_of(&EXTRACT_FEATURES, input)
}

/// What everyone agrees on about `embed-text`.
pub(crate) fn text_spec() -> OperationSpec {
    let text = json!({ "type": "string", "minLength": 1, "maxLength": crate::search::request::MAX_TEXT });
    let input = json!({
        "type": "object",
        "required": ["text"],
        "properties": { "text": text, "model": model_schema() },
        "additionalProperties": false
    });
    spec_of(&EMBED_TEXT, input)
}

/// From what a caller of `extract-features` by name writes: the picture and the model.
pub(crate) fn input(mut given: Payload) -> Result<(ImageSource, Option<String>), Failure> {
    let input: ImageInput = read(std::mem::take(&mut given.json))?;
    Ok((image_source(input.image_path, &mut given)?, input.model))
}

/// From what a caller of `embed-text` by name writes: the text and the model.
pub(crate) fn text_input(given: Payload) -> Result<(String, Option<String>), Failure> {
    let input: TextInput = read(given.json)?;
    Ok((input.text, input.model))
}

/// For a provider of `embed-text`.
pub(crate) fn text_payload(text: &str, model: Option<&str>) -> Payload {
    let mut fields = serde_json::Map::new();
    fields.insert("text".to_owned(), text.into());
    fields.extend(model.map(|model| ("model".to_owned(), model.into())));
    Payload::json(fields.into())
}

/// For a caller by name.
pub(crate) fn output(features: &Features) -> Payload {
    let output = Output {
        embedding: features.vector.values().iter().copied().map(double).collect(),
        dimension: features.vector.dimension(),
        model: features.model.clone(),
        normalized: true,
        revision: Some(features.space.revision),
        tokens: features.tokens,
    };
    Payload::json(json!(output))
}

/// From what a provider answered.
///
/// # Errors
/// `plugin.output-invalid` (rejected) when the numbers are none that can be compared, or not as many as it says.
pub(crate) fn from_payload(reply: Payload) -> Result<Features, Failure> {
    let Output { embedding, dimension, model, revision, tokens, .. } = read_reply(reply.json)?;
    let wrong = |what: String| Failure::new(FailureKind::Rejected, "plugin.output-invalid", what);
    if embedding.len() != dimension {
        return Err(wrong(format!("the answer has {} features and says that it has {dimension}", embedding.len())));
    }
    let values: Vec<f32> = embedding.into_iter().map(|value| value as f32).collect();
    Features::given(model, revision, &values, tokens).map_err(|error| wrong(format!("the features of a provider are no vector: {error}")))
}

/// The model that an input asks for.
pub(crate) fn wanted_model(input: &Value) -> Option<&str> {
    input.get("model").and_then(Value::as_str)
}

/// Whether an answer is by the model that was asked for.
pub(crate) fn is_by(reply: &Value, model: &str) -> bool {
    reply.get("model").and_then(Value::as_str).is_some_and(|by| space_model(by) == space_model(model))
}

#[cfg(test)]
mod tests {
    use breakwater_plugins::OperationSchema;

    use super::*;

    fn features(values: &[f32]) -> Features {
        Features::given("m".to_owned(), Some(Digest::of(b"weights")), values, 0).unwrap()
    }

    #[test]
    fn features_are_written_with_their_own_digits_and_fit_the_schema() {
        let schema = OperationSchema::compile(spec()).unwrap();
        let reply = output(&features(&[0.3, -0.4]));
        schema.check_output(&reply.json).unwrap();
        let revision = Digest::of(b"weights").to_string();
        let expected = json!({ "embedding": [0.6, -0.8], "dimension": 2, "model": "m", "normalized": true, "revision": revision });
        assert_eq!(reply.json, expected);
        assert!(schema.check_output(&json!({ "embedding": [], "dimension": 0, "model": "m", "normalized": true })).is_err());
        let most = |count: usize| json!({ "embedding": vec![0.0; count], "dimension": count, "model": "m", "normalized": false });
        assert!(schema.check_output(&most(MAX_DIMENSION)).is_ok() && schema.check_output(&most(MAX_DIMENSION + 1)).is_err());
    }

    #[test]
    fn features_survive_the_way_out_and_back() {
        let text = Features { tokens: 7, ..features(&[0.3, -0.4]) };
        assert_eq!(from_payload(output(&text)).unwrap(), text);
        // A remote model says nothing of its revision.
        let remote = json!({ "embedding": [3.0, 4.0], "dimension": 2, "model": "openai/clip", "normalized": false });
        let found = from_payload(Payload::json(remote)).unwrap();
        assert_eq!((&*found.space.model, found.space.revision), ("openai-clip", Digest::of(b"openai/clip")));
        assert_eq!(found.vector.values(), [0.6, 0.8]);
    }

    #[test]
    fn numbers_that_cannot_be_compared_are_the_providers_fault() {
        let reply = |embedding: Value, dimension: usize| {
            let reply = json!({ "embedding": embedding, "dimension": dimension, "model": "m", "normalized": true });
            from_payload(Payload::json(reply)).unwrap_err()
        };
        for (embedding, dimension) in [(json!([1.0, 2.0]), 3), (json!([0.0, 0.0]), 2), (json!([1e300, 0.0]), 2)] {
            let failure = reply(embedding, dimension);
            assert_eq!((failure.kind, &*failure.code), (FailureKind::Rejected, "plugin.output-invalid"));
        }
    }

    #[test]
    fn a_picture_is_given_in_one_way() {
        let schema = OperationSchema::compile(spec()).unwrap();
        let given = json!({ "image_path": "/a.jpg", "model": "clip" });
        schema.check_input(&given).unwrap();
        assert_eq!(input(Payload::json(given)).unwrap(), (ImageSource::Path("/a.jpg".into()), Some("clip".to_owned())));
        assert!(schema.check_input(&json!({ "path": "/a.jpg" })).is_err());
        assert_eq!(input(Payload::json(json!({}))).unwrap_err().code, "operation.image-missing");
    }

    #[test]
    fn a_text_survives_the_way_out_and_back() {
        let schema = OperationSchema::compile(text_spec()).unwrap();
        let payload = text_payload("ein roter Schuh", Some("clip"));
        schema.check_input(&payload.json).unwrap();
        assert_eq!(text_input(payload).unwrap(), ("ein roter Schuh".to_owned(), Some("clip".to_owned())));
        for wrong in [json!({}), json!({ "text": "" }), json!({ "text": "x".repeat(crate::search::request::MAX_TEXT + 1) })] {
            assert!(schema.check_input(&wrong).is_err());
        }
    }

    #[test]
    fn an_answer_by_another_model_is_told_apart() {
        let reply = json!({ "model": "openai/CLIP" });
        assert!(is_by(&reply, "openai-clip") && !is_by(&reply, "clip") && !is_by(&json!({}), "clip"));
    }
}
