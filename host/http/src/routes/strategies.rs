//! `GET /v1/strategies`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use breakwater_operations::StrategyInfo;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::json;
use crate::negotiate::require_json;
use crate::problem::{Problem, Refusal};
use crate::wire::{PluginBody, each};

/// A crop strategy.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Strategy)]
pub(crate) struct StrategyBody {
    /// What to write in `crop_strategy`.
    pub(crate) name: String,
    /// One sentence for people.
    pub(crate) summary: String,
    /// JSON Schema of `strategy_parameters`.
    pub(crate) parameters: Value,
    /// What it wants to be found in the picture: face, person, object.
    pub(crate) needs: Vec<String>,
    /// Who offers it.
    pub(crate) plugin: PluginBody,
}

impl From<StrategyInfo> for StrategyBody {
    fn from(StrategyInfo { strategy, plugin }: StrategyInfo) -> Self {
        let needs = strategy.needs.iter().map(ToString::to_string).collect();
        Self { name: strategy.name, summary: strategy.summary, parameters: strategy.parameters, needs, plugin: plugin.into() }
    }
}

/// The crop strategies there are.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Strategies)]
pub(crate) struct StrategiesBody {
    /// By name.
    strategies: Vec<StrategyBody>,
}

/// The crop strategies of the active plugins.
#[utoipa::path(
    get,
    path = "/v1/strategies",
    tag = "plugins",
    operation_id = "listStrategies",
    responses(
        (status = 200, description = "The strategies, by name", body = StrategiesBody, content_type = "application/json"),
        (status = 406, description = "Not acceptable", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn strategies(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refusal> {
    require_json(&headers)?;
    Ok(json::answer(&StrategiesBody { strategies: each(app.operations().strategies()) }))
}
