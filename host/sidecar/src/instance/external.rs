//! An instance that somebody else runs: it is an endpoint while it answers.

use breakwater_upstream::ProbeError;
use tokio_util::sync::CancellationToken;

use super::Sidecar;
use crate::diagnosis;
use crate::error::{ErrorKind, Probe};
use crate::health::{Target, Unwell};
use crate::observer::Change;
use crate::status::State;

/// Asks it until all ends.
pub(super) async fn run(sidecar: &Sidecar, number: u32, stop: &CancellationToken) {
    let target = Target::of(&sidecar.config, 0);
    let config = &sidecar.config;
    let mut failures = 0;
    let mut is_ready = false;
    sidecar.change(number, State::Starting, None, &format!("somebody else runs it at {}", target.url), None);
    loop {
        let asked = target.ask(&sidecar.prober, &config.readiness, config.checks.attempt_timeout);
        if is_ready && config.checks.live_failures == 0 {
            stop.cancelled().await;
            break;
        }
        let Some(asked) = stop.run_until_cancelled(asked).await else { break };
        let wait = match asked {
            Ok(()) => {
                failures = 0;
                sidecar.record(number).answers(&target.url);
                if !is_ready {
                    is_ready = true;
                    sidecar.publish(number, &target.url, true);
                    sidecar.change(number, State::Ready, Some(Change::Ready), &format!("answers at {}", target.url), None);
                }
                config.checks.live_interval
            }
            Err(why) => {
                failures += 1;
                let limit = config.checks.live_failures.max(1);
                let line = format!("Health check failed {failures}/{limit} ({why})");
                tracing::info!(target: "sidecar", sidecar = sidecar.name, instance = number, attempt = failures, limit, cause = %why, "{line}");
                // Told once; what follows is the same.
                if failures == limit || (is_ready && failures > limit) {
                    is_ready = false;
                    sidecar.unpublish(number);
                    fail(sidecar, number, &target, &why);
                }
                config.checks.max_interval.min(config.checks.live_interval)
            }
        };
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            break;
        }
    }
    sidecar.unpublish(number);
    sidecar.change(number, State::Stopped, None, "the host ends", None);
}

fn fail(sidecar: &Sidecar, number: u32, target: &Target, why: &Unwell) {
    let kind = match why {
        Unwell::Probe(ProbeError::Refused | ProbeError::Network(_)) => ErrorKind::NetworkError,
        Unwell::Probe(ProbeError::Timeout) | Unwell::Status(_) | Unwell::NoLine => ErrorKind::HealthCheckTimeout,
        Unwell::Probe(ProbeError::NotHttp(_)) => ErrorKind::UnknownError,
    };
    let message = format!("the external server at {} cannot be used: {why}", target.url);
    let probes = vec![Probe::bad(target.url.clone(), why.to_string())];
    let error = diagnosis::explain(&sidecar.config, &sidecar.name, kind, message, probes, Vec::new());
    sidecar.record(number).failed(&error);
    sidecar.tell_failure(number, &error);
    sidecar.change(number, State::Failed, None, &format!("{kind}: {}", error.message), None);
}
