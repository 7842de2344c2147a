//! An adapter for tests that asks the host's models: by the typed interface, and by `wasi:nn` as its standard describes it.

use serde_json::{Value, json};

wit_bindgen::generate!({
    path: "../../../wit",
    world: "adapter-plugin",
    generate_all,
});

use breakwater::plugin::blobs::Blob;
use breakwater::plugin::replies::Reply;
use breakwater::plugin::types::{CallContext, EffectState, Failure, FailureKind};
use breakwater::plugin::{embedder, imaging};
use exports::breakwater::plugin::adapter::{Effect, Guest, Operation};
use wasi::nn::errors::Error;
use wasi::nn::graph::{self, ExecutionTarget, GraphEncoding};
use wasi::nn::tensor::{Tensor, TensorType};

struct Models;

const OPERATIONS: &[&str] = &["describe-model", "embed-image", "embed-text", "compute", "compute-often", "load-bytes"];

impl Guest for Models {
    fn describe() -> Vec<Operation> {
        let operation = |name: &&str| Operation {
            name: (*name).to_owned(),
            summary: "One thing for tests.".to_owned(),
            input_schema: json!({ "type": "object" }).to_string(),
            output_schema: json!({ "type": "object" }).to_string(),
            effect: Effect::Read,
            idempotent: false,
            permission: None,
        };
        OPERATIONS.iter().map(operation).collect()
    }

    fn invoke(_: CallContext, operation: String, input: String, attachments: Vec<Blob>) -> Result<Reply, Failure> {
        let input: Value = serde_json::from_str(&input).unwrap_or_default();
        let model = input["model"].as_str().unwrap_or("told");
        let output = match operation.as_str() {
            "describe-model" => {
                let known = embedder::describe(model)?;
                let does = [known.images, known.texts];
                json!({ "model": known.model, "revision": known.revision, "dimension": known.dimension, "does": does, "tokens": known.max_tokens })
            }
            "embed-image" => {
                let Some(picture) = attachments.first() else { return Err(failure("test.no-picture", "no picture")) };
                vector(embedder::embed_image(model, &imaging::open(picture)?)?)
            }
            "embed-text" => vector(embedder::embed_text(model, &text(&input))?),
            "compute" => compute(model, &input).unwrap_or_else(|error| told(&error)),
            "compute-often" => {
                let times = input["times"].as_u64().unwrap_or(1);
                (0..times).fold(Value::Null, |_, _| compute(model, &input).unwrap_or_else(|error| told(&error)))
            }
            _ => match graph::load(&[vec![1, 2, 3]], GraphEncoding::Onnx, ExecutionTarget::Cpu) {
                Ok(_) => json!({ "loaded": true }),
                Err(error) => told(&error),
            },
        };
        Ok(Reply { output: output.to_string(), attachments: Vec::new() })
    }
}

/// `text`, `times` times.
fn text(input: &Value) -> String {
    let times = usize::try_from(input["times"].as_u64().unwrap_or(1)).unwrap_or(1);
    input["text"].as_str().unwrap_or_default().repeat(times)
}

fn vector(embedding: embedder::Embedding) -> Value {
    json!({ "model": embedding.model, "revision": embedding.revision, "values": embedding.values })
}

/// Runs a model on `inputs`, each with `name`, `dimensions`, `type` and `bytes`; or with `length` zeros instead of bytes.
fn compute(model: &str, input: &Value) -> Result<Value, Error> {
    let session = graph::load_by_name(model)?.init_execution_context()?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let inputs: Vec<_> = list(&input["inputs"])
        .iter()
        .map(|one| {
            let dimensions: Vec<_> = list(&one["dimensions"]).iter().map(|edge| number(edge) as u32).collect();
            let data = match one["length"].as_u64() {
                Some(length) => vec![0; usize::try_from(length).unwrap_or_default()],
                None => list(&one["bytes"]).iter().map(|byte| number(byte) as u8).collect(),
            };
            let ty = match one["type"].as_str() {
                Some("fp32") => TensorType::Fp32,
                Some("i64") => TensorType::I64,
                Some("fp16") => TensorType::Fp16,
                _ => TensorType::U8,
            };
            (one["name"].as_str().unwrap_or_default().to_owned(), Tensor::new(&dimensions, ty, &data))
        })
        .collect();
    let outputs = session.compute(inputs)?;
    let described = outputs.iter().map(|(name, tensor)| {
        let data = tensor.data();
        let shown: Vec<_> = data.iter().take(16).collect();
        json!({ "name": name, "dimensions": tensor.dimensions(), "type": format!("{:?}", tensor.ty()), "length": data.len(), "bytes": shown })
    });
    Ok(json!({ "outputs": described.collect::<Vec<_>>() }))
}

fn told(error: &Error) -> Value {
    json!({ "error": format!("{:?}", error.code()), "data": error.data() })
}

fn failure(code: &str, message: &str) -> Failure {
    let (code, message) = (code.to_owned(), message.to_owned());
    Failure { kind: FailureKind::Other, code, message, retryable: false, retry_after_ms: None, effect: EffectState::None, detail: None }
}

#[cfg(target_arch = "wasm32")]
export!(Models);
