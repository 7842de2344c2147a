//! What callers ask of executions, wherever those run.

use std::time::Duration;

use breakwater_core::Failure;
use tokio::time::Instant;

use super::drive::obey;
use super::inner::Inner;
use crate::admission::{MAX_SIGNALS, check_id, check_signal, sent_again, stored, takes_no_signals, too_many_signals};
use crate::execution::{Execution, NewSignal};
use crate::journal::JournalError;
use crate::records::Wanted;

/// How often an execution of another process is looked at while somebody waits for it.
const LOOK: Duration = Duration::from_millis(50);
/// How long a command waits for its effect before it answers with how the execution is.
const COMMAND_PATIENCE: Duration = Duration::from_secs(5);

impl Inner {
    /// Waits until an execution has ended or `patience` is over.
    pub(crate) async fn wait(&self, id: &str, patience: Duration) -> Result<Execution, Failure> {
        let deadline = deadline(patience);
        loop {
            if let Some(run) = self.run(id) {
                tokio::select! {
                    () = run.over.cancelled() => {}
                    () = tokio::time::sleep_until(deadline) => return self.get(id).await,
                }
                // What the walk came to needs not be read again.
                if let Some(execution) = run.ended() {
                    return Ok(execution);
                }
            }
            let execution = self.get(id).await?;
            if execution.status.is_final() || Instant::now() >= deadline {
                return Ok(execution);
            }
            if self.run(id).is_none() {
                tokio::time::sleep_until(deadline.min(Instant::now() + LOOK)).await;
            }
        }
    }

    /// Waits until it is as wanted, or too long, and says how it is then.
    async fn until(&self, id: &str, holds: impl Fn(&Execution) -> bool) -> Result<Execution, Failure> {
        let deadline = deadline(COMMAND_PATIENCE);
        loop {
            let run = self.run(id);
            let execution = self.get(id).await?;
            if holds(&execution) || Instant::now() >= deadline {
                return Ok(execution);
            }
            let look = tokio::time::sleep_until(deadline.min(Instant::now() + LOOK));
            match run {
                Some(run) => tokio::select! {
                    () = run.over.cancelled() => {}
                    () = look => {}
                },
                None => look.await,
            }
        }
    }

    /// Waits until something happened after event `after`, it has ended, or `patience` is over.
    pub(crate) async fn changed(&self, id: &str, after: u64, patience: Duration) -> Result<u64, Failure> {
        let deadline = deadline(patience);
        loop {
            match self.run(id) {
                Some(run) => {
                    let mut progress = run.progress.subscribe();
                    let last = *progress.borrow_and_update();
                    if last > after || Instant::now() >= deadline {
                        return Ok(last);
                    }
                    tokio::select! {
                        _ = progress.changed() => {}
                        () = run.over.cancelled() => {}
                        () = tokio::time::sleep_until(deadline) => {}
                    }
                }
                None => {
                    let status = self.get(id).await?.status;
                    let last = self.records.events(id, after, 1).await.map_err(stored)?.total;
                    if last > after || status.is_final() || Instant::now() >= deadline {
                        return Ok(last);
                    }
                    tokio::time::sleep_until(deadline.min(Instant::now() + LOOK)).await;
                }
            }
        }
    }

    pub(crate) async fn command(&self, id: &str, wanted: Wanted) -> Result<Execution, Failure> {
        let execution = self.get(id).await?;
        if wanted.is_so(execution.status) {
            return Ok(execution);
        }
        wanted.check(execution.status)?;
        self.records.want(id, wanted).await.map_err(stored)?;
        match self.run(id).filter(|run| !run.over.is_cancelled()) {
            Some(run) => match obey(self, &run, wanted).await {
                // It has ended or moved meanwhile; what is wanted is stored.
                Ok(()) | Err(JournalError::Fenced) => {}
                Err(JournalError::Failed(reason)) => {
                    let failure =
                        Failure::new(breakwater_core::FailureKind::Unavailable, "workflow.store", "the journal could not be written");
                    return Err(failure.caused_by(reason));
                }
            },
            None => self.hurry.notify_one(),
        }
        // One that is retried may have failed again before anybody looks.
        let ended_at_ms = execution.completed_at_ms;
        self.until(id, |now| wanted.is_seen_to(now.status) || now.completed_at_ms != ended_at_ms).await
    }

    pub(crate) async fn signal(&self, id: &str, signal: NewSignal) -> Result<(), Failure> {
        check_id(id)?;
        check_signal(&signal)?;
        if let Some(key) = &signal.idempotency_key
            && let Some(known) = self.records.signal_of_key(id, key).await.map_err(stored)?
        {
            return sent_again(&known, &signal);
        }
        let execution = self.get(id).await?;
        if execution.status.is_final() {
            return Err(takes_no_signals(execution.status));
        }
        if !self.records.signals(id, MAX_SIGNALS - 1).await.map_err(stored)?.is_empty() {
            return Err(too_many_signals());
        }
        let kept = self.records.signal(id, &signal, self.clock().now_ms()).await.map_err(stored)?;
        sent_again(&kept, &signal)?;
        if let Some(run) = self.run(id) {
            run.signalled.notify_waiters();
        }
        Ok(())
    }
}

/// When a patience is over; a year is as good as for ever.
fn deadline(patience: Duration) -> Instant {
    Instant::now() + patience.min(Duration::from_secs(31_536_000))
}
