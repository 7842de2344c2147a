//! SIGTERM and SIGINT stop the service; SIGHUP makes it read its configuration again.

use anyhow::{Context as _, Result};
use breakwater_settings::{Reload, Settings};
use breakwater_telemetry::LogHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::configuration::Sources;

/// The signals, caught from the moment this exists.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn catch() -> Result<Self> {
        let catch = |kind| signal(kind).context("cannot catch signals");
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hangup: catch(SignalKind::hangup())?,
        })
    }

    /// Task `signals`, owned by `serve`. The first signal to stop cancels `stop`, the second `abort`, which ends this task.
    pub(super) async fn handle(mut self, mut reload: Reloader, stop: CancellationToken, abort: CancellationToken) {
        loop {
            let name = tokio::select! {
                _ = self.hangup.recv() => {
                    reload.reload();
                    continue;
                }
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            };
            if stop.is_cancelled() {
                tracing::warn!(signal = name, "stopping at once");
                abort.cancel();
                return;
            }
            tracing::info!(signal = name, "stopping; calls under way may end");
            stop.cancel();
        }
    }
}

/// Reads the configuration again and uses what can change while the service runs.
pub(super) struct Reloader {
    pub(super) sources: Sources,
    pub(super) settings: Settings,
    pub(super) log: LogHandle,
}

impl Reloader {
    /// A configuration that is wrong changes nothing.
    fn reload(&mut self) {
        let settings = match self.sources.read() {
            Ok(settings) => settings,
            Err(error) => {
                tracing::error!("the configuration was not reloaded:\n{error:#}");
                return;
            }
        };
        if let Err(error) = self.log.set_filter(&settings.telemetry.log_filter) {
            tracing::error!(%error, "the log filter was not changed");
        }
        let live = self.settings.changed(&settings, Reload::Live);
        let restart = self.settings.changed(&settings, Reload::Restart);
        if !restart.is_empty() {
            tracing::warn!(keys = restart.join(", "), "these keys changed and take effect after a restart");
        }
        tracing::info!(changed = live.join(", "), "the configuration was reloaded");
        // What needs a restart is compared with what was in force at the start, so that each reload names it until then.
        self.settings.telemetry.log_filter = settings.telemetry.log_filter;
    }
}
