//! Workflows and executions of one process, gone when it ends: for commands without a server, and for tests.

mod executions;
mod ownership;
mod workflows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use breakwater_core::{BoxFuture, Digest};
use tokio::time::Instant;

use crate::execution::{Event, Execution, ExecutionStatus, NewSignal, Signal};
use crate::records::{Append, Claimed, Created, ExecutionFilter, Fence, Mail, Part, Range, RecordsError, Wanted, WorkflowRecords};
use crate::workflow::{Workflow, WorkflowStatus};
use executions::Run;
use workflows::Kept;

/// Records in memory.
#[derive(Debug, Default)]
pub struct MemoryWorkflowRecords {
    state: Mutex<State>,
}

/// Everything that is kept.
#[derive(Debug, Default)]
struct State {
    /// By id.
    workflows: HashMap<String, Kept>,
    /// Ids by name.
    names: HashMap<String, String>,
    /// By id.
    runs: HashMap<String, Run>,
    /// When each was created, and its id.
    by_creation: BTreeSet<(u64, String)>,
    /// Ids by workflow and key.
    keys: HashMap<(String, String), String>,
    /// Until when each process is taken to be alive.
    nodes: BTreeMap<String, Instant>,
}

impl MemoryWorkflowRecords {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing below can panic between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of what an iterator gives, and how much that is.
fn part<T>(whole: impl Iterator<Item = T>, range: Range) -> Part<T> {
    let skip = usize::try_from(range.skip).unwrap_or(usize::MAX);
    let (mut items, mut total) = (Vec::new(), 0_u64);
    for (place, item) in whole.enumerate() {
        total += 1;
        if place >= skip && items.len() < range.take as usize {
            items.push(item);
        }
    }
    Part { items, total }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, RecordsError>>;

fn answer<'a, T: Send + 'a>(answer: Result<T, RecordsError>) -> Answer<'a, T> {
    Box::pin(std::future::ready(answer))
}

impl WorkflowRecords for MemoryWorkflowRecords {
    fn put_workflow<'a>(&'a self, workflow: &'a Workflow) -> Answer<'a, ()> {
        answer(self.state().put_workflow(workflow))
    }

    fn workflow<'a>(&'a self, id: &'a str, version: Option<u32>) -> Answer<'a, Option<Workflow>> {
        answer(Ok(self.state().workflow(id, version)))
    }

    fn workflows(&self, status: Option<WorkflowStatus>, range: Range) -> Answer<'_, Part<Workflow>> {
        answer(Ok(self.state().list_workflows(status, range)))
    }

    fn remove_workflow<'a>(&'a self, id: &'a str) -> Answer<'a, bool> {
        answer(Ok(self.state().remove_workflow(id)))
    }

    fn create<'a>(&'a self, execution: &'a Execution, digest: Digest, node: &'a str) -> Answer<'a, Created> {
        answer(self.state().create(execution, digest, node))
    }

    fn execution<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Execution>> {
        answer(Ok(self.state().runs.get(id).map(|run| run.execution.clone())))
    }

    fn executions<'a>(&'a self, filter: &'a ExecutionFilter, range: Range) -> Answer<'a, Part<Execution>> {
        answer(Ok(self.state().list_executions(filter, range)))
    }

    fn counts(&self) -> Answer<'_, Vec<(ExecutionStatus, u64)>> {
        answer(Ok(self.state().counts()))
    }

    fn events<'a>(&'a self, id: &'a str, after: u64, take: u32) -> Answer<'a, Part<Event>> {
        answer(Ok(self.state().events(id, after, take)))
    }

    fn append<'a>(&'a self, appends: &'a [Append]) -> BoxFuture<'a, Vec<Result<(), RecordsError>>> {
        let mut state = self.state();
        Box::pin(std::future::ready(appends.iter().map(|append| state.append(append)).collect::<Vec<_>>()))
    }

    fn want<'a>(&'a self, id: &'a str, wanted: Wanted) -> Answer<'a, ()> {
        answer(self.state().want(id, wanted))
    }

    fn seen<'a>(&'a self, fence: &'a Fence, wanted: Wanted) -> Answer<'a, ()> {
        answer(self.state().seen(fence, wanted))
    }

    fn signal<'a>(&'a self, id: &'a str, signal: &'a NewSignal, at_ms: u64) -> Answer<'a, Signal> {
        answer(self.state().signal(id, signal, at_ms))
    }

    fn signal_of_key<'a>(&'a self, id: &'a str, key: &'a str) -> Answer<'a, Option<Signal>> {
        answer(Ok(self.state().signal_of_key(id, key)))
    }

    fn signals<'a>(&'a self, id: &'a str, after: u64) -> Answer<'a, Vec<Signal>> {
        answer(Ok(self.state().signals(id, after)))
    }

    fn mail<'a>(&'a self, node: &'a str) -> Answer<'a, Vec<Mail>> {
        answer(Ok(self.state().mail(node)))
    }

    fn beat<'a>(&'a self, node: &'a str, lease: Duration) -> Answer<'a, ()> {
        self.state().nodes.insert(node.to_owned(), Instant::now() + lease);
        answer(Ok(()))
    }

    fn leave<'a>(&'a self, node: &'a str) -> Answer<'a, ()> {
        self.state().leave(node);
        answer(Ok(()))
    }

    fn claim<'a>(&'a self, node: &'a str, take: u32) -> Answer<'a, Vec<Claimed>> {
        answer(Ok(self.state().claim(node, take)))
    }

    fn forget(&self, ended_before_ms: u64, take: u32) -> Answer<'_, u64> {
        answer(Ok(self.state().forget(ended_before_ms, take)))
    }
}
