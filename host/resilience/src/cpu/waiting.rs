//! Who waits for a permit, and whose turn it is.

use std::collections::VecDeque;
use std::sync::mpsc;

use breakwater_core::{Deadline, Failure};
use tokio::sync::oneshot;

use super::{CpuJob, CpuPermit};

/// What a permit is wanted for.
pub(super) enum Work {
    /// A job for the pool.
    Job { job: CpuJob, done: oneshot::Sender<Result<(), Failure>> },
    /// A thread of someone else's.
    Thread(mpsc::SyncSender<CpuPermit>),
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Job { .. } => "Job",
            Self::Thread(_) => "Thread",
        })
    }
}

impl Work {
    /// Tells the waiter, if it is still there, that nothing comes. A thread has given up by its own clock.
    pub(super) fn refuse(self, why: Failure) {
        if let Self::Job { done, .. } = self {
            drop(done.send(Err(why)));
        }
    }
}

#[derive(Debug)]
struct Queued {
    work: Work,
    deadline: Deadline,
}

impl Queued {
    fn is_abandoned(&self) -> bool {
        let left = match &self.work {
            Work::Job { done, .. } => done.is_closed(),
            Work::Thread(_) => false,
        };
        left || self.deadline.has_passed()
    }
}

/// Two queues, each in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    later: VecDeque<Queued>,
    first: VecDeque<Queued>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.later.len() + self.first.len()
    }

    /// Queues a later step.
    pub(super) fn push_later(&mut self, work: Work, deadline: Deadline) {
        self.later.push_back(Queued { work, deadline });
    }

    /// Queues new work; false when `capacity` jobs of it wait already that somebody still wants.
    pub(super) fn push_first(&mut self, work: Work, deadline: Deadline, capacity: usize) -> bool {
        if self.first.len() >= capacity {
            // Jobs nobody waits for any more must not keep others out.
            self.first.retain(|queued| !queued.is_abandoned());
        }
        let fits = self.first.len() < capacity;
        if fits {
            self.first.push_back(Queued { work, deadline });
        }
        fits
    }

    /// Whose turn it is, and those passed over because nobody wants them any more.
    pub(super) fn next(&mut self) -> (Option<Work>, Vec<Work>) {
        let mut gone = Vec::new();
        while let Some(queued) = self.later.pop_front().or_else(|| self.first.pop_front()) {
            if !queued.is_abandoned() {
                return (Some(queued.work), gone);
            }
            gone.push(queued.work);
        }
        (None, gone)
    }
}
