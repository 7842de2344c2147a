//! An execution that this process owns.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::execution::{Event, Execution, Happened};
use crate::journal::{Broken, Journal, Written};
use crate::log::Log;
use crate::records::{Append, Change, Fence};

/// What commands, signals and those who wait share with the walk.
#[derive(Debug)]
pub(crate) struct Run {
    fence: Mutex<Fence>,
    /// Whether the ownership is another one since a write was refused last.
    was_renewed: AtomicBool,
    log: Mutex<Log>,
    journal: Journal,
    clock: Clock,
    /// Told when something could not be written, also what nobody waits for.
    pub(crate) broken: Broken,
    /// How many signals of it are known to have come.
    pub(crate) signals: AtomicU64,
    /// Somebody wants its end.
    pub(crate) cancel: CancellationToken,
    /// No further step begins.
    pub(crate) paused: watch::Sender<bool>,
    /// A signal has come.
    pub(crate) signalled: Notify,
    /// The number of its last event.
    pub(crate) progress: watch::Sender<u64>,
    ended: OnceLock<Execution>,
    /// It has ended here: at its end, or because this process does not own it any more.
    pub(crate) over: CancellationToken,
}

impl Run {
    pub(crate) fn new(fence: Fence, log: Log, journal: Journal, clock: Clock) -> Arc<Self> {
        let progress = watch::Sender::new(log.last());
        Arc::new(Self {
            fence: Mutex::new(fence),
            was_renewed: AtomicBool::new(false),
            log: Mutex::new(log),
            journal,
            clock,
            broken: watch::Sender::new(0),
            signals: AtomicU64::new(0),
            cancel: CancellationToken::new(),
            paused: watch::Sender::new(false),
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
    pub(crate) fn renew(&self, fence: Fence) {
        *self.fence.lock().unwrap_or_else(PoisonError::into_inner) = fence;
        self.was_renewed.store(true, Ordering::SeqCst);
    }

    /// Whether a write may have been refused only because the ownership was renewed.
    pub(crate) fn was_renewed(&self) -> bool {
        self.was_renewed.swap(false, Ordering::SeqCst)
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
        let at_ms = self.clock.now_ms();
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
