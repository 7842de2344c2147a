//! What callers ask of executions, wherever those run.

use std::time::Duration;

use breakwater_core::Failure;
use serde_json::Value;
use tokio::time::Instant;

use super::drive::obey;
use super::inner::{Inner, stored};
use crate::execution::{Execution, ExecutionStatus};
use crate::journal::JournalError;
use crate::records::Wanted;

/// How often an execution of another process is looked at while somebody waits for it.
const LOOK: Duration = Duration::from_millis(50);
/// How long a command waits for its effect before it answers with how the execution is.
const COMMAND_PATIENCE: Duration = Duration::from_secs(5);
/// The longest name of a signal, in bytes.
const MAX_SIGNAL_NAME: usize = 128;
/// The most that a signal brings, in bytes of JSON.
const MAX_SIGNAL: usize = 256 * 1024;
/// The most signals of one execution.
const MAX_SIGNALS: u64 = 1000;

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
        if is_so(execution.status, wanted) {
            return Ok(execution);
        }
        if !is_possible(execution.status, wanted) {
            return Err(impossible(execution.status, wanted));
        }
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
        self.until(id, |now| is_so(now.status, wanted) || !is_possible(now.status, wanted)).await
    }

    pub(crate) async fn signal(&self, id: &str, name: &str, payload: Value) -> Result<(), Failure> {
        if !(1..=MAX_SIGNAL_NAME).contains(&name.len()) || name.chars().any(char::is_control) {
            return Err(Failure::invalid("execution.signal-invalid", format!("a signal's name is 1 to {MAX_SIGNAL_NAME} printable bytes")));
        }
        let length = serde_json::to_vec(&payload).map_or(usize::MAX, |text| text.len());
        if length > MAX_SIGNAL {
            return Err(Failure::limit(
                "execution.signal-too-large",
                format!("a signal brings at most {MAX_SIGNAL} bytes; this one brings {length}"),
            ));
        }
        let execution = self.get(id).await?;
        if execution.status.is_final() {
            let message = format!("the execution is {} and takes no signals", execution.status.name());
            return Err(Failure::invalid("execution.state", message));
        }
        if !self.records.signals(id, MAX_SIGNALS - 1).await.map_err(stored)?.is_empty() {
            return Err(Failure::limit("execution.too-many-signals", format!("an execution takes at most {MAX_SIGNALS} signals")));
        }
        self.records.signal(id, name, &payload, self.clock().now_ms()).await.map_err(stored)?;
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

/// Whether it is already as wanted.
fn is_so(status: ExecutionStatus, wanted: Wanted) -> bool {
    use ExecutionStatus::{Cancelled, Paused, Pending, Running};
    match wanted {
        Wanted::Cancel => status == Cancelled,
        Wanted::Pause => status == Paused,
        Wanted::Resume | Wanted::Retry => matches!(status, Running | Pending),
    }
}

fn is_possible(status: ExecutionStatus, wanted: Wanted) -> bool {
    use ExecutionStatus::{Failed, Paused, Pending, Running};
    match wanted {
        Wanted::Cancel => !status.is_final(),
        Wanted::Pause => matches!(status, Pending | Running),
        Wanted::Resume => status == Paused,
        Wanted::Retry => status == Failed,
    }
}

fn impossible(status: ExecutionStatus, wanted: Wanted) -> Failure {
    let what = match wanted {
        Wanted::Cancel => "cancelled",
        Wanted::Pause => "paused",
        Wanted::Resume => "resumed; only a paused one can",
        Wanted::Retry => "retried; only a failed one can",
    };
    Failure::invalid("execution.state", format!("the execution is {} and cannot be {what}", status.name()))
        .with_detail(serde_json::json!({ "status": status.name() }))
}
