//! Local processes that the host looks after, as a transport shows and steers them, and requests that are passed through to them.
//!
//! What happens to one is said by whoever looks after it. A start, stop or restart runs to its end once it has begun, whether or not
//! anyone still waits.

use breakwater_core::{CallContext, Failure, FailureKind, OutboundRequest, OutboundResponse};

pub use breakwater_sidecar::{
    ErrorKind, HistoryEntry, InstanceStatus, LogLine, LogStream, Logs, Probe, Route, Runtime, SidecarError, SidecarStatus, State,
};

use crate::operations::Operations;

/// The sidecar that stands for the process bridge's Python server, if there is one of this name.
const PYTHON: &str = "python";

impl Operations {
    /// How every sidecar is, by name.
    #[must_use]
    pub fn sidecar_statuses(&self) -> Vec<SidecarStatus> {
        self.sidecars().list()
    }

    /// How one sidecar is.
    ///
    /// # Errors
    /// `sidecar.unknown` (not found).
    pub fn sidecar_status(&self, name: &str) -> Result<SidecarStatus, Failure> {
        self.sidecars().status(name)
    }

    /// The last lines that a sidecar wrote, and those to come.
    ///
    /// # Errors
    /// `sidecar.unknown` (not found).
    pub fn sidecar_logs(&self, name: &str) -> Result<Logs, Failure> {
        self.sidecars().logs(name)
    }

    /// How the Python server is that the process bridge looked after: the sidecar called `python`, else the first by name that is written
    /// in Python, else the only one that somebody else runs: what that is written in nobody here knows.
    ///
    /// # Errors
    /// `sidecar.unknown` (not found): there is none.
    pub fn python_status(&self) -> Result<SidecarStatus, Failure> {
        python(&self.sidecar_statuses())
    }

    /// Starts every instance that does not run, and waits until each is ready, has failed, or waits for another sidecar.
    ///
    /// # Errors
    /// `sidecar.unknown` (not found); `sidecar.external` (invalid request): somebody else runs it; `sidecar.start-failed` (unavailable): an
    /// instance did not become ready; the detail holds its `error` and the `status`.
    pub async fn start_sidecar(&self, name: &str) -> Result<SidecarStatus, Failure> {
        let name = name.to_owned();
        self.to_its_end(|this| async move { this.sidecars().start_sidecar(&name).await }).await
    }

    /// Ends every instance, after the calls that run, and waits for it.
    ///
    /// # Errors
    /// `sidecar.unknown` (not found), `sidecar.external` (invalid request).
    pub async fn stop_sidecar(&self, name: &str) -> Result<SidecarStatus, Failure> {
        let name = name.to_owned();
        self.to_its_end(|this| async move { this.sidecars().stop_sidecar(&name).await }).await
    }

    /// Ends and starts every instance at once.
    ///
    /// # Errors
    /// As [`Self::start_sidecar`].
    pub async fn restart_sidecar(&self, name: &str) -> Result<SidecarStatus, Failure> {
        let name = name.to_owned();
        self.to_its_end(|this| async move { this.sidecars().restart(&name).await }).await
    }

    /// Ends and starts one instance after the other, so that with two of them no call fails.
    ///
    /// # Errors
    /// As [`Self::start_sidecar`]; then the instances that were not reached go on as they were.
    pub async fn rolling_restart_sidecar(&self, name: &str) -> Result<SidecarStatus, Failure> {
        let name = name.to_owned();
        self.to_its_end(|this| async move { this.sidecars().rolling_restart(&name).await }).await
    }

    /// The sidecar to which requests of this path are passed through, if there is one.
    #[must_use]
    pub fn sidecar_route(&self, path_and_query: &str) -> Option<Route> {
        self.sidecars().route(path_and_query)
    }

    /// Passes somebody's request through to a sidecar, by way of its upstream. `request.path` is that of the route.
    ///
    /// # Errors
    /// Those of [`breakwater_upstream::Upstreams::send`].
    pub async fn pass_through(&self, context: &CallContext, route: Route, request: OutboundRequest) -> Result<OutboundResponse, Failure> {
        self.upstreams().send(context, &route.upstream, OutboundRequest { path: route.path, ..request }).await
    }
}

fn python(sidecars: &[SidecarStatus]) -> Result<SidecarStatus, Failure> {
    let first = |fits: &dyn Fn(&SidecarStatus) -> bool| sidecars.iter().find(|sidecar| fits(sidecar));
    let only_external = || {
        let mut external = sidecars.iter().filter(|sidecar| sidecar.external);
        external.next().filter(|_| external.next().is_none())
    };
    let named = first(&|sidecar| sidecar.name == PYTHON);
    let found = named.or_else(|| first(&|sidecar| sidecar.runtime == Runtime::Python)).or_else(only_external);
    found.cloned().ok_or_else(|| Failure::new(FailureKind::NotFound, "sidecar.unknown", "there is no sidecar that is written in Python"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sidecar(name: &str, runtime: Runtime) -> SidecarStatus {
        SidecarStatus {
            name: name.to_owned(),
            upstream: name.to_owned(),
            runtime,
            external: false,
            ready: true,
            restarting: false,
            restart_attempts: 0,
            max_restart_attempts: 3,
            last_error: None,
            uptime_ms: None,
            last_health_check_ms: None,
            instances: Vec::new(),
            history: Vec::new(),
        }
    }

    #[test]
    fn the_python_server_is_the_one_of_that_name_or_the_first_in_python_or_the_only_external_one() {
        let all = [
            sidecar("api", Runtime::Node),
            sidecar("flask", Runtime::Python),
            sidecar("images", Runtime::Python),
            sidecar("python", Runtime::Binary),
        ];
        let found = |sidecars: &[SidecarStatus]| python(sidecars).map(|status| status.name).map_err(|failure| failure.code);
        assert_eq!(found(&all).as_deref(), Ok("python"));
        assert_eq!(found(&all[..3]).as_deref(), Ok("flask"));
        assert_eq!(found(&all[..1]).unwrap_err(), "sidecar.unknown");
        assert!(found(&[]).is_err());
        let external = |name: &str| SidecarStatus { external: true, ..sidecar(name, Runtime::Binary) };
        let (one, other) = (external("flask"), external("other"));
        assert_eq!(found(&[sidecar("api", Runtime::Node), one.clone()]).as_deref(), Ok("flask"));
        assert_eq!(found(&[one.clone(), sidecar("images", Runtime::Python)]).as_deref(), Ok("images"));
        assert_eq!(found(&[one, other]).unwrap_err(), "sidecar.unknown", "which of them it is cannot be told");
    }
}
