//! The one writer of an index: applies the changes of the records in their order.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use breakwater_core::Deadline;
use tokio::sync::{Notify, watch};
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use super::CatalogueConfig;
use crate::index::{IndexError, Indices, VectorIndex};
use crate::records::{Change, ProductRecords, RecordsError};
use crate::space::Space;

/// Changes that an index which is being made anew may be behind for a change to wait for it.
const FAR_BEHIND: u64 = 10_000;

/// What keeps an index from following.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable and documented.
    pub code: &'static str,
    /// With its causes, for the log.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

/// How far an index has come.
#[derive(Clone, Default)]
pub struct FollowedState {
    /// The index, once it is open.
    pub index: Option<Arc<dyn VectorIndex>>,
    /// Why it does not follow now. It is tried again.
    pub problem: Option<Problem>,
    /// The sequence number of the last change it took in.
    pub sequence: u64,
    /// Every change of its space up to this sequence number was taken in.
    pub synced: u64,
    /// Whether it has been in step with the records since it was opened.
    pub ready: bool,
}

impl fmt::Debug for FollowedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, problem, sequence, synced, ready } = self;
        let mut out = f.debug_struct("FollowedState");
        out.field("open", &index.is_some()).field("problem", problem).field("sequence", sequence);
        out.field("synced", synced).field("ready", ready).finish()
    }
}

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Records(#[from] RecordsError),
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl FollowError {
    fn problem(&self) -> Problem {
        let code = match self {
            Self::Records(_) => "search.records",
            Self::Index(error) => error.code(),
        };
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        Problem { code, message }
    }
}

/// Follows the records for one space.
pub(super) struct Follower {
    space: Space,
    records: Arc<dyn ProductRecords>,
    indices: Arc<dyn Indices>,
    config: CatalogueConfig,
    latest: Arc<AtomicU64>,
    state: watch::Sender<FollowedState>,
    changed: Notify,
}

/// Changes that a snapshot does not hold yet.
struct Unsaved {
    changes: u64,
    since: Instant,
}

impl Follower {
    pub(super) fn new(
        space: Space,
        records: Arc<dyn ProductRecords>,
        indices: Arc<dyn Indices>,
        config: CatalogueConfig,
        latest: Arc<AtomicU64>,
    ) -> Arc<Self> {
        Arc::new(Self { space, records, indices, config, latest, state: watch::Sender::default(), changed: Notify::new() })
    }

    pub(super) fn state(&self) -> FollowedState {
        self.state.borrow().clone()
    }

    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Waits until the changes up to a sequence number are in the index, or it cannot take them in now or for a long time.
    pub(super) async fn applied(&self, sequence: u64) -> bool {
        let mut state = self.state.subscribe();
        let far = |state: &FollowedState| state.index.is_some() && !state.ready && sequence.saturating_sub(state.sequence) > FAR_BEHIND;
        let settled = state.wait_for(|state| state.synced >= sequence || state.problem.is_some() || far(state)).await;
        settled.is_ok_and(|state| state.synced >= sequence)
    }

    /// The index, as soon as it is open.
    pub(super) async fn index(&self, deadline: Deadline) -> Result<Arc<dyn VectorIndex>, Problem> {
        let mut state = self.state.subscribe();
        let opened = state.wait_for(|state| state.index.is_some() || state.problem.is_some());
        let opened = deadline.bound("opening the index", opened).await;
        let problem = |code: &'static str, message: &str| Problem { code, message: message.to_owned() };
        match opened {
            Ok(Ok(state)) => match (&state.index, &state.problem) {
                (Some(index), _) => Ok(Arc::clone(index)),
                (None, found) => Err(found.clone().unwrap_or_else(|| problem("search.index-unavailable", "it is not open"))),
            },
            Ok(Err(_)) => Err(problem("search.index-unavailable", "its task has ended")),
            Err(_) => Err(problem("search.index-timeout", "it is still being opened")),
        }
    }

    /// Follows until it is told to stop; an index that fails is tried again after a pause.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut pause = self.config.least_pause;
        loop {
            let before = self.state.borrow().synced;
            let Err(error) = self.follow(&stop).await else { return };
            let problem = error.problem();
            tracing::warn!(space = %self.space, code = problem.code, error = problem.message, "the index does not follow the records");
            self.state.send_modify(|state| state.problem = Some(problem));
            if self.state.borrow().synced > before {
                pause = self.config.least_pause;
            }
            // Not all at once when their database comes back.
            let jittered = pause.mul_f64(0.75 + fastrand::f64() / 2.0);
            if stop.run_until_cancelled(tokio::time::sleep(jittered)).await.is_none() {
                return;
            }
            pause = (pause * 2).min(self.config.most_pause);
        }
    }

    async fn follow(&self, stop: &CancellationToken) -> Result<(), FollowError> {
        let index = self.open().await?;
        let mut unsaved = Unsaved { changes: 0, since: Instant::now() };
        let mut sequence = index.sequence().await?;
        self.state.send_modify(|state| {
            state.index = Some(Arc::clone(&index));
            state.sequence = sequence;
            state.ready = false;
        });
        while !stop.is_cancelled() {
            let caught_up = self.take_in(&*index, &mut sequence, &mut unsaved).await?;
            self.save(&*index, &mut unsaved, false).await?;
            if caught_up {
                let idle = async {
                    tokio::select! {
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep(self.config.poll) => {}
                    }
                };
                stop.run_until_cancelled(idle).await;
            }
        }
        self.save(&*index, &mut unsaved, true).await
    }

    /// Opens the index; one that knows changes which the records do not is made anew.
    async fn open(&self) -> Result<Arc<dyn VectorIndex>, FollowError> {
        let index = self.indices.open(&self.space).await?;
        // In this order: what is in the index now was in the records before.
        let (held, known) = (index.sequence().await?, self.records.sequence().await?);
        if held <= known {
            return Ok(index);
        }
        tracing::warn!(space = %self.space, held, known, "the index is ahead of the records, which were put back; it is made anew");
        drop(index);
        self.indices.remove(&self.space).await?;
        Ok(self.indices.open(&self.space).await?)
    }

    /// Takes in one batch of changes. Returns whether that was all.
    async fn take_in(&self, index: &dyn VectorIndex, sequence: &mut u64, unsaved: &mut Unsaved) -> Result<bool, FollowError> {
        let known = self.records.sequence().await?;
        if known > self.latest.fetch_max(known, Ordering::AcqRel) {
            tracing::trace!(known, "another process has changed products");
        }
        let changes = self.records.changes(&self.space, *sequence, self.config.batch).await?;
        let (count, caught_up) = (changes.len() as u64, changes.len() < self.config.batch);
        if unsaved.changes == 0 {
            unsaved.since = Instant::now();
        }
        *sequence = apply(index, changes, *sequence).await?;
        unsaved.changes += count;
        self.state.send_modify(|state| {
            state.sequence = *sequence;
            state.synced = if caught_up { known.max(*sequence) } else { *sequence };
            state.ready |= caught_up;
            state.problem = None;
        });
        Ok(caught_up)
    }

    /// Makes a snapshot when enough has changed, or something has and it is time.
    async fn save(&self, index: &dyn VectorIndex, unsaved: &mut Unsaved, last: bool) -> Result<(), FollowError> {
        let due = last || unsaved.changes >= self.config.snapshot_changes || unsaved.since.elapsed() >= self.config.snapshot_interval;
        if unsaved.changes == 0 || !due {
            return Ok(());
        }
        let started = Instant::now();
        let sequence = index.snapshot().await?;
        unsaved.changes = 0;
        let elapsed: Duration = started.elapsed();
        tracing::debug!(space = %self.space, sequence, ?elapsed, "the index made a snapshot");
        Ok(())
    }
}

/// Applies changes in their order, neighbours of one kind together. Returns the sequence number of the last.
async fn apply(index: &dyn VectorIndex, changes: Vec<Change>, mut sequence: u64) -> Result<u64, FollowError> {
    let (mut entries, mut keys) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            Change::Upserted { sequence: of, entry } => {
                if !keys.is_empty() {
                    index.delete(std::mem::take(&mut keys), sequence).await?;
                }
                entries.push(entry);
                sequence = of;
            }
            Change::Deleted { sequence: of, key } => {
                if !entries.is_empty() {
                    index.upsert(std::mem::take(&mut entries), sequence).await?;
                }
                keys.push(key);
                sequence = of;
            }
        }
    }
    if !entries.is_empty() {
        index.upsert(entries, sequence).await?;
    }
    if !keys.is_empty() {
        index.delete(keys, sequence).await?;
    }
    Ok(sequence)
}
