//! From nothing to ready.

use std::sync::Arc;

use super::{Running, Sidecar};
use crate::config::Readiness;
use crate::diagnosis;
use crate::error::{ErrorKind, SidecarError};
use crate::exit::Exit;
use crate::health::Target;
use crate::observer::Change;
use crate::output::Writer;
use crate::ports;
use crate::preflight::{self, Depth, Findings};
use crate::process::{Plan, Process, SpawnError};
use crate::readiness::{NotReady, Waiting};
use crate::reaper::COMPLAINT;
use crate::status::State;

/// Starts an instance and waits until it is ready. `half` holds the process while it is not, also when it did not become ready: whoever gives
/// up this start ends it.
pub(super) async fn start(sidecar: &Arc<Sidecar>, number: u32, depth: Depth, half: &mut Option<Process>) -> Result<Running, SidecarError> {
    // Whoever starts it may have said already what it waits for first.
    let mut is_told = sidecar.record(number).state() == State::Waiting;
    for (name, ready) in &sidecar.needs {
        let mut ready = ready.clone();
        if *ready.borrow() {
            continue;
        }
        if !std::mem::take(&mut is_told) {
            tell_wait(sidecar, number, name);
        }
        // Its sender lives as long as the sidecars; should it be gone, all ends and so does this.
        if ready.wait_for(|ready| *ready).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
    sidecar.change(number, State::Checking, None, "what it needs is looked at", None);
    let port = match sidecar.config.port_of(number) {
        0 if !sidecar.config.pass_socket => ports::free(sidecar.config.host)
            .map_err(|error| explain(sidecar, ErrorKind::PortInUse, format!("there is no free port: {error}"), Findings::default()))?,
        port => port,
    };
    let plan = look(sidecar, number, port, depth).await?;
    let ready_line = match &sidecar.config.readiness {
        Readiness::Line(pattern) => Some(pattern.clone()),
        _ => None,
    };
    let writer = Writer::new(&sidecar.name, number, sidecar.config.development, Arc::clone(&sidecar.journal), ready_line);
    let process = match Process::start(&plan, &sidecar.reaper, &writer).await {
        Ok(process) => process,
        Err(SpawnError::PortInUse) => {
            // Taken since it was looked at.
            let findings = preflight::examine(&sidecar.config, number, port, Depth::Whole, Some(&sidecar.reaper)).await;
            return Err(explain(sidecar, ErrorKind::PortInUse, format!("Port {port} is already in use"), findings));
        }
        Err(SpawnError::Failed(why)) => {
            return Err(explain(
                sidecar,
                ErrorKind::ProcessSpawnError,
                format!("the process could not be started: {why}"),
                Findings::default(),
            ));
        }
    };
    let port = process.port.unwrap_or(port);
    let target = Target::of(&sidecar.config, port);
    let pid = process.pid;
    sidecar.record(number).started(pid, &target.url);
    sidecar.change(number, State::Starting, Some(Change::Started), &format!("process {pid} on port {port}"), Some(pid));
    let process = half.insert(process);
    let ready = tokio::select! {
        biased;
        exit = process.ended() => Err(Early::Exit(exit)),
        ready = until_ready(sidecar, number, &target, &writer) => ready.map_err(Early::NotReady),
    };
    match ready {
        Ok(()) => match half.take() {
            Some(process) => Ok(Running { process, target, writer }),
            None => Err(explain(sidecar, ErrorKind::UnknownError, "the process is gone".to_owned(), Findings::default())),
        },
        Err(Early::Exit(exit)) => {
            let left = match half.take() {
                Some(process) => process.finish().await,
                None => 0,
            };
            Err(crashed_at_start(sidecar, number, port, Exit { left, ..exit }, writer.stderr_lines()).await)
        }
        Err(Early::NotReady(why)) => Err(not_ready(sidecar, port, &why, writer.stderr_lines())),
    }
}

/// Whether an instance that runs could be started anew: everything but its port, which it has.
pub(super) async fn could_start(sidecar: &Sidecar, number: u32) -> Result<(), SidecarError> {
    let Findings { probes, fault, .. } = preflight::examine(&sidecar.config, number, 0, Depth::Whole, Some(&sidecar.reaper)).await;
    let Some(fault) = fault else { return Ok(()) };
    let message = format!("{}; the process that runs was left alone", fault.message);
    Err(diagnosis::explain(&sidecar.config, &sidecar.name, fault.kind, message, probes, fault.stderr))
}

/// Why it did not become ready.
enum Early {
    Exit(Exit),
    NotReady(NotReady),
}

/// Says which sidecar it waits for.
pub(super) fn tell_wait(sidecar: &Sidecar, number: u32, name: &str) {
    sidecar.change(number, State::Waiting, None, &format!("{name} must be ready first"), None);
}

/// Looks at what it needs, and again if something is missing.
async fn look(sidecar: &Sidecar, number: u32, port: u16, depth: Depth) -> Result<Plan, SidecarError> {
    let mut left = preflight::RETRIES;
    loop {
        let findings = preflight::examine(&sidecar.config, number, port, depth, Some(&sidecar.reaper)).await;
        let Findings { probes, fault, plan } = findings;
        let Some(fault) = fault else {
            let unknown = || explain(sidecar, ErrorKind::UnknownError, "there is nothing to start".to_owned(), Findings::default());
            return plan.ok_or_else(unknown);
        };
        if left == 0 {
            return Err(diagnosis::explain(&sidecar.config, &sidecar.name, fault.kind, fault.message, probes, fault.stderr));
        }
        left -= 1;
        tracing::info!(target: "sidecar", sidecar = sidecar.name, instance = number, error = fault.kind.name(), "{}; looking again", fault.message);
        tokio::time::sleep(preflight::RETRY_DELAY).await;
    }
}

async fn until_ready(sidecar: &Sidecar, number: u32, target: &Target, writer: &Writer) -> Result<(), NotReady> {
    let (config, limit) = (&sidecar.config, sidecar.config.checks.max_attempts);
    let waiting = Waiting { target, prober: &sidecar.prober, readiness: &config.readiness, checks: &config.checks };
    let attempts = waiting
        .until_ready(writer.ready(), |attempt, cause| {
            let line = format!("Health check attempt {attempt}/{limit}... ({cause})");
            let (pid, _, restarts) = sidecar.record(number).log_fields();
            tracing::info!(target: "sidecar", sidecar = sidecar.name, instance = number, attempt, limit, %cause, pid, restarts, "{line}");
            sidecar.say(number, &line);
        })
        .await?;
    let line = format!("Health check attempt {attempts}/{limit} passed");
    let (pid, _, restarts) = sidecar.record(number).log_fields();
    tracing::info!(target: "sidecar", sidecar = sidecar.name, instance = number, attempt = attempts, limit, pid, restarts, "{line}");
    Ok(())
}

fn explain(sidecar: &Sidecar, kind: ErrorKind, message: String, findings: Findings) -> SidecarError {
    diagnosis::explain(&sidecar.config, &sidecar.name, kind, message, findings.probes, Vec::new())
}

/// What ended it, by what it wrote.
fn of_output(sidecar: &Sidecar, exit: Exit, stderr: &[String]) -> Option<(ErrorKind, String)> {
    let complaint = diagnosis::last_line(stderr).and_then(|line| line.strip_prefix(COMPLAINT));
    if let Some(complaint) = complaint {
        return Some((ErrorKind::ProcessSpawnError, format!("the process could not be started: {complaint}")));
    }
    let (kind, line) = diagnosis::kind_of_output(&sidecar.config, stderr)?;
    Some((kind, format!("the process exited {exit}: {line}")))
}

/// It ended before it was ready: what it needs is looked at once more, then what it wrote.
async fn crashed_at_start(sidecar: &Sidecar, number: u32, port: u16, exit: Exit, stderr: Vec<String>) -> SidecarError {
    let Findings { probes, fault, .. } = preflight::examine(&sidecar.config, number, port, Depth::Whole, Some(&sidecar.reaper)).await;
    let (kind, message) = match (fault, of_output(sidecar, exit, &stderr)) {
        (Some(fault), _) => (fault.kind, fault.message),
        (None, Some(found)) => found,
        (None, None) => (ErrorKind::ProcessCrash, format!("the process exited {exit} during its health check")),
    };
    diagnosis::explain(&sidecar.config, &sidecar.name, kind, message, probes, stderr)
}

/// It ended after it was ready.
pub(super) fn crashed(sidecar: &Sidecar, exit: Exit, stderr: Vec<String>) -> SidecarError {
    // What it wrote while it was well says little about its end; only its very last words count.
    let last = diagnosis::last_line(&stderr).filter(|_| !exit.is_from_outside()).map(str::to_owned);
    let message = match last {
        Some(line) => format!("the process exited {exit}: {line}"),
        None => format!("the process exited {exit}"),
    };
    diagnosis::explain(&sidecar.config, &sidecar.name, ErrorKind::ProcessCrash, message, Vec::new(), stderr)
}

fn not_ready(sidecar: &Sidecar, port: u16, why: &NotReady, stderr: Vec<String>) -> SidecarError {
    let probes = vec![crate::error::Probe::bad(format!("port {port}"), why.last.to_string())];
    let (kind, message) = if why.is_other_protocol() {
        (ErrorKind::UnknownError, format!("what listens on port {port} does not speak HTTP: {}", why.message(&sidecar.config.checks)))
    } else {
        (ErrorKind::HealthCheckTimeout, why.message(&sidecar.config.checks))
    };
    diagnosis::explain(&sidecar.config, &sidecar.name, kind, message, probes, stderr)
}
