//! Executions, their journals and their signals.

use breakwater_core::Digest;

use super::{State, part};
use crate::execution::{Event, Execution, ExecutionStatus, NewSignal, Signal};
use crate::records::{Append, Change, Created, ExecutionFilter, Fence, Part, Range, RecordsError, Wanted, is_of_the_host};

/// An execution and everything that belongs to it.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) execution: Execution,
    digest: Digest,
    events: Vec<Event>,
    pub(super) signals: Vec<Signal>,
    pub(super) wanted: Option<Wanted>,
    pub(super) owner: Option<String>,
    pub(super) epoch: u64,
}

impl Run {
    pub(super) fn fence(&self, node: &str) -> Fence {
        Fence { execution: self.execution.id.clone(), node: node.to_owned(), epoch: self.epoch }
    }

    pub(super) fn checked(&mut self, fence: &Fence) -> Result<&mut Self, RecordsError> {
        let theirs = self.epoch == fence.epoch && self.owner.as_deref() == Some(&fence.node);
        if theirs { Ok(self) } else { Err(RecordsError::Fenced) }
    }

    fn change(&mut self, change: &Change) {
        let execution = &mut self.execution;
        execution.status = change.status;
        execution.output.clone_from(&change.output);
        execution.error.clone_from(&change.error);
        if change.status == ExecutionStatus::Running {
            execution.started_at_ms.get_or_insert(change.at_ms);
        }
        execution.completed_at_ms = change.status.is_final().then_some(change.at_ms);
        if change.status.is_final() {
            self.wanted = None;
        }
    }
}

impl State {
    pub(super) fn create(&mut self, execution: &Execution, digest: Digest, node: &str) -> Result<Created, RecordsError> {
        let key = execution.idempotency_key.as_ref().map(|key| (execution.workflow_id.clone(), key.clone()));
        let known = key.as_ref().and_then(|key| self.runs.get(self.keys.get(key)?));
        if let Some(known) = known {
            let same = known.digest == digest;
            let (execution, id) = (&known.execution, &known.execution.id);
            return Ok(if same { Created::Existing(Box::new(execution.clone())) } else { Created::KeyReused(id.clone()) });
        }
        if !self.has_version(&execution.workflow_id, execution.workflow_version) {
            return Err(RecordsError::Absent);
        }
        let id = execution.id.clone();
        if self.runs.contains_key(&id) {
            return Err(RecordsError::Conflict);
        }
        let fresh = Execution {
            status: ExecutionStatus::Pending,
            output: None,
            error: None,
            started_at_ms: None,
            completed_at_ms: None,
            ..execution.clone()
        };
        let run =
            Run { execution: fresh, digest, events: Vec::new(), signals: Vec::new(), wanted: None, owner: Some(node.to_owned()), epoch: 1 };
        let fence = run.fence(node);
        self.by_creation.insert((execution.created_at_ms, id.clone()));
        if let Some(key) = key {
            self.keys.insert(key, id.clone());
        }
        self.runs.insert(id, run);
        Ok(Created::New(fence))
    }

    pub(super) fn list_executions(&self, filter: &ExecutionFilter, range: Range) -> Part<Execution> {
        let newest = self.by_creation.iter().rev().filter_map(|(_, id)| self.runs.get(id)).map(|run| &run.execution);
        let fits = newest.filter(|execution| {
            let is_meant = match &filter.workflow_id {
                Some(id) => *id == execution.workflow_id,
                None => !is_of_the_host(&execution.workflow_name),
            };
            is_meant && filter.status.is_none_or(|status| status == execution.status)
        });
        let found = part(fits, range);
        Part { items: found.items.into_iter().cloned().collect(), total: found.total }
    }

    pub(super) fn counts(&self) -> Vec<(ExecutionStatus, u64)> {
        let count = |status| self.runs.values().filter(|run| run.execution.status == status).count() as u64;
        ExecutionStatus::ALL.map(|status| (status, count(status))).into()
    }

    pub(super) fn events(&self, id: &str, after: u64, take: u32) -> Part<Event> {
        let events = self.runs.get(id).map_or(&[][..], |run| &run.events);
        let skip = usize::try_from(after).unwrap_or(usize::MAX);
        Part { items: events.iter().skip(skip).take(take as usize).cloned().collect(), total: events.len() as u64 }
    }

    pub(super) fn append(&mut self, append: &Append) -> Result<(), RecordsError> {
        let run = self.runs.get_mut(&append.fence.execution).ok_or(RecordsError::Absent)?.checked(&append.fence)?;
        let next = run.events.len() as u64 + 1;
        if append.events.iter().zip(next..).any(|(event, number)| event.seq != number) {
            return Err(RecordsError::Conflict);
        }
        run.events.extend_from_slice(&append.events);
        if let Some(change) = &append.change {
            run.change(change);
        }
        Ok(())
    }

    pub(super) fn signal(&mut self, id: &str, signal: &NewSignal, at_ms: u64) -> Result<Signal, RecordsError> {
        if let Some(known) = signal.idempotency_key.as_deref().and_then(|key| self.signal_of_key(id, key)) {
            return Ok(known);
        }
        let signals = &mut self.runs.get_mut(id).ok_or(RecordsError::Absent)?.signals;
        let kept = Signal::of(signal.clone(), signals.len() as u64 + 1, at_ms);
        signals.push(kept.clone());
        Ok(kept)
    }

    pub(super) fn signal_of_key(&self, id: &str, key: &str) -> Option<Signal> {
        self.runs.get(id)?.signals.iter().find(|signal| signal.idempotency_key.as_deref() == Some(key)).cloned()
    }

    pub(super) fn signals(&self, id: &str, after: u64) -> Vec<Signal> {
        let signals = self.runs.get(id).map_or(&[][..], |run| &run.signals);
        signals.iter().skip(usize::try_from(after).unwrap_or(usize::MAX)).cloned().collect()
    }

    pub(super) fn forget(&mut self, ended_before_ms: u64, take: u32) -> u64 {
        let over = |run: &&Run| {
            // Nothing is wanted of what has ended, but that it is retried.
            run.wanted.is_none() && run.execution.completed_at_ms.is_some_and(|at| at < ended_before_ms)
        };
        let mut ended: Vec<_> =
            self.runs.values().filter(over).map(|run| (run.execution.completed_at_ms, run.execution.id.clone())).collect();
        ended.sort_unstable();
        ended.truncate(take as usize);
        for (_, id) in &ended {
            let Some(Run { execution, .. }) = self.runs.remove(id) else { continue };
            if let Some(key) = execution.idempotency_key {
                self.keys.remove(&(execution.workflow_id, key));
            }
            self.by_creation.remove(&(execution.created_at_ms, execution.id));
        }
        self.prune(None);
        ended.len() as u64
    }
}
