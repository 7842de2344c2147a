//! Every mechanism around one call, in one order:
//!
//! 1. the breaker's permit;
//! 2. load shedding, the adaptive limit, the bulkhead and its queue;
//! 3. attempts: pick an endpoint, run until the nearer of attempt timeout and deadline, perhaps a hedge beside it, and again while the
//!    policy, the ledger, the budget, the breaker and the deadline allow.
//!
//! The breaker counts calls with all their retries, as opossum does: 5 failures in a row are 5 calls that could not be helped, and
//! an endpoint that fails attempts is dealt with by its own ejection sooner than that. A retry that is due while the breaker has opened
//! is not sent.
//!
//! ```
//! # use std::time::Duration;
//! # use breakwater_core::{Deadline, Failure, FailureKind, Ledger};
//! # use breakwater_resilience::*;
//! # use breakwater_resilience::pipeline::FailureClass;
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let pipeline = Pipeline::new(PipelineConfig::default(), std::sync::Arc::new(NoObserver));
//! pipeline.set_endpoints(vec![EndpointSpec { id: "a".into(), weight: 1, endpoint: "http://a.test" }]);
//! let terms = Terms::read(Deadline::after(Duration::from_secs(30)), Ledger::default());
//! let completed = pipeline
//!     .call(&terms, |attempt| async move {
//!         if attempt.number == 1 {
//!             let failure = Failure::new(FailureKind::Rejected, "example.down", "not now");
//!             return Err(AttemptFailure::new(FailureClass::ServerError, failure));
//!         }
//!         Ok(format!("{} answered", attempt.endpoint))
//!     })
//!     .await
//!     .unwrap();
//! assert_eq!((completed.value.as_str(), completed.attempts), ("http://a.test answered", 2));
//! # });
//! ```

mod admission;
mod attempt;
mod config;
mod course;
mod running;
mod status;

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use breakwater_core::{Failure, FailureKind};
use tokio::time::Instant;

pub use attempt::{Attempt, AttemptFailure, Completed, FailureClass, Terms};
pub use config::PipelineConfig;
pub use status::{EndpointStatus, LastError, PipelineStatus};

use crate::adaptive::AdaptiveLimit;
use crate::breaker::Breaker;
use crate::budget::RetryBudget;
use crate::bulkhead::Bulkhead;
use crate::clock::Clock;
use crate::endpoint::{EndpointSet, EndpointSpec};
use crate::hedge::Hedging;
use crate::observer::PipelineObserver;
use crate::shed::Shedder;
use course::Course;

/// What all calls of a pipeline share.
struct Shared<E> {
    config: PipelineConfig,
    clock: Clock,
    observer: Arc<dyn PipelineObserver>,
    breaker: Breaker,
    budget: RetryBudget,
    bulkhead: Bulkhead,
    adaptive: Option<AdaptiveLimit>,
    shedder: Option<Shedder>,
    hedging: Option<Hedging>,
    endpoints: ArcSwap<EndpointSet<E>>,
    /// Held while the set or who is ejected from it changes.
    changing: Mutex<()>,
    consecutive_failures: AtomicU32,
}

impl<E> Shared<E> {
    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends ejections whose time is over, and says so.
    fn welcome_back(&self, set: &EndpointSet<E>, now: u64) {
        for endpoint in set.endpoints.iter().filter(|endpoint| endpoint.stats.record.take_return(now)) {
            self.observer.endpoint_returned(&endpoint.id);
        }
    }
}

/// A call's way through every mechanism, to one of several endpoints. Clones share one state.
pub struct Pipeline<E> {
    shared: Arc<Shared<E>>,
}

impl<E> Clone for Pipeline<E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<E: Clone + Send + Sync + 'static> Pipeline<E> {
    /// A pipeline without endpoints: every call fails with `endpoint.none` until some are set.
    #[must_use]
    pub fn new(config: PipelineConfig, observer: Arc<dyn PipelineObserver>) -> Self {
        let hearing = Arc::clone(&observer);
        let shared = Shared {
            clock: Clock::start(),
            observer,
            breaker: Breaker::observed(config.breaker, move |change| hearing.breaker_changed(change)),
            budget: RetryBudget::new(config.budget),
            bulkhead: Bulkhead::new(config.bulkhead),
            adaptive: config.adaptive.map(AdaptiveLimit::new),
            shedder: config.shed.map(Shedder::new),
            hedging: config.hedge.map(Hedging::new),
            endpoints: ArcSwap::from_pointee(EndpointSet::empty()),
            changing: Mutex::new(()),
            consecutive_failures: AtomicU32::new(0),
            config,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Sets the endpoints anew. What is known about those whose id stays is kept: latency, health, failures, ejection. Of two with one
    /// id, the first counts. Calls under way go on.
    pub fn set_endpoints(&self, specs: Vec<EndpointSpec<E>>) {
        let _changing = self.shared.change();
        let before = self.shared.endpoints.load();
        let following = EndpointSet::following(&before, specs, self.shared.clock.now());
        self.shared.endpoints.store(Arc::new(following));
    }

    /// Says what a health check found. Nothing is sent to an endpoint that is not healthy; new ones are. Unknown ids are ignored: a check
    /// may end after its endpoint has gone.
    pub fn set_healthy(&self, id: &str, healthy: bool) {
        if let Some(endpoint) = self.shared.endpoints.load().get(id) {
            endpoint.stats.healthy.store(healthy, Ordering::Relaxed);
        }
    }

    /// Makes a call: `attempt` is asked for one attempt at a time, two while a hedge runs. Its futures are dropped at their deadline, and
    /// when the call is dropped.
    ///
    /// # Errors
    /// * The failure of the attempt, when there was one only or the last one is final; its effect is the worst of all attempts.
    /// * `retry.exhausted`, of the kind of the last failure, when it failed again and again; the detail holds `last_code` and `attempts`.
    /// * `breaker.open`, `load.shed`, `bulkhead.full`, `bulkhead.deadline`, `endpoint.none`: nothing was sent.
    /// * `call.deadline` when there was no time or not enough for an answer (nothing was sent), and when the deadline came during an attempt;
    ///   `call.attempt-timeout` when an attempt took longer than one may.
    pub async fn call<T, F, Fut>(&self, terms: &Terms, attempt: F) -> Result<Completed<T>, Failure>
    where
        F: Fn(Attempt<E>) -> Fut,
        Fut: Future<Output = Result<T, AttemptFailure>>,
    {
        let now = Instant::now();
        if terms.deadline.instant() <= now {
            return Err(Failure::new(FailureKind::Timeout, "call.deadline", "the deadline had passed before the call began"));
        }
        let mut admission = self.shared.admit(terms, now).await?;
        let mut course = Course::new(&self.shared, terms);
        let end = course.run(&attempt, &admission).await;
        admission.settle(end.verdict(), course.last());
        course.conclude(end)
    }

    /// The breaker, to read, reset or force it.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        &self.shared.breaker
    }

    /// The retry budget, for retries that are made elsewhere.
    #[must_use]
    pub fn budget(&self) -> &RetryBudget {
        &self.shared.budget
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &PipelineConfig {
        &self.shared.config
    }

    /// How it is now.
    #[must_use]
    pub fn status(&self) -> PipelineStatus {
        let shared = &self.shared;
        let set = shared.endpoints.load();
        shared.welcome_back(&set, shared.clock.now());
        PipelineStatus {
            breaker: shared.breaker.state(),
            in_flight: shared.bulkhead.in_use(),
            queued: shared.bulkhead.queued(),
            budget_balance: shared.budget.balance(),
            consecutive_failures: shared.consecutive_failures.load(Ordering::Relaxed),
            adaptive_limit: shared.adaptive.as_ref().map(AdaptiveLimit::limit),
            endpoints: set.endpoints.iter().map(|endpoint| endpoint.status(&shared.clock)).collect(),
        }
    }
}

impl<E> fmt::Debug for Pipeline<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("breaker", &self.shared.breaker).field("config", &self.shared.config).finish_non_exhaustive()
    }
}

/// Waits, or does not.
async fn pause(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
