//! The path of one call: input, flag, cache, providers, fallbacks, answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use breakwater_core::{
    BoxFuture, CallContext, Deadline, Failure, FailureKind, Invoker, Ledger, OperationEffect, Outcome, Payload, ServedBy,
};
use breakwater_plugins::Snapshot;
use breakwater_telemetry::{Event, SpanKind};
use breakwater_upstream::ServiceStatus;

use crate::caching::{self, Kept};
use crate::chain::{self, Asking, Chain, Provider};
use crate::operations::Operations;
use crate::providers::{Answer, flattened, is_about_the_input, stale_provider, static_provider};
use crate::table::{Entry, Live, Table};

/// What a call captures at its root; nested calls inherit it.
#[derive(Debug, Default)]
pub(crate) struct HostSnapshot {
    pub(crate) plugins: Arc<Snapshot>,
    pub(crate) table: Table,
}

/// One call on its way.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) context: CallContext,
    pub(crate) snapshot: Arc<HostSnapshot>,
    pub(crate) operation: Arc<str>,
    pub(crate) payload: Arc<Payload>,
}

impl Call {
    fn entry(&self) -> Result<&Entry, Failure> {
        self.snapshot.table.get(&self.operation)
    }
}

impl Operations {
    /// Calls an operation by name.
    ///
    /// # Errors
    /// - `operation.unknown` (not found), `operation.input-invalid`, `operation.image-missing` (invalid request)
    /// - `operation.disabled`, `operation.no-provider` (unavailable) when nobody else answers either
    /// - `call.outcome-unknown` for a change that may have happened
    /// - whatever the last provider failed with
    pub async fn invoke(&self, context: &CallContext, operation: &str, payload: Payload) -> Result<Outcome<Payload>, Failure> {
        let (context, snapshot) = self.enter(context);
        self.answer(context, snapshot, operation, payload, None).await
    }

    /// The snapshot that the call captured, or the current one captured now.
    pub(crate) fn enter(&self, context: &CallContext) -> (CallContext, Arc<HostSnapshot>) {
        if let Some(snapshot) = context.snapshot.get::<HostSnapshot>() {
            return (context.clone(), snapshot);
        }
        let snapshot = self.current();
        let context = CallContext { snapshot: breakwater_core::CallSnapshot::of(Arc::clone(&snapshot)), ..context.clone() };
        (context, snapshot)
    }

    /// Answers; `failed` is why the providers that answer in full need not be asked any more.
    pub(crate) async fn answer(
        &self,
        context: CallContext,
        snapshot: Arc<HostSnapshot>,
        operation: &str,
        payload: Payload,
        failed: Option<Failure>,
    ) -> Result<Outcome<Payload>, Failure> {
        let started = Instant::now();
        let entry = snapshot.table.get(operation)?;
        let (context, mut span) = self.tracer().child(&context.tightened(entry.timeout), "operation", SpanKind::Internal);
        span.set("breakwater.operation", operation);
        let call = Call { context, snapshot: Arc::clone(&snapshot), operation: operation.into(), payload: Arc::new(payload) };
        let result = match entry.schema.check_input(&call.payload.json) {
            Ok(()) => self.through_cache(&call, entry, failed).await,
            Err(failure) => Err(failure),
        };
        self.count_call(operation, started, result.as_ref().map(|outcome| (&outcome.served_by, outcome.is_degraded())));
        match &result {
            Ok(outcome) if span.is_recording() => {
                span.set("breakwater.served_by", &outcome.served_by.label());
                span.set("breakwater.degraded", outcome.is_degraded());
            }
            Ok(_) => {}
            Err(failure) => span.fail(failure),
        }
        if let Ok(Outcome { level: Some(level), served_by, reasons, .. }) = &result {
            self.metrics().emit_in(
                &Event::FallbackServed {
                    operation: operation.to_owned(),
                    level: level.clone(),
                    served_by: served_by.label(),
                    code: reasons.last().map_or_else(String::new, |reason| reason.code.clone()),
                    correlation_id: call.context.correlation_id.to_string(),
                },
                &mut span,
            );
        }
        result
    }

    async fn through_cache(&self, call: &Call, entry: &Entry, failed: Option<Failure>) -> Result<Outcome<Payload>, Failure> {
        let refused = failed.or_else(|| self.refusal(entry, &call.context));
        let ttl = entry.caching.ttl.filter(|_| entry.spec().effect == OperationEffect::Read);
        let (Some(ttl), None) = (ttl, &refused) else {
            return self.through_chain(call, entry, refused, None, None).await;
        };
        let flags = self.flag_values(entry, &call.context);
        let key = caching::key(entry, &call.context, &call.payload, &flags);
        let kept = self.kept(&key).await;
        if let Some(kept) = &kept {
            let matches = kept.revision == entry.revision.to_string();
            if matches && kept.age < ttl {
                return Ok(kept.outcome());
            }
            if matches && kept.age < ttl + entry.caching.stale_while_revalidate {
                self.refresh(call, &key);
                return Ok(kept.outcome());
            }
        }
        let stale =
            kept.filter(|kept| kept.age < ttl + entry.caching.stale_if_error && entry.schema.check_output(&kept.payload.json).is_ok());
        self.through_chain(call, entry, None, Some(key), stale).await
    }

    /// Live providers, then what is kept, then the fallbacks, then the configured answer. With a key, the live part is a flight that
    /// everybody with the same key shares.
    async fn through_chain(
        &self,
        call: &Call,
        entry: &Entry,
        mut refused: Option<Failure>,
        key: Option<caching::Key>,
        stale: Option<Kept>,
    ) -> Result<Outcome<Payload>, Failure> {
        let mut providers = Vec::new();
        if refused.is_none() {
            match key {
                Some(key) if self.has_live(entry) => providers.push(self.flight_provider(call, entry, key)),
                _ => providers.extend(self.live_providers(call, entry)),
            }
            if providers.is_empty() {
                let message = format!("no provider of `{}` is configured", call.operation);
                let nobody = || Failure::new(FailureKind::Unavailable, "operation.no-provider", message);
                refused = Some(entry.inactive().unwrap_or_else(nobody));
            }
        }
        providers.extend(stale.map(stale_provider));
        for (level, generation) in &entry.fallbacks {
            providers.push(self.fallback_provider(call, entry, level, generation));
        }
        providers.extend(entry.static_answer.as_ref().map(|answer| static_provider(answer.clone())));
        let chain = Chain { effect: entry.spec().effect, providers, refused };
        chain::run(chain, call.context.deadline).await.map(flattened)
    }

    /// Why the providers that answer in full may not be asked.
    fn refusal(&self, entry: &Entry, context: &CallContext) -> Option<Failure> {
        let off = |by: String| {
            let message = format!("the operation `{}` is switched off{by}", entry.spec().name);
            Failure::new(FailureKind::Unavailable, "operation.disabled", message)
        };
        if !entry.enabled {
            return Some(off(String::new()));
        }
        if self.is_switched_on(&entry.flag, context) {
            return None;
        }
        self.metrics().emit(&Event::OperationDisabled {
            operation: entry.spec().name.clone(),
            flag: entry.flag.clone(),
            correlation_id: context.correlation_id.to_string(),
        });
        Some(off(format!(" by the flag `{}`", entry.flag)))
    }

    fn flag_values(&self, entry: &Entry, context: &CallContext) -> Vec<(String, bool)> {
        let generations = entry.live.iter().filter_map(|live| match live {
            Live::Adapter { generation, .. } => Some(generation),
            Live::Local(_) | Live::Service(_) => None,
        });
        let read = generations.flat_map(|generation| generation.flags().iter());
        read.map(|flag| (flag.clone(), self.flags().enabled(flag, &context.caller))).collect()
    }

    pub(crate) fn is_available(&self, live: &Live) -> bool {
        match live {
            Live::Local(_) | Live::Adapter { named: true, .. } => true,
            Live::Service(action) => action.service().status == ServiceStatus::Active,
            Live::Adapter { generation, named: false } => {
                generation.upstreams().iter().all(|upstream| self.upstreams().is_configured(upstream))
            }
        }
    }

    fn has_live(&self, entry: &Entry) -> bool {
        entry.live.iter().any(|live| self.is_available(live))
    }

    fn live_providers<'a>(&'a self, call: &'a Call, entry: &'a Entry) -> impl Iterator<Item = Provider<'a, Answer<Payload>>> {
        entry.live.iter().filter(|live| self.is_available(live)).map(|live| match live {
            Live::Local(local) => self.local_provider(call, entry, *local),
            Live::Adapter { generation, .. } => self.adapter_provider(call, entry, generation),
            Live::Service(action) => self.service_provider(call, entry, action),
        })
    }

    fn flight_provider<'a>(&'a self, call: &'a Call, entry: &'a Entry, key: caching::Key) -> Provider<'a, Answer<Payload>> {
        Provider {
            served_by: ServedBy::Host { name: "flight".to_owned() },
            level: None,
            timeout: entry.timeout,
            reserve: Duration::ZERO,
            ends: is_about_the_input,
            ask: Box::new(move |Asking { deadline, .. }| {
                Box::pin(async move {
                    let flight = self.flight(call, key);
                    let landed = self.flights().run(key, deadline, move || flight).await.map_err(Failure::from)?;
                    if landed.joined {
                        self.metrics().single_flight_waited(&call.operation);
                    }
                    Ok(Some(Answer::of(landed.value?)))
                })
            }),
        }
    }

    /// Fetches an answer in the background while the one that is kept is given.
    fn refresh(&self, call: &Call, key: &caching::Key) {
        let flight = self.flight(call, *key);
        self.flights().start(*key, move || flight);
    }

    /// The live part of a read that many may wait for: it has a deadline and a ledger of its own, and keeps what it finds.
    fn flight(&self, call: &Call, key: caching::Key) -> BoxFuture<'static, Result<Outcome<Payload>, Failure>> {
        let (this, mut call) = (self.this(), call.clone());
        Box::pin(async move {
            let Some(this) = this else { return Err(Failure::internal("the operations are gone")) };
            let timeout = call.entry()?.timeout;
            call.context.deadline = Deadline::after(timeout);
            call.context.ledger = Ledger::default();
            let entry = call.entry()?;
            let providers = this.live_providers(&call, entry).collect();
            let chain = Chain { effect: entry.spec().effect, providers, refused: None };
            let outcome = chain::run(chain, call.context.deadline).await.map(flattened)?;
            if !outcome.is_degraded() {
                this.keep(&key, entry, &outcome).await;
            }
            Ok(outcome)
        })
    }
}

impl Invoker for Operations {
    fn invoke<'a>(
        &'a self,
        context: &'a CallContext,
        operation: &'a str,
        payload: Payload,
    ) -> BoxFuture<'a, Result<Outcome<Payload>, Failure>> {
        Box::pin(async move { Self::invoke(self, &context.nested()?, operation, payload).await })
    }
}
