//! An execution that this process owns.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::switch::Switch;
use crate::clock::Clock;
use crate::execution::{Event, Execution, ExecutionStatus, Happened};
use crate::journal::{Broken, Journal, Written};
use crate::log::Log;
use crate::records::{Append, Change, Fence, Wanted};

/// Where the times of events come from.
#[derive(Debug)]
pub(crate) enum Time {
    /// A clock of this process.
    Clock(Clock),
    /// Whoever drives a course, in milliseconds since 1970.
    Given(Arc<AtomicU64>),
}

impl Time {
    fn now_ms(&self) -> u64 {
        match self {
            Self::Clock(clock) => clock.now_ms(),
            Self::Given(now_ms) => now_ms.load(Ordering::SeqCst),
        }
    }
}

/// Another ownership of an execution by the process that runs it.
#[derive(Debug)]
pub(crate) struct Renewal {
    /// What somebody wants of the execution, if anything.
    pub(crate) wanted: Option<Wanted>,
}

/// What commands, signals and those who wait share with the walk.
#[derive(Debug)]
pub(crate) struct Run {
    fence: Mutex<Fence>,
    /// Whether the ownership is another one since a write was refused last.
    renewed: Mutex<Option<Renewal>>,
    log: Mutex<Log>,
    journal: Journal,
    time: Time,
    /// Told when something could not be written, also what nobody waits for.
    pub(crate) broken: Broken,
    /// How many signals of it are known to have come.
    pub(crate) signals: AtomicU64,
    /// Somebody wants its end.
    pub(crate) cancel: CancellationToken,
    /// No further step begins.
    pub(crate) paused: Switch,
    /// No further step begins here, because it is about to be walked again elsewhere.
    pub(crate) held: Switch,
    /// A signal has come.
    pub(crate) signalled: Notify,
    /// The number of its last event.
    pub(crate) progress: watch::Sender<u64>,
    ended: OnceLock<Execution>,
    /// It has ended here: at its end, or because this process does not own it any more.
    pub(crate) over: CancellationToken,
}

impl Run {
    pub(crate) fn new(fence: Fence, log: Log, journal: Journal, time: Time) -> Arc<Self> {
        let progress = watch::Sender::new(log.last());
        Arc::new(Self {
            fence: Mutex::new(fence),
            renewed: Mutex::default(),
            log: Mutex::new(log),
            journal,
            time,
            broken: watch::Sender::new(0),
            signals: AtomicU64::new(0),
            cancel: CancellationToken::new(),
            paused: Switch::default(),
            held: Switch::default(),
            signalled: Notify::new(),
            progress,
            ended: OnceLock::new(),
            over: CancellationToken::new(),
        })
    }

    pub(crate) fn fence(&self) -> Fence {
        self.fence.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes on under another ownership of this same process, which others had taken to be gone.
    pub(crate) fn renew(&self, fence: Fence, wanted: Option<Wanted>) {
        *self.fence.lock().unwrap_or_else(PoisonError::into_inner) = fence;
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Renewal { wanted });
    }

    /// Whether a write may have been refused only because the ownership was renewed.
    pub(crate) fn renewed(&self) -> Option<Renewal> {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps how it ended, for those who wait.
    pub(crate) fn end(&self, execution: Execution) {
        let _ = self.ended.set(execution);
    }

    /// How it ended, if it has come to its end here.
    pub(crate) fn ended(&self) -> Option<Execution> {
        self.ended.get().cloned()
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins anew with what the records hold.
    pub(crate) fn reload(&self, log: Log) {
        *self.log() = log;
    }

    /// Takes what happened, in one piece. What was recorded before is written before.
    pub(crate) fn record(&self, events: impl IntoIterator<Item = (String, Happened)>, change: Option<Change>) -> Written {
        let at_ms = self.time.now_ms();
        // Held until the journal has it: numbers and order must be the same.
        let mut log = self.log();
        let events: Vec<Event> = (log.last() + 1..)
            .zip(events)
            .map(|(seq, (path, what))| {
                let event = Event { seq, at_ms, path, what };
                log.apply(&event);
                event
            })
            .collect();
        self.progress.send_replace(log.last());
        self.journal.append(Append { fence: self.fence(), events, change }, &self.broken)
    }

    /// Records what somebody wants. None when that is so already.
    pub(crate) fn note(&self, wanted: Wanted, at_ms: u64) -> Option<Written> {
        let changed = |status| Some(Change { status, output: None, error: None, at_ms });
        let (what, change) = match wanted {
            Wanted::Cancel => (Happened::CancelRequested, None),
            Wanted::Pause if self.paused.is_on() => return None,
            Wanted::Pause => (Happened::Paused, changed(ExecutionStatus::Paused)),
            Wanted::Resume => (Happened::Resumed, changed(ExecutionStatus::Running)),
            Wanted::Retry => (Happened::Retried, changed(ExecutionStatus::Running)),
        };
        Some(self.record([(String::new(), what)], change))
    }

    /// Does what somebody wants, once it is recorded.
    pub(crate) fn follow(&self, wanted: Wanted) {
        match wanted {
            Wanted::Cancel => self.cancel.cancel(),
            Wanted::Pause => self.paused.set(true),
            Wanted::Resume | Wanted::Retry => self.paused.set(false),
        }
    }

    /// One event at one place.
    pub(crate) fn record_at(&self, path: &str, what: Happened) -> Written {
        self.record([(path.to_owned(), what)], None)
    }
}

/// Tells sequences beside each other that one of them has failed: what has begun ends, and nothing else begins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Halt(CancellationToken);

impl Halt {
    /// One for sequences within.
    pub(crate) fn within(&self) -> Self {
        Self(self.0.child_token())
    }

    pub(crate) fn set(&self) {
        self.0.cancel();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_cancelled()
    }

    pub(crate) async fn halted(&self) {
        self.0.cancelled().await;
    }
}
