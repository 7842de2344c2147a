//! `/v1/registry/services`: services that say themselves that they are there.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use breakwater_operations::services::{Heartbeat, Registration, Selection, Service, ServiceMetrics};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::incoming::Incoming;
use crate::json::{self, Known};
use crate::management;
use crate::negotiate::require_json;
use crate::page::{Page, PageBody};
use crate::problem::{Problem, Refusal};
use crate::query::Query;

/// What a service registers with.
#[derive(ToSchema)]
#[schema(as = Registration)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used: registrations read themselves")]
pub(crate) struct RegistrationBody {
    /// Names this instance. Given again, it replaces the entry; not given, one is made.
    id: Option<String>,
    /// What it is called by; instances of one service share it. Lower-case letters, digits, `-`, `_` and `.`, at most 128.
    name: String,
    /// Its base URL, http or https, without user name, query or fragment.
    url: String,
    /// Its version, for people.
    version: Option<String>,
    /// What it can do, such as `object-detection`. At most 64.
    capabilities: Option<BTreeSet<String>>,
    /// What else it is found by, such as `gpu`. At most 64.
    tags: Option<BTreeSet<String>>,
    /// Its share of the calls among instances of its name.
    #[schema(minimum = 1, maximum = 1000, default = 1)]
    weight: Option<u32>,
    /// How long it stays without a heartbeat, in milliseconds; for ever when absent.
    #[schema(minimum = 1000, maximum = 86_400_000)]
    ttl_ms: Option<u64>,
    /// Anything else, never interpreted. At most 64 names.
    metadata: Option<BTreeMap<String, String>>,
}

impl Known for Registration {
    const FIELDS: &'static [&'static str] = &["id", "name", "url", "version", "capabilities", "tags", "weight", "ttl_ms", "metadata"];
}

/// What a service says from time to time.
#[derive(ToSchema)]
#[schema(as = Heartbeat)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used: heartbeats read themselves")]
pub(crate) struct HeartbeatBody {
    /// Whether it is well.
    healthy: bool,
    /// How long its answers take at the moment, in milliseconds.
    response_ms: Option<f64>,
}

impl Known for Heartbeat {
    const FIELDS: &'static [&'static str] = &["healthy", "response_ms"];
}

/// A registered service.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Service)]
pub(crate) struct ServiceBody {
    /// Names this instance.
    id: String,
    /// What it is called by.
    name: String,
    /// Its base URL.
    url: String,
    /// Its version.
    version: String,
    /// What it can do.
    capabilities: BTreeSet<String>,
    /// What else it is found by.
    tags: BTreeSet<String>,
    /// Its share of the calls.
    weight: u32,
    /// How long it stays without a heartbeat, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    /// Anything else.
    metadata: BTreeMap<String, String>,
    /// What it said last of how it is; a new one is well.
    healthy: bool,
    /// What it said last of how long its answers take, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_ms: Option<f64>,
    /// When it registered first, in milliseconds since 1970.
    registered_at_ms: u64,
    /// When it last registered or sent a heartbeat, in milliseconds since 1970.
    heartbeat_at_ms: u64,
    /// What calls of it found, since this process started.
    metrics: ServiceMetricsBody,
}

/// What calls of a registered service found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServiceMetrics)]
pub(crate) struct ServiceMetricsBody {
    /// Attempts that ended.
    requests: u64,
    /// Those of them for which the service is to blame.
    failures: u64,
    /// How long they took on average, in milliseconds; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_ms: Option<f64>,
}

impl From<Service> for ServiceBody {
    fn from(service: Service) -> Self {
        let ServiceMetrics { requests, failures, response_ms } = service.metrics;
        Self {
            id: service.id,
            name: service.name,
            url: service.url,
            version: service.version,
            capabilities: service.capabilities,
            tags: service.tags,
            weight: service.weight,
            ttl_ms: service.ttl_ms,
            metadata: service.metadata,
            healthy: service.healthy,
            response_ms: service.response_ms,
            registered_at_ms: service.registered_at_ms,
            heartbeat_at_ms: service.heartbeat_at_ms,
            metrics: ServiceMetricsBody { requests, failures, response_ms },
        }
    }
}

/// The registered services that have everything asked for, by id.
#[utoipa::path(
    get,
    path = "/v1/registry/services",
    tag = "registry",
    operation_id = "listServices",
    params(
        ("name" = Option<String>, Query, description = "Only services of this name"),
        ("capability" = Option<String>, Query, description = "Only services that can do this"),
        ("tag" = Option<String>, Query, description = "Only services with this tag"),
        ("healthy" = Option<bool>, Query, description = "Only services that say that they are well, or not"),
        ("page" = Option<u32>, Query, description = "From 1"),
        ("per_page" = Option<u32>, Query, description = "1 to 200; 50 when absent")
    ),
    responses(
        (status = 200, description = "A page of the services", body = PageBody<ServiceBody>, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn list(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let [page, per_page] = Page::PARAMETERS;
    let query = Query::of(&uri, &["name", "capability", "tag", "healthy", page, per_page])?;
    let page = Page::of(&query)?;
    let text = |name: &str| query.text(name).map(str::to_owned);
    let selection = Selection { name: text("name"), capability: text("capability"), tag: text("tag") };
    let services = app.operations().services(&selection, query.parsed("healthy")?);
    Ok(json::answer(&page.cut::<_, ServiceBody>(services)))
}

/// Registers a service, or replaces the one of the same id. Its instances become endpoints of the upstreams that look for its name. From
/// this machine only, unless remote management or remote registration is switched on.
#[utoipa::path(
    post,
    path = "/v1/registry/services",
    tag = "registry",
    operation_id = "registerService",
    request_body(content = RegistrationBody, content_type = "application/json"),
    responses(
        (status = 201, description = "It is registered", body = ServiceBody, content_type = "application/json",
            headers(("location" = String, description = "Path of the entry"))),
        (status = "4XX", description = "The registration is wrong or refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be stored", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn register(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    management::allow_registration(&app, &incoming, &headers)?;
    let registration: Registration = management::read(&app, &headers, body).await?;
    let service = app.operations().register_service(registration).await?;
    let location = format!("/v1/registry/services/{}", service.id);
    Ok(json::located(StatusCode::CREATED, &location, &ServiceBody::from(service)))
}

/// One registered service.
#[utoipa::path(
    get,
    path = "/v1/registry/services/{id}",
    tag = "registry",
    operation_id = "getService",
    params(("id" = String, Path, description = "Names the instance")),
    responses(
        (status = 200, description = "The service", body = ServiceBody, content_type = "application/json"),
        (status = "4XX", description = "It is not registered", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn get(State(app): State<App>, headers: HeaderMap, Path(id): Path<String>) -> Result<Response, Refusal> {
    require_json(&headers)?;
    Ok(json::answer(&ServiceBody::from(app.operations().service(&id)?)))
}

/// A service says that it is there and how it is. From where it may register.
#[utoipa::path(
    post,
    path = "/v1/registry/services/{id}/heartbeat",
    tag = "registry",
    operation_id = "sendHeartbeat",
    params(("id" = String, Path, description = "Names the instance")),
    request_body(content = HeartbeatBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The service", body = ServiceBody, content_type = "application/json"),
        (status = "4XX", description = "It is not registered, or it is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be stored", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn heartbeat(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    management::allow_registration(&app, &incoming, &headers)?;
    let heartbeat: Heartbeat = management::read(&app, &headers, body).await?;
    Ok(json::answer(&ServiceBody::from(app.operations().heartbeat(&id, heartbeat).await?)))
}

/// Takes a service out. From where it may register.
#[utoipa::path(
    delete,
    path = "/v1/registry/services/{id}",
    tag = "registry",
    operation_id = "deregisterService",
    params(("id" = String, Path, description = "Names the instance")),
    responses(
        (status = 204, description = "It is gone"),
        (status = "4XX", description = "It is not registered, or it is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "It could not be removed", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn deregister(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    management::allow_registration(&app, &incoming, &headers)?;
    app.operations().deregister_service(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_service_is_lost() {
        let service = Service {
            id: "images-1".into(),
            name: "images".into(),
            url: "http://10.0.0.5:8000".into(),
            version: "1.2".into(),
            capabilities: ["object-detection".to_owned()].into(),
            tags: ["gpu".to_owned()].into(),
            weight: 3,
            ttl_ms: Some(30_000),
            metadata: [("zone".to_owned(), "a".to_owned())].into(),
            healthy: false,
            response_ms: Some(12.5),
            registered_at_ms: 1,
            heartbeat_at_ms: 2,
            metrics: ServiceMetrics { requests: 5, failures: 1, response_ms: Some(3.0) },
        };
        let expected = serde_json::to_value(&service).unwrap();
        assert_eq!(serde_json::to_value(ServiceBody::from(service)).unwrap(), expected);
    }

    #[test]
    fn what_services_say_is_read_as_it_is_described() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        for (schema, fields) in [("Registration", Registration::FIELDS), ("Heartbeat", Heartbeat::FIELDS)] {
            let described = document["components"]["schemas"][schema]["properties"].as_object().unwrap();
            assert_eq!(described.keys().map(String::as_str).collect::<BTreeSet<_>>(), fields.iter().copied().collect(), "{schema}");
        }
        let read: Registration = json::read(br#"{"name":"images","url":"http://a"}"#).unwrap();
        assert_eq!(read, Registration::new("images", "http://a"));
        assert_eq!(json::read::<Heartbeat>(br#"{"healthy":true,"response":1}"#).unwrap_err().code, "request.unknown-field");
    }
}
