//! `breakwater batch`: the pictures of a folder, in this process, with a journal beside the results.

mod earlier;
mod report;
mod sources;
mod steps;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use breakwater_core::{Deadline, Failure};
use breakwater_operations::batches::definition::{WORKFLOW, Work};
use breakwater_operations::batches::{Journal, MAX_CONCURRENCY};
use breakwater_operations::workflows::{Executor as _, Start};
use breakwater_operations::{ProcessingOptions, WantedSize};
use breakwater_store::{SqliteStore, StoreError};
use breakwater_workflow::{EmbeddedConfig, EmbeddedExecutor};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::INTERRUPTED;
use super::local::{Local, block_on};
use crate::cli::BatchArguments;
use crate::output::{self, Progress};
use crate::times::now_ms;
use earlier::Earlier;
use report::Report;
use sources::Sources;
use steps::FileSteps;

/// The folder of the journal in that of the results.
const FOLDER: &str = ".breakwater";
/// The operation that reads a picture from a file and writes its crop to another.
const CROP_FILE: &str = "crop-file";
/// How often the bar moves.
const LOOK: Duration = Duration::from_millis(250);
/// How long pictures at work may take to end after Ctrl-C. A second one does not wait.
const END_PATIENCE: Duration = Duration::from_secs(60);
/// How long the journal may take to have the results of pictures that have ended, and how often it is looked at.
const SETTLE_PATIENCE: Duration = Duration::from_secs(3);
const SETTLE_LOOK: Duration = Duration::from_millis(20);
/// How long the journal may fail to take anything. What has ended meanwhile is not lost: its picture is cut again.
const JOURNAL_PATIENCE: Duration = Duration::from_secs(5);
/// Journals are kept for as long as the results.
const KEEP: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How a run ended.
enum Ended {
    Completed,
    Interrupted,
    DiskFull,
    /// With what the journal says.
    JournalFailed(String),
}

pub(crate) fn run(arguments: BatchArguments) -> Result<ExitCode> {
    block_on(async {
        let folder = source_folder(&arguments)?;
        // Before anything is made or written: what earlier runs left in the folder of the results stays as it is.
        let sources = pictures(&arguments, &folder)?;
        let out = results_folder(&arguments)?;
        let journal = out.join(FOLDER);
        std::fs::create_dir_all(&journal).with_context(|| format!("cannot make the folder {}", journal.display()))?;
        let store = SqliteStore::open(&journal.join("journal.sqlite")).await.context("cannot open the journal of the results")?;
        let _lock = match store.become_executor() {
            Err(StoreError::ExecutorElsewhere) => bail!("another `breakwater batch` is writing into {}; wait for its end", out.display()),
            lock => lock.context("cannot lock the journal of the results")?,
        };
        let local = Local::with_plugins(&arguments.places).await?;
        let result = batch(&local, &store, &arguments, &folder, &out, sources).await;
        local.host.stop(Duration::from_secs(1)).await;
        store.close().await;
        result
    })
}

/// The folder of the pictures, as the file system names it.
fn source_folder(arguments: &BatchArguments) -> Result<PathBuf> {
    let folder = arguments.folder.canonicalize().with_context(|| format!("there is no folder {}", arguments.folder.display()))?;
    if !folder.is_dir() {
        bail!("{} is no folder", arguments.folder.display());
    }
    Ok(folder)
}

/// The pictures, of which there is at least one. A folder of results that is not there yet holds nothing to leave out.
fn pictures(arguments: &BatchArguments, folder: &Path) -> Result<Sources> {
    let out = arguments.out.canonicalize().unwrap_or_else(|_| arguments.out.clone());
    if out == folder {
        bail!("the results cannot go where the pictures are: name another folder with --out");
    }
    let sources = sources::find(folder, &out, arguments.recursive);
    if sources.is_empty() {
        let message = format!("there is no image to work on in {}", arguments.folder.display());
        bail!("{}", Failure::invalid("batch.empty", message).chain());
    }
    Ok(sources)
}

/// The folder of the results, made if it is not there, as the file system names it.
fn results_folder(arguments: &BatchArguments) -> Result<PathBuf> {
    std::fs::create_dir_all(&arguments.out).with_context(|| format!("cannot make the folder {}", arguments.out.display()))?;
    arguments.out.canonicalize().with_context(|| format!("there is no folder {}", arguments.out.display()))
}

async fn batch(
    local: &Local,
    store: &SqliteStore,
    arguments: &BatchArguments,
    folder: &Path,
    out: &Path,
    sources: Sources,
) -> Result<ExitCode> {
    let options = options(arguments);
    if let Err(failure) = local.host.operations.check_processing(&options, false) {
        bail!("{}", failure.chain());
    }
    let about = json!({ "folder": folder.to_string_lossy(), "options": options.crop_fields() });
    let earlier = Earlier::read(store, &about, out).await.context("cannot read the journal of the results")?;
    let (done, left) = earlier.divide(sources);
    let mut report = Report::new(about.clone(), done);
    if !report.is_empty() && !left.is_empty() {
        output::note(&format!("{} pictures are done already, {} are left", report.len(), left.len()));
    }
    let mut ended = Ended::Completed;
    if !left.is_empty() {
        let steps = FileSteps::new(local, &options, out, &left, report.files());
        ended = run_batch(store, arguments, about, &left, Arc::new(steps), &mut report).await?;
    }
    let written = report.write(out).context("cannot write the manifest");
    report.print(arguments.json, out);
    // Why it ended is said also when a full disk takes no manifest either.
    let code = match ended {
        Ended::Interrupted => {
            output::note("interrupted; the same command goes on with what is left");
            ExitCode::from(INTERRUPTED)
        }
        Ended::DiskFull => {
            output::error("the disk is full; make room, and the same command goes on with what is left");
            ExitCode::FAILURE
        }
        Ended::JournalFailed(reason) => {
            let journal = out.join(FOLDER);
            output::error(&format!(
                "cannot write to {}: {reason}; mend that, and the same command goes on with what is left",
                journal.display()
            ));
            ExitCode::FAILURE
        }
        Ended::Completed if report.has_failed() => ExitCode::FAILURE,
        Ended::Completed => ExitCode::SUCCESS,
    };
    written.map(|()| code)
}

fn options(arguments: &BatchArguments) -> ProcessingOptions {
    ProcessingOptions {
        ratio: arguments.aspect.or(arguments.ratio),
        strategy: Some(arguments.strategy.clone()),
        parameters: arguments.parameters.clone(),
        size: WantedSize { width: arguments.width, height: arguments.height },
        format: arguments.format,
        quality: arguments.quality,
        keep_metadata: arguments.keep_metadata,
        ..ProcessingOptions::default()
    }
}

async fn run_batch(
    store: &SqliteStore,
    arguments: &BatchArguments,
    about: Value,
    left: &Sources,
    steps: Arc<FileSteps>,
    report: &mut Report,
) -> Result<Ended> {
    let records: Arc<SqliteStore> = Arc::new(store.clone());
    let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(MAX_CONCURRENCY));
    let concurrency = arguments.concurrency.unwrap_or(cores).clamp(1, MAX_CONCURRENCY);
    let work = Work { concurrency, detects: false, operation: CROP_FILE };
    work.keep(&*records, now_ms()).await?;
    let config = EmbeddedConfig { keep: KEEP, ..EmbeddedConfig::default() };
    let executor = EmbeddedExecutor::start(config, records.clone(), steps.clone()).await?;
    let items: Vec<Value> = left.iter().map(|source| json!({ "image_path": source.name })).collect();
    let input = json!({ "about": about, "options": {}, "items": items });
    let start = Start { workflow: WORKFLOW.to_owned(), input, context: BTreeMap::new(), idempotency_key: None, parent: None };
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let id = executor.start(start).await?.execution.id;
    let progress = Progress::counting();
    let mut journal = Journal::new(left.len());
    let follow = async {
        loop {
            let after = journal.progress().last_event;
            executor.changed(&id, after, LOOK).await?;
            journal.read_on(&*records, &id).await?;
            let now = journal.progress();
            progress.at(now.done(), Some(now.total), now.failed);
            if executor.get(&id).await?.status.is_final() {
                journal.read_on(&*records, &id).await?;
                return anyhow::Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let ended = tokio::select! {
        followed = follow => followed.map(|()| Ended::Completed)?,
        () = steps.full.cancelled() => Ended::DiskFull,
        reason = executor.journal_fails_for(JOURNAL_PATIENCE) => Ended::JournalFailed(reason),
        _ = interrupted.recv() => Ended::Interrupted,
        _ = terminated.recv() => Ended::Interrupted,
    };
    drop(progress);
    // Pictures at work end, unless somebody is impatient.
    tokio::select! {
        () = executor.shutdown(Deadline::after(END_PATIENCE)) => {}
        _ = interrupted.recv() => {}
    }
    // Their results are written to the journal a moment later.
    let settled = Instant::now() + SETTLE_PATIENCE;
    journal.read_on(&*records, &id).await?;
    while journal.progress().running > 0 && Instant::now() < settled {
        tokio::time::sleep(SETTLE_LOOK).await;
        journal.read_on(&*records, &id).await?;
    }
    report.add(&records, &id, left).await?;
    Ok(ended)
}
