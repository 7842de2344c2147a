//! `/v1/plugins`: what is deployed, and changing it without stopping.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use breakwater_core::Failure;
use breakwater_operations::{GenerationInfo, PackageParts, PluginInfo};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::form::{Fields, Form, field_invalid};
use crate::incoming::Incoming;
use crate::json::{self, BodyKind, Known};
use crate::management;
use crate::negotiate::require_json;
use crate::problem::{Problem, Refusal};
use crate::wire::each;

/// Every plugin.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plugins)]
pub(crate) struct PluginsBody {
    plugins: Vec<PluginStateBody>,
}

/// A plugin and its generations.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plugin)]
pub(crate) struct PluginStateBody {
    /// Its id.
    id: String,
    /// Digest of the generation that serves.
    active: Option<String>,
    /// Every kept generation, oldest first.
    generations: Vec<GenerationBody>,
}

/// A generation: code, configuration and grants, frozen.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Generation)]
pub(crate) struct GenerationBody {
    /// Names it.
    digest: String,
    /// Names its component.
    code_digest: String,
    /// The plugin's version.
    version: String,
    /// `active`, `draining`, `standby` or `unavailable`.
    #[schema(value_type = String)]
    state: breakwater_operations::GenerationState,
    /// Names of what it offers.
    strategies: Vec<String>,
    /// What it was granted.
    capabilities: Vec<String>,
    /// State of its breaker, such as `closed`, while it is loaded.
    breaker: Option<&'static str>,
    /// Calls since this process started.
    calls: u64,
    /// How many failed.
    failures: u64,
    /// How many failed by the plugin's fault.
    faults: u64,
    /// When it was deployed, in milliseconds since 1970.
    deployed_at_ms: u64,
    /// When this process loaded it, in milliseconds since 1970.
    loaded_at_ms: Option<u64>,
    /// Why it is unavailable.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl From<PluginInfo> for PluginStateBody {
    fn from(info: PluginInfo) -> Self {
        Self { id: info.id.to_string(), active: info.active.map(|digest| digest.to_string()), generations: each(info.generations) }
    }
}

impl From<GenerationInfo> for GenerationBody {
    fn from(info: GenerationInfo) -> Self {
        Self {
            digest: info.digest.to_string(),
            code_digest: info.code_digest.to_string(),
            version: info.version,
            state: info.state,
            strategies: info.strategies.into_iter().map(|strategy| strategy.name).collect(),
            capabilities: info.capabilities.iter().map(ToString::to_string).collect(),
            breaker: info.breaker,
            calls: info.calls,
            failures: info.failures,
            faults: info.faults,
            deployed_at_ms: info.deployed_at_ms,
            loaded_at_ms: info.loaded_at_ms,
            problem: info.problem,
        }
    }
}

/// A plugin to deploy.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used: forms are read field by field")]
pub(crate) struct PackageForm {
    /// Text of `plugin.toml`.
    #[schema(value_type = String)]
    manifest: String,
    /// The component.
    #[schema(value_type = String, format = Binary, content_media_type = "application/wasm")]
    component: String,
    /// A file that a fixture of the manifest names; its file name is the path relative to the manifest. May be repeated.
    #[schema(value_type = Vec<String>, format = Binary, content_media_type = "application/octet-stream")]
    fixture: Vec<String>,
}

const FIELDS: Fields = Fields { files: &["manifest", "component", "fixture"], texts: &[], repeated: &["fixture"] };

/// Which generation to make the active one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActivateRequest {
    /// Digest of a kept generation.
    digest: String,
}

impl Known for ActivateRequest {
    const FIELDS: &'static [&'static str] = &["digest"];
}

/// Every plugin with its kept generations.
#[utoipa::path(
    get,
    path = "/v1/plugins",
    tag = "plugins",
    operation_id = "listPlugins",
    responses(
        (status = 200, description = "Every plugin", body = PluginsBody, content_type = "application/json"),
        (status = 406, description = "Not acceptable", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn list(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refusal> {
    require_json(&headers)?;
    Ok(json::answer(&PluginsBody { plugins: each(app.operations().plugins()) }))
}

/// Deploys a plugin: compiles, checks against the contract, probes with its fixtures, and only then lets it serve. Nothing of a
/// plugin that fails becomes visible. From this machine only, unless remote management is switched on.
#[utoipa::path(
    post,
    path = "/v1/plugins",
    tag = "plugins",
    operation_id = "deployPlugin",
    request_body(content = PackageForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "It serves", body = GenerationBody, content_type = "application/json"),
        (status = "4XX", description = "The plugin is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The service could not answer", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn deploy(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    if BodyKind::of(&headers)? != BodyKind::Form {
        return Err(Failure::invalid("http.unsupported-media-type", "send Content-Type: multipart/form-data").into());
    }
    let parts = package(Form::read(&headers, body, FIELDS, app.package_limits()).await?)?;
    let generation = app.operations().deploy_plugin(parts).await?;
    Ok((StatusCode::CREATED, json::answer(&GenerationBody::from(generation))).into_response())
}

fn package(mut form: Form) -> Result<PackageParts, Failure> {
    let manifest = form.text("manifest")?.ok_or_else(|| field_invalid("manifest", "is missing: send the text of plugin.toml"))?;
    let component = form.take("component").ok_or_else(|| field_invalid("component", "is missing: send the component"))?;
    let mut files = BTreeMap::new();
    while let Some(part) = form.take("fixture") {
        let path = part.file_name.ok_or_else(|| field_invalid("fixture", "needs a file name: the path that the manifest uses"))?;
        if files.insert(path, part.bytes).is_some() {
            return Err(field_invalid("fixture", "two files have the same name"));
        }
    }
    Ok(PackageParts { manifest, component: component.bytes, files })
}

/// Makes a kept generation the active one.
#[utoipa::path(
    post,
    path = "/v1/plugins/{id}/activate",
    tag = "plugins",
    operation_id = "activateGeneration",
    params(("id" = String, Path, description = "The plugin's id")),
    request_body(content = ActivateRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "It serves", body = GenerationBody, content_type = "application/json"),
        (status = "4XX", description = "There is no such generation, or it is refused", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The service could not answer", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn activate(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    let request: ActivateRequest = management::read(&app, &headers, body).await?;
    let generation = app.operations().activate_plugin(&id, &request.digest).await?;
    Ok(json::answer(&GenerationBody::from(generation)))
}

/// Goes back to the generation that was active before.
#[utoipa::path(
    post,
    path = "/v1/plugins/{id}/rollback",
    tag = "plugins",
    operation_id = "rollBackPlugin",
    params(("id" = String, Path, description = "The plugin's id")),
    responses(
        (status = 200, description = "It serves", body = GenerationBody, content_type = "application/json"),
        (status = "4XX", description = "There is nothing to go back to", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The service could not answer", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn roll_back(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    let generation = app.operations().roll_back_plugin(&id).await?;
    Ok(json::answer(&GenerationBody::from(generation)))
}

/// Forgets a kept generation that is not in use.
#[utoipa::path(
    delete,
    path = "/v1/plugins/{id}/generations/{digest}",
    tag = "plugins",
    operation_id = "removeGeneration",
    params(
        ("id" = String, Path, description = "The plugin's id"),
        ("digest" = String, Path, description = "Digest of the generation")
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = "4XX", description = "There is no such generation, or it is in use", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The service could not answer", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn remove(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path((id, digest)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    app.operations().remove_generation(&id, &digest).await?;
    Ok(StatusCode::NO_CONTENT)
}
