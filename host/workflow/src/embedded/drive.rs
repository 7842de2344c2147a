//! The life of an execution in this process: read, walk, undo, end; and again from the journal when that could not be written.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Failure, FailureKind};
use serde_json::Value;

use super::inner::{Inner, damaged};
use super::world::EmbeddedWorld;
use crate::execution::{Event, Execution, Happened};
use crate::journal::{JournalError, chain};
use crate::log::Log;
use crate::records::{Change, RecordsError, Wanted};
use crate::walk::life::end;
use crate::walk::run::Run;
use crate::walk::{Stop, Walk};

/// The first wait after the journal could not be written; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Events that are read at once.
const EVENTS_AT_ONCE: u32 = 2000;

/// Runs an execution until it ends, is owned by another process, or the process ends.
pub(crate) async fn drive(inner: &Arc<Inner>, run: &Arc<Run>, execution: Execution, mut is_read: bool, mut wanted: Option<Wanted>) {
    let mut wait = FIRST_WAIT;
    loop {
        let result = once(inner, run, &execution, is_read, wanted).await;
        // What was wanted is stored, or was seen to.
        (is_read, wanted) = (false, None);
        let lost = match result {
            Ok(()) => return,
            Err(JournalError::Fenced) => match run.renewed() {
                Some(renewal) => {
                    wanted = renewal.wanted;
                    "its ownership was renewed".to_owned()
                }
                None => {
                    tracing::info!(execution = execution.id, "another process goes on with the execution");
                    return;
                }
            },
            Err(JournalError::Failed(reason)) => reason,
        };
        tracing::warn!(execution = execution.id, reason = lost, "the journal failed; the execution goes on from what is stored");
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
        run.paused.set(log.is_paused());
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
    let result = walk(inner, run, execution, began_ms).await?;
    let at_ms = inner.clock().now_ms();
    let Some(change) = end(result, at_ms)? else {
        // The process ends. What came of the last steps is written before it does.
        return run.record([], None).wait().await;
    };
    run.record([], Some(change.clone())).wait().await?;
    // Some of what is stored is only known there: when its first step began, after a restart.
    if is_read && execution.started_at_ms.is_none() {
        let started_at_ms = Some(began_ms);
        let (Change { status, output, error, .. }, completed_at_ms) = (change, Some(at_ms));
        run.end(Execution { status, output, error, started_at_ms, completed_at_ms, ..execution.clone() });
    }
    Ok(())
}

/// Walks the version of the definition that the execution began with.
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
    let world = EmbeddedWorld::new(Arc::clone(inner), execution);
    Walk::new(Arc::new(world), Arc::clone(run), execution.clone(), plan).whole(began_ms).await
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
    if let Some(written) = run.note(wanted, inner.clock().now_ms()) {
        written.wait().await?;
        run.follow(wanted);
    }
    inner.records.seen(&run.fence(), wanted).await.map_err(|error| match error {
        RecordsError::Fenced => JournalError::Fenced,
        error => JournalError::Failed(chain(&error)),
    })
}
