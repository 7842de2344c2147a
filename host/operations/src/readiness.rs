//! Whether the service can do its work: a background task tries it at intervals, on a known picture, and keeps the last result.
//!
//! The task is named `readiness`, owned by whoever called [`Readiness::watch`]. It ends when its token is cancelled; a failed or hung
//! check is a result like any other and never ends it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use breakwater_core::{AspectRatio, CallContext, Failure, PlanRequest, Principal};
use breakwater_vision::Image;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::operations::Operations;
use crate::source;

/// 96x64 pixels: a red disc on steps of colour.
const PICTURE: &[u8] = include_bytes!("check.png");

/// The most plugins tried in one check. One that answers is proof enough that the runtime works.
const MAX_PLUGINS: usize = 3;

/// How often and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadinessConfig {
    /// Time between two checks.
    pub interval: Duration,
    /// The longest one check may take.
    pub timeout: Duration,
}

impl Default for ReadinessConfig {
    /// Every 10 s, at most 10 s.
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), timeout: Duration::from_secs(10) }
    }
}

/// The result of one part of a check.
#[derive(Debug, Clone)]
pub struct CheckResult {
    /// What was tried: `decode`, `inference` or `plugins`.
    pub name: &'static str,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// The result of one check.
#[derive(Debug, Clone)]
pub struct CheckReport {
    /// When it ended.
    pub at: Instant,
    /// Its parts, in the order they were tried.
    pub results: Vec<CheckResult>,
}

impl CheckReport {
    /// Whether every part worked.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.results.iter().all(|result| result.failure.is_none())
    }
}

/// Why the service is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReady {
    /// The first check has not ended.
    Starting,
    /// The last check failed.
    Failed,
    /// The last check is too old: the checks themselves are stuck.
    Stale,
    /// The service is shutting down.
    Draining,
}

/// The last result of the background check.
#[derive(Debug)]
pub struct Readiness {
    config: ReadinessConfig,
    last: ArcSwapOption<CheckReport>,
    draining: CancellationToken,
}

impl Readiness {
    /// Nothing checked yet. `draining` is cancelled when the service begins to shut down.
    #[must_use]
    pub fn new(config: ReadinessConfig, draining: CancellationToken) -> Arc<Self> {
        Arc::new(Self { config, last: ArcSwapOption::empty(), draining })
    }

    /// Cancelled when the service begins to shut down: what would go on for ever ends then.
    #[must_use]
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// The last report, if there is one.
    #[must_use]
    pub fn last(&self) -> Option<Arc<CheckReport>> {
        self.last.load_full()
    }

    /// Whether the service is ready, judged by the last report alone: asking costs nothing.
    ///
    /// # Errors
    /// Why it is not.
    pub fn state(&self) -> Result<(), NotReady> {
        if self.draining.is_cancelled() {
            return Err(NotReady::Draining);
        }
        let report = self.last().ok_or(NotReady::Starting)?;
        if !report.is_ok() {
            return Err(NotReady::Failed);
        }
        if report.at.elapsed() > 3 * self.config.interval + self.config.timeout { Err(NotReady::Stale) } else { Ok(()) }
    }

    /// Keeps a report as the last one.
    pub fn record(&self, report: CheckReport) {
        self.last.store(Some(Arc::new(report)));
    }

    /// Checks now and then at intervals until `stop` is cancelled.
    pub async fn watch(self: Arc<Self>, operations: Arc<Operations>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(self.config.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let Some(report) = stop.run_until_cancelled(check(&operations, self.config.timeout)).await else {
                return;
            };
            for result in &report.results {
                if let Some(failure) = &result.failure {
                    tracing::warn!(task = "readiness", check = result.name, code = &*failure.code, error = %failure.chain(), "check failed");
                }
            }
            self.record(report);
        }
    }
}

/// Decodes the picture, runs the golden inference, asks a plugin for a plan.
pub async fn check(operations: &Operations, timeout: Duration) -> CheckReport {
    let context = CallContext::root(Principal::System, timeout);
    let mut results = Vec::new();
    let smallest = |info: &breakwater_vision::Info| Ok(info.size);
    let decoding = source::decode(operations.cpu(), Bytes::from_static(PICTURE), operations.limits(), context.deadline, smallest);
    let image = measured("decode", decoding, &mut results).await.map(|(image, _)| image);
    let inference = async { context.deadline.bound("the golden inference", operations.detectors().self_test()).await? };
    measured("inference", inference, &mut results).await;
    if let Some(image) = image {
        measured("plugins", plan(operations, &context, &image), &mut results).await;
    }
    CheckReport { at: Instant::now(), results }
}

async fn measured<T>(name: &'static str, work: impl Future<Output = Result<T, Failure>>, results: &mut Vec<CheckResult>) -> Option<T> {
    let started = Instant::now();
    let (value, failure) = work.await.map_or_else(|failure| (None, Some(failure)), |value| (Some(value), None));
    results.push(CheckResult { name, took: started.elapsed(), failure });
    value
}

/// A plan by any plugin. A plugin that is broken is no reason to take the whole service out, all of them are.
async fn plan(operations: &Operations, context: &CallContext, image: &Arc<Image>) -> Result<(), Failure> {
    let snapshot = operations.catalogue().snapshot();
    let ratio = AspectRatio::new(1, 1).map_err(|error| Failure::internal(error.to_string()))?;
    let mut tried = Vec::new();
    let mut last = Err(Failure::new(breakwater_core::FailureKind::Unavailable, "plugin.none-active", "no active plugin offers a strategy"));
    for (strategy, generation) in snapshot.strategies() {
        // A strategy with required parameters cannot be asked without knowing them.
        if tried.contains(&generation.digest()) || requires_parameters(&strategy.parameters) {
            continue;
        }
        if tried.len() == MAX_PLUGINS {
            break;
        }
        tried.push(generation.digest());
        let request = PlanRequest { strategy: strategy.name.clone(), ratio, parameters: json!({}) };
        match context.deadline.bound("the plugin", generation.plan(context, image, &[], &request)).await.flatten() {
            Ok(_) => return Ok(()),
            Err(failure) => last = Err(failure.from_origin(format!("plugin:{}", generation.id()))),
        }
    }
    last
}

fn requires_parameters(schema: &Value) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|required| !required.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(failure: Option<Failure>, age: Duration) -> CheckReport {
        let results = vec![CheckResult { name: "inference", took: Duration::from_millis(3), failure }];
        CheckReport { at: Instant::now().checked_sub(age).unwrap(), results }
    }

    #[test]
    fn ready_means_that_the_last_check_worked_and_is_fresh() {
        let draining = CancellationToken::new();
        let config = ReadinessConfig { interval: Duration::from_millis(10), timeout: Duration::from_millis(10) };
        let readiness = Readiness::new(config, draining.clone());
        assert_eq!(readiness.state(), Err(NotReady::Starting));
        readiness.record(report(None, Duration::ZERO));
        assert_eq!(readiness.state(), Ok(()));
        readiness.record(report(None, Duration::from_millis(100)));
        assert_eq!(readiness.state(), Err(NotReady::Stale));
        readiness.record(report(Some(Failure::internal("broken")), Duration::ZERO));
        assert_eq!(readiness.state(), Err(NotReady::Failed));
        draining.cancel();
        assert_eq!(readiness.state(), Err(NotReady::Draining));
    }

    #[test]
    fn the_picture_of_the_check_can_be_decoded() {
        let limits = breakwater_vision::Limits::default();
        let image = Image::decode(Bytes::from_static(PICTURE), breakwater_vision::Detail::Full, &limits).unwrap();
        assert_eq!(image.size(), breakwater_core::Size::new(96, 64));
    }
}
