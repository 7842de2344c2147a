//! The life of an execution in this process: read, walk, undo, end; and again from the journal when that could not be written.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Failure, FailureKind};
use serde_json::Value;

use super::inner::{Inner, damaged};
use super::run::Run;
use super::walk::{Stop, Walk};
use crate::execution::{Event, Execution, ExecutionStatus, Happened, StepError};
use crate::journal::{JournalError, chain};
use crate::log::Log;
use crate::records::{Change, RecordsError, Wanted};

/// The first wait after the journal could not be written; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Events that are read at once.
const EVENTS_AT_ONCE: u32 = 2000;

/// How an execution ends.
struct End {
    status: ExecutionStatus,
    output: Option<Value>,
    error: Option<StepError>,
}

/// Runs an execution until it ends, is owned by another process, or the process ends.
pub(crate) async fn drive(inner: &Arc<Inner>, run: &Arc<Run>, execution: Execution, mut is_read: bool, mut wanted: Option<Wanted>) {
    let mut wait = FIRST_WAIT;
    loop {
        let lost = match once(inner, run, &execution, is_read, wanted).await {
            Ok(()) => return,
            Err(JournalError::Fenced) if run.was_renewed() => "its ownership was renewed".to_owned(),
            Err(JournalError::Fenced) => {
                tracing::info!(execution = execution.id, "another process goes on with the execution");
                return;
            }
            Err(JournalError::Failed(reason)) => reason,
        };
        tracing::warn!(execution = execution.id, reason = lost, "the journal failed; the execution goes on from what is stored");
        // What was wanted is stored, or was seen to.
        (is_read, wanted) = (false, None);
        if inner.stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

async fn once(
    inner: &Arc<Inner>,
    run: &Arc<Run>,
    execution: &Execution,
    is_read: bool,
    wanted: Option<Wanted>,
) -> Result<(), JournalError> {
    if !is_read {
        let log = read(inner, &execution.id).await?;
        run.paused.send_replace(log.is_paused());
        run.reload(log);
        run.record_at("", Happened::Adopted { node: inner.config.node.clone() });
    }
    if run.log().is_cancelled() {
        run.cancel.cancel();
    }
    if let Some(wanted) = wanted {
        obey(inner, run, wanted).await?;
    }
    let began_ms = inner.clock().now_ms();
    let end = match walk(inner, run, execution, began_ms).await? {
        Ok(output) => End { status: ExecutionStatus::Completed, output: Some(output), error: None },
        Err(Stop::Failed(error)) => End { status: ExecutionStatus::Failed, output: None, error: Some(*error) },
        Err(Stop::Cancelled) => {
            let failure = Failure::new(FailureKind::Other, "execution.cancelled", "the execution was cancelled");
            End { status: ExecutionStatus::Cancelled, output: None, error: Some(StepError::of(&failure)) }
        }
        Err(Stop::Lost(error)) => return Err(error),
        // The process ends. What came of the last steps is written before it does.
        Err(Stop::Shutdown | Stop::Halted) => return run.record([], None).wait().await,
    };
    let at_ms = inner.clock().now_ms();
    let change = Change { status: end.status, output: end.output.clone(), error: end.error.clone(), at_ms };
    run.record([], Some(change)).wait().await?;
    // Some of what is stored is only known there: when its first step began, after a restart.
    if is_read && execution.started_at_ms.is_none() {
        let started_at_ms = Some(began_ms);
        let (status, output, error, completed_at_ms) = (end.status, end.output, end.error, Some(at_ms));
        run.end(Execution { status, output, error, started_at_ms, completed_at_ms, ..execution.clone() });
    }
    Ok(())
}

/// Walks the definition and, if that fails, undoes what asks for it.
async fn walk(inner: &Arc<Inner>, run: &Arc<Run>, execution: &Execution, began_ms: u64) -> Result<Result<Value, Stop>, JournalError> {
    let plan = match inner.records.workflow(&execution.workflow_id, Some(execution.workflow_version)).await {
        Ok(Some(workflow)) => inner.plan_of(&workflow.id, workflow.version, || workflow.definition.clone()),
        Ok(None) => Err(Failure::new(FailureKind::Other, "workflow.unknown", "the version of the workflow that it runs is gone")),
        Err(RecordsError::Corrupt(what)) => return Ok(Err(damaged(&RecordsError::Corrupt(what)).into())),
        Err(error) => return Err(JournalError::Failed(chain(&error))),
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(failure) => return Ok(Err(failure.into())),
    };
    let timeout_ms = plan.definition.timeout_ms;
    let snapshot = inner.runner.snapshot();
    let walk = Walk::new(Arc::clone(inner), Arc::clone(run), execution.clone(), plan, snapshot);
    if !*run.paused.borrow() && !run.cancel.is_cancelled() {
        let running = Change { status: ExecutionStatus::Running, output: None, error: None, at_ms: began_ms };
        run.record([], Some(running));
    }
    let ends_at = timeout_ms.map(|timeout_ms| run.log().retried_at_ms().unwrap_or(execution.created_at_ms).saturating_add(timeout_ms));
    let timed_out = async {
        match ends_at {
            Some(ends_at) => inner.clock().until(ends_at).await,
            None => std::future::pending().await,
        }
    };
    let mut broken = run.broken.subscribe();
    let walking = walk.all();
    tokio::pin!(walking);
    let mut result = tokio::select! {
        // First: what is in the journal is known before anything is decided.
        biased;
        result = &mut walking => result,
        // The sender is part of the run, which this holds.
        _ = broken.changed() => return Err(JournalError::Failed("something could not be written".to_owned())),
        () = timed_out => {
            // What waits is told, so that workflows within it end too.
            run.cancel.cancel();
            match walking.await {
                Err(Stop::Cancelled) => {
                    let message = format!("the execution did not end within {} ms", timeout_ms.unwrap_or_default());
                    Err(super::walk::late("execution.timeout", message).into())
                }
                ended => ended,
            }
        }
    };
    if let Err(Stop::Failed(_) | Stop::Cancelled) = &result
        && let Err(stop) = walk.undo().await
    {
        result = Err(stop);
    }
    Ok(result)
}

async fn read(inner: &Inner, id: &str) -> Result<Log, JournalError> {
    let mut log = Log::default();
    loop {
        let part = inner.records.events(id, log.last(), EVENTS_AT_ONCE).await;
        let events: Vec<Event> = part.map_err(|error| JournalError::Failed(chain(&error)))?.items;
        let is_last = events.len() < EVENTS_AT_ONCE as usize;
        for event in &events {
            log.apply(event);
        }
        if is_last {
            return Ok(log);
        }
    }
}

/// Does what somebody wants of an execution that runs here.
pub(crate) async fn obey(inner: &Inner, run: &Run, wanted: Wanted) -> Result<(), JournalError> {
    let changed = |status| Some(Change { status, output: None, error: None, at_ms: inner.clock().now_ms() });
    match wanted {
        Wanted::Cancel => {
            run.record_at("", Happened::CancelRequested).wait().await?;
            run.cancel.cancel();
        }
        Wanted::Pause => {
            if !*run.paused.borrow() {
                run.record([(String::new(), Happened::Paused)], changed(ExecutionStatus::Paused)).wait().await?;
                run.paused.send_replace(true);
            }
        }
        Wanted::Resume => {
            run.record([(String::new(), Happened::Resumed)], changed(ExecutionStatus::Running)).wait().await?;
            run.paused.send_replace(false);
        }
        Wanted::Retry => {
            run.record([(String::new(), Happened::Retried)], changed(ExecutionStatus::Running)).wait().await?;
            run.paused.send_replace(false);
        }
    }
    inner.records.seen(&run.fence(), wanted).await.map_err(|error| match error {
        RecordsError::Fenced => JournalError::Fenced,
        error => JournalError::Failed(chain(&error)),
    })
}
