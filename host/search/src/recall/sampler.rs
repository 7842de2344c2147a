//! Chooses queries and answers them again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use breakwater_core::Deadline;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::window::Window;
use super::{Recall, RecallOptions};
use crate::index::{Hits, IndexError, Method, Query, VectorIndex};

/// Hits whose similarities differ by less are equally good: another one of them is no miss.
const EQUAL: f32 = 1e-6;

/// Measures one index.
#[derive(Debug)]
pub(super) struct Sampler {
    options: RecallOptions,
    turn: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    window: Window,
    recall: Option<Recall>,
    /// When the last sample was taken.
    last: Option<Instant>,
    /// When the next one may be.
    not_before: Option<Instant>,
}

impl Sampler {
    pub(super) fn new(options: RecallOptions, turn: Arc<Semaphore>) -> Self {
        Self { options, turn, state: Mutex::default() }
    }

    pub(super) fn recall(&self) -> Option<Recall> {
        self.state().recall
    }

    /// Nothing that can panic runs under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a query, and has it answered exactly later when it is chosen.
    pub(super) async fn search(self: &Arc<Self>, index: &Arc<dyn VectorIndex>, query: Query) -> Result<Hits, IndexError> {
        let chosen = if query.exact { None } else { self.choose() };
        let Some(turn) = chosen else { return index.search(query).await };
        let before = index.sequence().await.ok();
        let again = Query { exact: true, deadline: Deadline::after(self.options.timeout), ..query.clone() };
        let hits = index.search(query).await?;
        if hits.method != Method::Exact
            && let Some(before) = before
        {
            self.state().last = Some(Instant::now());
            let (sampler, index, found) = (Arc::clone(self), Arc::clone(index), hits.clone());
            tokio::spawn(async move { sampler.measure(&*index, again, found, before, turn).await });
        }
        Ok(hits)
    }

    /// The turn to answer a query exactly, when this is the one and nobody else has it.
    fn choose(&self) -> Option<OwnedSemaphorePermit> {
        if self.options.share <= 0.0 {
            return None;
        }
        {
            let (state, now) = (self.state(), Instant::now());
            let long_ago = state.last.is_none_or(|last| now.duration_since(last) >= self.options.at_least_every);
            let may = state.not_before.is_none_or(|then| now >= then);
            if !may || !(long_ago || fastrand::f64() < self.options.share) {
                return None;
            }
        }
        Arc::clone(&self.turn).try_acquire_owned().ok()
    }

    async fn measure(&self, index: &dyn VectorIndex, query: Query, found: Hits, before: u64, turn: OwnedSemaphorePermit) {
        let start = Instant::now();
        let exact = index.search(query).await;
        let took = start.elapsed();
        let after = index.sequence().await.ok();
        drop(turn);
        let mut state = self.state();
        state.not_before = Some(Instant::now() + pause(took, self.options.time_share));
        match exact {
            Ok(exact) if after == Some(before) => {
                if let Some(recall) = recall(&found, &exact) {
                    state.recall = Some(state.window.push(recall));
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(space = %index.space(), error = &error as &dyn std::error::Error, "a query was not answered exactly")
            }
        }
    }
}

/// How long to do nothing after something that took so long.
fn pause(took: Duration, time_share: f64) -> Duration {
    let factor = (1.0 / time_share.clamp(1e-6, 1.0) - 1.0).max(0.0);
    Duration::try_from_secs_f64(took.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

/// The share of the exact hits that were found; none when there are none.
fn recall(found: &Hits, exact: &Hits) -> Option<f64> {
    let least = exact.hits.last()?.similarity - EQUAL;
    let near = found.hits.iter().filter(|hit| hit.similarity >= least).count();
    Some(near.min(exact.hits.len()) as f64 / exact.hits.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Hit, Key};

    fn hits(similarities: &[f32]) -> Hits {
        let hits = (0u64..).zip(similarities).map(|(key, similarity)| Hit { key: Key(key), similarity: *similarity }).collect();
        Hits { hits, method: Method::Approximate, ef: 1, scanned: 1, selectivity: 1.0 }
    }

    #[test]
    fn recall_is_the_share_of_those_as_near_as_the_nearest() {
        let exact = hits(&[0.9, 0.8, 0.7, 0.6]);
        assert_eq!(recall(&hits(&[0.9, 0.8, 0.7, 0.6]), &exact), Some(1.0));
        assert_eq!(recall(&hits(&[0.9, 0.7, 0.6, 0.5]), &exact), Some(0.75));
        assert_eq!(recall(&hits(&[0.5]), &exact), Some(0.0));
        // Another one that is as near.
        assert_eq!(recall(&hits(&[0.9, 0.8, 0.7, 0.6 - EQUAL / 2.0]), &exact), Some(1.0));
        assert_eq!(recall(&hits(&[]), &hits(&[])), None);
    }

    #[test]
    fn the_pause_keeps_the_share_of_the_time() {
        assert_eq!(pause(Duration::from_millis(10), 0.05), Duration::from_millis(190));
        assert_eq!(pause(Duration::from_millis(10), 1.0), Duration::ZERO);
        assert_eq!(pause(Duration::from_millis(10), f64::NAN), Duration::ZERO);
        assert_eq!(pause(Duration::MAX, 0.0), Duration::MAX);
    }
}
