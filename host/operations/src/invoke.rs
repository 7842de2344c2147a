//! The path of one call: input, flag, cache, providers, fallbacks, answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use breakwater_core::{BoxFuture, CallContext, Failure, FailureKind, Invoker, OperationEffect, Outcome, Payload, ServedBy};
use breakwater_plugins::{FallbackLevel, Generation, Snapshot};
use breakwater_telemetry::{Event, SpanKind};

use crate::caching::{self, Kept};
use crate::chain::{self, Asking, Chain, Provider, is_about_the_request};
use crate::json;
use crate::operations::Operations;
use crate::plan::PluginIdentity;
use crate::table::{Entry, Live, Local, Table};

/// Kept back for the host's own code behind a remote service: an image on a busy machine.
const LOCAL_RESERVE: Duration = Duration::from_secs(2);
/// Kept back for each level of a fallback plugin: the call of a guest and its decoding of a picture.
const FALLBACK_RESERVE: Duration = Duration::from_millis(100);
/// Kept back for what costs nothing but its turn on a busy machine.
const INSTANT_RESERVE: Duration = Duration::from_millis(10);

/// What a call captures at its root; nested calls inherit it.
#[derive(Debug, Default)]
pub(crate) struct HostSnapshot {
    pub(crate) plugins: Arc<Snapshot>,
    pub(crate) table: Table,
}

/// What a provider gave, and what it has to say of how it came to it.
pub(crate) struct Answer<T> {
    value: T,
    history: Option<Outcome<()>>,
}

impl<T> Answer<T> {
    fn plain(value: T) -> Self {
        Self { value, history: None }
    }

    fn of(outcome: Outcome<T>) -> Self {
        let Outcome { value, served_by, reasons, attempts, level, cached_age, elapsed } = outcome;
        Self { value, history: Some(Outcome { value: (), served_by, reasons, attempts, level, cached_age, elapsed }) }
    }
}

/// The history of the provider becomes part of that of the chain.
fn flattened<T>(outcome: Outcome<Answer<T>>) -> Outcome<T> {
    let Outcome { value: Answer { value, history }, served_by, mut reasons, attempts, level, cached_age, elapsed } = outcome;
    let Some(history) = history else { return Outcome { value, served_by, reasons, attempts, level, cached_age, elapsed } };
    reasons.extend(history.reasons);
    Outcome {
        value,
        served_by: history.served_by,
        reasons,
        attempts: attempts + history.attempts.saturating_sub(1),
        level: history.level.or(level),
        cached_age: history.cached_age.or(cached_age),
        elapsed,
    }
}

/// One call on its way.
#[derive(Clone)]
struct Call {
    context: CallContext,
    snapshot: Arc<HostSnapshot>,
    operation: Arc<str>,
    payload: Arc<Payload>,
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
                refused = Some(Failure::new(FailureKind::Unavailable, "operation.no-provider", message));
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
            Live::Local(_) => None,
        });
        let read = generations.flat_map(|generation| generation.flags().iter());
        read.map(|flag| (flag.clone(), self.flags().enabled(flag, &context.caller))).collect()
    }

    pub(crate) fn is_available(&self, live: &Live) -> bool {
        match live {
            Live::Local(_) | Live::Adapter { named: true, .. } => true,
            Live::Adapter { generation, named: false } => {
                generation.upstreams().iter().all(|upstream| self.upstreams().is_configured(upstream))
            }
        }
    }

    /// Whether the host's own code is the only one to ask and nothing is kept: the typed call needs no detour over JSON.
    pub(crate) fn is_plain(&self, entry: &Entry, context: &CallContext) -> bool {
        let mut asked = entry.live.iter().filter(|live| self.is_available(live));
        let only_local = matches!((asked.next(), asked.next()), (Some(Live::Local(_)), None));
        only_local && entry.caching.ttl.is_none() && entry.enabled && self.is_switched_on(&entry.flag, context)
    }

    fn has_live(&self, entry: &Entry) -> bool {
        entry.live.iter().any(|live| self.is_available(live))
    }

    fn live_providers<'a>(&'a self, call: &'a Call, entry: &'a Entry) -> impl Iterator<Item = Provider<'a, Answer<Payload>>> {
        entry.live.iter().filter(|live| self.is_available(live)).map(|live| match live {
            Live::Local(local) => self.local_provider(call, entry, *local),
            Live::Adapter { generation, .. } => self.adapter_provider(call, entry, generation),
        })
    }

    fn local_provider<'a>(&'a self, call: &'a Call, entry: &'a Entry, local: Local) -> Provider<'a, Answer<Payload>> {
        Provider {
            served_by: ServedBy::Host { name: "local".to_owned() },
            level: None,
            timeout: entry.provider_timeout,
            reserve: LOCAL_RESERVE,
            ends: is_about_the_input,
            ask: Box::new(move |Asking { deadline, .. }| {
                Box::pin(async move {
                    let context = CallContext { deadline, ..call.context.clone() };
                    let started = Instant::now();
                    let result = self.locally(&context, &call.snapshot, local, (*call.payload).clone()).await;
                    let outcome = result.as_ref().map(drop).map_err(|failure| failure.kind);
                    self.metrics().provider_called(&call.operation, "local", outcome, started.elapsed());
                    Ok(Some(Answer::of(result?)))
                })
            }),
        }
    }

    async fn locally(
        &self,
        context: &CallContext,
        snapshot: &HostSnapshot,
        local: Local,
        payload: Payload,
    ) -> Result<Outcome<Payload>, Failure> {
        match local {
            Local::DetectObjects => {
                let outcome = self.detect_here(context, json::detect::input(payload)?).await?;
                Ok(outcome.map(|output| json::detect::output(&output)))
            }
            Local::CropImage => {
                let output = self.crop_here(context, &snapshot.plugins, json::crop::input(payload, self.media().is_some())?).await?;
                Ok(json::crop::history(&output).map(|()| json::crop::output(&output)))
            }
            Local::PlanCrop => self.plan_here(context, &snapshot.plugins, json::plan::input(payload)?).await,
        }
    }

    fn adapter_provider<'a>(&'a self, call: &'a Call, entry: &'a Entry, generation: &'a Arc<Generation>) -> Provider<'a, Answer<Payload>> {
        Provider {
            served_by: PluginIdentity::of(generation).served_by(),
            level: None,
            timeout: entry.provider_timeout,
            reserve: Duration::ZERO,
            ends: is_about_the_request,
            ask: Box::new(move |Asking { deadline, .. }| {
                Box::pin(async move {
                    let work = |context: CallContext| async move {
                        generation.invoke(&context, &call.operation, &call.payload.json, &call.payload.attachments).await
                    };
                    let reply = self.asked(call, generation, deadline, work).await?;
                    entry.schema.check_output(&reply.json)?;
                    Ok(Some(Answer::plain(reply)))
                })
            }),
        }
    }

    fn fallback_provider<'a>(
        &'a self,
        call: &'a Call,
        entry: &'a Entry,
        level: &'a FallbackLevel,
        generation: &'a Arc<Generation>,
    ) -> Provider<'a, Answer<Payload>> {
        Provider {
            served_by: PluginIdentity::of(generation).served_by(),
            level: Some(level.name.clone()),
            timeout: entry.provider_timeout,
            reserve: FALLBACK_RESERVE,
            ends: is_about_the_request,
            ask: Box::new(move |Asking { deadline, cause }| {
                Box::pin(async move {
                    let cause =
                        cause.unwrap_or_else(|| Failure::new(FailureKind::Unavailable, "operation.no-provider", "nobody was asked"));
                    let payload = self.with_picture(call, deadline).await;
                    let work = |context: CallContext| async move {
                        generation.degrade_within(&context, &entry.schema, &level.name, &payload.json, &payload.attachments, &cause).await
                    };
                    Ok(self.asked(call, generation, deadline, work).await?.map(Answer::plain))
                })
            }),
        }
    }

    /// Asks a plugin under a span of its own, and counts it.
    async fn asked<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        call: &Call,
        generation: &Generation,
        deadline: breakwater_core::Deadline,
        work: impl FnOnce(CallContext) -> F,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        let (context, mut span) = self.tracer().child(&call.context, "provider", SpanKind::Internal);
        span.set("breakwater.provider", generation.id().as_str());
        let result = work(CallContext { deadline, ..context }).await;
        let (plugin, elapsed) = (generation.id().as_str(), started.elapsed());
        let outcome = result.as_ref().map(drop).map_err(|failure| failure.kind);
        self.metrics().plugin_call(plugin, outcome, elapsed);
        self.metrics().provider_called(&call.operation, plugin, outcome, elapsed);
        if let Err(failure) = &result {
            span.fail(failure);
        }
        result
    }

    /// A fallback cannot read the media root: a picture that was named by path is read for it.
    async fn with_picture(&self, call: &Call, deadline: breakwater_core::Deadline) -> Arc<Payload> {
        let path = call.payload.json.get("image_path").and_then(serde_json::Value::as_str);
        let (Some(path), Some(media), true) = (path, self.media(), call.payload.attachments.is_empty()) else {
            return Arc::clone(&call.payload);
        };
        let Ok(bytes) = media.read(path, deadline).await else { return Arc::clone(&call.payload) };
        let media_type = breakwater_vision::Format::sniff(&bytes).map_or("application/octet-stream", |format| format.media_type());
        let attachment = breakwater_core::Attachment { media_type: media_type.to_owned(), bytes };
        Arc::new(Payload { json: call.payload.json.clone(), attachments: vec![attachment] })
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
            call.context.deadline = breakwater_core::Deadline::after(timeout);
            call.context.ledger = breakwater_core::Ledger::default();
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

fn stale_provider<'a>(kept: Kept) -> Provider<'a, Answer<Payload>> {
    Provider {
        served_by: ServedBy::Cache { name: kept.served_by.clone() },
        level: Some("stale".to_owned()),
        timeout: INSTANT_RESERVE,
        reserve: INSTANT_RESERVE,
        ends: is_about_the_request,
        ask: Box::new(move |_| {
            Box::pin(async move { Ok(Some(Answer::of(Outcome { level: Some("stale".to_owned()), ..kept.outcome() }))) })
        }),
    }
}

fn static_provider<'a>(answer: serde_json::Value) -> Provider<'a, Answer<Payload>> {
    Provider {
        served_by: ServedBy::Host { name: "static".to_owned() },
        level: Some("static".to_owned()),
        timeout: INSTANT_RESERVE,
        reserve: INSTANT_RESERVE,
        ends: is_about_the_request,
        ask: Box::new(move |_| Box::pin(async move { Ok(Some(Answer::plain(Payload::json(answer)))) })),
    }
}

/// The same of a picture that is not there or no picture: the host has looked at it itself.
pub(crate) fn is_about_the_input(failure: &Failure) -> bool {
    is_about_the_request(failure) || failure.code.starts_with("media.") || failure.code.starts_with("image.")
}
