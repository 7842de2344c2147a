//! Those who answer an operation, as links of a chain: the host's own code, adapters, what is kept, fallbacks, the configured answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use breakwater_core::{CallContext, Deadline, Failure, FailureKind, Outcome, Payload, ServedBy};
use breakwater_plugins::{FallbackLevel, Generation};
use breakwater_telemetry::SpanKind;

use crate::caching::Kept;
use crate::chain::{Asking, Provider, is_about_the_request};
use crate::invoke::{Call, HostSnapshot};
use crate::json;
use crate::operations::Operations;
use crate::plan::PluginIdentity;
use crate::table::{Entry, Local};

/// Kept back for the host's own code behind a remote service: an image on a busy machine.
const LOCAL_RESERVE: Duration = Duration::from_secs(2);
/// Kept back for each level of a fallback plugin: the call of a guest and its decoding of a picture.
const FALLBACK_RESERVE: Duration = Duration::from_millis(100);
/// Kept back for what costs nothing but its turn on a busy machine.
const INSTANT_RESERVE: Duration = Duration::from_millis(10);

/// What a provider gave, and what it has to say of how it came to it.
pub(crate) struct Answer<T> {
    value: T,
    history: Option<Outcome<()>>,
}

impl<T> Answer<T> {
    pub(crate) fn plain(value: T) -> Self {
        Self { value, history: None }
    }

    pub(crate) fn of(outcome: Outcome<T>) -> Self {
        let Outcome { value, served_by, reasons, attempts, level, cached_age, elapsed } = outcome;
        Self { value, history: Some(Outcome { value: (), served_by, reasons, attempts, level, cached_age, elapsed }) }
    }
}

/// The history of the provider becomes part of that of the chain.
pub(crate) fn flattened<T>(outcome: Outcome<Answer<T>>) -> Outcome<T> {
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

impl Operations {
    pub(crate) fn local_provider<'a>(&'a self, call: &'a Call, entry: &'a Entry, local: Local) -> Provider<'a, Answer<Payload>> {
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
            Local::ExtractFeatures => {
                let (image, model) = json::features::input(payload)?;
                let outcome = self.features_here(context, image, model.as_deref()).await?;
                Ok(outcome.map(|features| json::features::output(&features)))
            }
            Local::EmbedText => {
                let (text, model) = json::features::text_input(payload)?;
                let outcome = self.text_features_here(context, &text, model.as_deref()).await?;
                Ok(outcome.map(|features| json::features::output(&features)))
            }
            Local::SearchProducts => {
                let outcome = self.search_here(context, json::search::input(payload)?).await?;
                Ok(outcome.map(|page| json::search::output(&page)))
            }
            Local::CropImage => {
                let output = self.crop_here(context, &snapshot.plugins, json::crop::input(payload, self.media().is_some())?).await?;
                Ok(json::crop::history(&output).map(|()| json::crop::output(&output)))
            }
            Local::ComposeSheet => {
                let outcome = self.compose_here(context, &snapshot.plugins, json::sheet::input(payload, self.media().is_some())?).await?;
                let Outcome { value, served_by, reasons, attempts, level, cached_age, elapsed } = outcome;
                Ok(Outcome { value: json::sheet::output(value)?, served_by, reasons, attempts, level, cached_age, elapsed })
            }
            Local::ProcessBatch => {
                let outcome = self.process_batch_here(context, json::batch::input(payload)?).await?;
                Ok(outcome.map(json::batch::output))
            }
            Local::PlanCrop => self.plan_here(context, &snapshot.plugins, json::plan::input(payload)?).await,
        }
    }

    pub(crate) fn adapter_provider<'a>(
        &'a self,
        call: &'a Call,
        entry: &'a Entry,
        generation: &'a Arc<Generation>,
    ) -> Provider<'a, Answer<Payload>> {
        Provider {
            served_by: PluginIdentity::of(generation).served_by(),
            level: None,
            timeout: entry.provider_timeout,
            reserve: Duration::ZERO,
            ends: is_about_the_request,
            ask: Box::new(move |Asking { deadline, .. }| {
                Box::pin(async move {
                    let is_for_the_host = self.is_for_a_model_of_the_host(&call.operation, &call.payload)
                        || json::sheet::is_beyond_others(&call.operation, &call.payload)
                        || json::batch::is_beyond_others(&call.operation, &call.payload);
                    if is_for_the_host {
                        return Ok(None);
                    }
                    let work = |context: CallContext| async move {
                        let json = json::sheet::for_others(&call.operation, &call.payload.json);
                        generation.invoke(&context, &call.operation, &json, &call.payload.attachments).await
                    };
                    let reply = self.asked(call, generation, deadline, work).await?;
                    entry.schema.check_output(&reply.json)?;
                    self.check_features(&call.operation, Some(&call.payload.json), &reply.json)?;
                    Ok(Some(Answer::plain(reply)))
                })
            }),
        }
    }

    pub(crate) fn fallback_provider<'a>(
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
                    let Some(reply) = self.asked(call, generation, deadline, work).await? else { return Ok(None) };
                    self.check_features(&call.operation, None, &reply.json)?;
                    Ok(Some(Answer::plain(reply)))
                })
            }),
        }
    }

    /// Asks a plugin under a span of its own, and counts it.
    async fn asked<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        call: &Call,
        generation: &Generation,
        deadline: Deadline,
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
    async fn with_picture(&self, call: &Call, deadline: Deadline) -> Arc<Payload> {
        let path = call.payload.json.get("image_path").and_then(serde_json::Value::as_str);
        let (Some(path), Some(media), true) = (path, self.media(), call.payload.attachments.is_empty()) else {
            return Arc::clone(&call.payload);
        };
        let Ok(bytes) = media.read(path, deadline).await else { return Arc::clone(&call.payload) };
        let media_type = breakwater_vision::Format::sniff(&bytes).map_or("application/octet-stream", |format| format.media_type());
        let attachment = breakwater_core::Attachment { media_type: media_type.to_owned(), bytes };
        Arc::new(Payload { json: call.payload.json.clone(), attachments: vec![attachment] })
    }
}

pub(crate) fn stale_provider<'a>(kept: Kept) -> Provider<'a, Answer<Payload>> {
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

pub(crate) fn static_provider<'a>(answer: serde_json::Value) -> Provider<'a, Answer<Payload>> {
    Provider {
        served_by: ServedBy::Host { name: "static".to_owned() },
        level: Some("static".to_owned()),
        timeout: INSTANT_RESERVE,
        reserve: INSTANT_RESERVE,
        ends: is_about_the_request,
        ask: Box::new(move |_| Box::pin(async move { Ok(Some(Answer::plain(Payload::json(answer)))) })),
    }
}

/// The same of a picture that is not there or no picture, which the host has looked at itself, of a model that there is not, and of a text
/// that no model of the host takes whole.
pub(crate) fn is_about_the_input(failure: &Failure) -> bool {
    let code = &*failure.code;
    is_about_the_request(failure)
        || code.starts_with("media.")
        || code.starts_with("image.")
        || ["embedder.unknown-model", "embedder.text-too-long"].contains(&code)
}
