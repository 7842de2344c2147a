//! Services elsewhere, feature flags, the registry and the cache, as a transport shows and changes them.
//!
//! What changes is said by whoever changes it: the observers of upstreams and of the registry hear of breakers and of services; a flag's
//! change is an event of this module, which alone knows what it was. A change runs to its end once it has begun, whether or not anyone
//! still waits.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use breakwater_core::{Caller, Failure};
use breakwater_flags::FlagError;
use breakwater_telemetry::{Event, FlagChange, Tracer};
use futures_util::{StreamExt as _, stream};

pub use breakwater_cache::{CacheStatus, MemoryStatus, RedisFault, RedisStatus};
pub use breakwater_flags::{
    Condition, Decision, Flag, ListedFlag, MAX_FLAGS, Reason as FlagReason, Rule, Source as FlagSource, Target, Test, Then,
};
pub use breakwater_upstream::{
    BreakerCommand, CheckReport, EndpointCheck, EndpointStatus, Heartbeat, LastErrorStatus, LatencyQuantiles, Registration, Selection,
    Service, ServiceMetrics, UpstreamSource, UpstreamState, UpstreamStatus,
};

use crate::listing::OperationInfo;
use crate::operations::Operations;

/// Upstreams that are warmed up at the same time.
const WARM_UPS_AT_ONCE: usize = 8;

/// What warming one upstream up came to.
#[derive(Debug, Clone)]
pub struct WarmUp {
    /// The upstream.
    pub upstream: String,
    /// What each endpoint answered, or why none was asked.
    pub result: Result<CheckReport, Failure>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Operations {
    /// What spans of requests are made with, so that those of operations stand below them.
    #[must_use]
    pub fn tracer_of_requests(&self) -> Arc<Tracer> {
        Arc::clone(self.tracer())
    }

    /// Whether an operation exists, without looking any closer.
    ///
    /// # Errors
    /// As [`Self::operation`].
    pub fn require_operation(&self, name: &str) -> Result<(), Failure> {
        self.current().table.get(name).map(drop)
    }

    /// One operation and who answers it.
    ///
    /// # Errors
    /// `operation.unknown` (not found), with the known names and the closest one.
    pub fn operation(&self, name: &str) -> Result<OperationInfo, Failure> {
        self.require_operation(name)?;
        let found = self.operations().into_iter().find(|info| info.spec.name == name);
        found.ok_or_else(|| Failure::internal("an operation went away while it was looked at"))
    }

    /// How many operations there are.
    #[must_use]
    pub fn operation_count(&self) -> usize {
        self.current().table.entries().count()
    }

    /// How every upstream is, by name.
    #[must_use]
    pub fn upstream_statuses(&self) -> Vec<UpstreamStatus> {
        self.upstreams().status()
    }

    /// How one upstream is.
    ///
    /// # Errors
    /// `upstream.unknown` (not found).
    pub fn upstream_status(&self, name: &str) -> Result<UpstreamStatus, Failure> {
        self.upstreams().upstream_status(name)
    }

    /// Moves an upstream's breaker and says how the upstream is then.
    ///
    /// # Errors
    /// `upstream.unknown` (not found).
    pub fn control_breaker(&self, name: &str, command: BreakerCommand) -> Result<UpstreamStatus, Failure> {
        self.upstreams().breaker(name, command)
    }

    /// Begins anew with an upstream: its breaker is closed with everything forgotten, and its endpoints are checked now instead of at the
    /// next turn of the health checks.
    ///
    /// # Errors
    /// `upstream.unknown` (not found).
    pub async fn reset_upstream(&self, name: &str) -> Result<UpstreamStatus, Failure> {
        self.upstreams().breaker(name, BreakerCommand::Reset)?;
        self.upstreams().check(name).await?;
        self.upstreams().upstream_status(name)
    }

    /// Checks every endpoint of an upstream now.
    ///
    /// # Errors
    /// `upstream.unknown` (not found). That an endpoint is not well is in the report.
    pub async fn check_upstream(&self, name: &str) -> Result<CheckReport, Failure> {
        self.upstreams().check(name).await
    }

    /// Opens connections to the endpoints of upstreams, so that the first calls find them; of every upstream when none is named.
    /// Answers in their order. One that does not exist or cannot be reached is a result, not an error.
    pub async fn warm_up(&self, upstreams: Option<Vec<String>>) -> Vec<WarmUp> {
        let names = upstreams.unwrap_or_else(|| self.upstream_statuses().into_iter().map(|status| status.name).collect());
        let warm_up = async |upstream: String| {
            let started = Instant::now();
            let result = self.upstreams().warm_up(&upstream).await;
            WarmUp { upstream, result, elapsed: started.elapsed() }
        };
        stream::iter(names).map(warm_up).buffered(WARM_UPS_AT_ONCE).collect().await
    }

    /// Every flag, by name.
    #[must_use]
    pub fn list_flags(&self) -> Vec<Arc<ListedFlag>> {
        self.flags().list()
    }

    /// A flag, stored or declared.
    ///
    /// # Errors
    /// `flag.not-found` (not found).
    pub fn flag(&self, name: &str) -> Result<Arc<ListedFlag>, Failure> {
        self.flags().get(name).ok_or_else(|| unknown_flag(name))
    }

    /// What a flag is for a caller, and why.
    ///
    /// # Errors
    /// `flag.not-found` (not found); what asks by itself treats such a flag as one that guards nothing.
    pub fn evaluate_flag(&self, name: &str, caller: &Caller) -> Result<Decision, Failure> {
        self.flag(name)?;
        Ok(self.flags().evaluate(name, caller))
    }

    /// Stores a flag. `expected` is the version the change was made from, 0 for a flag that is not stored; `None` replaces whatever is
    /// there.
    ///
    /// # Errors
    /// `flag.name-invalid`, `flag.invalid`, `flag.conflict` (invalid request), `flag.too-many` (limit), `flag.records` (unavailable).
    pub async fn put_flag(&self, name: &str, flag: Flag, expected: Option<u64>) -> Result<Arc<ListedFlag>, Failure> {
        let wanted = name.to_owned();
        let put = |this: Arc<Self>| async move { Ok(this.flags().put(&wanted, flag, expected).await?) };
        let listed = self.to_its_end(put).await?;
        self.flag_changed(name, FlagChange::Put, in_words(&listed.flag));
        Ok(listed)
    }

    /// Removes a stored flag; what the configuration declares under its name is in force again. `expected` as for [`Self::put_flag`].
    ///
    /// # Errors
    /// `flag.not-found` (not found), `flag.declared`, `flag.conflict` (invalid request), `flag.records` (unavailable).
    pub async fn remove_flag(&self, name: &str, expected: Option<u64>) -> Result<(), Failure> {
        let wanted = name.to_owned();
        self.to_its_end(|this| async move { Ok(this.flags().remove(&wanted, expected).await?) }).await?;
        let now = self.flags().get(name).map_or_else(|| "gone".to_owned(), |declared| in_words(&declared.flag));
        self.flag_changed(name, FlagChange::Removed, now);
        Ok(())
    }

    fn flag_changed(&self, name: &str, change: FlagChange, detail: String) {
        self.metrics().emit(&Event::Flag { flag: name.to_owned(), change, detail });
    }

    /// The registered services that fit, by id; with `healthy`, only those that say that they are well, or only those that do not.
    #[must_use]
    pub fn services(&self, selection: &Selection, healthy: Option<bool>) -> Vec<Service> {
        let mut found = self.upstreams().registry().list(selection);
        found.retain(|service| healthy.is_none_or(|healthy| service.healthy == healthy));
        found
    }

    /// How many services are registered.
    #[must_use]
    pub fn service_count(&self) -> usize {
        self.upstreams().registry().len()
    }

    /// A registered service.
    ///
    /// # Errors
    /// `registry.unknown` (not found).
    pub fn service(&self, id: &str) -> Result<Service, Failure> {
        self.upstreams().registry().get(id)
    }

    /// Adds a service to the registry, or replaces the one of the same id.
    ///
    /// # Errors
    /// `registry.invalid` (invalid request), `registry.full` (limit), `registry.store` (unavailable).
    pub async fn register_service(&self, registration: Registration) -> Result<Service, Failure> {
        self.to_its_end(|this| async move { this.upstreams().registry().register(registration).await }).await
    }

    /// A service says how it is.
    ///
    /// # Errors
    /// `registry.unknown` (not found): it should register; `registry.invalid` (invalid request), `registry.store` (unavailable).
    pub async fn heartbeat(&self, id: &str, heartbeat: Heartbeat) -> Result<Service, Failure> {
        let id = id.to_owned();
        self.to_its_end(|this| async move { this.upstreams().registry().heartbeat(&id, heartbeat).await }).await
    }

    /// Takes a service out of the registry.
    ///
    /// # Errors
    /// `registry.unknown` (not found), `registry.store` (unavailable).
    pub async fn deregister_service(&self, id: &str) -> Result<Service, Failure> {
        let id = id.to_owned();
        self.to_its_end(|this| async move { this.upstreams().registry().deregister(&id).await }).await
    }

    /// What the cache holds and how its tiers are.
    #[must_use]
    pub fn cache_status(&self) -> CacheStatus {
        self.cache().status()
    }

    /// Runs a change as a task of its own: a client that hangs up must not leave it between what is stored and what is seen.
    pub(crate) async fn to_its_end<T, F>(&self, change: impl FnOnce(Arc<Self>) -> F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let this = self.this().ok_or_else(|| Failure::internal("the operations are gone"))?;
        match tokio::spawn(change(this)).await {
            Ok(result) => result,
            Err(error) => Err(Failure::internal("a change did not end").caused_by(error)),
        }
    }
}

fn unknown_flag(name: &str) -> Failure {
    FlagError::NotFound(name.chars().take(breakwater_flags::MAX_NAME_LENGTH).collect()).into()
}

/// What a flag is, for the log.
fn in_words(flag: &Flag) -> String {
    match (flag.enabled, flag.rollout, flag.rules.len()) {
        (false, ..) => "off".to_owned(),
        (true, 100, 0) => "on".to_owned(),
        (true, share, 0) => format!("on for {share} %"),
        (true, share, 1) => format!("on by 1 rule, otherwise for {share} %"),
        (true, share, rules) => format!("on by {rules} rules, otherwise for {share} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_told_in_words() {
        let rule = Rule { when: Vec::new(), then: Then::On };
        for (flag, words) in [
            (Flag::off(), "off"),
            (Flag::on(), "on"),
            (Flag { rollout: 25, ..Flag::on() }, "on for 25 %"),
            (Flag { rollout: 0, rules: vec![rule], ..Flag::on() }, "on by 1 rule, otherwise for 0 %"),
        ] {
            assert_eq!(in_words(&flag), words);
        }
    }

    #[test]
    fn an_unknown_flag_is_named_in_part() {
        let failure = unknown_flag(&"x".repeat(1000));
        assert_eq!(failure.code, "flag.not-found");
        assert!(failure.message.len() < 100, "{}", failure.message);
    }
}
