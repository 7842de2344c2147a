//! `breakwater serve`.
//!
//! Background tasks, all owned by [`run`]: `server` (ends when the service stops; its end stops the service), `signals` (ends with the
//! process), `readiness` and `plugin-watch` (end when the service stops; if one ends before, the log says so and the service goes on).

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use breakwater_http::{AppState, Server};
use breakwater_operations::{Models, Readiness};
use breakwater_settings::Settings;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::signals::{Reloader, Signals};
use crate::cli::ServeArguments;
use crate::compose::{self, Host, Keep, VERSION};
use crate::configuration::Sources;
use crate::output;
use crate::places::Surroundings;
use crate::plugin_folder::{self, Deployer};

/// How long the parts may take to end once the server has drained.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: ServeArguments) -> Result<ExitCode> {
    let sources = Sources::of_serve(&arguments)?;
    let settings = sources.read()?;
    let log = breakwater_telemetry::logs::init(&compose::log_config(&settings))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("breakwater").build()?;
    let result = runtime.block_on(async {
        let signals = Signals::catch()?;
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let reloader = Reloader { sources, settings: settings.clone(), log };
        tokio::spawn(signals.handle(reloader, stop.clone(), abort.clone()));
        abort.run_until_cancelled(serve(&settings, &stop)).await.unwrap_or(Ok(()))
    });
    // Work that was abandoned must not hold up the end.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

async fn serve(settings: &Settings, stop: &CancellationToken) -> Result<()> {
    tracing::info!(version = VERSION, "starting");
    let surroundings = Surroundings::of_process();
    let folder = plugin_folder::find(settings, &surroundings)?;
    let Some(host) = stop.run_until_cancelled(Host::start(settings, &surroundings, Keep::Everything)).await else { return Ok(()) };
    let host = host?;
    let readiness = Readiness::new(compose::readiness_config(settings), stop.clone());
    let models = Models::new(Arc::clone(&host.inference));
    let state = AppState {
        operations: host.operations.clone(),
        models,
        readiness: readiness.clone(),
        workflows: host.workflows.clone(),
        metrics: host.metrics.clone(),
    };
    let server = Server::bind(compose::http_config(settings), state).await?;
    let addresses: Vec<_> = server.local_addrs().iter().map(|address| format!("http://{address}")).collect();

    // The server answers health checks while plugins are compiled; it is announced when it can do its work.
    let mut tasks = Tasks::default();
    let serving = tokio::spawn(server.run(stop.clone()));
    let deployer = Deployer::new(host.catalogue.clone(), host.metrics.clone());
    let ready = async {
        deploy(&deployer, folder.as_deref()).await?;
        let first = breakwater_operations::readiness::check(&host.operations, settings.operations.check_timeout).await;
        readiness.record(first);
        anyhow::Ok(())
    };
    if let Some(ready) = stop.run_until_cancelled(ready).await {
        ready?;
        // After the plugins: what is imported also gets the vector of a fallback's descriptor.
        host.operations.start_search().await;
        // After the plugins too: steps call what they offer.
        host.executors.adopt()?;
        tasks.spawn("search-metrics", host.spaces.clone().watch(host.operations.clone(), stop.clone()));
        tasks.spawn("readiness", readiness.watch(host.operations.clone(), stop.clone()));
        if let (true, Some(folder)) = (settings.plugins.watch, folder) {
            tasks.spawn("plugin-watch", watch(folder, deployer, stop.clone()));
        }
        output::line(&format!("listening on {}", addresses.join(", ")));
        tracing::info!(addresses = addresses.join(", "), "ready");
    }
    let cut = tasks.until(serving, stop).await?;
    host.stop(STOP_PATIENCE).await;
    tracing::info!(connections_cut = cut, "stopped");
    Ok(())
}

async fn deploy(deployer: &Deployer, folder: Option<&std::path::Path>) -> Result<()> {
    let Some(folder) = folder else {
        tracing::warn!("no folder of plugins was found: only what was deployed before serves");
        return Ok(());
    };
    let refused = deployer.deploy_new(folder).await?;
    if refused > 0 {
        tracing::error!(refused, folder = %folder.display(), "some plugins of the folder do not serve");
    }
    Ok(())
}

async fn watch(folder: PathBuf, deployer: Deployer, stop: CancellationToken) {
    // A plugin's own folder is watched from the one above it.
    let (root, only) = match folder.canonicalize() {
        Ok(own) if own.join("plugin.toml").is_file() => (own.parent().map_or_else(|| own.clone(), Into::into), Some(own)),
        _ => (folder.clone(), None),
    };
    let watching = breakwater_plugins::watch::watch(&root, |plugin| {
        let (deployer, wanted) = (deployer.clone(), only.as_ref().is_none_or(|own| *own == plugin));
        async move {
            if wanted {
                deployer.deploy_changed(plugin).await;
            }
        }
    });
    if let Some(Err(error)) = stop.run_until_cancelled(watching).await {
        tracing::error!(%error, folder = %folder.display(), "plugins are not watched any more");
    }
}

/// Tasks beside the server. The end of one is reported; only the server's end ends the service.
#[derive(Default)]
struct Tasks(JoinSet<&'static str>);

impl Tasks {
    fn spawn(&mut self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(async move {
            work.await;
            name
        });
    }

    /// Waits for the server, then for the others. Returns how many connections were cut.
    async fn until(mut self, mut serving: tokio::task::JoinHandle<usize>, stop: &CancellationToken) -> Result<usize> {
        let cut = loop {
            tokio::select! {
                cut = &mut serving => break cut,
                Some(ended) = self.0.join_next() => report(ended, stop),
            }
        };
        // The server ends by itself only by a defect; then the rest has to end too.
        stop.cancel();
        while let Some(ended) = self.0.join_next().await {
            report(ended, stop);
        }
        cut.context("the server failed")
    }
}

fn report(ended: Result<&'static str, tokio::task::JoinError>, stop: &CancellationToken) {
    match ended {
        Ok(_) if stop.is_cancelled() => {}
        Ok(task) => tracing::error!(task, "a background task ended before the service"),
        Err(error) => tracing::error!(%error, "a background task failed"),
    }
}
