//! Looking after an instance that is ready.

use std::time::Duration;

use super::Sidecar;
use crate::error::ErrorKind;
use crate::health::{Target, Unwell};
use crate::proc;

/// How often its memory is looked at when there is a limit.
const MEMORY_LOOK: Duration = Duration::from_secs(1);
/// How often otherwise, for its status and the metrics.
const IDLE_MEMORY_LOOK: Duration = Duration::from_secs(15);

/// Why it counts as hanging.
#[derive(Debug, Clone)]
pub(super) struct Silent {
    failures: u32,
    last: Unwell,
}

/// Checks it again and again, until too many checks in a row have failed. Never ends when it is not checked.
pub(super) async fn until_unwell(sidecar: &Sidecar, number: u32, target: &Target) -> Silent {
    let checks = &sidecar.config.checks;
    if checks.live_failures == 0 {
        std::future::pending::<()>().await;
    }
    let mut failures = 0;
    loop {
        tokio::time::sleep(checks.live_interval).await;
        match target.ask(&sidecar.prober, &sidecar.config.readiness, checks.attempt_timeout).await {
            Ok(()) => {
                failures = 0;
                sidecar.record(number).checked();
            }
            Err(last) => {
                failures += 1;
                let limit = checks.live_failures;
                let line = format!("Health check failed {failures}/{limit} ({last})");
                let (pid, uptime_ms, _) = sidecar.record(number).log_fields();
                let sidecar_name = sidecar.name.as_str();
                tracing::warn!(target: "sidecar", sidecar = sidecar_name, instance = number, attempt = failures, limit, cause = %last, pid, uptime_ms, "{line}");
                sidecar.say(number, &line);
                if failures >= limit {
                    return Silent { failures, last };
                }
            }
        }
    }
}

pub(super) fn hanging(why: &Silent) -> (ErrorKind, String) {
    let Silent { failures, last } = why;
    (ErrorKind::HealthCheckTimeout, format!("it does not answer any more: {failures} health checks in a row failed, the last one: {last}"))
}

/// Looks at its memory again and again, until it is more than allowed. Never ends without a limit.
pub(super) async fn until_too_large(sidecar: &Sidecar, number: u32, reaper: Option<u32>) -> u64 {
    let limit = sidecar.config.memory_limit;
    let Some(reaper) = reaper else { return std::future::pending().await };
    loop {
        let used = proc::children(reaper).into_iter().map(proc::memory).sum();
        sidecar.record(number).uses(used);
        if limit.is_some_and(|limit| used > limit) {
            return used;
        }
        tokio::time::sleep(if limit.is_some() { MEMORY_LOOK } else { IDLE_MEMORY_LOOK }).await;
    }
}

pub(super) fn too_large(used: u64, limit: Option<u64>) -> (ErrorKind, String) {
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1u32 << 20);
    let limit = limit.unwrap_or(used);
    let message =
        format!("it used {:.0} MiB of memory and may use {:.0} (memory_limit), so it was ended", mebibytes(used), mebibytes(limit));
    (ErrorKind::ProcessCrash, message)
}
