//! A generation: one plugin's code, configuration and grants, frozen, loaded and ready to serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use breakwater_core::{CallContext, CropPlan, Detection, Digest, Failure, FailureKind, PlanRequest, Strategy};
use breakwater_resilience::{Breaker, Bulkhead, BulkheadError, BulkheadPermit};
use breakwater_vision::Image;

use crate::call::Guest;
use crate::plugin_id::PluginId;
use crate::records::GenerationRecord;
use crate::strategy::Offer;
use crate::trap::{Blame, Fault};

/// What a generation has done since it was loaded.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    pub(crate) calls: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) faults: AtomicU64,
}

/// A loaded generation. A call that holds it is served by it to the end, whatever is deployed meanwhile; it is dropped with its last
/// holder.
pub struct Generation {
    record: Arc<GenerationRecord>,
    version: String,
    guest: Guest,
    offers: Vec<Offer>,
    places: Bulkhead,
    breaker: Breaker,
    statistics: Arc<Statistics>,
}

impl Generation {
    pub(crate) fn new(
        record: Arc<GenerationRecord>,
        guest: Guest,
        offers: Vec<Offer>,
        places: Bulkhead,
        breaker: Breaker,
        statistics: Arc<Statistics>,
    ) -> Self {
        let version = record.version.to_string();
        Self { record, version, guest, offers, places, breaker, statistics }
    }

    /// The plugin.
    #[must_use]
    pub fn id(&self) -> &PluginId {
        &self.record.id
    }

    /// The plugin's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Names this generation: code, configuration, limits and grants.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.record.digest
    }

    /// Names the component.
    #[must_use]
    pub fn code_digest(&self) -> Digest {
        self.record.code_digest
    }

    /// What it offers.
    pub fn strategies(&self) -> impl Iterator<Item = &Strategy> {
        self.offers.iter().map(|offer| &offer.strategy)
    }

    /// Its breaker's state.
    #[must_use]
    pub fn breaker_state(&self) -> breakwater_resilience::State {
        self.breaker.state()
    }

    pub(crate) fn statistics(&self) -> &Arc<Statistics> {
        &self.statistics
    }

    /// Closes its breaker.
    pub fn reset_breaker(&self) {
        self.breaker.reset();
    }

    /// Asks a strategy of this generation for a crop.
    ///
    /// `given` are detections that came with the request: the guest sees them instead of what the detectors would find.
    ///
    /// # Errors
    /// - `strategy.not-found` (not found), `strategy.parameters-invalid` (invalid request, violations with JSON Pointers in the detail)
    /// - `plugin.breaker-open` (circuit open), `plugin.overloaded` (unavailable), `call.deadline` (timeout): the guest was not asked
    /// - `plugin.trap`, `plugin.cpu-time`, `plugin.timeout`, `plugin.memory`, `plugin.table`, `plugin.stack`, `plugin.host-calls`,
    ///   `plugin.host-bytes`, `plugin.output-too-large`, `plugin.invalid-plan`: what the guest did wrong
    /// - any failure that the guest returned
    pub async fn plan(
        &self,
        context: &CallContext,
        image: &Arc<Image>,
        given: &[Detection],
        request: &PlanRequest,
    ) -> Result<CropPlan, Failure> {
        self.offer(&request.strategy)?.check(&request.parameters)?;
        let permit = self.breaker.try_acquire().map_err(|rejected| {
            let message = format!("the plugin `{}` failed too often lately and is left alone for a while", self.record.id);
            Failure::new(FailureKind::CircuitOpen, "plugin.breaker-open", message).retry_after(rejected.retry_after)
        })?;
        let _places = self.places(context).await?;
        self.statistics.calls.fetch_add(1, Ordering::Relaxed);
        match self.guest.plan(context, image, given, request).await {
            Ok(plan) => {
                permit.success();
                Ok(plan)
            }
            Err(fault) => {
                self.statistics.failures.fetch_add(1, Ordering::Relaxed);
                match fault.blame {
                    Blame::Guest => {
                        self.statistics.faults.fetch_add(1, Ordering::Relaxed);
                        permit.failure();
                        self.report(context, &fault.failure);
                    }
                    Blame::Nobody => permit.ignore(),
                }
                Err(fault.failure)
            }
        }
    }

    /// A plan outside of traffic: no breaker, no queue, nothing counted.
    pub(crate) async fn probe(
        &self,
        context: &CallContext,
        image: &Arc<Image>,
        given: &[Detection],
        request: &PlanRequest,
    ) -> Result<CropPlan, Fault> {
        self.offer(&request.strategy).and_then(|offer| offer.check(&request.parameters)).map_err(Fault::of_nobody)?;
        self.guest.plan(context, image, given, request).await
    }

    fn offer(&self, name: &str) -> Result<&Offer, Failure> {
        self.offers.iter().find(|offer| offer.strategy.name == name).ok_or_else(|| {
            Failure::new(FailureKind::NotFound, "strategy.not-found", format!("the plugin `{}` offers no such strategy", self.record.id))
        })
    }

    /// A place of this generation, then one of the engine: waiting for its own, a slow plugin holds up nobody else.
    async fn places(&self, context: &CallContext) -> Result<(BulkheadPermit, BulkheadPermit), Failure> {
        let (deadline, nested) = (context.deadline, context.depth > 0);
        let own = if nested { self.places.try_acquire() } else { self.places.acquire(deadline).await };
        let own = own.map_err(|error| self.no_place(error))?;
        let engine = self.guest.engine.place(deadline, nested).await.map_err(|error| self.no_place(error))?;
        Ok((own, engine))
    }

    fn no_place(&self, error: BulkheadError) -> Failure {
        match error {
            BulkheadError::Full => {
                let message = "too many plugin calls are running and waiting";
                Failure::new(FailureKind::Unavailable, "plugin.overloaded", message).from_origin(self.guest.scope.label.clone())
            }
            BulkheadError::Deadline => {
                Failure::new(FailureKind::Timeout, "call.deadline", "the call's deadline came before a place for its plugin was free")
            }
        }
    }

    fn report(&self, context: &CallContext, failure: &Failure) {
        tracing::warn!(
            plugin = %self.record.id,
            generation = %self.record.digest.short(),
            correlation_id = %context.correlation_id,
            code = %failure.code,
            error = %failure.chain(),
            "a plugin call failed by the plugin's fault"
        );
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation").field("id", &self.record.id).field("digest", &self.record.digest).finish_non_exhaustive()
    }
}
