//! What the parts tell, as events, metrics and spans.

use std::sync::Arc;
use std::time::Duration;

use breakwater_cache::{CacheObserver, Freshness, RedisChange, RedisFault, RedisOperation, Tier};
use breakwater_plugins::{BreakerObserver, CallObserver, RollbackObserver};
use breakwater_resilience::breaker::Change;
use breakwater_resilience::{
    AttemptEnded, AttemptOutcome as Ended, BudgetRefused, FailureClass, Payer, Priority, RetryScheduled, ShedReason,
};
use breakwater_sidecar::{Change as SidecarTurn, SidecarEvent, SidecarObserver};
use breakwater_telemetry::{
    AttemptOutcome, CacheResult, CacheTier, EndpointChange, Event, Figure, Health, HedgeResult, Metrics, PluginChange, Refusal,
    RegistryChange, SidecarChange, Span, SpanKind, TierChange, Tracer,
};
use breakwater_upstream::{AttemptEnd, AttemptObserver, AttemptStart, RegistryChange as Changed, Service, UpstreamObserver};

/// Writes the event of each breaker of a plugin that opens or closes.
pub(super) fn plugin_breakers(metrics: &Arc<Metrics>) -> BreakerObserver {
    let metrics = Arc::clone(metrics);
    BreakerObserver::new(move |plugin, change| {
        let breaker = format!("plugin:{plugin}");
        metrics.emit(&Event::BreakerChanged { breaker, from: change.from.to_string(), to: change.to.to_string() });
    })
}

/// Writes the event of each plugin that went back to an earlier generation by itself.
pub(super) fn rollbacks(metrics: &Arc<Metrics>) -> RollbackObserver {
    let metrics = Arc::clone(metrics);
    RollbackObserver::new(move |rollback| {
        let detail = format!("from {} to {}: too many faults", rollback.from.short(), rollback.to.short());
        metrics.emit(&Event::Plugin { plugin: rollback.plugin.to_string(), change: PluginChange::RolledBack, detail });
    })
}

/// Counts what guests use, and records the span of each of their calls.
pub(super) fn guest_calls(metrics: &Arc<Metrics>, tracer: &Arc<Tracer>) -> CallObserver {
    let (metrics, tracer) = (Arc::clone(metrics), Arc::clone(tracer));
    CallObserver::new(move |call| {
        let usage = call.usage;
        metrics.guest_used(call.plugin.as_str(), &call.generation.short(), usage.cpu, usage.memory_bytes as u64);
        let mut span = tracer.span_since("guest call", SpanKind::Internal, call.parent, call.trace, call.started);
        span.set("breakwater.plugin", call.plugin.as_str());
        span.set("breakwater.operation", call.operation);
        span.set("breakwater.guest_cpu", usage.cpu);
        if let Some(failure) = call.failure {
            span.fail(failure);
        }
    })
}

/// What upstreams tell.
pub(super) struct UpstreamEvents {
    pub(super) metrics: Arc<Metrics>,
    pub(super) tracer: Arc<Tracer>,
}

struct AttemptSpan(Span);

impl AttemptObserver for AttemptSpan {
    fn ended(mut self: Box<Self>, end: &AttemptEnd<'_>) {
        if let Some(status) = end.status {
            self.0.set("http.response.status_code", status);
        }
        if let Some(failure) = end.failure {
            self.0.fail(failure);
        }
    }
}

impl UpstreamObserver for UpstreamEvents {
    fn attempt_started(&self, start: &AttemptStart<'_>) -> Option<Box<dyn AttemptObserver>> {
        let mut span = self.tracer.span("upstream attempt", SpanKind::Client, start.context.trace, start.trace);
        if !span.is_recording() {
            return None;
        }
        span.set("breakwater.upstream", start.upstream);
        span.set("server.address", start.endpoint_id);
        span.set("http.request.method", start.method);
        span.set("http.request.resend_count", start.number.saturating_sub(1));
        Some(Box::new(AttemptSpan(span)))
    }

    fn attempt_ended(&self, upstream: &str, attempt: &AttemptEnded<'_>) {
        self.metrics.upstream_attempt(upstream, outcome(attempt.outcome), attempt.elapsed);
    }

    fn retry_scheduled(&self, upstream: &str, retry: &RetryScheduled<'_>) {
        self.metrics.upstream_retry(upstream);
        tracing::debug!(upstream, retry = retry.retry, wait = ?retry.wait, code = retry.code, "retrying");
    }

    fn budget_refused(&self, upstream: &str, refused: BudgetRefused) {
        let reason = match refused.by {
            Payer::Budget => Refusal::Budget,
            Payer::Ledger => Refusal::Ledger,
            Payer::HedgeCap => Refusal::HedgeCap,
        };
        self.metrics.upstream_refused(upstream, reason);
        if refused.by == Payer::Budget {
            self.metrics.emit(&Event::RetryBudgetExhausted { upstream: upstream.to_owned() });
        }
    }

    fn breaker_changed(&self, upstream: &str, change: Change) {
        let breaker = format!("upstream:{upstream}");
        self.metrics.emit(&Event::BreakerChanged { breaker, from: change.from.to_string(), to: change.to.to_string() });
    }

    fn endpoint_ejected(&self, upstream: &str, endpoint_id: &str, duration: Duration) {
        self.endpoint(upstream, endpoint_id, EndpointChange::Ejected, format!("for {duration:?}"));
    }

    fn endpoint_returned(&self, upstream: &str, endpoint_id: &str) {
        self.endpoint(upstream, endpoint_id, EndpointChange::Returned, "its time is over".to_owned());
    }

    fn hedge_sent(&self, upstream: &str, _endpoint_id: &str) {
        self.metrics.upstream_hedge(upstream, HedgeResult::Sent);
    }

    fn hedge_won(&self, upstream: &str, _endpoint_id: &str) {
        self.metrics.upstream_hedge(upstream, HedgeResult::Won);
    }

    fn shed(&self, upstream: &str, reason: ShedReason, _priority: Priority) {
        self.metrics.upstream_refused(upstream, refusal(reason));
    }

    fn health_changed(&self, upstream: &str, endpoint_id: &str, healthy: bool) {
        let health = if healthy { Health::Healthy } else { Health::Unhealthy };
        let detail = "by its health checks".to_owned();
        self.metrics.emit(&Event::UpstreamHealth { upstream: upstream.to_owned(), endpoint: endpoint_id.to_owned(), health, detail });
    }

    fn registry_changed(&self, change: Changed, service: &Service) {
        let change = match change {
            Changed::Registered => RegistryChange::Registered,
            Changed::Deregistered => RegistryChange::Deregistered,
            Changed::Expired => RegistryChange::Expired,
            Changed::Updated | Changed::Healthy | Changed::Unhealthy => return,
        };
        self.metrics.emit(&Event::Registry { service: service.name.clone(), instance: service.id.clone(), change });
    }
}

impl UpstreamEvents {
    fn endpoint(&self, upstream: &str, endpoint: &str, change: EndpointChange, detail: String) {
        self.metrics.emit(&Event::Endpoint { upstream: upstream.to_owned(), endpoint: endpoint.to_owned(), change, detail });
    }
}

fn outcome(ended: Ended) -> AttemptOutcome {
    match ended {
        Ended::Success => AttemptOutcome::Ok,
        Ended::Failure(FailureClass::Connection) => AttemptOutcome::Connection,
        Ended::Failure(FailureClass::Timeout) => AttemptOutcome::Timeout,
        Ended::Failure(FailureClass::ServerError) => AttemptOutcome::ServerError,
        Ended::Failure(FailureClass::Throttled) => AttemptOutcome::Throttled,
        Ended::Failure(FailureClass::Client) => AttemptOutcome::ClientError,
        Ended::Failure(FailureClass::Cancelled) => AttemptOutcome::Cancelled,
    }
}

fn refusal(reason: ShedReason) -> Refusal {
    match reason {
        ShedReason::Overload => Refusal::Overload,
        ShedReason::Limit => Refusal::Limit,
        ShedReason::QueueFull => Refusal::QueueFull,
        ShedReason::QueueDeadline => Refusal::QueueDeadline,
    }
}

/// What sidecars tell.
pub(super) struct SidecarEvents(pub(super) Arc<Metrics>);

impl SidecarObserver for SidecarEvents {
    fn happened(&self, event: &SidecarEvent<'_>) {
        self.0.emit(&sidecar_event(event));
    }
}

fn sidecar_event(event: &SidecarEvent<'_>) -> Event {
    let change = match event.change {
        SidecarTurn::Started => SidecarChange::Started,
        SidecarTurn::Ready => SidecarChange::Ready,
        SidecarTurn::Failed => SidecarChange::Failed,
        SidecarTurn::Restarting => SidecarChange::Restarting,
        SidecarTurn::GaveUp => SidecarChange::GaveUp,
        SidecarTurn::Stopped => SidecarChange::Stopped,
    };
    Event::Sidecar {
        sidecar: event.sidecar.to_owned(),
        instance: event.instance,
        change,
        detail: event.detail.to_owned(),
        pid: Figure(event.pid.map(u64::from)),
        uptime_ms: Figure(event.elapsed.map(|elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))),
        restarts: event.restart_attempts,
    }
}

/// What the cache tells.
pub(super) struct CacheEvents(pub(super) Arc<Metrics>);

impl CacheObserver for CacheEvents {
    fn looked_up(&self, found: Option<(Tier, Freshness)>) {
        let (tier, result) = match found {
            None => (CacheTier::Memory, CacheResult::Miss),
            Some((tier, freshness)) => {
                let tier = if tier == Tier::Memory { CacheTier::Memory } else { CacheTier::Redis };
                (tier, if freshness == Freshness::Fresh { CacheResult::Hit } else { CacheResult::Stale })
            }
        };
        self.0.cache_lookup(tier, result);
    }

    fn redis_failed(&self, operation: RedisOperation, fault: RedisFault) {
        self.0.cache_lookup(CacheTier::Redis, CacheResult::Error);
        tracing::debug!(operation = operation.name(), fault = fault.name(), "Redis failed");
    }

    fn redis_changed(&self, change: RedisChange) {
        let (change, detail) = match change {
            RedisChange::Away(fault) => (TierChange::Lost, fault.name().to_owned()),
            RedisChange::Back => (TierChange::Recovered, "it answers".to_owned()),
        };
        self.0.emit(&Event::Cache { tier: CacheTier::Redis, change, detail });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sidecar_tells_is_the_event_of_the_same_name_with_its_figures() {
        let metrics = Metrics::new("0");
        for (change, name) in [
            (SidecarTurn::Started, "started"),
            (SidecarTurn::Ready, "ready"),
            (SidecarTurn::Failed, "failed"),
            (SidecarTurn::Restarting, "restarting"),
            (SidecarTurn::GaveUp, "gave-up"),
            (SidecarTurn::Stopped, "stopped"),
        ] {
            let elapsed = Some(Duration::from_millis(1500));
            let event =
                SidecarEvent { sidecar: "flask", instance: 1, change, detail: "why", pid: Some(4711), elapsed, restart_attempts: 2 };
            let Event::Sidecar { change, pid, uptime_ms, restarts, instance, .. } = sidecar_event(&event) else { panic!("another event") };
            assert_eq!((change.name(), pid, uptime_ms), (name, Figure(Some(4711)), Figure(Some(1500))));
            assert_eq!((restarts, instance), (2, 1));
            SidecarEvents(Arc::clone(&metrics)).happened(&event);
            let row = format!(r#"breakwater_sidecar_changes_total{{sidecar="flask",change="{name}"}} 1"#);
            assert!(metrics.encode().lines().any(|line| line == row), "{row}");
        }
    }
}
