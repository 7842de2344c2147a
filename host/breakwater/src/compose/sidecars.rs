//! Settings of sidecars, as `sidecar` wants them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use breakwater_settings::Settings;
use breakwater_sidecar::{ReaperCommand, SidecarConfig, Sidecars};
use breakwater_telemetry::Metrics;
use breakwater_upstream::Upstreams;
use tokio_util::sync::CancellationToken;

use super::{Keep, observers, outside};

/// The commands of this binary that run between the host and a sidecar.
pub(crate) const REAP: &str = "sidecar-reap";
pub(crate) const EXEC: &str = "sidecar-exec";

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
    let started = Sidecars::start(configs, Arc::clone(upstreams), observer, reaper(), stop.clone()).await;
    started.map_err(outside::setup).context("cannot set up the sidecars")
}

/// This binary itself, even if its file was replaced meanwhile.
pub(crate) fn reaper() -> ReaperCommand {
    ReaperCommand { program: PathBuf::from("/proc/self/exe"), reap: vec![REAP.into()], exec: vec![EXEC.into()] }
}

pub(crate) fn sidecar_configs(_settings: &Settings) -> Result<BTreeMap<String, SidecarConfig>> {
    Ok(BTreeMap::new())
}
