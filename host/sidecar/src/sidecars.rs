//! All sidecars.

use std::collections::BTreeMap;
use std::sync::Arc;

use breakwater_core::{Failure, FailureKind};
use breakwater_upstream::Upstreams;
use tokio_util::sync::CancellationToken;

use crate::config::SidecarConfig;
use crate::observer::SidecarObserver;
use crate::output::Logs;
use crate::process::ReaperCommand;
use crate::status::SidecarStatus;

/// All sidecars of the host.
#[derive(Debug)]
pub struct Sidecars {}

/// Where requests go whose path begins with a sidecar's prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The sidecar.
    pub sidecar: String,
    /// Its upstream.
    pub upstream: String,
    /// The path and query that it is asked for.
    pub path: String,
}

impl Sidecars {
    /// Declares the upstreams of the sidecars and starts those that start with the host, each in tasks of its own, which end with `stop`.
    ///
    /// # Errors
    /// `sidecar.config` (invalid request): one cannot be set up as it is configured. That one does not start is in its status.
    pub async fn start(
        configs: BTreeMap<String, SidecarConfig>,
        upstreams: Arc<Upstreams>,
        observer: Arc<dyn SidecarObserver>,
        reaper: ReaperCommand,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, Failure> {
        drop((configs, upstreams, observer, reaper, stop));
        Ok(Arc::new(Self {}))
    }

    /// Ends every sidecar, those that others depend on last, and waits until nothing of them runs.
    pub async fn shutdown(&self) {}

    /// How every sidecar is, by name.
    #[must_use]
    pub fn list(&self) -> Vec<SidecarStatus> {
        Vec::new()
    }

    /// How one is.
    ///
    /// # Errors
    /// `sidecar.unknown` (not found).
    pub fn status(&self, name: &str) -> Result<SidecarStatus, Failure> {
        Err(unknown(name))
    }

    /// The last lines that it wrote, and those to come.
    ///
    /// # Errors
    /// `sidecar.unknown` (not found).
    pub fn logs(&self, name: &str) -> Result<Logs, Failure> {
        Err(unknown(name))
    }

    /// Starts every instance that does not run, and waits until each is ready or has failed. One that gave up begins anew.
    ///
    /// # Errors
    /// `sidecar.unknown` (not found); `sidecar.external` (invalid request): somebody else runs it; `sidecar.start-failed` (unavailable): an
    /// instance did not become ready; the detail holds its `error` and the `status`.
    pub async fn start_sidecar(&self, name: &str) -> Result<SidecarStatus, Failure> {
        self.status(name)
    }

    /// Ends every instance, after the calls that run, and waits for it.
    ///
    /// # Errors
    /// `sidecar.unknown` (not found), `sidecar.external` (invalid request).
    pub async fn stop_sidecar(&self, name: &str) -> Result<SidecarStatus, Failure> {
        self.status(name)
    }

    /// Ends and starts every instance at once.
    ///
    /// # Errors
    /// As [`Self::start_sidecar`].
    pub async fn restart(&self, name: &str) -> Result<SidecarStatus, Failure> {
        self.status(name)
    }

    /// Ends and starts one instance after the other, each after the calls that run at it; the next only when the one before is ready again.
    ///
    /// # Errors
    /// As [`Self::start_sidecar`]; then the instances that were not reached go on as they were.
    pub async fn rolling_restart(&self, name: &str) -> Result<SidecarStatus, Failure> {
        self.status(name)
    }

    /// The sidecar whose prefix a request's path begins with; the longest prefix wins.
    #[must_use]
    pub fn route(&self, path_and_query: &str) -> Option<Route> {
        let _ = path_and_query;
        None
    }
}

fn unknown(name: &str) -> Failure {
    let name: String = name.chars().take(128).collect();
    Failure::new(FailureKind::NotFound, "sidecar.unknown", format!("there is no sidecar `{name}`"))
}
