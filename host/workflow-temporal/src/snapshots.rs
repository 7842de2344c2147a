//! What the host looked like when this process first did something for an execution.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use breakwater_core::CallSnapshot;

/// Executions that are remembered.
const MAX: usize = 10_000;

/// Every step of an execution that this process makes sees the same generations of plugins. The executions that came first are forgotten first.
#[derive(Default)]
pub(crate) struct Snapshots(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    known: HashMap<String, CallSnapshot>,
    order: VecDeque<String>,
}

impl Snapshots {
    pub(crate) fn of(&self, execution: &str, take: impl FnOnce() -> CallSnapshot) -> CallSnapshot {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.known.get(execution) {
            return known.clone();
        }
        if kept.order.len() >= MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.known.remove(&oldest);
        }
        let snapshot = take();
        kept.known.insert(execution.to_owned(), snapshot.clone());
        kept.order.push_back(execution.to_owned());
        snapshot
    }
}
