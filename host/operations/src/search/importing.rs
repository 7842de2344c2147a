//! An import at work: items are prepared several at a time, stored in their order, and the position is stored with them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use breakwater_core::{CallContext, Failure, FailureKind, Principal};
use breakwater_inference::Priority;
use breakwater_search::records::ImportState;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::import::{ImportPhase, ImportProblem, ImportSource, ImportStatus, MAX_PROBLEMS};
use super::import_items::{self, Item};
use super::prepare::{Prepared, Preparing};
use super::products::ProductInput;
use crate::media::MediaRoot;
use crate::operations::Operations;

/// The longest that one item may take.
const ITEM_TIMEOUT: Duration = Duration::from_secs(120);
/// Items that are stored in one transaction, per item that is worked on at the same time.
const BATCH_PER_WORKER: usize = 4;
/// The pause before an item is tried again that failed because something was busy or away; it doubles.
const LEAST_PAUSE: Duration = Duration::from_millis(250);
const MOST_PAUSE: Duration = Duration::from_secs(15);
/// How long an item is tried again before the import is interrupted.
const PATIENCE: Duration = Duration::from_secs(90);

/// An import since the service started.
pub(crate) struct Run {
    pub(super) source: ImportSource,
    pub(super) cancel: CancellationToken,
    cancelled: AtomicBool,
    total: AtomicU64,
    progress: Mutex<Progress>,
}

struct Progress {
    state: ImportState,
    phase: ImportPhase,
    problems: VecDeque<ImportProblem>,
    interrupted_by: Option<ImportProblem>,
    started: Instant,
    ended: Option<Instant>,
    /// Position at the start.
    from: u64,
}

/// Stands for a number that is not known yet.
const UNKNOWN: u64 = u64::MAX;

impl Run {
    pub(super) fn new(source: ImportSource, state: ImportState, stop: &CancellationToken) -> Arc<Self> {
        let progress = Progress {
            from: state.position,
            state,
            phase: ImportPhase::Running,
            problems: VecDeque::new(),
            interrupted_by: None,
            started: Instant::now(),
            ended: None,
        };
        let (cancel, total) = (stop.child_token(), AtomicU64::new(UNKNOWN));
        Arc::new(Self { source, cancel, cancelled: AtomicBool::new(false), total, progress: Mutex::new(progress) })
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Nothing panics while it is held.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_running(&self) -> bool {
        self.progress().phase == ImportPhase::Running
    }

    /// Stops it for good: it goes on only when somebody asks for it.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.cancel.cancel();
    }

    pub(super) fn status(&self, name: &str) -> ImportStatus {
        let progress = self.progress();
        let total = Some(self.total.load(Ordering::Acquire)).filter(|total| *total != UNKNOWN);
        let elapsed = progress.ended.unwrap_or_else(Instant::now) - progress.started;
        let done = (progress.state.position - progress.from) as f64;
        ImportStatus {
            name: name.to_owned(),
            source: self.source.clone(),
            phase: progress.phase,
            position: progress.state.position,
            total: total.or_else(|| progress.state.finished.then_some(progress.state.position)),
            stored: progress.state.stored,
            failed: progress.state.failed,
            problems: progress.problems.iter().cloned().collect(),
            interrupted_by: progress.interrupted_by.clone(),
            elapsed,
            rate: if elapsed.is_zero() { 0.0 } else { done / elapsed.as_secs_f64() },
        }
    }

    fn failed(&self, item: u64, name: &str, failure: &Failure) {
        let mut progress = self.progress();
        if progress.problems.len() == MAX_PROBLEMS {
            progress.problems.pop_front();
        }
        progress.problems.push_back(problem(item, name, failure));
    }
}

fn problem(item: u64, name: &str, failure: &Failure) -> ImportProblem {
    let internal = failure.kind == FailureKind::Internal;
    let message = if internal { "internal error".to_owned() } else { failure.message.clone() };
    ImportProblem { item, name: name.chars().take(256).collect(), code: failure.code.clone().into_owned(), message }
}

/// Whether the item is not to blame: something was busy or away, and will not always be.
fn may_pass(failure: &Failure) -> bool {
    let of_the_picture = failure.code.starts_with("image.") || failure.code.starts_with("media.");
    failure.code.ends_with(".overloaded") || (failure.retryable && !of_the_picture && failure.code != "embedder.quarantined")
}

impl Operations {
    /// Runs an import to its end, or until it is cancelled or interrupted.
    pub(super) async fn run_import(self: Arc<Self>, name: String, media: Arc<MediaRoot>, run: Arc<Run>) {
        let ended = self.import_all(&name, &media, &run).await;
        let interrupted = match &ended {
            Ok(()) => None,
            Err(failure) => {
                tracing::warn!(import = name, code = %failure.code, error = failure.chain(), "an import was interrupted");
                Some(failure)
            }
        };
        let state = run.progress().state.clone();
        let phase = match interrupted {
            None if state.finished => ImportPhase::Finished,
            None if run.cancelled.load(Ordering::Acquire) => ImportPhase::Cancelled,
            _ => ImportPhase::Interrupted,
        };
        if phase == ImportPhase::Cancelled {
            let cancelled = ImportState { cancelled: true, ..state };
            if let Err(error) = self.products().records().set_import(&name, cancelled).await {
                tracing::warn!(import = name, %error, "it could not be written that an import was cancelled; it goes on at the next start");
            }
        }
        let mut progress = run.progress();
        progress.interrupted_by = interrupted.map(|failure| problem(progress.state.position + 1, "", failure));
        progress.phase = phase;
        progress.ended = Some(Instant::now());
    }

    #[expect(clippy::disallowed_methods, reason = "one thread for each import, of which there are a few; its work is mostly waiting")]
    async fn import_all(&self, name: &str, media: &Arc<MediaRoot>, run: &Arc<Run>) -> Result<(), Failure> {
        let (position, marker) = {
            let progress = run.progress();
            (progress.state.position, progress.state.marker.clone())
        };
        let at_once = self.search_config().import_concurrency.max(1);
        let (sender, mut items) = mpsc::channel(at_once * BATCH_PER_WORKER);
        let (reader_media, source) = (Arc::clone(media), run.source.clone());
        // A disk is read, and the thread waits while the import is busy: neither belongs on a thread of the runtime.
        let reader = tokio::task::spawn_blocking(move || read(&reader_media, &source, position, &marker, &sender));
        let (counted, counting_media) = (Arc::clone(run), Arc::clone(media));
        self.search_state().tasks.spawn_blocking(move || count(&counting_media, &counted));
        loop {
            let mut batch = Vec::new();
            let received = run.cancel.run_until_cancelled(items.recv_many(&mut batch, at_once * BATCH_PER_WORKER)).await;
            match received {
                None => return Ok(()),
                Some(0) => break,
                Some(_) => {}
            }
            if !self.import_batch(name, run, batch).await? {
                return Ok(());
            }
        }
        reader.await.map_err(|error| Failure::internal("the reader of an import failed").caused_by(error))??;
        let finished = ImportState { finished: true, ..run.progress().state.clone() };
        self.products().records().set_import(name, finished.clone()).await?;
        run.progress().state = finished;
        Ok(())
    }

    /// Returns whether it was not cancelled. What has begun to be stored is stored, so that the state is that of the records.
    async fn import_batch(&self, name: &str, run: &Run, batch: Vec<Item>) -> Result<bool, Failure> {
        let context = CallContext::root(Principal::System, ITEM_TIMEOUT);
        let preparing = self.preparing(&context, Priority::Bulk)?;
        let mut state = run.progress().state.clone();
        let prepare = async |item: Item| {
            let prepared = match item.product {
                Ok(input) => Ok((self.prepare_patiently(&preparing, &input).await, input)),
                Err(failure) => Err(failure),
            };
            (item.name, item.marker, prepared)
        };
        let at_once = self.search_config().import_concurrency.max(1);
        let prepared = stream::iter(batch).map(prepare).buffered(at_once).collect::<Vec<_>>();
        let Some(prepared) = run.cancel.run_until_cancelled(prepared).await else { return Ok(false) };
        let (mut ready, mut numbers, mut interrupted) = (Vec::new(), Vec::new(), None);
        for (name, marker, prepared) in prepared {
            let failure = match prepared {
                Ok((Ok(prepared), input)) => {
                    numbers.push((state.position + 1, name));
                    ready.push((Ok(prepared), input));
                    None
                }
                Ok((Err(failure), _)) if may_pass(&failure) => {
                    interrupted = Some(failure);
                    break;
                }
                Ok((Err(failure), _)) | Err(failure) => Some((failure, name)),
            };
            state.position += 1;
            state.marker = marker;
            match failure {
                Some((failure, name)) => {
                    state.failed += 1;
                    run.failed(state.position, &name, &failure);
                }
                None => state.stored += 1,
            }
        }
        let results = self.store(&preparing, ready, Some((name, state.clone()))).await?;
        for ((number, name), result) in numbers.into_iter().zip(results) {
            if let Err(failure) = result {
                // Only one that others changed again and again; the state says so with the next batch.
                state.stored -= 1;
                state.failed += 1;
                run.failed(number, &name, &failure);
            }
        }
        run.progress().state = state;
        interrupted.map_or(Ok(true), Err)
    }

    /// As [`Self::prepare`], but waits while something is busy or away.
    async fn prepare_patiently(&self, preparing: &Preparing, input: &ProductInput) -> Result<Prepared, Failure> {
        let (started, mut pause) = (Instant::now(), LEAST_PAUSE);
        loop {
            match self.prepare(&preparing.within(ITEM_TIMEOUT), input.clone()).await {
                Err(failure) if may_pass(&failure) && started.elapsed() + pause < PATIENCE => {
                    tracing::debug!(code = %failure.code, ?pause, "an item of an import waits");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(MOST_PAUSE);
                }
                prepared => return prepared,
            }
        }
    }
}

/// Reads the items that are left and hands them on, until nobody takes them any more.
fn read(media: &MediaRoot, source: &ImportSource, position: u64, marker: &str, items: &mpsc::Sender<Item>) -> Result<(), Failure> {
    let by_marker = matches!(source, ImportSource::Folder(_));
    for (number, item) in (0u64..).zip(import_items::open(media, source)?) {
        let item = item?;
        let done = if by_marker { !marker.is_empty() && !import_items::is_after(&item.marker, marker) } else { number < position };
        if !done && items.blocking_send(item).is_err() {
            break;
        }
    }
    Ok(())
}

/// Counts the items of a source, for those who watch.
fn count(media: &MediaRoot, run: &Run) {
    let Ok(items) = import_items::open(media, &run.source) else { return };
    let counted = items.take_while(|item| item.is_ok() && !run.cancel.is_cancelled()).count();
    if !run.cancel.is_cancelled() {
        run.total.store(counted as u64, Ordering::Release);
    }
}
