//! A course that is given the same answers in the same order asks for the same things in the same order.

use std::sync::Arc;

use breakwater_core::{Failure, FailureKind, OperationEffect};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Begin, Called, Course, Reply, Request};
use crate::definition::Definition;
use crate::execution::{Event, Execution, ExecutionStatus, NewSignal, Start};
use crate::records::{Change, Wanted};
use crate::runner::StepAnswer;
use crate::workflow::{Workflow, WorkflowStatus};
use crate::world::Observer;

/// When it begins, in milliseconds since 1970.
const BEGAN_MS: u64 = 1_000_000;
/// More than any of these executions needs.
const MOST_MOVES: usize = 2000;

#[derive(Debug, Default)]
struct Told(std::sync::Mutex<Vec<Event>>);

impl Observer for Told {
    fn observe(&self, events: &[Event], _change: Option<&Change>) {
        self.0.lock().unwrap().extend_from_slice(events);
    }
}

/// Something asked for, and how it can be answered.
enum Open {
    Time(u64, Reply<()>),
    Attempt(Value, Reply<Called>),
    Child(Reply<Result<Execution, Failure>>),
}

impl Open {
    fn is_wanted(&self) -> bool {
        match self {
            Self::Time(_, reply) => reply.is_wanted(),
            Self::Attempt(_, reply) => reply.is_wanted(),
            Self::Child(reply) => reply.is_wanted(),
        }
    }
}

fn definition() -> Definition {
    let retry = json!({ "max_retries": 2, "base_ms": 1000, "max_delay_ms": 3000 });
    let steps = json!([
        { "id": "book", "operation": "book", "compensate": { "operation": "release" }, "next": "fan" },
        { "id": "fan", "type": "parallel", "branches": {
            "calls": [{ "id": "c1", "operation": "flaky", "retry": retry, "next": "c2" }, { "id": "c2", "operation": "echo", "next": null }],
            "child": [{ "id": "k", "type": "workflow", "workflow": "inner", "timeout_ms": 9000, "next": null }],
            "list": [{ "id": "each", "type": "map", "items": "`[1, 2, 3, 4, 5]`", "concurrency": 2, "continue_on_error": true, "steps": [
                { "id": "e", "operation": "flaky", "retry": retry, "next": null }], "next": null }],
            "sleep": [{ "id": "t", "type": "timer", "wait_ms": 2500, "next": null }],
            "waits": [{ "id": "s", "type": "signal", "signal": "go", "timeout_ms": 20_000, "fallback": { "output": "late" }, "next": null }],
        }, "next": "last" },
        { "id": "last", "operation": "echo", "next": null },
    ]);
    serde_json::from_value(json!({ "name": "w", "steps": steps, "timeout_ms": 60_000 })).unwrap()
}

fn execution(id: &str) -> Execution {
    let definition = definition();
    let workflow =
        Workflow { id: "id-w".to_owned(), version: 1, status: WorkflowStatus::Active, definition, created_at_ms: 1, updated_at_ms: 1 };
    crate::admission::begin(id.to_owned(), workflow, Start { input: json!(1), ..Start::default() }, BEGAN_MS)
}

fn course(past: Vec<Event>, now_ms: u64) -> (Course, Arc<Told>) {
    let told = Arc::new(Told::default());
    let (execution, definition, signals) = (execution("x"), definition(), Vec::new());
    let begin = Begin { execution, definition, depth: 0, past, signals, now_ms };
    (Course::new(begin, told.clone()).unwrap(), told)
}

/// What came of a course: what it asked for move by move, what it told, and how it ended.
type Came = (Vec<String>, Vec<Event>, Option<Change>);

/// Answers one open request after another, chosen by `choices`, which also say what is answered and when a signal or a command comes.
fn drive(choices: &[u16]) -> Came {
    let (mut course, told) = course(Vec::new(), BEGAN_MS);
    let handle = course.handle();
    let (mut asked, mut open, mut now_ms) = (Vec::new(), Vec::new(), BEGAN_MS);
    for number in 0..MOST_MOVES {
        if let std::task::Poll::Ready(change) = course.advance() {
            let events = told.0.lock().unwrap().clone();
            return (asked, events, Some(change));
        }
        for request in handle.requests() {
            let (what, is_open) = match request {
                Request::Time { at_ms, reply } => (format!("time {at_ms}"), Some(Open::Time(at_ms, reply))),
                Request::Attempt { attempt, reply } => (format!("{attempt:?}"), Some(Open::Attempt(attempt.input, reply))),
                Request::Child { child, begun, ended } => {
                    begun.give(Ok("child".to_owned()));
                    (format!("{child:?}"), Some(Open::Child(ended)))
                }
                Request::CancelChild { id } => (format!("cancel {id}"), None),
            };
            asked.push(format!("{number}: {what}"));
            open.extend(is_open);
        }
        if course.is_woken() {
            continue;
        }
        open.retain(Open::is_wanted);
        let choice = usize::from(choices[number % choices.len()]);
        match choice % 17 {
            0 => handle.signal(NewSignal::new("go", json!(number))),
            1 => handle.obey(Wanted::Pause),
            2 | 3 => handle.obey(Wanted::Resume),
            4 if choice / 17 % 8 == 0 => handle.obey(Wanted::Cancel),
            _ if open.is_empty() => {
                handle.obey(Wanted::Resume);
                handle.signal(NewSignal::new("go", json!(number)));
            }
            kind => {
                let mut place = choice / 17 % open.len();
                if matches!(open[place], Open::Time(..)) {
                    // Mostly what is at work is quicker than any time.
                    let quicker = open.iter().position(|open| !matches!(open, Open::Time(..)));
                    place = quicker.filter(|_| choice % 5 > 0).unwrap_or_else(|| earliest(&open));
                }
                let request = open.remove(place);
                now_ms += choice as u64 % 100;
                if let Open::Time(at_ms, _) = &request {
                    now_ms = now_ms.max(*at_ms);
                }
                handle.set_time(now_ms);
                answer(request, kind);
            }
        }
    }
    (asked, told.0.lock().unwrap().clone(), None)
}

/// The place of the time that comes first.
fn earliest(open: &[Open]) -> usize {
    let due = |open: &Open| match open {
        Open::Time(at_ms, _) => *at_ms,
        _ => u64::MAX,
    };
    (0..open.len()).min_by_key(|place| due(&open[*place])).unwrap()
}

fn answer(request: Open, kind: usize) {
    match request {
        Open::Time(_, reply) => reply.give(()),
        Open::Attempt(input, reply) => {
            let result = match kind {
                5 | 6 => Err(Failure::new(FailureKind::Unavailable, "upstream.connection", "not there")),
                _ => Ok(StepAnswer { output: input, served_by: None, degraded: false }),
            };
            reply.give(Called { result, effect: OperationEffect::Create });
        }
        Open::Child(reply) => {
            let (status, output) = (ExecutionStatus::Completed, Some(json!("inner")));
            reply.give(Ok(Execution { status, output, ..execution("child") }));
        }
    }
}

proptest! {
    #[test]
    fn the_same_answers_lead_the_same_way(choices in proptest::collection::vec(any::<u16>(), 1..200)) {
        let (asked, events, change) = drive(&choices);
        prop_assert!(!asked.is_empty());
        for _ in 0..3 {
            let again = drive(&choices);
            prop_assert_eq!(&again.0, &asked);
            prop_assert_eq!(&again.1, &events);
            prop_assert_eq!(&again.2, &change);
        }
    }

    #[test]
    fn a_course_over_what_has_ended_asks_for_nothing_but_the_end(choices in proptest::collection::vec(any::<u16>(), 100..200)) {
        let (_, events, change) = drive(&choices);
        let Some(change) = change.filter(|change| change.status == ExecutionStatus::Completed) else { return Ok(()) };
        let at_ms = events.last().map_or(BEGAN_MS, |event| event.at_ms);
        let (mut course, told) = course(events, at_ms);
        let std::task::Poll::Ready(again) = course.advance() else { return Err(TestCaseError::fail("it goes on")) };
        prop_assert_eq!((again.status, again.output), (change.status, change.output));
        prop_assert!(told.0.lock().unwrap().is_empty() && course.handle().requests().is_empty());
    }
}

#[test]
fn every_end_is_met() {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut met = std::collections::BTreeMap::new();
    for _ in 0..300 {
        let choices: Vec<u16> = (0..150).map(|_| rng.u16(..)).collect();
        let end = drive(&choices).2.map(|change| change.error.map_or_else(|| "COMPLETED".to_owned(), |error| error.code));
        *met.entry(end).or_insert(0) += 1;
    }
    for end in ["COMPLETED", "workflow.max-retries-exceeded", "workflow.timeout", "execution.timeout", "execution.cancelled"] {
        assert!(met.contains_key(&Some(end.to_owned())), "{end}: {met:?}");
    }
    assert!(!met.contains_key(&None), "every course ends: {met:?}");
}
