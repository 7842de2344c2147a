//! `breakwater sidecar doctor`: what a sidecar needs, looked at from here, and what a running service says of it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use breakwater_sidecar::doctor::{Report, examine};
use breakwater_sidecar::{ErrorKind, SidecarConfig};
use serde_json::{Value, json};

use super::{explanation, table, verdict};
use crate::cli::ServerAddress;
use crate::compose::sidecar_configs;
use crate::configuration::Sources;
use crate::fields::list;
use crate::output;
use crate::server_client::{Refusal, Server};
use crate::times::now_ms;

pub(super) async fn run(name: &str, file: Option<PathBuf>, server: &ServerAddress) -> Result<ExitCode> {
    let config = configured(name, file)?;
    let said = ask(name, server).await;
    let report = examine(name, &config).await;
    let running = said.as_ref().ok().and_then(Option::as_ref);
    let own_port = report.error.as_ref().is_some_and(|error| error.kind == ErrorKind::PortInUse)
        && running.is_some_and(|status| has_a_process(status, &config));
    let is_well = (report.error.is_none() || own_port) && running.is_none_or(table::is_ready);
    let shown = if server.json {
        let service = running.cloned().unwrap_or_default();
        let error = report.error.as_ref().filter(|_| !own_port);
        serde_json::to_string_pretty(&json!({ "ok": is_well, "probes": report.probes, "error": error, "service": service }))?
    } else {
        format!("{}\n\n{}", here(name, &report, own_port), there(name, server, &said))
    };
    output::line(&shown);
    Ok(verdict(is_well))
}

fn configured(name: &str, file: Option<PathBuf>) -> Result<SidecarConfig> {
    let place = file.as_ref().map(|file| file.display().to_string());
    let mut all = sidecar_configs(&Sources::of_file(file).read()?)?;
    if let Some(config) = all.remove(name) {
        return Ok(config);
    }
    let known: Vec<_> = all.into_keys().collect();
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

/// Whether an instance that the service runs holds one of the configured ports.
fn has_a_process(status: &Value, config: &SidecarConfig) -> bool {
    let first = u64::from(config.port);
    let ports = first..first.saturating_add(u64::from(config.instances));
    list(status, "instances").filter(|instance| instance.get("pid").is_some_and(Value::is_u64)).any(|instance| {
        let url = instance.get("url").and_then(Value::as_str).and_then(|url| url.parse::<reqwest::Url>().ok());
        url.and_then(|url| url.port()).is_some_and(|port| ports.contains(&u64::from(port)))
    })
}

/// What was found here.
fn here(name: &str, report: &Report, own_port: bool) -> String {
    let as_json = serde_json::to_value(&report.probes).unwrap_or_default();
    let probes = as_json.as_array().into_iter().flatten().map(explanation::probe);
    let mut lines = vec![format!("Looked at here for {name}:")];
    lines.extend(probes);
    match &report.error {
        Some(_) if own_port => lines.push("The port is taken by the sidecar itself: the service runs it.".to_owned()),
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
    use breakwater_sidecar::Launch;

    use super::*;

    fn instance(pid: Option<u32>, url: &str) -> Value {
        json!({ "instances": [{ "pid": pid, "url": url }] })
    }

    #[test]
    fn a_port_is_the_sidecars_own_while_its_process_runs_there() {
        let mut config = SidecarConfig::new("flask", Launch::Command(vec!["flask".to_owned()]));
        config.instances = 2;
        assert!(has_a_process(&instance(Some(1), "http://127.0.0.1:5002"), &config));
        assert!(!has_a_process(&instance(Some(1), "http://127.0.0.1:5003"), &config), "another port");
        assert!(!has_a_process(&instance(None, "http://127.0.0.1:5001"), &config), "nobody runs");
        assert!(!has_a_process(&json!({ "instances": [] }), &config));
    }
}
