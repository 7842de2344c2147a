//! Settings of sidecars, as `sidecar` wants them.

mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use breakwater_core::Method;
use breakwater_settings::{ByteSize, Development, RequestMethod, Settings, Sidecar, SidecarReadiness, share_ports};
use breakwater_sidecar::{Checks, Launch, Readiness, ReaperCommand, Request, RestartConfig, SidecarConfig, Sidecars};
use breakwater_telemetry::Metrics;
use breakwater_upstream::Upstreams;
use regex::Regex;
use tokio_util::sync::CancellationToken;

use self::variables::{HostVariable, Variables};
use super::{Keep, observers, outside};

/// The commands of this binary that run between the host and a sidecar.
pub(crate) const REAP: &str = "sidecar-reap";
pub(crate) const EXEC: &str = "sidecar-exec";

/// The variable that sets the port of a sidecar whose settings do not.
const PORT_VARIABLE: &str = "FLASK_PORT";

/// Variables that say where a program runs, in the words of those who made them.
const STAGE_VARIABLES: [&str; 3] = ["NODE_ENV", "FLASK_ENV", "BREAKWATER_ENV"];
const PRODUCTION: &str = "production";

/// Starts the sidecars of the configuration; none for the commands without a server.
pub(super) async fn start(
    settings: &Settings,
    keep: Keep,
    upstreams: &Arc<Upstreams>,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
) -> Result<Arc<Sidecars>> {
    let configs = if keep == Keep::Everything { sidecar_configs(settings)? } else { BTreeMap::new() };
    let observer = Arc::new(observers::SidecarEvents(Arc::clone(metrics)));
    let started = Sidecars::start(configs, Arc::clone(upstreams), observer, ReaperCommand::of_this_program(REAP, EXEC), stop.clone()).await;
    started.map_err(outside::setup).context("cannot set up the sidecars")
}

/// The sidecars of the configuration, by name, with what it leaves to the environment: the port, and whether they are being worked on.
///
/// # Errors
/// When a file of variables cannot be read, `FLASK_PORT` is no port, or two would listen on the same port.
pub(crate) fn sidecar_configs(settings: &Settings) -> Result<BTreeMap<String, SidecarConfig>> {
    let host = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    configs_with(settings, &host)
}

fn configs_with(settings: &Settings, host: HostVariable<'_>) -> Result<BTreeMap<String, SidecarConfig>> {
    let names: BTreeSet<&str> = settings.sidecars.keys().map(String::as_str).collect();
    let mut configs = BTreeMap::new();
    for (name, sidecar) in &settings.sidecars {
        let config = sidecar_config(name, sidecar, host).with_context(|| format!("cannot set up the sidecar `{name}`"))?;
        config.validate(name, &names).map_err(outside::setup)?;
        configs.insert(name.clone(), config);
    }
    refuse_shared_ports(settings, &configs)?;
    Ok(configs)
}

fn sidecar_config(name: &str, sidecar: &Sidecar, host: HostVariable<'_>) -> Result<SidecarConfig> {
    let patterns = sidecar.patterns.iter().map(|(pattern, kind)| Ok((kind.word().parse()?, Regex::new(pattern)?)));
    let config = SidecarConfig {
        launch: launch(sidecar),
        upstream: sidecar.upstream.clone().unwrap_or_else(|| name.to_owned()),
        host: sidecar.host,
        port: SidecarConfig::DEFAULT_PORT,
        port_from: "the default".to_owned(),
        instances: sidecar.instances,
        pass_socket: sidecar.pass_socket,
        working_dir: sidecar.working_dir.clone(),
        environment: sidecar.environment.clone(),
        env_file: sidecar.env_file.clone(),
        virtualenv: sidecar.virtualenv.clone(),
        imports: sidecar.imports.clone(),
        minimum_version: sidecar.minimum_version.clone(),
        readiness: readiness(sidecar)?,
        checks: checks(sidecar),
        shutdown_timeout: sidecar.shutdown_timeout,
        drain_timeout: sidecar.drain_timeout,
        development: true,
        restart: restart(sidecar),
        memory_limit: sidecar.memory_limit.map(ByteSize::bytes),
        depends_on: sidecar.depends_on.clone(),
        patterns: patterns.collect::<Result<_>>()?,
        route_prefix: sidecar.route_prefix.clone(),
        strip_prefix: sidecar.strip_prefix,
        autostart: sidecar.autostart,
    };
    let variables = Variables::of(&config, host)?;
    let (port, port_from) = port(sidecar, &variables)?;
    let development = match sidecar.development {
        Development::On => true,
        Development::Off => false,
        Development::Auto => !STAGE_VARIABLES.iter().any(|name| variables.find(name).is_some_and(|(stage, _)| stage == PRODUCTION)),
    };
    let restart = RestartConfig { auto: sidecar.auto_restart.unwrap_or(development), ..config.restart.clone() };
    Ok(SidecarConfig { port, port_from, development, restart, ..config })
}

fn launch(sidecar: &Sidecar) -> Launch {
    match (&sidecar.external_url, &sidecar.script) {
        (Some(url), _) => Launch::External(url.as_str().to_owned()),
        (None, Some(path)) => {
            Launch::Script { path: path.clone(), interpreter: sidecar.interpreter.clone(), arguments: sidecar.args.clone() }
        }
        (None, None) => Launch::Command(sidecar.command.clone()),
    }
}

fn readiness(sidecar: &Sidecar) -> Result<Readiness> {
    Ok(match sidecar.readiness {
        SidecarReadiness::Tcp => Readiness::Tcp,
        SidecarReadiness::Line => Readiness::Line(Regex::new(sidecar.ready_line.as_deref().unwrap_or_default())?),
        SidecarReadiness::Http => Readiness::Http(Request { method: Method::Get, path: sidecar.health_path.clone(), body: None }),
        SidecarReadiness::Request => Readiness::Http(Request {
            method: method(sidecar.request_method),
            path: sidecar.request_path.clone().unwrap_or_default(),
            body: sidecar.request_body.as_ref().map(|body| body.as_str().to_owned()),
        }),
    })
}

fn method(word: RequestMethod) -> Method {
    match word {
        RequestMethod::Get => Method::Get,
        RequestMethod::Head => Method::Head,
        RequestMethod::Post => Method::Post,
        RequestMethod::Put => Method::Put,
        RequestMethod::Patch => Method::Patch,
        RequestMethod::Delete => Method::Delete,
        RequestMethod::Options => Method::Options,
    }
}

fn checks(sidecar: &Sidecar) -> Checks {
    Checks {
        timeout: sidecar.health_check_timeout,
        interval: sidecar.health_check_interval,
        factor: sidecar.health_check_factor,
        max_interval: sidecar.health_check_max_interval,
        max_attempts: sidecar.health_check_max_retries,
        attempt_timeout: sidecar.health_attempt_timeout,
        live_interval: sidecar.live_interval,
        live_failures: sidecar.live_failures,
    }
}

fn restart(sidecar: &Sidecar) -> RestartConfig {
    RestartConfig {
        auto: true,
        max_attempts: sidecar.max_restart_attempts,
        delay: sidecar.restart_delay,
        max_delay: sidecar.max_restart_delay,
        stable_after: sidecar.stable_after,
        loop_limit: sidecar.crash_loop_limit,
        start_limit: sidecar.start_limit,
        start_window: sidecar.start_window,
    }
}

/// The port of the first instance, and where it comes from.
fn port(sidecar: &Sidecar, variables: &Variables<'_>) -> Result<(u16, String)> {
    if let Some(port) = sidecar.port {
        return Ok((port, "`port` of the configuration".to_owned()));
    }
    let Some((text, from)) = variables.find(PORT_VARIABLE) else {
        return Ok((SidecarConfig::DEFAULT_PORT, "the default".to_owned()));
    };
    match text.parse() {
        Ok(port) => Ok((port, from)),
        Err(_) => {
            let shown: String = text.chars().take(20).collect();
            bail!("{from} is no port: expected a whole number, 0 to 65535, got {shown:?}")
        }
    }
}

/// The settings have compared the ports they know; this compares those that are left to the environment too.
fn refuse_shared_ports(settings: &Settings, configs: &BTreeMap<String, SidecarConfig>) -> Result<()> {
    let local = configs.iter().filter(|(_, config)| config.port != 0 && !matches!(config.launch, Launch::External(_)));
    let local: Vec<_> =
        local.map(|(name, config)| (name, config, u32::from(config.port)..u32::from(config.port) + config.instances)).collect();
    for (index, (name, config, ports)) in local.iter().enumerate() {
        let from = &config.port_from;
        let listens = |address: &&std::net::SocketAddr| share_ports(address.ip(), config.host) && ports.contains(&address.port().into());
        if let Some(address) = settings.server.listen.iter().find(listens) {
            bail!("the sidecar `{name}` cannot have port {} ({from}): Breakwater listens there itself", address.port());
        }
        let shares = |(_, other, taken): &&(&String, &SidecarConfig, std::ops::Range<u32>)| {
            share_ports(other.host, config.host) && taken.start < ports.end && ports.start < taken.end
        };
        if let Some((other, with, taken)) = local.iter().take(index).find(shares) {
            let port = ports.start.max(taken.start);
            let with = &with.port_from;
            bail!("the sidecars `{other}` and `{name}` would both listen on port {port} ({with}; {from}): give one another `port`");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
