//! Workflows and their versions.

use std::collections::BTreeMap;

use super::{State, part};
use crate::records::{Part, Range, RecordsError, is_of_the_host};
use crate::workflow::{Workflow, WorkflowStatus};

/// The versions of a workflow.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// By number.
    versions: BTreeMap<u32, Workflow>,
    /// The latest; none once it was removed.
    latest: Option<u32>,
}

impl Kept {
    fn latest(&self) -> Option<&Workflow> {
        self.versions.get(&self.latest?)
    }

    fn status(&self) -> WorkflowStatus {
        self.latest().map_or(WorkflowStatus::Archived, |latest| latest.status)
    }
}

impl State {
    pub(super) fn put_workflow(&mut self, workflow: &Workflow) -> Result<(), RecordsError> {
        let named = self.names.get(&workflow.definition.name);
        if named.is_some_and(|id| *id != workflow.id) {
            return Err(RecordsError::Conflict);
        }
        let known = self.workflows.get(&workflow.id);
        let follows = match known {
            None => workflow.version == 1,
            Some(known) => known.latest.is_some_and(|latest| latest.checked_add(1) == Some(workflow.version)),
        };
        if !follows {
            return Err(RecordsError::Conflict);
        }
        if let Some(before) = known.and_then(Kept::latest) {
            self.names.remove(&before.definition.name);
        }
        self.names.insert(workflow.definition.name.clone(), workflow.id.clone());
        let kept = self.workflows.entry(workflow.id.clone()).or_default();
        kept.versions.insert(workflow.version, workflow.clone());
        kept.latest = Some(workflow.version);
        Ok(())
    }

    pub(super) fn workflow(&self, id: &str, version: Option<u32>) -> Option<Workflow> {
        let kept = self.workflows.get(id).or_else(|| self.workflows.get(self.names.get(id)?))?;
        let Some(version) = version else { return kept.latest().cloned() };
        kept.versions.get(&version).map(|found| Workflow { status: kept.status(), ..found.clone() })
    }

    pub(super) fn list_workflows(&self, status: Option<WorkflowStatus>, range: Range) -> Part<Workflow> {
        let latest = self.workflows.values().filter_map(Kept::latest);
        let mut found: Vec<_> = latest
            .filter(|workflow| !is_of_the_host(&workflow.definition.name) && status.is_none_or(|status| status == workflow.status))
            .collect();
        found.sort_unstable_by(|one, other| (other.created_at_ms, &other.id).cmp(&(one.created_at_ms, &one.id)));
        let found = part(found.into_iter(), range);
        Part { items: found.items.into_iter().cloned().collect(), total: found.total }
    }

    pub(super) fn remove_workflow(&mut self, id: &str) -> bool {
        let Some(kept) = self.workflows.get_mut(id) else { return false };
        let Some(name) = kept.latest().map(|latest| latest.definition.name.clone()) else { return false };
        kept.latest = None;
        self.names.remove(&name);
        self.prune(Some(id));
        true
    }

    pub(super) fn has_version(&self, id: &str, version: u32) -> bool {
        self.workflows.get(id).is_some_and(|kept| kept.versions.contains_key(&version))
    }

    /// Forgets the versions, of one workflow or of all, that are not the latest and that no execution runs.
    pub(super) fn prune(&mut self, only: Option<&str>) {
        let used: std::collections::HashSet<(&str, u32)> =
            self.runs.values().map(|run| (run.execution.workflow_id.as_str(), run.execution.workflow_version)).collect();
        self.workflows.retain(|id, kept| {
            if only.is_none_or(|only| only == id) {
                let latest = kept.latest;
                kept.versions.retain(|version, _| latest == Some(*version) || used.contains(&(id.as_str(), *version)));
            }
            !kept.versions.is_empty()
        });
    }
}
