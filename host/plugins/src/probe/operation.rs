//! Probes of operations and levels, with recorded answers of the services they ask.

use std::sync::Arc;

use breakwater_core::{CallContext, Failure, Payload, Principal};

use super::failed;
use super::recorded::{Flags, Recorded};
use crate::config::GuestLimits;
use crate::error::PluginError;
use crate::generation::{Generation, Question};
use crate::package::CallFixture;
use crate::state::Ways;
use crate::trap::{Blame, Fault};

/// Runs a fixture: the answer must be the expected one, and every recorded request must have been made.
pub(super) async fn probe(generation: &Generation, fixture: &CallFixture, limits: &GuestLimits) -> Result<(), PluginError> {
    let recorded = Arc::new(Recorded::of(&fixture.exchanges));
    let flags = Arc::new(Flags::on(&fixture.flags));
    let ways = Ways { outbound: Arc::clone(&recorded) as _, flags };
    let context = CallContext::root(Principal::System, limits.timeout);
    let answered = ask(generation, fixture, &context, &ways).await;
    let failed = |failure: String| Err(failed(&fixture.name, failure));
    if let Some(surprise) = recorded.surprise() {
        return failed(surprise);
    }
    match (answered, &fixture.fails) {
        (Err(fault), Some(code)) if fault.blame == Blame::Nobody && fault.failure.code == *code => {}
        (Err(fault), _) => return failed(fault.failure.chain()),
        (Ok(_), Some(code)) => return failed(format!("it answered, though it should have failed with {code}")),
        (Ok(None), None) => return failed("it passed".to_owned()),
        (Ok(Some(payload)), None) => {
            if let Some(expected) = fixture.expect.as_ref().filter(|expected| **expected != payload.json) {
                return failed(format!("it answered {}, expected {expected}", payload.json));
            }
        }
    }
    match recorded.missing() {
        Some(missing) => failed(missing),
        None => Ok(()),
    }
}

async fn ask(generation: &Generation, fixture: &CallFixture, context: &CallContext, ways: &Ways) -> Result<Option<Payload>, Fault> {
    let CallFixture { operation, input, attachments, .. } = fixture;
    let Some(level) = &fixture.level else {
        return generation.probe_operation(context, ways, operation, input, attachments).await.map(Some);
    };
    let cause = Failure::new(fixture.cause, "probe.cause", "the provider before it failed");
    let question = Question { operation, level, input, attachments, cause: &cause };
    generation.probe_level(context, ways, question).await
}
