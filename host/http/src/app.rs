//! What the handlers share, and the router made of them.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use breakwater_core::{Failure, FailureKind};
use breakwater_operations::batches::Batches;
use breakwater_operations::workflows::Workflows;
use breakwater_operations::{Models, Operations, Readiness};
use breakwater_telemetry::Metrics;
use tokio::sync::Semaphore;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::body::BodyLimits;
use crate::config::HttpConfig;
use crate::cors::{Cors, CorsError};
use crate::form::FormLimits;
use crate::observe::{self, Observing};
use crate::problem::Refusal;
use crate::routes::{
    batch_events, batches, crop, detect, document, embeddings, executions, features, flags, health, imports, inference, integration_health,
    invoke, models, operations, pass_through, plugins, process_image, products, registry, repository, search, search_by_image,
    service_actions, service_definitions, service_health, sheets, sidecar_health, sidecar_logs, sidecars, status, strategies, upstreams,
    warm_up, workflows,
};

/// What the server needs from the rest of the host.
#[derive(Debug, Clone)]
pub struct AppState {
    /// The use cases.
    pub operations: Arc<Operations>,
    /// Models as such.
    pub models: Models,
    /// The last result of the background check.
    pub readiness: Arc<Readiness>,
    /// Workflows and their executions.
    pub workflows: Arc<Workflows>,
    /// Counted into, and shown under `/metrics`.
    pub metrics: Arc<Metrics>,
}

/// What a handler is given.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: AppState,
    pub(crate) config: HttpConfig,
    pub(crate) document: String,
    pub(crate) batches: Arc<Batches>,
    pub(crate) started: Instant,
    pub(crate) cors: Cors,
    in_flight: Semaphore,
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    fn new(config: HttpConfig, state: AppState, document: String, cors: Cors) -> Self {
        let in_flight = Semaphore::new(config.max_in_flight.clamp(1, Semaphore::MAX_PERMITS));
        let batches = Batches::new(Arc::clone(&state.workflows));
        Self(Arc::new(Shared { batches, state, config, document, started: Instant::now(), cors, in_flight }))
    }

    pub(crate) fn operations(&self) -> &Operations {
        &self.state.operations
    }

    pub(crate) fn workflows(&self) -> &Workflows {
        &self.state.workflows
    }

    pub(crate) fn body_limits(&self) -> BodyLimits {
        self.limits(self.config.max_body_bytes)
    }

    /// Of forms with a picture.
    pub(crate) fn form_limits(&self) -> FormLimits {
        let max_file_bytes = self.operations().limits().max_bytes;
        let (max_fields, max_field_bytes) = (self.config.max_fields, self.config.max_field_bytes);
        FormLimits { body: self.body_limits(), max_fields, max_field_bytes, max_file_bytes }
    }

    /// Of forms with the photographs of a sheet and their captions; the body is bounded as any other.
    pub(crate) fn sheet_limits(&self) -> FormLimits {
        FormLimits { max_fields: 2 * breakwater_operations::MAX_SHEET_IMAGES + 32, ..self.form_limits() }
    }

    /// Of forms with a plugin.
    pub(crate) fn package_limits(&self) -> FormLimits {
        let max_file_bytes = self.config.max_package_bytes;
        FormLimits { body: self.limits(max_file_bytes), max_file_bytes, max_fields: 256, max_field_bytes: self.config.max_field_bytes }
    }

    fn limits(&self, max_bytes: u64) -> BodyLimits {
        BodyLimits { max_bytes, idle: self.config.body_idle_timeout, total: self.config.body_timeout }
    }
}

/// What stands above the list of routes.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Breakwater",
        description = "Stands between an application and the AI and image services it depends on: every call is answered or degraded, \
                       never dropped. Errors are application/problem+json with a stable code; docs/errors.md lists them.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "operations", description = "Everything that can be called, by name"),
        (name = "images", description = "Detection, cropping and sheets of photographs"),
        (name = "batches", description = "Many images at once, as work that survives a crash"),
        (name = "search", description = "Finding products that look alike"),
        (name = "products", description = "What is searched for"),
        (name = "embeddings", description = "Pictures and texts as numbers that can be compared"),
        (name = "inference", description = "The Open Inference Protocol, version 2"),
        (name = "upstreams", description = "Services elsewhere: how they are, and their breakers"),
        (name = "sidecars", description = "Local processes that this service starts, watches and heals"),
        (name = "workflows", description = "Steps that call services, and executions that survive crashes"),
        (name = "integration", description = "Services that are defined with their actions, and how they are"),
        (name = "flags", description = "Feature flags"),
        (name = "registry", description = "Services that say themselves that they are there"),
        (name = "plugins", description = "What strategies there are, and changing them without stopping"),
        (name = "operation", description = "Health, status, metrics and this document")
    )
)]
struct Document;

fn routes() -> OpenApiRouter<App> {
    let calls = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(operations::list))
        .routes(routes!(operations::get, invoke::invoke))
        .routes(routes!(detect::detect))
        .routes(routes!(crop::crop))
        .routes(routes!(sheets::compose))
        .routes(routes!(process_image::process_image))
        .routes(routes!(batches::list, batches::start))
        .routes(routes!(batches::get))
        .routes(routes!(batches::results))
        .routes(routes!(batch_events::events))
        .routes(routes!(batches::archive))
        .routes(routes!(batches::pause))
        .routes(routes!(batches::resume))
        .routes(routes!(batches::cancel))
        .routes(routes!(batches::retry))
        .routes(routes!(search::search))
        .routes(routes!(search_by_image::search_by_image))
        .routes(routes!(search::status))
        .routes(routes!(products::list, products::create))
        .routes(routes!(products::get, products::put, products::remove))
        .routes(routes!(imports::start))
        .routes(routes!(imports::list_all))
        .routes(routes!(imports::get, imports::cancel))
        .routes(routes!(embeddings::embeddings))
        .routes(routes!(features::extract))
        .routes(routes!(features::extract_batch))
        .routes(routes!(models::list))
        .routes(routes!(strategies::strategies))
        .routes(routes!(plugins::list, plugins::deploy))
        .routes(routes!(plugins::activate))
        .routes(routes!(plugins::roll_back))
        .routes(routes!(plugins::remove))
        .routes(routes!(upstreams::list))
        .routes(routes!(upstreams::get))
        .routes(routes!(upstreams::breaker))
        .routes(routes!(upstreams::reset))
        .routes(routes!(upstreams::check))
        .routes(routes!(warm_up::warm_up))
        .routes(routes!(sidecars::list))
        .routes(routes!(sidecars::get))
        .routes(routes!(sidecar_logs::logs))
        .routes(routes!(sidecars::start))
        .routes(routes!(sidecars::stop))
        .routes(routes!(sidecars::restart))
        .routes(routes!(sidecars::rolling_restart))
        .routes(routes!(sidecar_health::python))
        .routes(routes!(flags::list))
        .routes(routes!(flags::get, flags::put, flags::remove))
        .routes(routes!(flags::evaluate))
        .routes(routes!(registry::list, registry::register))
        .routes(routes!(registry::get, registry::deregister))
        .routes(routes!(registry::heartbeat))
        .routes(routes!(status::status))
        .routes(routes!(service_definitions::list, service_definitions::create))
        .routes(routes!(service_definitions::get, service_definitions::update, service_definitions::patch, service_definitions::remove))
        .routes(routes!(service_actions::execute))
        .routes(routes!(service_health::health))
        .routes(routes!(integration_health::health))
        .routes(routes!(workflows::list, workflows::create))
        .routes(routes!(workflows::validate))
        .routes(routes!(workflows::get, workflows::update, workflows::patch, workflows::remove))
        .routes(routes!(workflows::execute))
        .routes(routes!(workflows::executions))
        .routes(routes!(executions::list))
        .routes(routes!(executions::get))
        .routes(routes!(executions::result))
        .routes(routes!(executions::history))
        .routes(routes!(executions::cancel))
        .routes(routes!(executions::pause))
        .routes(routes!(executions::resume))
        .routes(routes!(executions::retry))
        .routes(routes!(executions::signal));
    let protocol = OpenApiRouter::new()
        .routes(routes!(inference::server))
        .routes(routes!(inference::live))
        .routes(routes!(inference::ready))
        .routes(routes!(inference::model))
        .routes(routes!(inference::model_version))
        .routes(routes!(inference::model_ready))
        .routes(routes!(inference::model_version_ready))
        .routes(routes!(inference::infer))
        .routes(routes!(inference::infer_version))
        .routes(routes!(repository::index))
        .routes(routes!(repository::load))
        .routes(routes!(repository::unload));
    let rest = OpenApiRouter::new()
        .routes(routes!(models::health))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(document::document));
    calls.merge(protocol).merge(rest)
}

/// The OpenAPI document of the service.
#[must_use]
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

/// Every route, with everything around them.
///
/// # Errors
/// When what is configured for pages of other origins contradicts itself.
pub fn router(config: HttpConfig, state: AppState) -> Result<Router, CorsError> {
    let cors = Cors::new(&config.cors)?;
    let (router, document) = routes().split_for_parts();
    // A document made of strings always serialises.
    let document = serde_json::to_string(&document).unwrap_or_default();
    let observing = Observing { metrics: state.metrics.clone(), tracer: state.operations.tracer_of_requests() };
    let app = App::new(config, state, document, cors.clone());
    let router = router.fallback(pass_through::pass_through);
    let router = router.layer(middleware::from_fn_with_state(app.clone(), admit)).with_state(app);
    Ok(observed(router, observing, &cors))
}

/// Answers unknown methods, and puts the observer around everything; unknown paths are the router's own business. What browsers ask beforehand is answered outside of it:
/// the observer writes failures anew, and pages have to be able to read those too.
pub(crate) fn observed(router: Router, observing: Observing, cors: &Cors) -> Router {
    let router = router
        .method_not_allowed_fallback(observe::no_such_method)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(observing, observe::observe));
    match cors.layer() {
        Some(layer) => router.layer(layer),
        None => router,
    }
}

/// Health checks, metrics and the description answer also when everything else is full.
fn is_call(path: &str) -> bool {
    let calls = ["/v1/", "/api/", "/v2/", "/extract-features"].iter().any(|start| path.starts_with(start));
    calls && !path.starts_with("/v2/health/")
}

/// Whether a sidecar answers, because nothing else does.
fn is_passed_through(app: &App, request: &Request) -> bool {
    request.extensions().get::<MatchedPath>().is_none() && app.operations().sidecar_route(request.uri().path()).is_some()
}

/// Lets at most so many calls in. Health and metrics always answer.
async fn admit(axum::extract::State(app): axum::extract::State<App>, request: Request, next: Next) -> Result<Response, Refusal> {
    if !is_call(request.uri().path()) && !is_passed_through(&app, &request) {
        return Ok(next.run(request).await);
    }
    let Ok(_permit) = app.in_flight.try_acquire() else {
        let message = format!("the service works on {} calls already; try again later", app.config.max_in_flight);
        let failure = Failure::new(FailureKind::Limit, "http.overloaded", message);
        return Err(failure.retry_after(std::time::Duration::from_secs(1)).into());
    };
    Ok(next.run(request).await)
}
