//! What the commands without a server share: the parts, many files at once, one report a file.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use breakwater_core::{CallContext, Failure, Principal};
use breakwater_settings::{Origin, Settings};
use breakwater_telemetry::LogConfig;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::cli::Places;
use crate::compose::{self, Host, Keep};
use crate::configuration::Sources;
use crate::output::{self, Progress};
use crate::places::Surroundings;
use crate::plugin_folder::{self, Deployer};

/// What a local command runs on.
pub(super) struct Local {
    pub(super) host: Host,
    pub(super) settings: Settings,
}

impl Local {
    /// Starts the parts without plugins.
    pub(super) async fn start(places: &Places) -> Result<Self> {
        let settings = Sources::of_places(places)?.read()?;
        breakwater_telemetry::logs::init(&quiet(&settings))?;
        let host = Host::start(&settings, &Surroundings::of_process(), Keep::OnlyCompiled).await?;
        Ok(Self { host, settings })
    }

    /// Starts the parts with what the service keeps: products, and the plugins that were deployed. Also beside a running service.
    pub(super) async fn with_records(sources: &Sources) -> Result<Self> {
        let settings = sources.read()?;
        breakwater_telemetry::logs::init(&quiet(&settings))?;
        let host = Host::start(&settings, &Surroundings::of_process(), Keep::Everything).await?;
        Ok(Self { host, settings })
    }

    /// Starts the parts with the plugins of the folder.
    pub(super) async fn with_plugins(places: &Places) -> Result<Self> {
        let local = Self::start(places).await?;
        let folder = plugin_folder::find(&local.settings, &Surroundings::of_process())?;
        let folder = folder.context("no folder of plugins was found; name one with --plugins DIR")?;
        let refused = local.deployer().deploy_new(&folder).await?;
        if refused > 0 {
            output::note(&format!("warning: {refused} plugins of {} do not serve", folder.display()));
        }
        Ok(local)
    }

    pub(super) fn deployer(&self) -> Deployer {
        Deployer::new(self.host.catalogue.clone(), self.host.metrics.clone())
    }

    /// A call as long as the service would let it take.
    pub(super) fn call(&self) -> CallContext {
        CallContext::root(Principal::System, self.settings.server.request_timeout)
    }

    /// The bytes of a picture, no more of them than pictures may have.
    pub(super) fn read(&self, file: &Path) -> Result<Bytes, Failure> {
        let limit = self.settings.image.max_bytes.bytes();
        let mut bytes = Vec::new();
        let read = File::open(file).and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes));
        read.map_err(|error| Failure::invalid("file.unreadable", format!("cannot be read: {error}")))?;
        Ok(bytes.into())
    }

    /// Works on the files, as many at once as there are cores, and reports them in their order. Fails if any failed.
    pub(super) async fn each(
        self,
        files: &[PathBuf],
        as_json: bool,
        work: impl AsyncFn(&Self, usize, &Path) -> Result<Report, Failure>,
    ) -> Result<ExitCode> {
        let progress = Progress::over(files.len());
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        let mut failed = 0;
        {
            let jobs = files.iter().enumerate().map(|(index, file)| {
                let job = work(&self, index, file);
                async move { (file, job.await) }
            });
            let mut results = std::pin::pin!(stream::iter(jobs).buffered(at_once));
            while let Some((file, result)) = results.next().await {
                failed += usize::from(result.is_err());
                progress.done(|| print(file, result, as_json));
            }
        }
        drop(progress);
        self.host.stop(Duration::from_secs(1)).await;
        if failed > 0 && files.len() > 1 {
            output::note(&format!("{failed} of {} pictures failed", files.len()));
        }
        Ok(if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// What there is to say about a file.
pub(super) struct Report {
    /// For people.
    pub(super) text: String,
    /// For programs: an object, to which the file's name is added.
    pub(super) json: Value,
}

fn print(file: &Path, result: Result<Report, Failure>, as_json: bool) {
    let name = file.display().to_string();
    match result {
        Ok(report) if as_json => {
            let mut object = report.json;
            if let Value::Object(fields) = &mut object {
                fields.insert("file".to_owned(), json!(name));
            }
            output::line(&object.to_string());
        }
        Ok(report) => output::line(&format!("{name}: {}", report.text)),
        Err(failure) => {
            if as_json {
                let error = json!({ "code": failure.code, "message": failure.message });
                output::line(&json!({ "file": name, "error": error }).to_string());
            }
            output::error(&format!("{name}: {}", failure.chain()));
        }
    }
}

/// Logs would drown the answer; only problems are shown unless somebody asked for more.
fn quiet(settings: &Settings) -> LogConfig {
    let entries = settings.entries();
    let asked = entries.iter().any(|entry| entry.key.name == "log_filter" && *entry.origin != Origin::Default);
    let config = compose::log_config(settings);
    if asked { config } else { LogConfig { filter: "error,breakwater_telemetry=warn".to_owned(), ..config } }
}

/// Runs a command on a runtime of its own.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("breakwater").build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}
