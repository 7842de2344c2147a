//! How far a batch is, from its journal: each event is read once.

use std::collections::VecDeque;

use breakwater_core::Failure;
use breakwater_workflow::{Event, Happened, WorkflowRecords};

use super::definition::{CROP, DETECT, IMAGES};
use crate::workflows::stored;

/// Events that are read at once.
const EVENTS_AT_ONCE: u32 = 1000;
/// The latest images by which the rate is measured.
const MEASURED: usize = 128;

/// What became of an image until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemState {
    /// Its turn has not come.
    Pending,
    /// It is worked on.
    Running,
    /// It has a result, which is the event of this number.
    Succeeded(u64),
    /// It failed for good, as the event of this number says.
    Failed(u64),
}

impl ItemState {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded(_) => "succeeded",
            Self::Failed(_) => "failed",
        }
    }
}

/// How far a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    /// Images.
    pub total: u64,
    /// Images with a result.
    pub succeeded: u64,
    /// Images that failed.
    pub failed: u64,
    /// Images that are worked on.
    pub running: u64,
    /// Images that ended per second, by the latest of them; 0 when that is not known.
    pub per_second: f64,
    /// The number of the last event that is counted in.
    pub last_event: u64,
}

impl Progress {
    /// Images that have ended.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.succeeded + self.failed
    }

    /// How long the rest will take at this rate, in milliseconds; none when that is not known.
    #[must_use]
    pub fn eta_ms(&self) -> Option<u64> {
        let left = self.total.saturating_sub(self.done()) as f64;
        (self.per_second > 0.0).then(|| (left / self.per_second * 1000.0) as u64)
    }
}

/// The fold of a batch's events.
#[derive(Debug)]
pub struct Journal {
    items: Vec<ItemState>,
    progress: Progress,
    /// When the latest images ended, in milliseconds since 1970.
    ended: VecDeque<u64>,
}

impl Journal {
    /// Of a batch of so many images, before its first event.
    #[must_use]
    pub fn new(images: usize) -> Self {
        let progress = Progress { total: images as u64, ..Progress::default() };
        Self { items: vec![ItemState::Pending; images], progress, ended: VecDeque::new() }
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let span = self.ended.back().zip(self.ended.front()).map(|(last, first)| last.saturating_sub(*first));
        let per_second = match span {
            Some(span) if span > 0 => (self.ended.len() - 1) as f64 * 1000.0 / span as f64,
            _ => 0.0,
        };
        Progress { per_second, ..self.progress }
    }

    /// What became of each image, in their order.
    #[must_use]
    pub fn items(&self) -> &[ItemState] {
        &self.items
    }

    /// Reads what happened since.
    ///
    /// # Errors
    /// `workflow.store` (unavailable).
    pub async fn read_on(&mut self, records: &dyn WorkflowRecords, id: &str) -> Result<(), Failure> {
        loop {
            let events = records.events(id, self.progress.last_event, EVENTS_AT_ONCE).await.map_err(stored)?.items;
            events.iter().for_each(|event| self.apply(event));
            if events.len() < EVENTS_AT_ONCE as usize {
                return Ok(());
            }
        }
    }

    /// Takes the next event.
    pub fn apply(&mut self, event: &Event) {
        self.progress.last_event = event.seq;
        if event.path.is_empty() {
            return self.of_execution(&event.what);
        }
        let Some((index, step)) = place(&event.path) else { return };
        let state = match &event.what {
            Happened::Started { .. } => ItemState::Running,
            Happened::Completed { .. } if step == CROP => ItemState::Succeeded(event.seq),
            Happened::Failed { .. } => ItemState::Failed(event.seq),
            _ => return,
        };
        self.set(index, state);
        if matches!(state, ItemState::Succeeded(_) | ItemState::Failed(_)) {
            if self.ended.len() == MEASURED {
                self.ended.pop_front();
            }
            self.ended.push_back(event.at_ms);
        }
    }

    fn of_execution(&mut self, what: &Happened) {
        match what {
            // What was begun in a process that is gone is begun anew.
            Happened::Adopted { .. } => {
                for item in self.items.iter_mut().filter(|item| **item == ItemState::Running) {
                    *item = ItemState::Pending;
                }
                self.progress.running = 0;
                self.ended.clear();
            }
            // A pause says nothing of how fast the work is.
            Happened::Paused | Happened::Resumed => self.ended.clear(),
            _ => {}
        }
    }

    fn set(&mut self, index: usize, state: ItemState) {
        let Some(item) = self.items.get_mut(index) else { return };
        let before = std::mem::replace(item, state);
        let mut count = |state: ItemState, change: fn(u64) -> u64| match state {
            ItemState::Pending => {}
            ItemState::Running => self.progress.running = change(self.progress.running),
            ItemState::Succeeded(_) => self.progress.succeeded = change(self.progress.succeeded),
            ItemState::Failed(_) => self.progress.failed = change(self.progress.failed),
        };
        count(before, |count| count.saturating_sub(1));
        count(state, |count| count + 1);
    }
}

/// The image and the step of an event's path.
fn place(path: &str) -> Option<(usize, &str)> {
    let mut parts = path.split('/');
    if parts.next()? != IMAGES {
        return None;
    }
    let index = parts.next()?.parse().ok()?;
    let step = parts.next().filter(|step| [DETECT, CROP].contains(step))?;
    Some((index, step))
}

#[cfg(test)]
mod tests {
    use breakwater_core::FailureKind;
    use breakwater_workflow::StepError;
    use serde_json::Value;

    use super::*;

    fn started() -> Happened {
        Happened::Started { attempt: 1, due_at_ms: None }
    }

    fn completed() -> Happened {
        Happened::Completed { output: Value::Null, served_by: None, degraded: false, signal: None }
    }

    fn failed() -> Happened {
        let error =
            StepError { kind: FailureKind::NotFound, code: "media.not-found".into(), message: String::new(), detail: None, step: None };
        Happened::Failed { error }
    }

    fn journal(images: usize, events: Vec<(&str, Happened)>) -> Journal {
        let mut journal = Journal::new(images);
        for (seq, (path, what)) in (1..).zip(events) {
            journal.apply(&Event { seq, at_ms: seq * 100, path: path.to_owned(), what });
        }
        journal
    }

    #[test]
    fn every_image_is_counted_once_in_its_state() {
        let journal = journal(
            4,
            vec![
                ("images/0/crop", started()),
                ("images/1/detect", started()),
                ("images/0/crop", completed()),
                ("images/0/done", Happened::Chosen { next: None, output: Value::Null }),
                ("images/1/detect", completed()),
                ("images/1/crop", started()),
                ("images/1/crop", failed()),
                ("images/2/crop", started()),
                ("images", completed()),
                ("images/9/crop", completed()),
                ("elsewhere/2/crop", completed()),
            ],
        );
        let progress = journal.progress();
        assert_eq!((progress.total, progress.succeeded, progress.failed, progress.running, progress.done()), (4, 1, 1, 1, 2));
        assert_eq!(journal.items(), [ItemState::Succeeded(3), ItemState::Failed(7), ItemState::Running, ItemState::Pending]);
        assert_eq!(progress.last_event, 11);
    }

    #[test]
    fn what_was_begun_before_a_crash_is_not_under_way_any_more() {
        let adopted = Happened::Adopted { node: "b".into() };
        let journal =
            journal(2, vec![("images/0/crop", started()), ("images/1/crop", started()), ("images/1/crop", completed()), ("", adopted)]);
        assert_eq!(journal.items(), [ItemState::Pending, ItemState::Succeeded(3)]);
        assert_eq!(journal.progress().running, 0);
    }

    #[test]
    fn the_rate_is_that_of_the_latest_images() {
        let events = (0..3).map(|_| ("images/0/crop", completed())).collect();
        let progress = Progress { total: 8, ..journal(1, events).progress() };
        assert_eq!(progress.per_second, 10.0);
        assert_eq!(progress.eta_ms(), Some(700));
        assert_eq!(journal(1, vec![("images/0/crop", completed())]).progress().eta_ms(), None);
        let after_a_pause = journal(1, vec![("images/0/crop", completed()), ("", Happened::Paused), ("", Happened::Resumed)]);
        assert_eq!(after_a_pause.progress().per_second, 0.0);
    }
}
