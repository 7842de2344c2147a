//! Settings of sidecars, as `sidecar` wants them.

mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use breakwater_core::Method;
use breakwater_settings::{ByteSize, Development, RequestMethod, Settings, Sidecar, SidecarReadiness, Upstream, share_ports};
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
/// When `FLASK_PORT` is no port, or two would listen on the same port.
pub(crate) fn sidecar_configs(settings: &Settings) -> Result<BTreeMap<String, SidecarConfig>> {
    configs_with(settings, &of_this_process)
}

/// One of them, whatever is wrong with the others; nothing when there is none of this name.
///
/// # Errors
/// When its `FLASK_PORT` is no port, or another would listen on the same port.
pub(crate) fn sidecar_config(settings: &Settings, name: &str) -> Result<Option<SidecarConfig>> {
    config_with(settings, name, &of_this_process)
}

fn of_this_process(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn configs_with(settings: &Settings, host: HostVariable<'_>) -> Result<BTreeMap<String, SidecarConfig>> {
    let mut all = BTreeMap::new();
    for (name, sidecar) in &settings.sidecars {
        let converted = convert(settings, name, sidecar, host)?;
        refuse_shared_ports(settings, name, &converted, &all)?;
        all.insert(name, converted);
    }
    Ok(all.into_iter().map(|(name, converted)| (name.clone(), converted.config)).collect())
}

fn config_with(settings: &Settings, name: &str, host: HostVariable<'_>) -> Result<Option<SidecarConfig>> {
    let Some(sidecar) = settings.sidecars.get(name) else { return Ok(None) };
    let converted = convert(settings, name, sidecar, host)?;
    let others = settings.sidecars.iter().filter(|(other, _)| *other != name);
    let others = others.filter_map(|(other, sidecar)| Some((other, convert(settings, other, sidecar, host).ok()?)));
    refuse_shared_ports(settings, name, &converted, &others.collect())?;
    Ok(Some(converted.config))
}

/// A sidecar as it runs.
struct Converted {
    config: SidecarConfig,
    /// Whether its port is the one that it would have once its file of variables can be read.
    knows_port: bool,
}

fn convert(settings: &Settings, name: &str, sidecar: &Sidecar, host: HostVariable<'_>) -> Result<Converted> {
    let names: BTreeSet<&str> = settings.sidecars.keys().map(String::as_str).collect();
    let mut converted = completed(name, sidecar, host).with_context(|| format!("cannot set up the sidecar `{name}`"))?;
    converted.config.withheld = variables_with_secrets(settings);
    converted.config.validate(name, &names).map_err(outside::setup)?;
    Ok(converted)
}

/// The variables of the host that hold secrets of its own.
fn variables_with_secrets(settings: &Settings) -> BTreeSet<String> {
    let of = |upstream: &Upstream| [&upstream.api_key_env, &upstream.bearer_env, &upstream.basic_env].map(Clone::clone);
    settings.upstreams.values().flat_map(of).flatten().collect()
}

fn completed(name: &str, sidecar: &Sidecar, host: HostVariable<'_>) -> Result<Converted> {
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
        withheld: BTreeSet::new(),
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
    let variables = Variables::of(&config, host);
    let (port, port_from) = port(sidecar, &variables)?;
    let development = match sidecar.development {
        Development::On => true,
        Development::Off => false,
        Development::Auto => !STAGE_VARIABLES.iter().any(|name| variables.find(name).is_some_and(|(stage, _)| stage == PRODUCTION)),
    };
    let restart = RestartConfig { auto: sidecar.auto_restart.unwrap_or(development), ..config.restart.clone() };
    let knows_port = sidecar.port.is_some() || !variables.may_hide(PORT_VARIABLE);
    Ok(Converted { config: SidecarConfig { port, port_from, development, restart, ..config }, knows_port })
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
fn refuse_shared_ports(settings: &Settings, name: &str, of: &Converted, others: &BTreeMap<&String, Converted>) -> Result<()> {
    let (Some(ports), config) = (of.ports(), &of.config) else { return Ok(()) };
    let from = &config.port_from;
    let listens = |address: &&std::net::SocketAddr| share_ports(address.ip(), config.host) && ports.contains(&address.port().into());
    if let Some(address) = settings.server.listen.iter().find(listens) {
        bail!("the sidecar `{name}` cannot have port {} ({from}): Breakwater listens there itself", address.port());
    }
    for (other, with) in others {
        let Some(taken) = with.ports() else { continue };
        if share_ports(with.config.host, config.host) && taken.start < ports.end && ports.start < taken.end {
            let port = ports.start.max(taken.start);
            let with = &with.config.port_from;
            bail!("the sidecars `{other}` and `{name}` would both listen on port {port} ({with}; {from}): give one another `port`");
        }
    }
    Ok(())
}

impl Converted {
    /// The ports of its instances; nothing when they are not known, or nobody listens on them here.
    fn ports(&self) -> Option<Range<u32>> {
        let first = u32::from(self.config.port);
        let is_fixed = first != 0 && self.knows_port && !matches!(self.config.launch, Launch::External(_));
        is_fixed.then(|| first..first + self.config.instances)
    }
}

#[cfg(test)]
mod tests;
