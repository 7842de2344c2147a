//! `extract-features-batch`.

use breakwater_guest::{Failure, Invocation, Reply, Upstreams};
use serde::{Deserialize, Serialize};

use crate::answer::{Found, Numbers};
use crate::service::{self, Model, Route};

pub(crate) const NAME: &str = "extract-features-batch";
const ROUTE: Route = Route { setting: "batch_path", path: "/extract-features-batch", part: "files" };

/// One result for each picture, or the features of each alone.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Option<Vec<Found>>,
    #[serde(default, alias = "features")]
    embeddings: Option<Vec<Option<Numbers>>>,
    #[serde(default, alias = "model_name")]
    model: Option<String>,
}

#[derive(Serialize)]
struct Output {
    results: Vec<OneOutput>,
    total: usize,
    succeeded: usize,
    failed: usize,
    model: String,
    dimension: usize,
    normalized: bool,
}

#[derive(Serialize)]
struct OneOutput {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorOutput>,
}

#[derive(Serialize)]
struct ErrorOutput {
    error_code: String,
    message: &'static str,
}

/// Asks the service for the features of many pictures. One that it cannot read costs the others nothing.
pub(crate) fn extract<H: Upstreams>(host: &H, call: Invocation) -> Result<Reply, Failure> {
    let count = call.attachments.len();
    if count == 0 {
        return Err(Failure::invalid_request("operation.image-missing", "attach the pictures"));
    }
    let model = Model::of(host, &call)?;
    let answer: Answer = service::ask(host, call, &ROUTE)?.json()?;
    model.check_name(answer.model.as_deref())?;
    let found = match (answer.results, answer.embeddings) {
        (Some(results), _) => results,
        (None, Some(embeddings)) => embeddings.into_iter().map(Found::of).collect(),
        (None, None) => return Err(Failure::response_invalid("it has neither results nor embeddings")),
    };
    let mut results = Vec::with_capacity(count);
    for (place, one) in in_order(found, count)?.into_iter().enumerate() {
        results.push(output(one, &model, place)?);
    }
    let succeeded = results.iter().filter(|one| one.success).count();
    let (total, dimension) = (results.len(), model.dimension);
    Reply::of(&Output { total, succeeded, failed: total - succeeded, model: model.id, dimension, normalized: true, results })
}

fn output(one: Found, model: &Model, place: usize) -> Result<OneOutput, Failure> {
    if one.is_refused() {
        let error = ErrorOutput { error_code: one.failure_code(), message: "the service could not read this picture" };
        return Ok(OneOutput { success: false, embedding: None, error: Some(error) });
    }
    let embedding = one.features(model, &format!("/results/{place}"))?;
    Ok(OneOutput { success: true, embedding: Some(embedding), error: None })
}

/// By the places that they name, or as they come when none does.
fn in_order(mut found: Vec<Found>, count: usize) -> Result<Vec<Found>, Failure> {
    if found.len() != count {
        return Err(Failure::response_invalid(&format!("/results: {} of them for {count} pictures", found.len())));
    }
    let named = found.iter().filter(|one| one.index.is_some()).count();
    if named > 0 {
        found.sort_by_key(|one| one.index);
        if found.iter().enumerate().any(|(place, one)| one.index != Some(place)) {
            return Err(Failure::response_invalid(&format!("/results: the indices are not 0 to {}, each once", count - 1)));
        }
    }
    Ok(found)
}
