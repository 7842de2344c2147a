//! Writes journals. What comes while the disk is busy goes into the next write together, so that a thousand executions need few syncs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::records::{Append, RecordsError, WorkflowRecords};
use crate::world::Observer;

/// The most appends that are written at once.
const MOST_AT_ONCE: usize = 512;

/// Why something could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JournalError {
    /// Another process goes on with the execution.
    #[error("another process owns the execution")]
    Fenced,
    /// The records failed. What was written before may have to be read again.
    #[error("the journal could not be written: {0}")]
    Failed(String),
}

/// Counts the writes of an execution that failed, for those who wait for nothing that is written.
pub(crate) type Broken = watch::Sender<u64>;

/// No write has succeeded since.
#[derive(Debug, Clone)]
struct Outage {
    since: Instant,
    reason: String,
}

struct Waiting {
    done: oneshot::Sender<Result<(), JournalError>>,
    broken: Broken,
}

/// Takes appends. Those of one execution are written in the order in which they were given.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    kept: Kept,
}

#[derive(Clone)]
enum Kept {
    /// By the records, which this task writes.
    Here { queue: mpsc::UnboundedSender<(Append, Waiting)>, outage: watch::Receiver<Option<Outage>> },
    /// By somebody else, whom nothing can be lost to.
    Elsewhere(Arc<dyn Observer>),
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Here { .. } => "Here",
            Self::Elsewhere(_) => "Elsewhere",
        })
    }
}

/// Whether an append was written, once that is known.
#[derive(Debug)]
pub(crate) struct Written(Option<oneshot::Receiver<Result<(), JournalError>>>);

impl Journal {
    /// Starts the task `workflow-journal`, which ends once nobody has anything to write any more. The queue needs no bound of its own: every
    /// step waits for the write before its effect, so that an execution has at most a few appends in it.
    pub(crate) fn start(records: Arc<dyn WorkflowRecords>) -> Self {
        let (queue, waiting) = mpsc::unbounded_channel();
        let (state, outage) = watch::channel(None);
        tokio::spawn(write(records, waiting, state));
        Self { kept: Kept::Here { queue, outage } }
    }

    /// Waits until no write has succeeded for as long as `patience` though some were tried, and says why not.
    pub(crate) async fn fails_for(&self, patience: Duration) -> String {
        let Kept::Here { outage, .. } = &self.kept else { return std::future::pending().await };
        let mut outage = outage.clone();
        loop {
            let now = outage.borrow_and_update().clone();
            let over = now.as_ref().map(|outage| outage.since + patience);
            tokio::select! {
                changed = outage.changed() => if changed.is_err() {
                    std::future::pending::<()>().await;
                },
                () = tokio::time::sleep_until(over.unwrap_or_else(Instant::now)), if over.is_some() => {
                    return now.map(|outage| outage.reason).unwrap_or_default();
                }
            }
        }
    }

    /// One that somebody else keeps: only told what happens.
    pub(crate) fn elsewhere(observer: Arc<dyn Observer>) -> Self {
        Self { kept: Kept::Elsewhere(observer) }
    }

    pub(crate) fn append(&self, append: Append, broken: &Broken) -> Written {
        match &self.kept {
            Kept::Here { queue, .. } => {
                let (done, written) = oneshot::channel();
                // A writer that is gone drops `done`, which is how it is told.
                let _ = queue.send((append, Waiting { done, broken: broken.clone() }));
                Written(Some(written))
            }
            Kept::Elsewhere(observer) => {
                observer.observe(&append.events, append.change.as_ref());
                Written(None)
            }
        }
    }
}

impl Written {
    pub(crate) async fn wait(self) -> Result<(), JournalError> {
        match self.0 {
            Some(written) => written.await.unwrap_or_else(|_| Err(JournalError::Failed("the writer has ended".to_owned()))),
            None => Ok(()),
        }
    }
}

async fn write(
    records: Arc<dyn WorkflowRecords>,
    mut queue: mpsc::UnboundedReceiver<(Append, Waiting)>,
    state: watch::Sender<Option<Outage>>,
) {
    let mut taken = Vec::with_capacity(MOST_AT_ONCE);
    let mut failed: HashSet<(String, u64)> = HashSet::new();
    while queue.recv_many(&mut taken, MOST_AT_ONCE).await > 0 {
        let (appends, waiting) = joined(taken.drain(..));
        // The numbers of events say what must have been written before; what has no events must not come behind a gap either.
        let (behind_gap, sent): (Vec<_>, Vec<_>) =
            appends.into_iter().zip(waiting).partition(|(append, _)| append.events.is_empty() && failed.contains(&owner(append)));
        for (_, waiting) in behind_gap {
            tell(waiting, &Err(JournalError::Failed("what came before could not be written".to_owned())));
        }
        let (appends, waiting): (Vec<_>, Vec<_>) = sent.into_iter().unzip();
        let results = records.append(&appends).await;
        state.send_if_modified(|outage| follow(outage, &results));
        for (index, (append, waiting)) in appends.iter().zip(waiting).enumerate() {
            let result = match results.get(index) {
                Some(Ok(())) => Ok(()),
                Some(Err(RecordsError::Fenced)) => Err(JournalError::Fenced),
                Some(Err(error)) => Err(JournalError::Failed(chain(error))),
                None => Err(JournalError::Failed("the records gave no answer".to_owned())),
            };
            match &result {
                Err(JournalError::Failed(_)) => failed.insert(owner(append)),
                _ => failed.remove(&owner(append)),
            };
            tell(waiting, &result);
        }
    }
}

/// Keeps since when the records have failed; whether that is news. Those that refuse an append work.
fn follow(outage: &mut Option<Outage>, results: &[Result<(), RecordsError>]) -> bool {
    if results.iter().any(|result| matches!(result, Ok(()) | Err(RecordsError::Fenced))) {
        return outage.take().is_some();
    }
    let Some(Err(failure)) = results.first() else { return false };
    let begins = outage.is_none();
    outage.get_or_insert_with(|| Outage { since: Instant::now(), reason: chain(failure) });
    begins
}

fn owner(append: &Append) -> (String, u64) {
    (append.fence.execution.clone(), append.fence.epoch)
}

fn tell(waiting: Vec<Waiting>, result: &Result<(), JournalError>) {
    for Waiting { done, broken } in waiting {
        if result.is_err() {
            broken.send_modify(|count| *count += 1);
        }
        let _ = done.send(result.clone());
    }
}

/// At most one append for each execution: later ones continue earlier ones.
fn joined(taken: impl Iterator<Item = (Append, Waiting)>) -> (Vec<Append>, Vec<Vec<Waiting>>) {
    let mut places: HashMap<(String, u64), usize> = HashMap::new();
    let (mut appends, mut waiting) = (Vec::<Append>::new(), Vec::<Vec<Waiting>>::new());
    for (append, done) in taken {
        let place = *places.entry((append.fence.execution.clone(), append.fence.epoch)).or_insert(appends.len());
        match (appends.get_mut(place), waiting.get_mut(place)) {
            (Some(earlier), Some(waiting)) => {
                earlier.events.extend(append.events);
                earlier.change = append.change.or(earlier.change.take());
                waiting.push(done);
            }
            _ => {
                appends.push(append);
                waiting.push(vec![done]);
            }
        }
    }
    (appends, waiting)
}

/// An error with its causes. Many say their cause themselves; it is not said twice.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut last = text.clone();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if said.starts_with(&last) {
            text.truncate(text.len() - last.len());
            text.push_str(&said);
        } else if !last.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        last = said;
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Link(&'static str, #[source] Option<Box<Link>>);

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let told = |links: [&'static str; 3]| {
            let [first, second, third] = links;
            chain(&Link(first, Some(Box::new(Link(second, Some(Box::new(Link(third, None))))))))
        };
        assert_eq!(told(["it failed", "the disk", "is full"]), "it failed: the disk: is full");
        assert_eq!(told(["it failed", "it failed: the disk is full", "the disk is full"]), "it failed: the disk is full");
        assert_eq!(told(["a: b", "b", "c"]), "a: b: c");
    }
}
