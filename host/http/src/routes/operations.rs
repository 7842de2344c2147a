//! `GET /v1/operations`: what can be called, and who answers.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use breakwater_operations::{Caching, OperationInfo, ProviderInfo};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::json;
use crate::negotiate::require_json;
use crate::page::{Page, PageBody};
use crate::problem::{Problem, Refusal};
use crate::query::Query;
use crate::wire::{each, whole_milliseconds};

/// An operation and who answers it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Operation)]
pub(crate) struct OperationBody {
    /// What it is called by.
    name: String,
    /// One sentence for people.
    summary: String,
    /// JSON Schema of `input`.
    input_schema: Value,
    /// JSON Schema of `output`.
    output_schema: Value,
    /// What it does to the world: `read`, `create`, `update` or `delete`.
    effect: &'static str,
    /// Whether it may be sent twice without harm, though it is no read.
    idempotent: bool,
    /// The permission it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<String>,
    /// In the order in which they are asked.
    providers: Vec<ProviderBody>,
    /// Whether somebody who answers in full would be asked now.
    available: bool,
    /// How the operator wants it to be answered.
    chain: ChainBody,
}

/// Who answers an operation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Provider)]
pub(crate) struct ProviderBody {
    /// `local`, `plugin:ID@VERSION` or `static`.
    name: String,
    /// The level it answers at; absent for one that answers in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<String>,
    /// Whether it is asked: an adapter is not while a service that it needs is not configured.
    available: bool,
}

/// How the operator wants an operation to be answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Chain)]
pub(crate) struct ChainBody {
    /// Whether providers that answer in full are asked at all.
    enabled: bool,
    /// The flag that decides the same per caller, if there is one of this name.
    flag: String,
    /// The longest a call may take, in milliseconds.
    timeout_ms: u64,
    /// How long an answer is as good as a new one, in milliseconds; absent when none is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_ttl_ms: Option<u64>,
    /// How long after that it is still given while a new one is fetched, in milliseconds.
    stale_while_revalidate_ms: u64,
    /// How long after its time it is given when everybody who answers in full has failed, in milliseconds.
    stale_if_error_ms: u64,
}

impl From<ProviderInfo> for ProviderBody {
    fn from(ProviderInfo { name, level, available }: ProviderInfo) -> Self {
        Self { name, level, available }
    }
}

impl From<OperationInfo> for OperationBody {
    fn from(info: OperationInfo) -> Self {
        let OperationInfo { spec, providers, timeout, caching, enabled, flag } = info;
        let Caching { ttl, stale_while_revalidate, stale_if_error } = caching;
        Self {
            name: spec.name,
            summary: spec.summary,
            input_schema: spec.input_schema,
            output_schema: spec.output_schema,
            effect: spec.effect.name(),
            idempotent: spec.idempotent,
            permission: spec.permission,
            available: enabled && providers.iter().any(|provider| provider.available && provider.level.is_none()),
            providers: each(providers),
            chain: ChainBody {
                enabled,
                flag,
                timeout_ms: whole_milliseconds(timeout),
                cache_ttl_ms: ttl.map(whole_milliseconds),
                stale_while_revalidate_ms: whole_milliseconds(stale_while_revalidate),
                stale_if_error_ms: whole_milliseconds(stale_if_error),
            },
        }
    }
}

/// The operations there are, by name.
#[utoipa::path(
    get,
    path = "/v1/operations",
    tag = "operations",
    operation_id = "listOperations",
    params(
        ("name" = Option<String>, Query, description = "Only operations whose name holds this"),
        ("page" = Option<u32>, Query, description = "From 1"),
        ("per_page" = Option<u32>, Query, description = "1 to 200; 50 when absent")
    ),
    responses(
        (status = 200, description = "A page of the operations", body = PageBody<OperationBody>, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn list(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let [page, per_page] = Page::PARAMETERS;
    let query = Query::of(&uri, &["name", page, per_page])?;
    let page = Page::of(&query)?;
    let mut operations = app.operations().operations();
    operations.retain(|info| query.text("name").is_none_or(|part| info.spec.name.contains(part)));
    Ok(json::answer(&page.cut::<_, OperationBody>(operations)))
}

/// One operation with its schemas, and who answers it.
#[utoipa::path(
    get,
    path = "/v1/operations/{name}",
    tag = "operations",
    operation_id = "getOperation",
    params(("name" = String, Path, description = "The operation's name")),
    responses(
        (status = 200, description = "The operation", body = OperationBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such operation", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn get(State(app): State<App>, headers: HeaderMap, Path(name): Path<String>) -> Result<Response, Refusal> {
    require_json(&headers)?;
    Ok(json::answer(&OperationBody::from(app.operations().operation(&name)?)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use breakwater_core::{OperationEffect, OperationSpec};
    use serde_json::json;

    use super::*;

    fn info(enabled: bool, providers: Vec<ProviderInfo>) -> OperationInfo {
        let spec = OperationSpec {
            name: "generate-resume".into(),
            summary: "Writes a résumé".into(),
            input_schema: json!({ "type": "object" }),
            output_schema: json!({}),
            effect: OperationEffect::Create,
            idempotent: true,
            permission: None,
        };
        let caching = Caching { ttl: Some(Duration::from_secs(60)), stale_if_error: Duration::from_secs(1), ..Caching::default() };
        OperationInfo { spec, providers, timeout: Duration::from_millis(1500), caching, enabled, flag: "ai".into() }
    }

    #[test]
    fn an_operation_is_available_when_somebody_would_answer_in_full() {
        let provider = |available, level: Option<&str>| ProviderInfo { name: "x".into(), level: level.map(str::to_owned), available };
        for (enabled, providers, available) in [
            (true, vec![provider(true, None)], true),
            (true, vec![provider(false, None), provider(true, Some("basic"))], false),
            (false, vec![provider(true, None)], false),
            (true, vec![], false),
        ] {
            assert_eq!(OperationBody::from(info(enabled, providers)).available, available);
        }
    }

    #[test]
    fn everything_is_written_as_documented() {
        let providers = vec![ProviderInfo { name: "static".into(), level: Some("static".into()), available: true }];
        assert_eq!(
            serde_json::to_value(OperationBody::from(info(true, providers))).unwrap(),
            json!({
                "name": "generate-resume",
                "summary": "Writes a résumé",
                "input_schema": { "type": "object" },
                "output_schema": {},
                "effect": "create",
                "idempotent": true,
                "providers": [{ "name": "static", "level": "static", "available": true }],
                "available": false,
                "chain": {
                    "enabled": true,
                    "flag": "ai",
                    "timeout_ms": 1500,
                    "cache_ttl_ms": 60000,
                    "stale_while_revalidate_ms": 0,
                    "stale_if_error_ms": 1000,
                },
            })
        );
    }
}
