//! Passes on what a pipeline tells, with the name of its upstream.

use std::sync::Arc;
use std::time::Duration;

use breakwater_resilience::breaker::Change;
use breakwater_resilience::{AttemptEnded, BudgetRefused, PipelineObserver, Priority, RetryScheduled, ShedReason};

use crate::observer::UpstreamObserver;

pub(crate) struct Relay {
    pub(crate) upstream: String,
    pub(crate) observer: Arc<dyn UpstreamObserver>,
}

impl PipelineObserver for Relay {
    fn attempt_ended(&self, attempt: &AttemptEnded<'_>) {
        self.observer.attempt_ended(&self.upstream, attempt);
    }

    fn retry_scheduled(&self, retry: &RetryScheduled<'_>) {
        self.observer.retry_scheduled(&self.upstream, retry);
    }

    fn budget_refused(&self, refused: BudgetRefused) {
        self.observer.budget_refused(&self.upstream, refused);
    }

    fn breaker_changed(&self, change: Change) {
        self.observer.breaker_changed(&self.upstream, change);
    }

    fn endpoint_ejected(&self, endpoint_id: &str, duration: Duration) {
        self.observer.endpoint_ejected(&self.upstream, endpoint_id, duration);
    }

    fn endpoint_returned(&self, endpoint_id: &str) {
        self.observer.endpoint_returned(&self.upstream, endpoint_id);
    }

    fn hedge_sent(&self, endpoint_id: &str) {
        self.observer.hedge_sent(&self.upstream, endpoint_id);
    }

    fn hedge_won(&self, endpoint_id: &str) {
        self.observer.hedge_won(&self.upstream, endpoint_id);
    }

    fn shed(&self, reason: ShedReason, priority: Priority) {
        self.observer.shed(&self.upstream, reason, priority);
    }
}
