mod admitting;
mod cancelling;
mod choosing;
mod hedging;
mod retrying;
mod storm;

use std::sync::atomic::AtomicUsize;

use breakwater_core::{Deadline, Ledger, OperationEffect};
use tokio::time::{Instant, sleep};

use super::*;
use crate::breaker::{BreakerConfig, Change, Trip};
use crate::observer::{AttemptEnded, AttemptOutcome, BudgetRefused, RetryScheduled, ShedReason};
use crate::retry::{Jitter, RetryPolicies, RetryPolicy};
use crate::shed::Priority;

/// Everything a pipeline tells, as text, in order.
#[derive(Default)]
struct Events(Mutex<Vec<String>>);

impl Events {
    fn add(&self, event: String) {
        self.0.lock().unwrap().push(event);
    }

    /// What was told since the last time, of those whose text begins so.
    fn take(&self, start: &str) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap()).into_iter().filter(|event| event.starts_with(start)).collect()
    }
}

impl PipelineObserver for Events {
    fn attempt_ended(&self, attempt: &AttemptEnded<'_>) {
        let outcome = match attempt.outcome {
            AttemptOutcome::Success => "ok",
            AttemptOutcome::Failure(class) => class.name(),
        };
        let hedge = if attempt.is_hedge { " hedge" } else { "" };
        let millis = attempt.elapsed.as_millis();
        self.add(format!("attempt {}{hedge} {} {millis} {outcome}", attempt.number, attempt.endpoint_id));
    }

    fn retry_scheduled(&self, retry: &RetryScheduled<'_>) {
        self.add(format!("retry {} {} {} {}", retry.retry, retry.wait.as_millis(), retry.class.name(), retry.code));
    }

    fn budget_refused(&self, refused: BudgetRefused) {
        self.add(format!("refused {} {}", if refused.is_hedge { "hedge" } else { "retry" }, refused.by.name()));
    }

    fn breaker_changed(&self, change: Change) {
        self.add(format!("breaker {}", change.to));
    }

    fn endpoint_ejected(&self, endpoint_id: &str, duration: Duration) {
        self.add(format!("ejected {endpoint_id} {}", duration.as_secs()));
    }

    fn endpoint_returned(&self, endpoint_id: &str) {
        self.add(format!("returned {endpoint_id}"));
    }

    fn hedge_sent(&self, endpoint_id: &str) {
        self.add(format!("hedge sent {endpoint_id}"));
    }

    fn hedge_won(&self, endpoint_id: &str) {
        self.add(format!("hedge won {endpoint_id}"));
    }

    fn shed(&self, reason: ShedReason, priority: Priority) {
        self.add(format!("shed {} {}", reason.name(), priority.name()));
    }
}

/// Retries without jitter, so that times are exact.
fn plain() -> PipelineConfig {
    let policy = RetryPolicy { jitter: Jitter::None, ..RetryPolicy::default() };
    PipelineConfig { retry: RetryPolicies::same(policy), ..PipelineConfig::default() }
}

fn unbreakable() -> BreakerConfig {
    BreakerConfig { trip: Trip::ConsecutiveFailures { threshold: u32::MAX }, ..BreakerConfig::default() }
}

fn endpoints(ids: &[&'static str]) -> Vec<EndpointSpec<&'static str>> {
    ids.iter().map(|id| EndpointSpec { id: (*id).to_owned(), weight: 1, endpoint: *id }).collect()
}

fn pipeline(config: PipelineConfig, ids: &[&'static str]) -> (Pipeline<&'static str>, Arc<Events>) {
    let events = Arc::new(Events::default());
    let pipeline = Pipeline::new(config, Arc::clone(&events) as Arc<dyn PipelineObserver>);
    pipeline.set_endpoints(endpoints(ids));
    (pipeline, events)
}

fn read(seconds: u64) -> Terms {
    Terms::read(Deadline::after(Duration::from_secs(seconds)), Ledger::default())
}

fn create(seconds: u64) -> Terms {
    Terms { effect: OperationEffect::Create, repeatable: false, ..read(seconds) }
}

/// A failure of this class whose code is the class.
fn fail(class: FailureClass) -> AttemptFailure {
    let kind = match class {
        FailureClass::Connection => FailureKind::Unavailable,
        FailureClass::Timeout => FailureKind::Timeout,
        FailureClass::Client => FailureKind::InvalidRequest,
        _ => FailureKind::Rejected,
    };
    AttemptFailure::new(class, Failure::new(kind, class.name(), "as the test says"))
}

/// Everything that a call takes is free again.
fn assert_idle<E: Clone + Send + Sync + 'static>(pipeline: &Pipeline<E>) {
    let status = pipeline.status();
    let pending: u32 = status.endpoints.iter().map(|endpoint| endpoint.pending).sum();
    assert_eq!((status.in_flight, status.queued, pending), (0, 0, 0));
    if let Some(adaptive) = &pipeline.shared.adaptive {
        assert_eq!(adaptive.in_flight(), 0);
    }
}
