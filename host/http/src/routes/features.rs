//! `POST /extract-features` and `POST /extract-features-batch`: the routes of the image service in Python that this service can stand in for.

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use breakwater_core::{CallContext, Failure, Outcome};
use breakwater_operations::{EmbedInput, EmbedRequest, Embedded, Features, ImageSource};
use serde::Serialize;
use utoipa::ToSchema;

use super::invoke_answer::HistoryBody;
use crate::app::App;
use crate::form::{Fields, Form, FormLimits, Part};
use crate::incoming::Incoming;
use crate::json::{self, BodyKind};
use crate::negotiate::require_json;
use crate::picture;
use crate::problem::{Problem, Refusal};

/// The most pictures of a batch.
const MAX_BATCH: usize = 64;

/// The longest name of a file that is given back, in characters.
const MAX_FILE_NAME: usize = 256;

const ONE: Fields = Fields { files: &["file", "image"], texts: &["model"], repeated: &[] };
const MANY: Fields = Fields { files: &["files", "file", "image"], texts: &["model"], repeated: &["files", "file", "image"] };

/// A picture.
#[derive(ToSchema)]
#[schema(as = ExtractFeaturesForm)]
#[expect(dead_code, reason = "only its schema is used: forms are read field by field")]
pub(crate) struct OneForm {
    /// The picture; `image` is understood too.
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    file: String,
    /// The model, or an alias of models; the default when absent.
    model: Option<String>,
}

/// Pictures.
#[derive(ToSchema)]
#[schema(as = ExtractFeaturesBatchForm)]
#[expect(dead_code, reason = "only its schema is used: forms are read field by field")]
pub(crate) struct ManyForm {
    /// The pictures, 1 to 64; `file` and `image` are understood too.
    #[schema(value_type = Vec<String>)]
    files: Vec<String>,
    /// The model, or an alias of models; the default when absent.
    model: Option<String>,
}

/// What a picture looks like, as numbers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Features)]
pub(crate) struct FeaturesBody {
    /// A direction: the sum of the squares is 1.
    embedding: Vec<f32>,
    /// How many numbers there are.
    #[schema(example = 1280)]
    dimension: usize,
    /// The model that gave them.
    #[schema(example = "efficientnet-lite0")]
    model: String,
    /// The space they are in: the model, its revision and its dimension. Only numbers of one space can be compared.
    space: String,
    /// Always true.
    normalized: bool,
}

/// What a picture looks like, and where the answer came from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeaturesAnswer {
    #[serde(flatten)]
    features: FeaturesBody,
    #[serde(flatten)]
    history: HistoryBody,
}

/// What pictures look like, each by itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeaturesBatchAnswer {
    /// One for each picture, in order.
    results: Vec<BatchItem>,
    /// Pictures.
    count: usize,
    /// Those with numbers.
    succeeded: usize,
    /// Those without.
    failed: usize,
}

/// What became of one picture.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FeaturesBatchItem)]
pub(crate) struct BatchItem {
    /// Which, from 0.
    index: usize,
    /// The name of its file, if it had one.
    filename: Option<String>,
    /// Whether there are numbers.
    success: bool,
    #[serde(flatten)]
    #[schema(inline)]
    answer: Option<FeaturesAnswer>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ItemError>,
}

/// Why a picture has no numbers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FeaturesBatchError)]
pub(crate) struct ItemError {
    /// Stable code.
    code: String,
    /// What was wrong.
    message: String,
}

/// Numbers that say what a picture looks like, by the chain of `extract-features`: check `degraded` and `model` before comparing.
#[utoipa::path(
    post,
    path = "/extract-features",
    tag = "embeddings",
    operation_id = "extractFeatures",
    request_body(content = OneForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The numbers", body = FeaturesAnswer, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong or crosses a limit", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The service could not answer", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn extract(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let mut form = read(&headers, body, ONE, app.form_limits()).await?;
    let model = form.text("model")?;
    let image = picture::source(form.picture()?.map(|part| part.bytes), None, None, app.operations().limits().max_bytes)?;
    let context = incoming.context(app.config.request_timeout);
    let embedded = app.operations().embed(&context, EmbedRequest { inputs: vec![EmbedInput::Image(image)], model }).await?;
    let item = embedded.items.into_iter().next().ok_or_else(|| Failure::internal("a picture was answered with nothing"))?;
    Ok(json::answer(&FeaturesAnswer::of(item?, &context)?))
}

/// Numbers for several pictures. One that fails does not touch the others; the call fails only if it is wrong as a whole.
#[utoipa::path(
    post,
    path = "/extract-features-batch",
    tag = "embeddings",
    operation_id = "extractFeaturesBatch",
    request_body(content = ManyForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The numbers, or why there are none, of each", body = FeaturesBatchAnswer, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong or crosses a limit", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The service could not answer", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn extract_batch(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    // A picture more than allowed is read, so that the refusal can say so; the model is a field as well.
    let limits = FormLimits { max_fields: MAX_BATCH + 2, ..app.form_limits() };
    let mut form = read(&headers, body, MANY, limits).await?;
    let model = form.text("model")?;
    let parts = pictures(form)?;
    let context = incoming.context(app.config.request_timeout);
    let inputs = parts.iter().map(|part| EmbedInput::Image(ImageSource::Bytes(part.bytes.clone()))).collect();
    let embedded = app.operations().embed(&context, EmbedRequest { inputs, model }).await?;
    Ok(json::answer(&batch(parts, embedded, &context)))
}

async fn read(headers: &HeaderMap, body: Body, fields: Fields, limits: FormLimits) -> Result<Form, Failure> {
    require_json(headers)?;
    if BodyKind::of(headers)? != BodyKind::Form {
        return Err(Failure::invalid("http.unsupported-media-type", "send Content-Type: multipart/form-data"));
    }
    Form::read(headers, body, fields, limits).await
}

/// In the order of the form.
fn pictures(form: Form) -> Result<Vec<Part>, Failure> {
    let parts = form.into_parts();
    if parts.is_empty() {
        return Err(Failure::invalid("request.image-missing", "send pictures: one form field files for each"));
    }
    if parts.len() > MAX_BATCH {
        return Err(Failure::limit("http.too-many-fields", format!("a batch has at most {MAX_BATCH} pictures")));
    }
    Ok(parts)
}

impl FeaturesAnswer {
    fn of(outcome: Outcome<Features>, context: &CallContext) -> Result<Self, Failure> {
        let (features, history) = HistoryBody::of(outcome, context);
        let (embedding, expected) = (features.vector.values().to_vec(), features.space.dimension);
        let dimension = embedding.len();
        // Whoever answered: what goes out is what its space says.
        if u32::try_from(dimension) != Ok(expected) {
            return Err(Failure::internal(format!("{} answered {dimension} numbers, its space has {expected}", history.served_by())));
        }
        let features = FeaturesBody { embedding, dimension, model: features.model, space: features.space.to_string(), normalized: true };
        Ok(Self { features, history })
    }
}

fn batch(parts: Vec<Part>, embedded: Embedded, context: &CallContext) -> FeaturesBatchAnswer {
    let item = |(index, (part, item)): (usize, (Part, Result<Outcome<Features>, Failure>))| {
        let filename = part.file_name.map(|name| name.chars().take(MAX_FILE_NAME).collect());
        match item.and_then(|outcome| FeaturesAnswer::of(outcome, context)) {
            Ok(answer) => BatchItem { index, filename, success: true, answer: Some(answer), error: None },
            Err(failure) => {
                let Problem { code, detail, .. } = Problem::of(&failure, &context.correlation_id);
                BatchItem { index, filename, success: false, answer: None, error: Some(ItemError { code, message: detail }) }
            }
        }
    };
    let results: Vec<_> = parts.into_iter().zip(embedded.items).enumerate().map(item).collect();
    let (count, succeeded) = (results.len(), results.iter().filter(|item| item.success).count());
    FeaturesBatchAnswer { results, count, succeeded, failed: count - succeeded }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::http::header;
    use breakwater_core::{Digest, Principal, ServedBy};
    use breakwater_operations::{Space, Vector};
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::body::BodyLimits;

    fn features(dimension: u32) -> Outcome<Features> {
        let space = Space { model: "m".into(), revision: Digest::of(b""), dimension };
        let vector = Arc::new(Vector::new(&[3.0, 4.0]).unwrap());
        Outcome::new(Features { model: "m".into(), space, vector, tokens: 0 }, ServedBy::Host { name: "local".into() })
    }

    fn context() -> CallContext {
        CallContext::root(Principal::Anonymous, Duration::from_secs(1))
    }

    async fn form(parts: usize, name: &str) -> Result<Vec<Part>, String> {
        let part = |index| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{index}.jpg\"\r\n\r\nx\r\n");
        let text: String = (0..parts).map(part).chain(["--b--\r\n".to_owned()]).collect();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "multipart/form-data; boundary=b".parse().unwrap());
        let body = BodyLimits { max_bytes: 100_000, idle: Duration::from_secs(1), total: Duration::from_secs(1) };
        let limits = FormLimits { body, max_fields: MAX_BATCH + 2, max_field_bytes: 10, max_file_bytes: 10 };
        let form = super::read(&headers, Body::from(text), MANY, limits).await;
        form.and_then(pictures).map_err(|failure| failure.code.into_owned())
    }

    #[tokio::test]
    async fn a_batch_has_as_many_pictures_as_it_may() {
        for name in ["files", "file", "image"] {
            assert_eq!(form(2, name).await.unwrap().len(), 2, "{name}");
        }
        assert_eq!(form(MAX_BATCH, "files").await.unwrap().len(), MAX_BATCH);
        assert_eq!(form(MAX_BATCH + 1, "files").await.unwrap_err(), "http.too-many-fields");
        assert_eq!(form(MAX_BATCH + 3, "files").await.unwrap_err(), "http.too-many-fields");
        assert_eq!(form(0, "files").await.unwrap_err(), "request.image-missing");
        assert_eq!(form(1, "pictures").await.unwrap_err(), "request.unknown-field");
    }

    #[test]
    fn one_bad_picture_does_not_fail_the_others() {
        let part = |name: &str| Part { name: "files".into(), file_name: Some(name.into()), media_type: None, bytes: Bytes::new() };
        let parts = ["a.jpg", "b.jpg", "c.jpg"].map(part).to_vec();
        let items = vec![Ok(features(2)), Err(Failure::invalid("image.invalid", "no picture")), Err(Failure::internal("/secret"))];
        let body = serde_json::to_value(batch(parts, Embedded { items, tokens: 0 }, &context())).unwrap();
        assert_eq!((&body["count"], &body["succeeded"], &body["failed"]), (&json!(3), &json!(1), &json!(2)));
        let [good, bad, defect] = [0, 1, 2].map(|index| &body["results"][index]);
        assert_eq!((&good["success"], &good["filename"], &good["embedding"]), (&json!(true), &json!("a.jpg"), &json!([0.6f32, 0.8f32])));
        assert_eq!((&good["dimension"], &good["served_by"]), (&json!(2), &json!("host:local")));
        let expected = json!({
            "index": 1, "filename": "b.jpg", "success": false, "error": { "code": "image.invalid", "message": "no picture" }
        });
        assert_eq!(bad, &expected);
        assert_eq!(defect["error"]["code"], "internal");
        assert!(!body.to_string().contains("secret"));
    }

    #[test]
    fn an_answer_of_another_dimension_is_not_given_out() {
        assert_eq!(FeaturesAnswer::of(features(3), &context()).unwrap_err().code, "internal");
        let body: Value = serde_json::to_value(FeaturesAnswer::of(features(2), &context()).unwrap()).unwrap();
        assert_eq!((&body["normalized"], &body["model"], &body["degraded"]), (&json!(true), &json!("m"), &json!(false)));
    }
}
