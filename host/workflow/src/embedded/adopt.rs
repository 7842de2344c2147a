//! Taking over what nobody looks after, and telling other processes that this one lives.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use breakwater_core::Failure;
use tokio::time::Instant;

use super::drive::obey;
use super::inner::Inner;
use crate::admission::stored;
use crate::clock::millis;

/// Executions that are taken over at once.
const CLAIM_AT_ONCE: u32 = 256;
/// How often it is looked for executions that need not be kept any longer, and how many are forgotten at once.
const FORGET_EVERY: Duration = Duration::from_secs(600);
const FORGET_AT_ONCE: u32 = 1000;
const FORGET_PAUSE: Duration = Duration::from_millis(200);

/// The background task `workflow-lease`: says that this process lives, until it has ended its part. Nothing slow is done beside it.
pub(crate) async fn beat(inner: Arc<Inner>) {
    loop {
        let result = inner.records.beat(&inner.config.node, inner.config.lease).await;
        if let Err(error) = result {
            tracing::warn!(failure = stored(error).chain(), "other processes cannot be told that this one lives");
        }
        if inner.left.run_until_cancelled(tokio::time::sleep(inner.config.lease / 3)).await.is_none() {
            return;
        }
    }
}

/// The background task `workflow-adopt`, until the process ends.
pub(crate) async fn adopt(inner: Arc<Inner>) {
    let mut forget_at = Instant::now() + FORGET_EVERY;
    while !inner.stop.is_cancelled() {
        if let Err(failure) = look(&inner).await {
            tracing::warn!(failure = failure.chain(), "the records of workflows cannot be looked at; trying again");
        }
        if Instant::now() >= forget_at {
            forget(&inner).await;
            forget_at = Instant::now() + FORGET_EVERY;
        }
        tokio::select! {
            () = inner.stop.cancelled() => {}
            () = inner.hurry.notified() => {}
            () = tokio::time::sleep(inner.config.poll) => {}
        }
    }
}

async fn look(inner: &Arc<Inner>) -> Result<(), Failure> {
    for mail in inner.records.mail(&inner.config.node).await.map_err(stored)? {
        let Some(run) = inner.run(&mail.execution) else { continue };
        if run.signals.fetch_max(mail.signals, Ordering::Relaxed) < mail.signals {
            run.signalled.notify_waiters();
        }
        if let Some(wanted) = mail.wanted
            && let Err(error) = obey(inner, &run, wanted).await
        {
            tracing::warn!(execution = mail.execution, %error, "what somebody wants of an execution could not be done");
        }
    }
    loop {
        let room = u32::try_from(inner.room()).unwrap_or(u32::MAX).min(CLAIM_AT_ONCE);
        if room == 0 || inner.stop.is_cancelled() {
            return Ok(());
        }
        let claimed = inner.records.claim(&inner.config.node, room).await.map_err(stored)?;
        let count = claimed.len();
        for claimed in claimed {
            {
                let running = inner.running();
                if let Some(run) = running.get(&claimed.execution.id) {
                    // This process was slow to say that it lives, but goes on with it.
                    run.renew(claimed.fence, claimed.wanted);
                    continue;
                }
            }
            tracing::info!(execution = claimed.execution.id, workflow = claimed.execution.workflow_name, "going on with an execution");
            inner.begin(claimed.execution, claimed.fence, None, claimed.wanted);
        }
        if count < room as usize {
            return Ok(());
        }
    }
}

async fn forget(inner: &Inner) {
    let before_ms = inner.clock().now_ms().saturating_sub(millis(inner.config.keep));
    while !inner.stop.is_cancelled() {
        match inner.records.forget(before_ms, FORGET_AT_ONCE).await {
            Ok(0) => return,
            Ok(count) => tracing::info!(count, "executions that ended long ago are forgotten"),
            Err(error) => {
                tracing::warn!(failure = stored(error).chain(), "executions that ended long ago cannot be forgotten");
                return;
            }
        }
        // Others write too.
        tokio::time::sleep(FORGET_PAUSE).await;
    }
}
