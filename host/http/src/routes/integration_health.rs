//! `GET /api/health`: services and what stands on them, as a whole.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use breakwater_operations::actions::{DefinedServiceHealth, HealthWord};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::json;
use crate::negotiate::require_json;
use crate::problem::{Problem, Refusal};
use crate::wire::whole_milliseconds;

/// How the services are as a whole.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IntegrationHealth)]
pub(crate) struct IntegrationHealthBody {
    /// `healthy`: no active service is known to be away; `degraded`: some are, or workflows cannot be kept; `unhealthy`: all are.
    status: &'static str,
    /// The services that were defined.
    services: ServicesBody,
    /// Workflows under way.
    workflows: WorkflowsBody,
    /// How long this process has run, in milliseconds.
    uptime_ms: u64,
}

/// How executions of workflows are, in all processes that share them.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = WorkflowsHealth)]
pub(crate) struct WorkflowsBody {
    /// Whether their records can be read.
    available: bool,
    /// How many executions there are, by status. Batches are executions too.
    executions: BTreeMap<&'static str, u64>,
}

/// How many services are well.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServicesHealth)]
pub(crate) struct ServicesBody {
    /// All that were defined.
    total: usize,
    /// Those whose calls pass.
    healthy: usize,
    /// Those that cannot be reached, or whose breaker is open.
    unhealthy: usize,
    /// Those that are not active.
    unknown: usize,
    /// Each of them, the oldest first.
    items: Vec<ServiceWordBody>,
}

/// A service in one word.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServiceWord)]
pub(crate) struct ServiceWordBody {
    /// The service.
    service_id: String,
    /// What it is called by.
    service_name: String,
    /// `healthy`, `unhealthy` or `unknown`.
    status: &'static str,
}

fn services(healths: Vec<DefinedServiceHealth>) -> ServicesBody {
    let count = |word: HealthWord| healths.iter().filter(|health| health.word == word).count();
    let (healthy, unhealthy, unknown) = (count(HealthWord::Healthy), count(HealthWord::Unhealthy), count(HealthWord::Unknown));
    let word = |health: DefinedServiceHealth| ServiceWordBody {
        service_id: health.service_id,
        service_name: health.service_name,
        status: health.word.name(),
    };
    ServicesBody { total: healths.len(), healthy, unhealthy, unknown, items: healths.into_iter().map(word).collect() }
}

fn status(services: &ServicesBody, workflows: &WorkflowsBody) -> &'static str {
    match (services.healthy, services.unhealthy) {
        (_, 0) if workflows.available => "healthy",
        (_, 0) => "degraded",
        (0, _) => "unhealthy",
        _ => "degraded",
    }
}

/// How the services are as a whole, as far as that is known: nobody is asked.
#[utoipa::path(
    get,
    path = "/api/health",
    tag = "integration",
    operation_id = "integrationHealth",
    responses(
        (status = 200, description = "How they are; also when they are not well", body = IntegrationHealthBody, content_type = "application/json"),
        (status = "4XX", description = "The request is wrong", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn health(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refusal> {
    require_json(&headers)?;
    let services = services(app.operations().service_healths());
    let workflows = match app.workflows().counts().await {
        Ok(counts) => {
            WorkflowsBody { available: true, executions: counts.into_iter().map(|(status, count)| (status.name(), count)).collect() }
        }
        Err(failure) => {
            tracing::warn!(error = failure.chain(), "the executions of workflows cannot be counted");
            WorkflowsBody::default()
        }
    };
    let (status, uptime_ms) = (status(&services, &workflows), whole_milliseconds(app.started.elapsed()));
    Ok(json::answer(&IntegrationHealthBody { status, services, workflows, uptime_ms }))
}

#[cfg(test)]
mod tests {
    use breakwater_operations::actions::ServiceStatus;

    use super::*;

    #[test]
    fn the_whole_is_as_well_as_its_parts() {
        let health = |word| DefinedServiceHealth {
            service_id: "1".into(),
            service_name: "text".into(),
            service_status: ServiceStatus::Active,
            endpoint: "http://a".into(),
            word,
            breaker: None,
            last_error: None,
            check: None,
        };
        use HealthWord::{Healthy, Unhealthy, Unknown};
        for (words, expected) in [
            (vec![], "healthy"),
            (vec![Healthy, Unknown], "healthy"),
            (vec![Healthy, Unhealthy], "degraded"),
            (vec![Unhealthy, Unknown], "unhealthy"),
        ] {
            let services = services(words.iter().copied().map(health).collect());
            let workflows = WorkflowsBody { available: true, ..WorkflowsBody::default() };
            assert_eq!((status(&services, &workflows), services.total), (expected, words.len()), "{words:?}");
        }
        assert_eq!(status(&services(Vec::new()), &WorkflowsBody::default()), "degraded", "records that cannot be read");
    }
}
