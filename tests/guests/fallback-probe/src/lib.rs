//! A fallback for tests: each level does one thing, well or badly.

use serde_json::{Value, json};

wit_bindgen::generate!({
    path: "../../../wit",
    world: "fallback-plugin",
    generate_all,
});

use breakwater::plugin::blobs::Blob;
use breakwater::plugin::feature_flags;
use breakwater::plugin::replies::Reply;
use breakwater::plugin::types::{CallContext, Failure};
use exports::breakwater::plugin::fallback::{Guest, Level};

struct Fallback;

const LEVELS: &[&str] = &["passes", "answers", "fails", "no-json", "nothing", "traps"];

impl Guest for Fallback {
    fn describe() -> Vec<Level> {
        LEVELS.iter().map(|name| Level { operation: "echo".to_owned(), name: (*name).to_owned() }).collect()
    }

    fn degrade(
        context: CallContext,
        operation: String,
        level: String,
        input: String,
        attachments: Vec<Blob>,
        cause: Failure,
    ) -> Result<Option<Reply>, Failure> {
        match level.as_str() {
            "passes" => Ok(None),
            "answers" => {
                let input: Value = serde_json::from_str(&input).unwrap_or_default();
                let output = json!({
                    "operation": operation,
                    "input": input,
                    "cause": cause.code,
                    "attachments": attachments.len(),
                    "correlation_id": context.correlation_id,
                    "flag": feature_flags::enabled("granted"),
                });
                Ok(Some(Reply { output: output.to_string(), attachments }))
            }
            "fails" => Err(cause),
            "no-json" => Ok(Some(Reply { output: "nothing of the kind".to_owned(), attachments: Vec::new() })),
            "nothing" => Ok(Some(Reply { output: "null".to_owned(), attachments: Vec::new() })),
            _ => std::process::abort(),
        }
    }
}

#[cfg(target_arch = "wasm32")]
export!(Fallback);
