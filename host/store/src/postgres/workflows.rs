//! Workflows and their executions in PostgreSQL.

use std::time::Duration;

use breakwater_core::{BoxFuture, Digest};
use breakwater_workflow::{
    Append, Claimed, Created, Event, Execution, ExecutionFilter, ExecutionStatus, Fence, Mail, NewSignal, Part, Range, RecordsError,
    Signal, Wanted, Workflow, WorkflowRecords, WorkflowStatus,
};

use super::PostgresStore;

type Answer<'a, T> = BoxFuture<'a, Result<T, RecordsError>>;

impl WorkflowRecords for PostgresStore {
    fn put_workflow<'a>(&'a self, workflow: &'a Workflow) -> Answer<'a, ()> {
        Box::pin(self.put_definition_version(workflow))
    }

    fn workflow<'a>(&'a self, id: &'a str, version: Option<u32>) -> Answer<'a, Option<Workflow>> {
        Box::pin(self.workflow_version(id, version))
    }

    fn workflows(&self, status: Option<WorkflowStatus>, range: Range) -> Answer<'_, Part<Workflow>> {
        Box::pin(self.list_workflows(status, range))
    }

    fn remove_workflow<'a>(&'a self, id: &'a str) -> Answer<'a, bool> {
        Box::pin(self.remove_definition_of(id))
    }

    fn create<'a>(&'a self, execution: &'a Execution, digest: Digest, node: &'a str) -> Answer<'a, Created> {
        Box::pin(self.create_execution(execution, digest, node))
    }

    fn execution<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Execution>> {
        Box::pin(self.execution_by_id(id))
    }

    fn executions<'a>(&'a self, filter: &'a ExecutionFilter, range: Range) -> Answer<'a, Part<Execution>> {
        Box::pin(self.list_executions(filter, range))
    }

    fn counts(&self) -> Answer<'_, Vec<(ExecutionStatus, u64)>> {
        Box::pin(self.execution_counts())
    }

    fn events<'a>(&'a self, id: &'a str, after: u64, take: u32) -> Answer<'a, Part<Event>> {
        Box::pin(self.events_of(id, after, take))
    }

    fn append<'a>(&'a self, appends: &'a [Append]) -> BoxFuture<'a, Vec<Result<(), RecordsError>>> {
        Box::pin(self.append_all(appends))
    }

    fn want<'a>(&'a self, id: &'a str, wanted: Wanted) -> Answer<'a, ()> {
        Box::pin(self.want_of(id, wanted))
    }

    fn seen<'a>(&'a self, fence: &'a Fence, wanted: Wanted) -> Answer<'a, ()> {
        Box::pin(self.seen_by(fence, wanted))
    }

    fn signal<'a>(&'a self, id: &'a str, signal: &'a NewSignal, at_ms: u64) -> Answer<'a, Signal> {
        Box::pin(self.add_signal(id, signal, at_ms))
    }

    fn signal_of_key<'a>(&'a self, id: &'a str, key: &'a str) -> Answer<'a, Option<Signal>> {
        Box::pin(self.keyed_signal(id, key))
    }

    fn signals<'a>(&'a self, id: &'a str, after: u64) -> Answer<'a, Vec<Signal>> {
        Box::pin(self.signals_of(id, after))
    }

    fn mail<'a>(&'a self, node: &'a str) -> Answer<'a, Vec<Mail>> {
        Box::pin(self.mail_of(node))
    }

    fn beat<'a>(&'a self, node: &'a str, lease: Duration) -> Answer<'a, ()> {
        Box::pin(self.heard_of(node, lease))
    }

    fn leave<'a>(&'a self, node: &'a str) -> Answer<'a, ()> {
        Box::pin(self.release(node))
    }

    fn claim<'a>(&'a self, node: &'a str, take: u32) -> Answer<'a, Vec<Claimed>> {
        Box::pin(self.claim_for(node, take))
    }

    fn forget(&self, ended_before_ms: u64, take: u32) -> Answer<'_, u64> {
        Box::pin(self.forget_ended(ended_before_ms, take))
    }
}
