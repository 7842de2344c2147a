//! `POST /v1/embeddings`: OpenAI's form.

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use breakwater_core::{CallContext, Failure, FailureKind, Outcome};
use breakwater_operations::{Embedded, Features};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::embeddings_request::{self, EmbeddingsRequest, Encoding};
use crate::app::App;
use crate::body;
use crate::caller;
use crate::dialect::EmbeddingsError;
use crate::form::field_invalid;
use crate::incoming::Incoming;
use crate::json::{self, BodyKind};
use crate::negotiate::require_json;
use crate::problem::Refusal;

/// Where it is. Failures under this path also have the member that clients of OpenAI look for.
pub(crate) const PATH: &str = "/v1/embeddings";

/// Numbers, one list for each input.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingsAnswer {
    /// Always `list`.
    #[schema(example = "list")]
    object: &'static str,
    /// In the order of the inputs.
    data: Vec<EmbeddingBody>,
    /// The model that gave them.
    #[schema(example = "efficientnet-lite0")]
    model: String,
    /// The space they are in: the model, its revision and its dimension. Only numbers of one space can be compared.
    space: String,
    /// What was read.
    usage: UsageBody,
}

/// Numbers of one input.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Embedding)]
pub(crate) struct EmbeddingBody {
    /// Always `embedding`.
    #[schema(example = "embedding")]
    object: &'static str,
    /// Which input, from 0.
    index: usize,
    /// A direction: the sum of the squares is 1.
    embedding: NumbersBody,
}

/// Numbers, as asked for.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = EmbeddingNumbers)]
#[serde(untagged)]
pub(crate) enum NumbersBody {
    /// As they are.
    Float(Vec<f32>),
    /// Base64 of little-endian numbers of 32 bits.
    Base64(String),
}

/// What was read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EmbeddingsUsage)]
pub(crate) struct UsageBody {
    /// Tokens of the texts.
    prompt_tokens: u64,
    /// The same.
    total_tokens: u64,
}

/// Turns texts and pictures into numbers that can be compared. An answer is of one model: where others would be answered degraded by another
/// model, these clients, who would not see it, get a failure. Pictures may be `data:` URLs, base64, or addresses that the operator lets the
/// service fetch.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    tag = "embeddings",
    operation_id = "createEmbeddings",
    request_body(content = EmbeddingsRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "Numbers, one list for each input", body = EmbeddingsAnswer, content_type = "application/json"),
        (status = 404, description = "There is no such model", body = EmbeddingsError, content_type = "application/problem+json"),
        (status = "4XX", description = "The request is wrong or crosses a limit", body = EmbeddingsError,
            content_type = "application/problem+json"),
        (status = "5XX", description = "The model could not answer", body = EmbeddingsError, content_type = "application/problem+json")
    )
)]
pub(crate) async fn embeddings(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    require_json(&headers)?;
    BodyKind::require_json(&headers)?;
    let bytes = body::read(&headers, body, app.body_limits()).await?;
    let wanted = embeddings_request::read(&bytes, app.operations().limits().max_bytes)?;
    check_dimensions(&app, wanted.request.model.as_deref(), wanted.dimensions)?;
    let context = CallContext { caller: caller::caller(wanted.user, None, None)?, ..incoming.context(app.config.request_timeout) };
    let embedded = app.operations().embed(&context, wanted.request).await?;
    Ok(json::answer(&answer(embedded, wanted.encoding, wanted.dimensions)?))
}

/// Refuses a dimension before any work, where the model is known; an alias is looked at when the answer is there.
fn check_dimensions(app: &App, model: Option<&str>, dimensions: Option<usize>) -> Result<(), Failure> {
    let Some(wanted) = dimensions else { return Ok(()) };
    let models = &app.state.models;
    let default = models.default_embedder();
    let id = model.unwrap_or(&default);
    let known = models.embedders().into_iter().find(|embedder| *embedder.id == *id);
    known.map_or(Ok(()), |embedder| same_dimension(wanted, usize::try_from(embedder.dimension).unwrap_or(usize::MAX)))
}

fn same_dimension(wanted: usize, given: usize) -> Result<(), Failure> {
    if wanted == given {
        return Ok(());
    }
    Err(field_invalid("dimensions", &format!("is {wanted}, but the model gives {given} numbers; leave it out")))
}

fn answer(embedded: Embedded, encoding: Encoding, dimensions: Option<usize>) -> Result<EmbeddingsAnswer, Failure> {
    let tokens = embedded.tokens;
    let mut space: Option<(String, String)> = None;
    let mut data = Vec::with_capacity(embedded.items.len());
    for (index, item) in embedded.items.into_iter().enumerate() {
        let features = of_item(index, item)?;
        let found = (features.model, features.space.to_string());
        if space.get_or_insert_with(|| found.clone()).1 != found.1 {
            return Err(other_model("the inputs were answered by different models"));
        }
        let values = features.vector.values();
        if let Some(wanted) = dimensions {
            same_dimension(wanted, values.len())?;
        }
        data.push(EmbeddingBody { object: "embedding", index, embedding: numbers(values, encoding) });
    }
    let (model, space) = space.ok_or_else(|| Failure::internal("embeddings were answered with none"))?;
    Ok(EmbeddingsAnswer { object: "list", data, model, space, usage: UsageBody { prompt_tokens: tokens, total_tokens: tokens } })
}

/// One failure fails the call: the form has no place for it. It says which input it is about.
fn of_item(index: usize, item: Result<Outcome<Features>, Failure>) -> Result<Features, Failure> {
    let outcome = item.map_err(|failure| {
        let violation = json!({ "pointer": format!("/input/{index}"), "message": failure.message });
        let mut detail = failure.detail.clone().unwrap_or_else(|| json!({}));
        if let Some(fields) = detail.as_object_mut() {
            fields.insert("violations".to_owned(), json!([violation]));
        }
        failure.with_detail(detail)
    })?;
    match outcome.level.as_deref() {
        // A kept answer is of the same model.
        None | Some("stale") => Ok(outcome.value),
        Some(level) => {
            let why = outcome.reasons.first().map_or_else(String::new, |reason| format!(": {} ({})", reason.message, reason.code));
            Err(other_model(&format!("the model does not answer, only its fallback {level:?} would{why}")))
        }
    }
}

fn other_model(message: &str) -> Failure {
    Failure::new(FailureKind::Unavailable, "embed.degraded", message)
}

fn numbers(values: &[f32], encoding: Encoding) -> NumbersBody {
    match encoding {
        Encoding::Float => NumbersBody::Float(values.to_vec()),
        Encoding::Base64 => NumbersBody::Base64(STANDARD.encode(values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use breakwater_core::{Digest, Reason, ServedBy};
    use breakwater_operations::{Space, Vector};

    use super::*;

    fn features(model: &str) -> Outcome<Features> {
        let space = Space { model: model.into(), revision: Digest::of(b"weights"), dimension: 2 };
        let vector = Arc::new(Vector::new(&[3.0, 4.0]).unwrap());
        Outcome::new(Features { model: model.into(), space, vector, tokens: 3 }, ServedBy::Host { name: "local".into() })
    }

    fn written(
        items: Vec<Result<Outcome<Features>, Failure>>,
        encoding: Encoding,
        dimensions: Option<usize>,
    ) -> Result<serde_json::Value, Failure> {
        answer(Embedded { items, tokens: 6 }, encoding, dimensions).map(|answer| serde_json::to_value(answer).unwrap())
    }

    #[test]
    fn the_answer_has_the_form_of_openai() {
        let body = written(vec![Ok(features("m")), Ok(features("m"))], Encoding::Float, Some(2)).unwrap();
        let revision = Digest::of(b"weights").short();
        assert_eq!(
            body,
            json!({
                "object": "list",
                "data": [
                    { "object": "embedding", "index": 0, "embedding": [0.6f32, 0.8f32] },
                    { "object": "embedding", "index": 1, "embedding": [0.6f32, 0.8f32] },
                ],
                "model": "m",
                "space": format!("m-{revision}-2"),
                "usage": { "prompt_tokens": 6, "total_tokens": 6 },
            })
        );
        let body = written(vec![Ok(features("m"))], Encoding::Base64, None).unwrap();
        let bytes = STANDARD.decode(body["data"][0]["embedding"].as_str().unwrap()).unwrap();
        assert_eq!(bytes, [0.6f32.to_le_bytes(), 0.8f32.to_le_bytes()].concat());
    }

    #[test]
    fn numbers_of_two_models_are_never_one_answer() {
        assert_eq!(written(vec![Ok(features("m")), Ok(features("n"))], Encoding::Float, None).unwrap_err().code, "embed.degraded");
        let level = |level: &str| Outcome {
            level: Some(level.into()),
            reasons: vec![Reason { provider: "model:m".into(), code: "embedder.unavailable".into(), message: "it is away".into() }],
            ..features("descriptor")
        };
        let failure = written(vec![Ok(level("classical"))], Encoding::Float, None).unwrap_err();
        assert_eq!((&*failure.code, failure.kind), ("embed.degraded", FailureKind::Unavailable));
        assert!(failure.message.contains("embedder.unavailable"), "{}", failure.message);
        assert!(written(vec![Ok(level("stale"))], Encoding::Float, None).is_ok());
    }

    #[test]
    fn a_failure_says_which_input_it_is_about() {
        let bad = Failure::invalid("image.invalid", "no picture").with_detail(json!({ "max": 1 }));
        let failure = written(vec![Ok(features("m")), Err(bad)], Encoding::Float, None).unwrap_err();
        assert_eq!(failure.code, "image.invalid");
        let detail = failure.detail.unwrap();
        assert_eq!((&detail["violations"][0]["pointer"], &detail["max"]), (&json!("/input/1"), &json!(1)));
    }

    #[test]
    fn a_dimension_that_the_model_has_not_is_refused() {
        let failure = written(vec![Ok(features("m"))], Encoding::Float, Some(3)).unwrap_err();
        assert_eq!(
            (&*failure.code, &failure.detail.unwrap()["violations"][0]["pointer"]),
            ("request.field-invalid", &json!("/dimensions"))
        );
    }
}
