//! The one Temporal workflow: it walks a definition, and everything that it needs is an activity, a timer or a child of the cluster.
//!
//! The cluster replays it from its history. That gives the same walk because a course decides by nothing but what it is given.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use breakwater_core::Failure;
use breakwater_workflow::course::{Begin, Course, CourseHandle};
use breakwater_workflow::{Change, Execution, ExecutionStatus, NewSignal, StepError, Wanted};
use serde_json::Value;
use temporalio_common::search_attributes::SearchAttributeKey;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ApplicationFailure, ContinueAsNewOptions, MemoValue, SyncWorkflowContext, WorkflowContext, WorkflowContextView, WorkflowResult,
    WorkflowTermination,
};

use crate::pending::{Driven, drive};
use crate::story::{Courses, Story};
use crate::wire::{Beginning, Command, HistoryPart, HistoryRange, MAX_PIECE, length, output_too_large};

/// The name of the workflow's type in the cluster.
pub(crate) const TYPE: &str = "breakwater-execution";
/// The id of the workflow that an execution runs.
pub(crate) const OF_WORKFLOW: SearchAttributeKey<String> = SearchAttributeKey::keyword("BreakwaterWorkflow");
/// How far an execution is that has not ended.
pub(crate) const STATUS: SearchAttributeKey<String> = SearchAttributeKey::keyword("BreakwaterStatus");
/// The key of the execution in the memo.
pub(crate) const EXECUTION: &str = "execution";
/// The key of the time when its first step began in the memo, in milliseconds since 1970.
pub(crate) const STARTED: &str = "started_at_ms";

/// One execution.
#[workflow]
pub(crate) struct ExecutionWorkflow {
    courses: Courses,
    running: Option<(CourseHandle, Arc<Story>)>,
    /// What came before the first step.
    early: Vec<Early>,
}

enum Early {
    Signal(NewSignal),
    Command(Command),
}

impl ExecutionWorkflow {
    pub(crate) fn new(courses: Courses) -> Self {
        Self { courses, running: None, early: Vec::new() }
    }
}

#[workflow_methods(factory_only)]
impl ExecutionWorkflow {
    #[run(name = "breakwater-execution")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, beginning: Beginning) -> WorkflowResult<Value> {
        let now_ms = now_ms(ctx.workflow_time());
        let story = Arc::new(Story::new(&beginning.past));
        let begin = Begin {
            execution: beginning.execution.clone(),
            definition: beginning.definition.clone(),
            depth: beginning.depth,
            past: beginning.past.clone(),
            signals: beginning.signals.clone(),
            now_ms,
        };
        let course = Course::new(begin, story.clone()).map_err(|failure| failed(&StepError::of(&failure)))?;
        let handle = course.handle();
        if beginning.retried {
            handle.obey(Wanted::Retry);
        }
        let entered = ctx.state_mut(|state| {
            for early in state.early.drain(..) {
                early.give(&handle);
            }
            state.running = Some((handle.clone(), Arc::clone(&story)));
            state.courses.enter(&beginning.execution.id, ctx.run_id(), handle.clone(), Arc::clone(&story))
        });
        let started_at_ms = beginning.started_at_ms.unwrap_or(now_ms);
        // Whoever starts an execution gives the memo with it, but for a workflow that starts another one.
        let is_known = ctx.memo().get::<Execution>(EXECUTION).is_ok_and(|known| known.is_some());
        let execution = (!is_known).then(|| (EXECUTION, Some(MemoValue::new(beginning.execution.clone()))));
        ctx.upsert_memo([(STARTED, Some(MemoValue::new(started_at_ms)))].into_iter().chain(execution))?;
        let driven = drive(ctx, course, &handle, &story, &beginning).await;
        drop(entered);
        match driven {
            Driven::Ended(change) => result(change),
            Driven::Full => {
                let next = Beginning {
                    past: story.all(),
                    signals: handle.signals(),
                    started_at_ms: Some(started_at_ms),
                    retried: false,
                    ..beginning
                };
                if length(&next) > MAX_PIECE {
                    let message =
                        "the history of the execution is full and cannot be carried on; split the workflow, or let it run embedded";
                    return Err(failed(&StepError::of(&Failure::limit("workflow.history-full", message))));
                }
                match ctx.continue_as_new(next, ContinueAsNewOptions::default())? {}
            }
        }
    }

    #[signal(name = "signal")]
    pub(crate) fn signal(&mut self, _ctx: &mut SyncWorkflowContext<Self>, signal: NewSignal) {
        self.take(Early::Signal(signal));
    }

    #[signal(name = "command")]
    pub(crate) fn command(&mut self, _ctx: &mut SyncWorkflowContext<Self>, command: Command) {
        self.take(Early::Command(command));
    }

    #[query(name = "history")]
    pub(crate) fn history(&self, _ctx: &WorkflowContextView, range: HistoryRange) -> HistoryPart {
        let Some((course, story)) = &self.running else { return HistoryPart::default() };
        let mut part = story.part(range);
        if range.after == 0 {
            part.signals = course.signals();
        }
        part
    }
}

impl ExecutionWorkflow {
    fn take(&mut self, early: Early) {
        match &self.running {
            Some((course, _)) => early.give(course),
            None => self.early.push(early),
        }
    }
}

impl Early {
    fn give(self, course: &CourseHandle) {
        match self {
            Self::Signal(signal) => course.signal(signal),
            Self::Command(Command::Pause) => course.obey(Wanted::Pause),
            Self::Command(Command::Resume) => course.obey(Wanted::Resume),
        }
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms(time: Option<SystemTime>) -> u64 {
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn result(change: Change) -> WorkflowResult<Value> {
    match (change.status, change.error) {
        (ExecutionStatus::Completed, _) => {
            let output = change.output.unwrap_or_default();
            // The cluster would refuse it, and ask for it again without end.
            let length = length(&output);
            if length > MAX_PIECE { Err(failed(&StepError::of(&output_too_large("an execution", length)))) } else { Ok(output) }
        }
        (ExecutionStatus::Cancelled, Some(error)) => Err(WorkflowTermination::cancelled_with_details(error)),
        (_, Some(error)) => Err(failed(&error)),
        (_, None) => Err(WorkflowTermination::cancelled()),
    }
}

fn failed(error: &StepError) -> WorkflowTermination {
    let failure = ApplicationFailure::builder(error.message.clone()).type_name(error.code.clone()).non_retryable(true);
    WorkflowTermination::failed_application(failure.details(error.clone()).build())
}
