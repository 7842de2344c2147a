//! Trying a generation out before anybody is served by it.

mod operation;
mod plan;
mod ranking;
mod recorded;

use crate::config::GuestLimits;
use crate::error::PluginError;
use crate::generation::Generation;
use crate::package::Fixture;
use crate::services::Services;
use crate::world::World;

/// Runs every fixture. A crop plugin that brings none must answer at least once on the built-in picture, a ranker for made-up products; of
/// the others nobody but their authors knows what they should be asked.
pub(crate) async fn probe(
    generation: &Generation,
    fixtures: &[Fixture],
    services: &Services,
    limits: &GuestLimits,
) -> Result<(), PluginError> {
    for fixture in fixtures {
        match fixture {
            Fixture::Plan(fixture) => plan::probe(generation, fixture, services, limits).await?,
            Fixture::Call(fixture) => operation::probe(generation, fixture, limits).await?,
            Fixture::Rank(fixture) => ranking::probe(generation, fixture, limits).await?,
        }
    }
    match generation.world() {
        _ if !fixtures.is_empty() => Ok(()),
        World::Crop => plan::probe_builtin(generation, services, limits).await,
        World::Ranker => ranking::probe_builtin(generation, limits).await,
        World::Adapter | World::AdapterWasi | World::Fallback => Ok(()),
    }
}

fn failed(probe: &str, failure: impl Into<String>) -> PluginError {
    PluginError::ProbeFailed { probe: probe.to_owned(), failure: failure.into() }
}
