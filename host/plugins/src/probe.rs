//! Trying a generation out before anybody is served by it.

mod operation;
mod plan;
mod recorded;

use crate::config::GuestLimits;
use crate::error::PluginError;
use crate::generation::Generation;
use crate::package::Fixture;
use crate::services::Services;

/// Runs every fixture. A crop plugin that brings none must answer at least once on the built-in picture; of the others nobody but their
/// authors knows what they should be asked.
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
        }
    }
    if fixtures.is_empty() { plan::probe_builtin(generation, services, limits).await } else { Ok(()) }
}

fn failed(probe: &str, failure: impl Into<String>) -> PluginError {
    PluginError::ProbeFailed { probe: probe.to_owned(), failure: failure.into() }
}
