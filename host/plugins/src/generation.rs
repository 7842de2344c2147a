//! A generation: one plugin's code, configuration and grants, frozen, loaded and ready to serve.

mod operation;
mod ranking;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use breakwater_core::{CallContext, CropPlan, Detection, Digest, Failure, FailureKind, OperationSpec, PlanRequest, Strategy};
use breakwater_resilience::breaker::Permit;
use breakwater_resilience::{Breaker, Bulkhead, BulkheadError, BulkheadPermit};
use breakwater_vision::Image;

use crate::call::{Described, Ended, Guest};
use crate::config::CallObserver;
use crate::error::PluginError;
use crate::level::{FallbackLevel, levels};
use crate::plugin_id::PluginId;
use crate::ranking::RankerOffer;
use crate::records::GenerationRecord;
use crate::schema::OperationSchema;
use crate::strategy::{Offer, offers};
use crate::trap::{Blame, Fault};
use crate::usage::GuestCall;
use crate::world::World;

pub(crate) use operation::Question;

/// What a generation has done since it was loaded.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    pub(crate) calls: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) faults: AtomicU64,
}

/// What a generation offers, ready to be asked for.
pub(crate) enum Offers {
    Strategies(Vec<Offer>),
    Operations(Vec<Arc<OperationSchema>>),
    Levels,
    Ranker(RankerOffer),
}

impl Offers {
    /// Checks what a component said of itself, and writes it into its record.
    pub(crate) fn described(described: Described, record: &mut GenerationRecord) -> Result<Self, PluginError> {
        Ok(match described {
            Described::Strategies(described) => {
                let offers = offers(described)?;
                record.strategies = offers.iter().map(|offer| offer.strategy.clone()).collect();
                Self::Strategies(offers)
            }
            Described::Operations(described) => {
                let operations = crate::adapter::operations(described)?;
                record.operations = operations.iter().map(|operation| operation.spec().clone()).collect();
                Self::Operations(operations.into_iter().map(Arc::new).collect())
            }
            Described::Levels(described) => {
                record.levels = levels(described)?;
                Self::Levels
            }
            Described::Ranker(described) => {
                let offer = RankerOffer::described(described)?;
                record.ranker = Some(offer.info.clone());
                Self::Ranker(offer)
            }
        })
    }

    /// What a record says that a component offers.
    pub(crate) fn recorded(record: &GenerationRecord) -> Result<Self, PluginError> {
        Ok(match record.world {
            World::Crop => Self::Strategies(record.strategies.iter().cloned().map(Offer::of).collect::<Result<_, _>>()?),
            World::Adapter | World::AdapterWasi => {
                let compiled = |spec: &OperationSpec| OperationSchema::compile(spec.clone()).map(Arc::new);
                Self::Operations(record.operations.iter().map(compiled).collect::<Result<_, _>>()?)
            }
            World::Fallback => Self::Levels,
            World::Ranker => {
                let missing = || PluginError::DescribeInvalid("the record of the ranker lacks its description".to_owned());
                Self::Ranker(RankerOffer::of(record.ranker.clone().ok_or_else(missing)?)?)
            }
        })
    }
}

/// A loaded generation. A call that holds it is served by it to the end, whatever is deployed meanwhile; it is dropped with its last
/// holder.
pub struct Generation {
    record: Arc<GenerationRecord>,
    version: String,
    guest: Guest,
    offers: Offers,
    places: Bulkhead,
    breaker: Breaker,
    statistics: Arc<Statistics>,
    observer: CallObserver,
}

/// A call that may run: its breaker agrees and it has its places.
struct Admitted {
    permit: Permit,
    _places: (BulkheadPermit, BulkheadPermit),
    /// In the span of the guest's call.
    context: CallContext,
    started: Instant,
}

impl Generation {
    pub(crate) fn new(
        record: Arc<GenerationRecord>,
        guest: Guest,
        offers: Offers,
        places: Bulkhead,
        breaker: Breaker,
        statistics: Arc<Statistics>,
        observer: CallObserver,
    ) -> Self {
        let version = record.version.to_string();
        Self { record, version, guest, offers, places, breaker, statistics, observer }
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

    /// What kind of plugin it is.
    #[must_use]
    pub fn world(&self) -> World {
        self.record.world
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

    /// The strategies it offers; of crop plugins.
    pub fn strategies(&self) -> impl Iterator<Item = &Strategy> {
        let offers = if let Offers::Strategies(offers) = &self.offers { offers.as_slice() } else { &[] };
        offers.iter().map(|offer| &offer.strategy)
    }

    /// The operations it offers; of adapters.
    #[must_use]
    pub fn operations(&self) -> &[OperationSpec] {
        &self.record.operations
    }

    /// The levels at which it answers, best first; of fallbacks.
    #[must_use]
    pub fn levels(&self) -> &[FallbackLevel] {
        &self.record.levels
    }

    /// The upstreams that it may ask.
    #[must_use]
    pub fn upstreams(&self) -> &BTreeSet<String> {
        &self.guest.scope.reach.upstreams
    }

    /// The feature flags that it may read: what it answers may depend on them.
    #[must_use]
    pub fn flags(&self) -> &BTreeSet<String> {
        &self.guest.scope.reach.flags
    }

    /// Its breaker's state.
    #[must_use]
    pub fn breaker_state(&self) -> breakwater_resilience::State {
        self.breaker.state()
    }

    pub(crate) fn statistics(&self) -> &Arc<Statistics> {
        &self.statistics
    }

    pub(crate) fn schemas(&self) -> &[Arc<OperationSchema>] {
        if let Offers::Operations(schemas) = &self.offers { schemas } else { &[] }
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
        let admitted = self.admit(context).await?;
        let ended = self.guest.plan(&admitted.context, image, given, request).await;
        self.conclude(context, admitted, &request.strategy, None, ended)
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
        self.guest.plan(context, image, given, request).await.outcome
    }

    fn offer(&self, name: &str) -> Result<&Offer, Failure> {
        let offers = if let Offers::Strategies(offers) = &self.offers { offers.as_slice() } else { &[] };
        offers.iter().find(|offer| offer.strategy.name == name).ok_or_else(|| {
            Failure::new(FailureKind::NotFound, "strategy.not-found", format!("the plugin `{}` offers no such strategy", self.record.id))
        })
    }

    async fn admit(&self, context: &CallContext) -> Result<Admitted, Failure> {
        let permit = self.breaker.try_acquire().map_err(|rejected| {
            let message = format!("the plugin `{}` failed too often lately and is left alone for a while", self.record.id);
            Failure::new(FailureKind::CircuitOpen, "plugin.breaker-open", message)
                .retry_after(rejected.retry_after)
                .from_origin(self.guest.scope.label.clone())
        })?;
        let places = self.places(context).await?;
        self.statistics.calls.fetch_add(1, Ordering::Relaxed);
        Ok(Admitted { permit, _places: places, context: context.child_span(), started: Instant::now() })
    }

    /// Settles with the breaker, the counters and whoever watches.
    fn conclude<T>(
        &self,
        context: &CallContext,
        admitted: Admitted,
        operation: &str,
        level: Option<&str>,
        ended: Ended<T>,
    ) -> Result<T, Failure> {
        let Admitted { permit, context: own, started, .. } = admitted;
        let Ended { outcome, usage } = ended;
        self.observer.ended(&GuestCall {
            plugin: &self.record.id,
            version: &self.version,
            generation: self.record.digest,
            world: self.record.world,
            operation,
            level,
            correlation_id: &context.correlation_id,
            parent: context.trace,
            trace: own.trace,
            started,
            usage,
            failure: outcome.as_ref().err().map(|fault| &fault.failure),
            is_fault: outcome.as_ref().is_err_and(|fault| fault.blame == Blame::Guest),
        });
        match outcome {
            Ok(answer) => {
                permit.success();
                Ok(answer)
            }
            Err(fault) => {
                self.statistics.failures.fetch_add(1, Ordering::Relaxed);
                match fault.blame {
                    Blame::Guest => {
                        self.statistics.faults.fetch_add(1, Ordering::Relaxed);
                        // Before the breaker, which may answer with a rollback.
                        self.report(context, &fault.failure);
                        permit.failure();
                    }
                    Blame::Nobody => permit.ignore(),
                }
                Err(fault.failure)
            }
        }
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
