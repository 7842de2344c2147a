//! Who owns an execution, and what is wanted of it.

use tokio::time::Instant;

use super::State;
use super::executions::Run;
use crate::execution::ExecutionStatus;
use crate::records::{Claimed, Fence, Mail, RecordsError, Wanted};

impl Run {
    /// Whether something is to be done by itself, or because somebody wants it.
    fn is_waiting(&self) -> bool {
        match self.execution.status {
            ExecutionStatus::Pending | ExecutionStatus::Running => true,
            ExecutionStatus::Paused => self.wanted.is_some(),
            ExecutionStatus::Completed | ExecutionStatus::Failed | ExecutionStatus::Cancelled => self.wanted == Some(Wanted::Retry),
        }
    }
}

impl State {
    pub(super) fn want(&mut self, id: &str, wanted: Wanted) -> Result<(), RecordsError> {
        let run = self.runs.get_mut(id).ok_or(RecordsError::Absent)?;
        if !run.execution.status.is_final() {
            if run.wanted != Some(Wanted::Cancel) {
                run.wanted = Some(wanted);
            }
            return Ok(());
        }
        match wanted {
            Wanted::Retry if run.wanted != Some(Wanted::Retry) => {
                run.wanted = Some(Wanted::Retry);
                run.owner = None;
            }
            Wanted::Cancel => run.wanted = None,
            Wanted::Retry | Wanted::Pause | Wanted::Resume => {}
        }
        Ok(())
    }

    pub(super) fn seen(&mut self, fence: &Fence, wanted: Wanted) -> Result<(), RecordsError> {
        let run = self.runs.get_mut(&fence.execution).ok_or(RecordsError::Absent)?.checked(fence)?;
        if run.wanted == Some(wanted) {
            run.wanted = None;
        }
        Ok(())
    }

    pub(super) fn mail(&self, node: &str) -> Vec<Mail> {
        let theirs = self.runs.values().filter(|run| run.owner.as_deref() == Some(node) && !run.execution.status.is_final());
        let some = theirs.filter(|run| run.wanted.is_some() || !run.signals.is_empty());
        some.map(|run| Mail { execution: run.execution.id.clone(), wanted: run.wanted, signals: run.signals.len() as u64 }).collect()
    }

    pub(super) fn leave(&mut self, node: &str) {
        self.nodes.remove(node);
        for run in self.runs.values_mut().filter(|run| run.owner.as_deref() == Some(node)) {
            run.owner = None;
        }
    }

    pub(super) fn claim(&mut self, node: &str, take: u32) -> Vec<Claimed> {
        let now = Instant::now();
        let alive = |owner: &String| self.nodes.get(owner).is_some_and(|until| *until > now);
        let mut claimed = Vec::new();
        for (_, id) in &self.by_creation {
            if claimed.len() >= take as usize {
                break;
            }
            let free = |run: &&mut Run| run.is_waiting() && !run.owner.as_ref().is_some_and(alive);
            let Some(run) = self.runs.get_mut(id).filter(free) else { continue };
            run.owner = Some(node.to_owned());
            run.epoch += 1;
            claimed.push(Claimed { execution: run.execution.clone(), fence: run.fence(node), wanted: run.wanted });
        }
        claimed
    }
}
