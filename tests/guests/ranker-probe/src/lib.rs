//! A ranker for tests: its parameter `does` says what it does, well or badly.

use serde_json::{Value, json};

wit_bindgen::generate!({
    path: "../../../wit",
    world: "ranker-plugin",
    generate_all,
});

use breakwater::plugin::types::{CallContext, EffectState, Failure, FailureKind};
use breakwater::plugin::{call, embedder};
use exports::breakwater::plugin::ranker::{Candidate, Description, Guest, Ranked, Request};
use wasi::config::store;

struct Ranker;

impl Guest for Ranker {
    fn describe() -> Description {
        let setting = |key: &str| store::get(key).ok().flatten();
        let properties = json!({ "does": { "type": "string" }, "count": { "type": "integer" }, "text": { "type": "string" } });
        let schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
        Description {
            summary: setting("summary").unwrap_or_else(|| "One thing for tests.".to_owned()),
            parameters: setting("parameters").unwrap_or_else(|| schema.to_string()),
        }
    }

    fn rank(context: CallContext, wanted: Request, candidates: Vec<Candidate>) -> Result<Vec<Ranked>, Failure> {
        let parameters: Value = serde_json::from_str(&wanted.parameters).unwrap_or_default();
        let count = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
        let by =
            |score: &dyn Fn(&Candidate) -> f32| (0..).zip(&candidates).map(|(index, one)| Ranked { index, score: score(one) }).collect();
        match parameters["does"].as_str().unwrap_or("similarity") {
            "similarity" => Ok(by(&|one| one.similarity)),
            // What a wrong number anywhere would change.
            "sum" => Ok(by(&|one| {
                let weights: f32 = wanted.category_weights.iter().map(|one| one.weight * one.category.len() as f32).sum();
                let texts = one.id.len()
                    + one.title.len()
                    + one.category.len()
                    + one.attributes.iter().map(|(a, b)| a.len() * b.len()).sum::<usize>();
                texts as f32 + one.quality + one.similarity + one.created as f32 + weights + wanted.quality_weight
            })),
            "call" => {
                let ready = call::remaining_ms() > 0 && context.attempt == 1 && !context.correlation_id.is_empty();
                Ok(by(&|_| f32::from(ready)))
            }
            "first" => Ok(vec![Ranked { index: 0, score: 1.0 }]),
            "nothing" => Ok(Vec::new()),
            "reverse" => Ok(by(&|one| -one.similarity)),
            "equal" => Ok((0..count).rev().map(|index| Ranked { index, score: 1.0 }).collect()),
            "outside" => Ok(vec![Ranked { index: count, score: 1.0 }]),
            "twice" => Ok(vec![Ranked { index: 0, score: 1.0 }, Ranked { index: 0, score: 2.0 }]),
            "nan" => Ok(by(&|_| f32::NAN)),
            "infinite" => Ok(by(&|_| f32::INFINITY)),
            "more" => Ok((0..=count).map(|index| Ranked { index: index % count.max(1), score: 1.0 }).collect()),
            "giant" => Ok((0..10_000_000).map(|index| Ranked { index, score: 1.0 }).collect()),
            "trap" => std::process::abort(),
            "loop" => loop {
                std::hint::black_box(());
            },
            "text" => {
                let vector = embedder::embed_text("told", parameters["text"].as_str().unwrap_or_default())?;
                Ok(by(&|_| vector.values.first().copied().unwrap_or_default()))
            }
            "refuse" => Err(failure(FailureKind::InvalidRequest, "test.refused")),
            _ => Err(failure(FailureKind::Unavailable, "test.failed")),
        }
    }
}

fn failure(kind: FailureKind, code: &str) -> Failure {
    let message = "as it was told".to_owned();
    Failure { kind, code: code.to_owned(), message, retryable: false, retry_after_ms: None, effect: EffectState::None, detail: None }
}

#[cfg(target_arch = "wasm32")]
export!(Ranker);
