//! What a course asks for, as futures of the cluster.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use breakwater_core::{Failure, FailureKind, OperationEffect};
use breakwater_workflow::course::{Attempt, Called, Child, Course, CourseHandle, Reply, Request};
use breakwater_workflow::{Change, Execution, Wanted};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use temporalio_common::RetryPolicy;
use temporalio_common::search_attributes::SearchAttributes;
use temporalio_sdk::{
    ActivityCancellationType, ActivityExecutionError, ActivityOptions, ChildWorkflowOptions, ParentClosePolicy, WorkflowCancellationToken,
    WorkflowContext, WorkflowIdReusePolicy,
};

use crate::steps::Steps;
use crate::story::Story;
use crate::wire::{Beginning, ChildInput, ChildPlan, MAX_PIECE, StepInput, length};
use crate::workflow::{ExecutionWorkflow, OF_WORKFLOW, STATUS, now_ms};

/// Attempts that may be lost with their processes before the step is given up: it may be what ends them. As of the embedded executor.
const MAX_LOST: u32 = 5;
/// How long one attempt may take that has no time of its own.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long after its own time an attempt is taken to be lost.
const GRACE: Duration = Duration::from_secs(60);
/// After how long without a sign of life a process is taken to be gone.
pub(crate) const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest timer that the cluster is asked for; the course asks again.
const LONGEST_TIMER: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a look at a workflow may take.
const LOOK: Duration = Duration::from_secs(30);

/// Where a course has come to.
pub(crate) enum Driven {
    /// To its end.
    Ended(Change),
    /// To where its history is so long that another run must go on.
    Full,
}

/// Something that was asked for and is not answered yet.
struct Pending<'a> {
    work: LocalBoxFuture<'a, ()>,
    /// Ends it when the answer is not wanted any more.
    cancel: WorkflowCancellationToken,
    is_wanted: Box<dyn Fn() -> bool + 'a>,
    /// The length of what was sent with it.
    bytes: usize,
    /// Whether another run can ask for it again: a timer, but not a step.
    can_move: bool,
}

/// Answers what the course asks for until it ends. Everything is polled here and in the order in which it was asked for, so that a replay does
/// the same.
pub(crate) async fn drive(
    ctx: &WorkflowContext<ExecutionWorkflow>,
    mut course: Course,
    handle: &CourseHandle,
    story: &Arc<Story>,
    beginning: &Beginning,
) -> Driven {
    let mut pending: Vec<Pending<'_>> = Vec::new();
    let mut waiting: VecDeque<Asked> = VecDeque::new();
    let children = Children::default();
    let mut cancelled = ctx.cancelled().boxed_local();
    let mut is_cancelled = false;
    let mut is_held = false;
    poll_fn(|cx| {
        handle.set_time(now_ms(ctx.workflow_time()));
        loop {
            if !is_cancelled && cancelled.poll_unpin(cx).is_ready() {
                is_cancelled = true;
                handle.obey(Wanted::Cancel);
            }
            if !is_held && ctx.continue_as_new_suggested() {
                is_held = true;
                handle.hold();
            }
            let ended = course.advance();
            if let Some(status) = story.status().filter(|status| !status.is_final()) {
                ctx.upsert_search_attributes([STATUS.value_set(status.name().to_owned())]);
            }
            if let Poll::Ready(change) = ended {
                return Poll::Ready(Driven::Ended(change));
            }
            waiting.extend(handle.requests().into_iter().map(Asked::of));
            let mut moved = false;
            while let Some(asked) = next_that_fits(&mut waiting, &pending) {
                begin(ctx, asked, beginning, &mut pending, &children);
                moved = true;
            }
            moved |= poll_all(&mut pending, cx);
            if !moved && !course.is_woken() {
                let can_move = is_held && waiting.is_empty() && pending.iter().all(|pending| pending.can_move);
                return if can_move { Poll::Ready(Driven::Full) } else { Poll::Pending };
            }
        }
    })
    .await
}

/// Something that was asked for and is not begun yet.
struct Asked {
    request: Request,
    /// The length of what is to be sent with it.
    bytes: usize,
}

impl Asked {
    fn of(request: Request) -> Self {
        let bytes = match &request {
            Request::Attempt { attempt, .. } => length(&attempt.input),
            Request::Child { child, .. } => length(&child.start.input),
            Request::Time { .. } | Request::CancelChild { .. } => 0,
        };
        Self { request, bytes }
    }

    fn is_wanted(&self) -> bool {
        match &self.request {
            Request::Attempt { reply, .. } => reply.is_wanted(),
            Request::Time { reply, .. } => reply.is_wanted(),
            Request::Child { .. } | Request::CancelChild { .. } => true,
        }
    }
}

/// The first that may begin: what is begun together is sent together, and the cluster takes only so much in one piece.
fn next_that_fits(waiting: &mut VecDeque<Asked>, pending: &[Pending<'_>]) -> Option<Asked> {
    waiting.retain(Asked::is_wanted);
    let sent: usize = pending.iter().map(|pending| pending.bytes).sum();
    let first = waiting.iter().position(|asked| asked.bytes == 0 || sent == 0 || sent + asked.bytes <= MAX_PIECE)?;
    waiting.remove(first)
}

/// Whether any has ended.
fn poll_all(pending: &mut Vec<Pending<'_>>, cx: &mut Context<'_>) -> bool {
    let before = pending.len();
    pending.retain_mut(|pending| {
        if !(pending.is_wanted)() && !pending.cancel.is_cancelled() {
            pending.cancel.cancel();
        }
        Pin::new(&mut pending.work).poll(cx).is_pending()
    });
    pending.len() < before
}

/// The tokens of children that run, by the ids of their executions.
type Children = Rc<RefCell<HashMap<String, WorkflowCancellationToken>>>;

fn begin<'a>(
    ctx: &'a WorkflowContext<ExecutionWorkflow>,
    asked: Asked,
    beginning: &Beginning,
    pending: &mut Vec<Pending<'a>>,
    children: &Children,
) {
    let cancel = WorkflowCancellationToken::new();
    let token = cancel.clone();
    let Asked { request, bytes } = asked;
    match request {
        Request::Time { at_ms, reply } => {
            let wait = Duration::from_millis(at_ms.saturating_sub(now_ms(ctx.workflow_time())).max(1)).min(LONGEST_TIMER);
            let options = temporalio_sdk::TimerOptions::builder(wait).cancellation_token(token).build();
            let timer = ctx.timer(options);
            let (reply, is_wanted) = shared(reply);
            let work = async move {
                timer.await;
                give(&reply, ());
            };
            pending.push(Pending { work: work.boxed_local(), cancel, is_wanted, bytes, can_move: true });
        }
        Request::Attempt { attempt, reply } => {
            let options = step_options(&attempt, token);
            let effect = OperationEffect::Create;
            let input = step_input(beginning, attempt);
            let length = length(&input);
            if length > MAX_PIECE {
                return reply.give(Called { effect, result: Err(input_too_large(length)) });
            }
            let call = ctx.execute_activity(Steps::step, input, options);
            let (reply, is_wanted) = shared(reply);
            let work = async move {
                let called = match call.await {
                    Ok(output) => Called { effect: output.effect, result: output.end.result() },
                    Err(error) => Called { effect, result: Err(lost(&error)) },
                };
                give(&reply, called);
            };
            pending.push(Pending { work: work.boxed_local(), cancel, is_wanted, bytes, can_move: false });
        }
        Request::Child { child, begun, ended } => {
            let children = children.clone();
            let work = begin_child(ctx, *child, beginning.depth, begun, ended, token, children);
            // Who leaves a child says so.
            pending.push(Pending { work: work.boxed_local(), cancel, is_wanted: Box::new(|| true), bytes, can_move: false });
        }
        Request::CancelChild { id } => {
            if let Some(token) = children.borrow().get(&id) {
                token.cancel();
            }
        }
    }
}

/// Where an answer goes, for the work that gives it and for whoever asks whether it is wanted.
type Shared<T> = Rc<RefCell<Option<Reply<T>>>>;

fn shared<'a, T: 'a>(reply: Reply<T>) -> (Shared<T>, Box<dyn Fn() -> bool + 'a>) {
    let reply = Rc::new(RefCell::new(Some(reply)));
    let looked_at = Rc::clone(&reply);
    (reply, Box::new(move || looked_at.borrow().as_ref().is_some_and(Reply::is_wanted)))
}

fn give<T>(reply: &Shared<T>, answer: T) {
    if let Some(reply) = reply.borrow_mut().take() {
        reply.give(answer);
    }
}

fn step_input(beginning: &Beginning, attempt: Attempt) -> StepInput {
    let Attempt { operation, input, idempotency_key, timeout_ms, number } = attempt;
    let Execution { id, context, .. } = &beginning.execution;
    let (execution, context) = (id.clone(), context.clone());
    StepInput { execution, operation, input, context, idempotency_key, timeout_ms, attempt: number }
}

fn step_options(attempt: &Attempt, token: WorkflowCancellationToken) -> ActivityOptions {
    let longest = attempt.timeout_ms.map_or(LONGEST_ATTEMPT, |timeout_ms| Duration::from_millis(timeout_ms).saturating_add(GRACE));
    ActivityOptions::with_start_to_close_timeout(longest.min(LONGEST_ATTEMPT))
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
        .cancellation_type(ActivityCancellationType::TryCancel)
        .cancellation_token(token)
        .retry_policy(retries(MAX_LOST))
        .summary(attempt.operation.clone())
        .build()
}

/// What is only looked up is looked up again until it is found.
fn look_options() -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(LOOK).retry_policy(retries(0)).cancellation_token(WorkflowCancellationToken::new()).build()
}

/// At most so many attempts; 0 is without end.
fn retries(attempts: u32) -> RetryPolicy {
    let (first, longest) = (Duration::from_millis(500), Duration::from_secs(10));
    RetryPolicy::builder().initial_interval(first).maximum_interval(longest).maximum_attempts(attempts).build()
}

/// The failure of a step that is to be given more than fits.
fn input_too_large(length: usize) -> Failure {
    let message =
        format!("what a step is given may be {MAX_PIECE} bytes on a cluster; this is {length}; hand large things on by reference");
    Failure::limit("execution.input-too-large", message)
}

/// Why a step has no answer, not even that it failed.
fn lost(error: &ActivityExecutionError) -> Failure {
    match error {
        ActivityExecutionError::Cancelled(_) => Failure::new(FailureKind::Other, "execution.cancelled", "the step was cancelled"),
        _ => {
            let message = "attempts at the step were lost with the processes that made them; it is not tried again";
            Failure::new(FailureKind::Other, "workflow.step-lost", message).caused_by(error.to_string())
        }
    }
}

/// Starts a workflow for a step and waits until it has ended.
async fn begin_child(
    ctx: &WorkflowContext<ExecutionWorkflow>,
    child: Child,
    depth: usize,
    begun: Reply<Result<String, Failure>>,
    ended: Reply<Result<Execution, Failure>>,
    token: WorkflowCancellationToken,
    children: Children,
) {
    let input = ChildInput::of(child, depth + 1);
    let length = length(&input);
    if length > MAX_PIECE {
        return begun.give(Err(input_too_large(length)));
    }
    let plan = ctx.execute_activity(Steps::child, input, look_options()).await;
    let beginning = match plan {
        Ok(ChildPlan::Begin(beginning)) => beginning,
        Ok(ChildPlan::Ended(execution)) => {
            begun.give(Ok(execution.id.clone()));
            return ended.give(Ok(*execution));
        }
        Ok(ChildPlan::Refused(failure)) => return begun.give(Err(failure.failure())),
        Err(error) => return begun.give(Err(lost(&error))),
    };
    let id = beginning.execution.id.clone();
    let attributes = [OF_WORKFLOW.value_set(beginning.execution.workflow_id.clone()), STATUS.value_set("PENDING".to_owned())];
    let options = ChildWorkflowOptions::builder()
        .workflow_id(id.clone())
        .cancellation_token(token.clone())
        .parent_close_policy(ParentClosePolicy::RequestCancel)
        .id_reuse_policy(WorkflowIdReusePolicy::AllowDuplicate)
        .search_attributes(SearchAttributes::new(attributes))
        .build();
    let started = match ctx.start_child_workflow(ExecutionWorkflow::run, *beginning, options).await {
        Ok(started) => started,
        Err(error) => {
            let failure = Failure::new(FailureKind::Unavailable, "workflow.child", "the cluster did not start the workflow");
            return begun.give(Err(failure.caused_by(error.to_string())));
        }
    };
    children.borrow_mut().insert(id.clone(), token);
    begun.give(Ok(id.clone()));
    // How it ended is looked up: a failure of the cluster's own says less.
    drop(started.result().await);
    children.borrow_mut().remove(&id);
    let execution = ctx.execute_activity(Steps::ended, id, look_options()).await;
    ended.give(execution.map_err(|error| lost(&error)));
}
