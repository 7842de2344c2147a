//! `/v1/flags`: feature flags, and changing them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use breakwater_core::Failure;
use breakwater_operations::services::{Decision, Flag, FlagReason, FlagSource, ListedFlag};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::flag_body::{FlagBody, FlagRequest};
use crate::app::App;
use crate::caller::{caller, header_invalid};
use crate::incoming::Incoming;
use crate::json;
use crate::management;
use crate::negotiate::require_json;
use crate::page::{Page, PageBody};
use crate::problem::{Problem, Refusal};
use crate::query::Query;

/// What a flag is for a caller.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decision)]
pub(crate) struct DecisionBody {
    /// The flag.
    name: String,
    /// Whether it is on.
    enabled: bool,
    /// What decided: `disabled`, `rule` or `rollout`.
    reason: &'static str,
    /// The rule that decided, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<usize>,
}

/// A flag of a list, which is not copied to be written.
struct Shared(Arc<ListedFlag>);

impl From<Arc<ListedFlag>> for Shared {
    fn from(flag: Arc<ListedFlag>) -> Self {
        Self(flag)
    }
}

impl Serialize for Shared {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

/// The flags there are, declared and stored ones, by name.
#[utoipa::path(
    get,
    path = "/v1/flags",
    tag = "flags",
    operation_id = "listFlags",
    params(
        ("page" = Option<u32>, Query, description = "From 1"),
        ("per_page" = Option<u32>, Query, description = "1 to 200; 50 when absent")
    ),
    responses(
        (status = 200, description = "A page of the flags", body = PageBody<FlagBody>, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn list(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let page = Page::of(&Query::of(&uri, &Page::PARAMETERS)?)?;
    Ok(json::answer(&page.cut::<_, Shared>(app.operations().list_flags())))
}

/// One flag. Its version is also the `ETag`.
#[utoipa::path(
    get,
    path = "/v1/flags/{name}",
    tag = "flags",
    operation_id = "getFlag",
    params(("name" = String, Path, description = "The flag's name")),
    responses(
        (status = 200, description = "The flag", body = FlagBody, content_type = "application/json",
            headers(("etag" = String, description = "The version in quotation marks"))),
        (status = "4XX", description = "There is no such flag", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn get(State(app): State<App>, headers: HeaderMap, Path(name): Path<String>) -> Result<Response, Refusal> {
    require_json(&headers)?;
    Ok(tagged(&*app.operations().flag(&name)?))
}

/// Stores a flag, in the place of one that is stored or declared. `If-Match` with the version it was made from refuses to overwrite what
/// somebody else changed meanwhile; `If-None-Match: *` only makes a flag that is not stored yet. From this machine only, unless remote
/// management is switched on.
#[utoipa::path(
    put,
    path = "/v1/flags/{name}",
    tag = "flags",
    operation_id = "putFlag",
    params(
        ("name" = String, Path, description = "The flag's name: lower-case words joined by hyphens"),
        ("If-Match" = Option<String>, Header, description = "The version in quotation marks, as `ETag` gives it; \"0\" for a flag that is not stored"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if it is not stored")
    ),
    request_body(content = FlagRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "The flag as it is stored", body = FlagBody, content_type = "application/json",
            headers(("etag" = String, description = "The version in quotation marks"))),
        (status = 409, description = "It was changed meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "The flag is wrong, or the change is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be stored", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn put(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    let expected = expected_version(&headers)?;
    let flag: Flag = management::read(&app, &headers, body).await?;
    Ok(tagged(&*app.operations().put_flag(&name, flag, expected).await?))
}

/// Removes a stored flag; what the configuration declares under its name is in force again. From this machine only, unless remote
/// management is switched on.
#[utoipa::path(
    delete,
    path = "/v1/flags/{name}",
    tag = "flags",
    operation_id = "removeFlag",
    params(
        ("name" = String, Path, description = "The flag's name"),
        ("If-Match" = Option<String>, Header, description = "The version in quotation marks, as `ETag` gives it")
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 409, description = "It was changed meanwhile, or is only declared", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "There is no such flag, or it is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be removed", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn remove(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    app.operations().remove_flag(&name, expected_version(&headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a flag is for a caller, and why.
#[utoipa::path(
    get,
    path = "/v1/flags/{name}/evaluate",
    tag = "flags",
    operation_id = "evaluateFlag",
    params(
        ("name" = String, Path, description = "The flag's name"),
        ("subject" = Option<String>, Query, description = "The user or service on whose behalf a call would be made"),
        ("tenant" = Option<String>, Query, description = "The organisation it belongs to"),
        ("attributes" = Option<String>, Query, description = "A JSON object of texts", example = r#"{"plan":"pro"}"#)
    ),
    responses(
        (status = 200, description = "What it is", body = DecisionBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such flag, or the request is wrong", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn evaluate(State(app): State<App>, headers: HeaderMap, Path(name): Path<String>, uri: Uri) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let query = Query::of(&uri, &["subject", "tenant", "attributes"])?;
    let attributes: Option<BTreeMap<String, String>> = query.json("attributes")?;
    let caller = caller(query.text("subject").map(str::to_owned), query.text("tenant").map(str::to_owned), attributes)?;
    let Decision { enabled, reason } = app.operations().evaluate_flag(&name, &caller)?;
    let rule = match reason {
        FlagReason::Rule(index) => Some(index),
        _ => None,
    };
    Ok(json::answer(&DecisionBody { name, enabled, reason: reason.name(), rule }))
}

/// A flag with its version as `ETag`.
fn tagged(flag: &ListedFlag) -> Response {
    let tag = HeaderValue::try_from(format!("\"{}\"", stored_version(flag)));
    let mut response = json::answer(flag).into_response();
    if let Ok(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The version that a change is made from; 0 where nothing is stored.
fn stored_version(flag: &ListedFlag) -> u64 {
    match flag.source {
        FlagSource::Stored => flag.flag.version,
        FlagSource::Declared => 0,
    }
}

/// The version a change was made from, if the client says so.
fn expected_version(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
    match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
        (None, None) => Ok(None),
        (None, Some("*")) => Ok(Some(0)),
        (None, Some(_)) => Err(header_invalid("If-None-Match", "can only be * here")),
        (Some(tag), None) => {
            let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
            let version = version.parse().map_err(|_| header_invalid("If-Match", "is one version, such as \"3\""))?;
            Ok(Some(version))
        }
        (Some(_), Some(_)) => Err(header_invalid("If-Match", "cannot stand beside If-None-Match")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_one_version_or_that_there_is_none() {
        let read = |pairs: &[(&'static str, &str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            expected_version(&headers).map_err(|failure| failure.code.into_owned())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("if-match", "\"3\"")]), Ok(Some(3)));
        assert_eq!(read(&[("if-match", "3")]), Ok(Some(3)));
        assert_eq!(read(&[("if-none-match", "*")]), Ok(Some(0)));
        for pairs in [
            &[("if-match", "*")][..],
            &[("if-match", "W/\"3\"")],
            &[("if-match", "\"3\", \"4\"")],
            &[("if-match", "-1")],
            &[("if-none-match", "\"3\"")],
            &[("if-match", "3"), ("if-none-match", "*")],
        ] {
            assert_eq!(read(pairs), Err("request.header-invalid".into()), "{pairs:?}");
        }
    }

    #[test]
    fn the_tag_is_what_a_change_is_made_from() {
        for (source, tag) in [(FlagSource::Stored, "\"7\""), (FlagSource::Declared, "\"0\"")] {
            let flag = ListedFlag { name: "a".into(), source, flag: Flag { version: 7, ..Flag::on() } };
            assert_eq!(tagged(&flag).headers()["etag"], tag);
        }
    }
}
