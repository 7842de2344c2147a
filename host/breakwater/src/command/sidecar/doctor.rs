//! `breakwater sidecar doctor`: what a sidecar needs, looked at from here, and what a running service says of it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use breakwater_sidecar::doctor::{Report, examine};
use breakwater_sidecar::{ErrorKind, Probe, SidecarConfig};
use serde_json::{Value, json};

use super::{explanation, table, verdict};
use crate::cli::ServerAddress;
use crate::compose::sidecar_config;
use crate::configuration::Sources;
use crate::fields::list;
use crate::output;
use crate::server_client::{Refusal, Server};
use crate::times::now_ms;

pub(super) async fn run(name: &str, file: Option<PathBuf>, server: &ServerAddress) -> Result<ExitCode> {
    let config = configured(name, file)?;
    let said = ask(name, server).await;
    let running = said.as_ref().ok().and_then(Option::as_ref);
    let mut report = examine(name, &config).await;
    if let Some(status) = running {
        excuse_own_ports(&mut report, &own_ports(status));
    }
    let is_well = report.error.is_none() && running.is_none_or(table::is_ready);
    let shown = if server.json {
        let answer = json!({ "ok": is_well, "probes": report.probes, "error": report.error, "service": running });
        serde_json::to_string_pretty(&answer)?
    } else {
        format!("{}\n\n{}", here(name, &report), there(name, server, &said))
    };
    output::line(&shown);
    Ok(verdict(is_well))
}

fn configured(name: &str, file: Option<PathBuf>) -> Result<SidecarConfig> {
    let place = file.as_ref().map(|file| file.display().to_string());
    let settings = Sources::of_file(file).read()?;
    if let Some(config) = sidecar_config(&settings, name)? {
        return Ok(config);
    }
    let known: Vec<_> = settings.sidecars.into_keys().collect();
    match (place, known.is_empty()) {
        (None, true) => bail!("no sidecar is configured; name the configuration with --config FILE"),
        (Some(place), true) => bail!("{place} configures no sidecar"),
        (place, false) => {
            bail!("{} configures no sidecar `{name}`, but {}", place.as_deref().unwrap_or("the environment"), known.join(", "))
        }
    }
}

/// What the service says of the sidecar; nothing when it does not know it.
async fn ask(name: &str, server: &ServerAddress) -> Result<Option<Value>> {
    match Server::at(&server.server)?.sidecar(name).await {
        Ok(status) => Ok(Some(status)),
        Err(error) if error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.code.as_deref() == Some("sidecar.unknown")) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The ports of the instances that the service runs.
fn own_ports(status: &Value) -> BTreeSet<u16> {
    let running = list(status, "instances").filter(|instance| instance.get("pid").is_some_and(Value::is_u64));
    let urls = running.filter_map(|instance| instance.get("url")?.as_str()?.parse::<reqwest::Url>().ok());
    urls.filter_map(|url| url.port()).collect()
}

/// That a port is taken is as it should be when it is the sidecar that has it.
fn excuse_own_ports(report: &mut Report, own: &BTreeSet<u16>) {
    let port_of = |probe: &Probe| probe.what.strip_prefix("port ")?.parse::<u16>().ok();
    for probe in report.probes.iter_mut().filter(|probe| port_of(probe).is_some_and(|port| own.contains(&port))) {
        probe.ok = true;
        probe.found += ": the sidecar itself, which the service runs";
    }
    let is_taken = |probe: &Probe| !probe.ok && port_of(probe).is_some();
    if report.error.as_ref().is_some_and(|error| error.kind == ErrorKind::PortInUse) && !report.probes.iter().any(is_taken) {
        report.error = None;
    }
}

/// What was found here.
fn here(name: &str, report: &Report) -> String {
    let as_json = serde_json::to_value(&report.probes).unwrap_or_default();
    let mut lines = vec![format!("Looked at here for {name}:")];
    lines.extend(as_json.as_array().into_iter().flatten().map(explanation::probe));
    match &report.error {
        Some(error) => {
            let mut error = serde_json::to_value(error).unwrap_or_default();
            // They stand above already.
            if let Some(fields) = error.as_object_mut() {
                fields.remove("probes");
            }
            lines.extend([String::new(), explanation::text(&error, None)]);
        }
        None => lines.push(format!("✓ nothing is in the way of {name}")),
    }
    lines.join("\n")
}

/// What the service says.
fn there(name: &str, server: &ServerAddress, said: &Result<Option<Value>>) -> String {
    match said {
        Ok(Some(status)) => format!("The service at {} says:\n{}", server.server, table::one(status, now_ms())),
        Ok(None) => format!("The service at {} has no sidecar {name}.", server.server),
        Err(error) => format!("No word from a service: {error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use breakwater_sidecar::SidecarError;

    use super::*;

    fn probe(what: &str) -> Probe {
        Probe { what: what.to_owned(), ok: false, found: "taken".to_owned() }
    }

    fn report(kind: ErrorKind) -> Report {
        let message = "it is taken".to_owned();
        let error = SidecarError { kind, message, troubleshooting: vec![], probes: vec![], stderr: vec![], at_ms: 0 };
        Report { probes: vec![probe("script"), probe("port 5001"), probe("port 5002")], error: Some(error) }
    }

    #[test]
    fn ports_are_the_sidecars_own_while_its_processes_run_there() {
        let instance = |pid: Option<u32>, url: &str| json!({ "pid": pid, "url": url });
        let running = instance(Some(1), "http://127.0.0.1:5001");
        let status = json!({ "instances": [running, instance(None, "http://127.0.0.1:5002"), { "pid": 2 }] });
        assert_eq!(own_ports(&status), BTreeSet::from([5001]));

        let mut all = report(ErrorKind::PortInUse);
        excuse_own_ports(&mut all, &BTreeSet::from([5001, 5002]));
        assert_eq!(all.probes.iter().map(|probe| probe.ok).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(all.error, None);
        let mut one = report(ErrorKind::PortInUse);
        excuse_own_ports(&mut one, &BTreeSet::from([5001]));
        assert!(one.error.is_some() && !one.probes[2].ok, "the other belongs to somebody else");
        let mut script = report(ErrorKind::ScriptNotFound);
        excuse_own_ports(&mut script, &BTreeSet::from([5001, 5002]));
        assert!(script.error.is_some(), "what else is wrong is still wrong");
    }

    #[test]
    fn only_what_is_wrong_with_the_sidecar_itself_is_in_its_way() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("breakwater.toml");
        let port =
            |name: &str, port: &str| format!("[sidecars.{name}]\nscript = \"{name}.py\"\nenvironment = {{ FLASK_PORT = \"{port}\" }}\n");
        std::fs::write(&file, [port("broken", "many"), port("one", "5001"), port("two", "5002"), port("three", "5001")].concat()).unwrap();
        let configured = |name: &str| configured(name, Some(file.clone())).map(|config| config.port).map_err(|error| format!("{error:#}"));
        assert_eq!(configured("two"), Ok(5002));
        assert!(configured("broken").unwrap_err().contains("FLASK_PORT in `environment` is no port"));
        assert!(configured("one").unwrap_err().contains("`three` and `one` would both listen on port 5001"));
        assert!(configured("four").unwrap_err().ends_with("configures no sidecar `four`, but broken, one, three, two"));
    }

    #[test]
    fn what_was_found_is_shown_once() {
        let mut report = report(ErrorKind::PortInUse);
        let shown = here("flask", &report);
        assert!(shown.starts_with("Looked at here for flask:\n  ✗ script: taken\n") && shown.contains("\n\n✗ it is taken\n"), "{shown}");
        assert!(!shown.contains("What was looked at"), "{shown}");
        report.error = None;
        assert!(here("flask", &report).ends_with("✓ nothing is in the way of flask"));
    }
}
