//! `extract-features` as JSON.

use breakwater_core::{Failure, OperationSpec, Payload};
use breakwater_inference::Embedding;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{double, image_source, read};
use crate::operation::EXTRACT_FEATURES;
use crate::source::ImageSource;

/// The most features that an answer may hold. The largest models in use have 4096.
const MAX_DIMENSION: usize = 16_384;

#[derive(Debug, Deserialize)]
struct Input {
    image_path: Option<String>,
}

#[derive(Debug, Serialize)]
struct Output<'a> {
    embedding: Vec<f64>,
    dimension: usize,
    model: &'a str,
    normalized: bool,
}

/// What everyone agrees on.
pub(crate) fn spec() -> OperationSpec {
    OperationSpec {
        name: EXTRACT_FEATURES.name.to_owned(),
        summary: EXTRACT_FEATURES.summary.to_owned(),
        input_schema: json!({
            "type": "object",
            "properties": { "image_path": { "type": "string", "minLength": 1, "maxLength": 4096 } },
            "additionalProperties": false
        }),
        output_schema: json!({
            "type": "object",
            "required": ["embedding", "dimension", "model", "normalized"],
            "properties": {
                "embedding": { "type": "array", "minItems": 1, "maxItems": MAX_DIMENSION, "items": { "type": "number" } },
                "dimension": { "type": "integer", "minimum": 1, "maximum": MAX_DIMENSION },
                "model": { "type": "string", "minLength": 1, "maxLength": 128 },
                "normalized": { "type": "boolean" }
            }
        }),
        effect: EXTRACT_FEATURES.effect,
        idempotent: true,
        permission: None,
    }
}

/// From what a caller by name writes.
pub(crate) fn input(mut given: Payload) -> Result<ImageSource, Failure> {
    let input: Input = read(std::mem::take(&mut given.json))?;
    image_source(input.image_path, &mut given)
}

/// For a caller by name.
pub(crate) fn output(embedding: &Embedding) -> Payload {
    let values = embedding.values().iter().copied().map(double).collect();
    let output = Output { embedding: values, dimension: embedding.dimension(), model: embedding.model(), normalized: true };
    Payload::json(json!(output))
}

#[cfg(test)]
mod tests {
    use breakwater_plugins::OperationSchema;

    use super::*;

    #[test]
    fn features_are_written_with_their_own_digits_and_fit_the_schema() {
        let schema = OperationSchema::compile(spec()).unwrap();
        let reply = output(&Embedding::new("m", breakwater_core::Digest::of(b"m"), &[0.3, -0.4]).unwrap());
        schema.check_output(&reply.json).unwrap();
        assert_eq!(reply.json, json!({ "embedding": [0.6, -0.8], "dimension": 2, "model": "m", "normalized": true }));
        assert!(schema.check_output(&json!({ "embedding": [], "dimension": 0, "model": "m", "normalized": true })).is_err());
        let most = |count: usize| json!({ "embedding": vec![0.0; count], "dimension": count, "model": "m", "normalized": false });
        assert!(schema.check_output(&most(MAX_DIMENSION)).is_ok() && schema.check_output(&most(MAX_DIMENSION + 1)).is_err());
    }

    #[test]
    fn a_picture_is_given_in_one_way() {
        let schema = OperationSchema::compile(spec()).unwrap();
        let given = json!({ "image_path": "/a.jpg" });
        schema.check_input(&given).unwrap();
        assert_eq!(input(Payload::json(given)).unwrap(), ImageSource::Path("/a.jpg".into()));
        assert!(schema.check_input(&json!({ "path": "/a.jpg" })).is_err());
        assert_eq!(input(Payload::json(json!({}))).unwrap_err().code, "operation.image-missing");
    }
}
