//! Finding out what is wrong with a sidecar without starting it.

use serde::Serialize;

use breakwater_upstream::Prober;

use crate::config::{Launch, SidecarConfig};
use crate::diagnosis;
use crate::error::{ErrorKind, Probe, SidecarError};
use crate::health::Target;
use crate::ports;
use crate::preflight::{self, Depth};

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Each thing, and what was found.
    pub probes: Vec<Probe>,
    /// The first thing that is wrong.
    pub error: Option<SidecarError>,
}

/// Looks at everything that a sidecar needs, as its start does, for each of its ports. An external one is asked whether it is well.
pub async fn examine(name: &str, config: &SidecarConfig) -> Report {
    if let Launch::External(url) = &config.launch {
        return external(name, config, url).await;
    }
    let mut findings = preflight::examine(config, 0, config.port_of(0), Depth::Whole, None).await;
    for instance in 1..config.instances {
        let port = config.port_of(instance);
        if port == 0 {
            break;
        }
        match ports::taken(std::net::SocketAddr::new(config.host, port)) {
            None => findings.probes.push(Probe::good(format!("port {port}"), "free")),
            Some(who) => {
                let message = format!("Port {port} is already in use: {who} (instance {instance} needs it)");
                findings.probes.push(Probe::bad(format!("port {port}"), who));
                findings.fault.get_or_insert(preflight::Fault { kind: ErrorKind::PortInUse, message, stderr: Vec::new() });
            }
        }
    }
    let probes = findings.probes;
    let error = findings.fault.map(|fault| diagnosis::explain(config, name, fault.kind, fault.message, bad(&probes), fault.stderr));
    Report { probes, error }
}

fn bad(probes: &[Probe]) -> Vec<Probe> {
    probes.iter().filter(|probe| !probe.ok).cloned().collect()
}

async fn external(name: &str, config: &SidecarConfig, url: &str) -> Report {
    let asked = match Prober::new() {
        Ok(prober) => {
            let asked = Target::of(config, 0).ask(&prober, &config.readiness, config.checks.attempt_timeout).await;
            asked.map_err(|why| why.to_string())
        }
        Err(failure) => Err(failure.to_string()),
    };
    match asked {
        Ok(()) => Report { probes: vec![Probe::good(url, "answers its health check")], error: None },
        Err(why) => {
            let probes = vec![Probe::bad(url, why.clone())];
            let message = format!("the external server at {url} cannot be used: {why}");
            let error = diagnosis::explain(config, name, ErrorKind::NetworkError, message, probes.clone(), Vec::new());
            Report { probes, error: Some(error) }
        }
    }
}
