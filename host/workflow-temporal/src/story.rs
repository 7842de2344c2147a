//! What happened in an execution, as its run in this process knows it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use breakwater_workflow::course::{CourseHandle, Observer};
use breakwater_workflow::{Change, Event, ExecutionStatus};
use tokio::sync::watch;

use crate::wire::{HistoryPart, HistoryRange, MAX_PIECE, length};

/// Keeps the events of one execution for those who ask.
#[derive(Debug)]
pub(crate) struct Story {
    events: Mutex<Vec<Event>>,
    /// The status that the cluster is to be told.
    status: Mutex<Option<ExecutionStatus>>,
    last: watch::Sender<u64>,
}

impl Story {
    pub(crate) fn new(past: &[Event]) -> Self {
        let last = watch::Sender::new(past.last().map_or(0, |event| event.seq));
        Self { events: Mutex::new(past.to_vec()), status: Mutex::default(), last }
    }

    /// The number of the last event, and each one after it.
    pub(crate) fn progress(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// What the cluster is to be told since it was told last.
    pub(crate) fn status(&self) -> Option<ExecutionStatus> {
        locked(&self.status).take()
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        locked(&self.events).clone()
    }

    /// At most what fits one answer.
    pub(crate) fn part(&self, range: HistoryRange) -> HistoryPart {
        let events = locked(&self.events);
        let mut room = MAX_PIECE;
        let later = events.iter().filter(|event| event.seq > range.after).take(usize::try_from(range.take).unwrap_or(usize::MAX));
        let part = later.take_while(|event| {
            let length = length(event);
            let fits = length <= room;
            room = room.saturating_sub(length);
            fits
        });
        HistoryPart { events: part.cloned().collect(), last: events.last().map_or(0, |event| event.seq), signals: Vec::new() }
    }
}

impl Observer for Story {
    fn observe(&self, events: &[Event], change: Option<&Change>) {
        let mut kept = locked(&self.events);
        kept.extend_from_slice(events);
        if let Some(change) = change {
            *locked(&self.status) = Some(change.status);
        }
        self.last.send_replace(kept.last().map_or(0, |event| event.seq));
    }
}

/// The executions that this process runs now.
#[derive(Clone, Default)]
pub(crate) struct Courses(Arc<Mutex<HashMap<String, Local>>>);

/// One of them.
#[derive(Clone)]
pub(crate) struct Local {
    pub(crate) course: CourseHandle,
    pub(crate) story: Arc<Story>,
    run: String,
}

impl Courses {
    pub(crate) fn get(&self, id: &str) -> Option<Local> {
        locked(&self.0).get(id).cloned()
    }

    /// Says that this process runs it, until what is given back is dropped.
    pub(crate) fn enter(&self, id: &str, run: &str, course: CourseHandle, story: Arc<Story>) -> Entered {
        locked(&self.0).insert(id.to_owned(), Local { course, story, run: run.to_owned() });
        Entered { courses: self.clone(), id: id.to_owned(), run: run.to_owned() }
    }
}

/// An entry among the executions of this process.
pub(crate) struct Entered {
    courses: Courses,
    id: String,
    run: String,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut courses = locked(&self.courses.0);
        // A later run of the same execution may have entered meanwhile.
        if courses.get(&self.id).is_some_and(|local| local.run == self.run) {
            courses.remove(&self.id);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
