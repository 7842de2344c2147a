//! What happened in one execution, as the walk over its definition needs it.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::execution::{Event, Happened, StepError};

/// How far one visit of a step is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Progress {
    /// An attempt or a wait began, and nothing says how it ended.
    Started { due_at_ms: Option<u64> },
    /// The next attempt begins then.
    Failing { retry_at_ms: u64 },
    /// It has an output.
    Completed { output: Value },
    /// It failed for good.
    Failed { error: StepError },
    /// It was passed over.
    Skipped,
    /// It was decided where to go on.
    Chosen { next: Option<String>, output: Value },
}

/// One visit of a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Visit {
    pub(crate) progress: Progress,
    /// Attempts that failed.
    pub(crate) failed: u32,
    /// Attempts that began since the last one that is known to have ended.
    pub(crate) unended: u32,
    /// When it was completed, in the order of the execution's events.
    pub(crate) completed_at: Option<u64>,
}

/// The fold of an execution's events.
#[derive(Debug, Default)]
pub(crate) struct Log {
    last: u64,
    visits: HashMap<String, Visit>,
    taken_signals: HashSet<u64>,
    cancel_requested: bool,
    paused: bool,
    /// How often what was done at a path was undone, so that it is done anew.
    rounds: HashMap<String, u32>,
    retried_at_ms: Option<u64>,
    retries: u32,
}

impl Log {
    /// The number of the last event.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Whether somebody wanted its end.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel_requested
    }

    /// Whether no step may begin.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// How often what was done at a path was undone: doing it again is another effect, with another key.
    pub(crate) fn round(&self, path: &str) -> u32 {
        self.rounds.get(path.strip_suffix(UNDO).unwrap_or(path)).copied().unwrap_or(0)
    }

    /// How often it was retried by hand.
    pub(crate) fn retries(&self) -> u32 {
        self.retries
    }

    /// When it was last retried by hand, in milliseconds since 1970.
    pub(crate) fn retried_at_ms(&self) -> Option<u64> {
        self.retried_at_ms
    }

    pub(crate) fn visit(&self, path: &str) -> Option<&Visit> {
        self.visits.get(path)
    }

    pub(crate) fn has_taken(&self, signal: u64) -> bool {
        self.taken_signals.contains(&signal)
    }

    /// The paths of completed steps, the latest first.
    pub(crate) fn completed(&self) -> Vec<String> {
        let mut found: Vec<(u64, &String)> = self.visits.iter().filter_map(|(path, visit)| Some((visit.completed_at?, path))).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.into_iter().map(|(_, path)| path.clone()).collect()
    }

    /// The paths where something is under way.
    pub(crate) fn current(&self) -> Vec<String> {
        let under_way = |visit: &Visit| matches!(visit.progress, Progress::Started { .. } | Progress::Failing { .. });
        let mut found: Vec<String> = self.visits.iter().filter(|(_, visit)| under_way(visit)).map(|(path, _)| path.clone()).collect();
        found.sort_unstable();
        found
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        self.last = event.seq;
        let path = event.path.as_str();
        match &event.what {
            Happened::Started { due_at_ms, .. } => {
                let visit = self.at(path, Progress::Started { due_at_ms: *due_at_ms });
                visit.unended += 1;
            }
            Happened::AttemptFailed { retry_at_ms, .. } => {
                let visit = self.at(path, Progress::Failing { retry_at_ms: *retry_at_ms });
                visit.failed += 1;
                visit.unended = 0;
            }
            Happened::Completed { output, signal, .. } => {
                self.taken_signals.extend(*signal);
                self.at(path, Progress::Completed { output: output.clone() }).completed_at = Some(event.seq);
            }
            Happened::Failed { error } => {
                self.at(path, Progress::Failed { error: error.clone() });
            }
            Happened::Skipped => {
                self.at(path, Progress::Skipped);
            }
            Happened::Chosen { next, output } => {
                self.at(path, Progress::Chosen { next: next.clone(), output: output.clone() });
            }
            Happened::Retried => {
                self.retried_at_ms = Some(event.at_ms);
                self.retries += 1;
                self.paused = false;
                self.begin_failed_anew();
            }
            Happened::CancelRequested => self.cancel_requested = true,
            Happened::Paused => self.paused = true,
            Happened::Resumed => self.paused = false,
            Happened::Adopted { .. } => {}
        }
    }

    /// What failed is forgotten, and so is what was undone because of it.
    fn begin_failed_anew(&mut self) {
        let undone: Vec<String> = self.visits.keys().filter_map(|path| path.strip_suffix(UNDO)).map(str::to_owned).collect();
        for path in undone {
            self.visits.remove(&format!("{path}{UNDO}"));
            self.visits.remove(&path);
            *self.rounds.entry(path).or_default() += 1;
        }
        self.visits.retain(|_, visit| !matches!(visit.progress, Progress::Failed { .. } | Progress::Failing { .. }));
    }

    fn at(&mut self, path: &str, progress: Progress) -> &mut Visit {
        let fresh = Visit { progress: Progress::Skipped, failed: 0, unended: 0, completed_at: None };
        let visit = self.visits.entry(path.to_owned()).or_insert(fresh);
        visit.progress = progress;
        visit
    }
}

/// Ends the path of what undoes a step.
pub(crate) const UNDO: &str = "~undo";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn log(events: &[(&str, Happened)]) -> Log {
        let mut log = Log::default();
        for (seq, (path, what)) in (1..).zip(events) {
            log.apply(&Event { seq, at_ms: 0, path: (*path).to_owned(), what: what.clone() });
        }
        log
    }

    fn done(output: Value) -> Happened {
        Happened::Completed { output, served_by: None, degraded: false, signal: None }
    }

    fn error() -> StepError {
        StepError { kind: breakwater_core::FailureKind::Other, code: "x".into(), message: String::new(), detail: None, step: None }
    }

    #[test]
    fn what_was_completed_is_told_the_latest_first() {
        let log = log(&[("b", done(json!(1))), ("a", done(json!(2))), ("c", Happened::Started { attempt: 1, due_at_ms: None })]);
        assert_eq!(log.completed(), ["a", "b"]);
        assert_eq!(log.current(), ["c"]);
        assert_eq!(log.last(), 3);
    }

    #[test]
    fn a_retry_forgets_what_failed_and_what_was_undone() {
        let started = Happened::Started { attempt: 1, due_at_ms: None };
        let log = log(&[
            ("kept", done(json!(1))),
            ("undone", done(json!(2))),
            ("broken", started.clone()),
            ("broken", Happened::Failed { error: error() }),
            ("undone~undo", started),
            ("undone~undo", done(json!(null))),
            ("", Happened::Retried),
        ]);
        assert_eq!(log.completed(), ["kept"]);
        assert!(log.visit("broken").is_none() && log.visit("undone~undo").is_none());
    }

    #[test]
    fn attempts_that_never_ended_are_counted_until_one_does() {
        let started = || Happened::Started { attempt: 1, due_at_ms: None };
        let failed = Happened::AttemptFailed { error: error(), retry_at_ms: 5 };
        let crashed = log(&[("a", started()), ("a", started())]);
        assert_eq!(crashed.visit("a").map(|visit| (visit.unended, visit.failed)), Some((2, 0)));
        let ended = log(&[("a", started()), ("a", failed), ("a", started())]);
        assert_eq!(ended.visit("a").map(|visit| (visit.unended, visit.failed)), Some((1, 1)));
    }
}
