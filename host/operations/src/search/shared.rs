//! What searches, imports and the back-fill remember between calls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use breakwater_core::Deadline;
use breakwater_search::{ProductCatalogue, Space};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::SearchConfig;
use super::importing::Run;
use crate::operations::Operations;

/// State of the search use cases.
#[derive(Default)]
pub(crate) struct SearchState {
    /// Spaces that providers answered in, by provider.
    spaces: Mutex<BTreeMap<String, Space>>,
    /// Imports that ran since the service started, by name.
    imports: Mutex<BTreeMap<String, Arc<Run>>>,
    /// Whether a product was put without a vector of somebody who did not answer.
    pub(super) lacking: AtomicBool,
    pub(super) backfilled: AtomicU64,
    pub(super) backfill_failed: AtomicU64,
    /// Ends the background tasks.
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl SearchState {
    pub(super) fn spaces(&self) -> MutexGuard<'_, BTreeMap<String, Space>> {
        // Nothing panics while it is held.
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn imports(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Run>>> {
        self.imports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Operations {
    /// Starts the background tasks of search: imports that the end of the service interrupted go on, and products get the vectors of models
    /// that are new. Called once, when the service starts.
    pub async fn start_search(&self) {
        self.resume_imports().await;
        if let Some(this) = self.this() {
            let stop = self.search_state().stop.clone();
            self.search_state().tasks.spawn(async move { this.keep_filling(&stop).await });
        }
    }

    /// Ends them: imports stop after what they are storing and go on at the next start; indices make a snapshot. Waits until the deadline.
    pub async fn stop_search(&self, deadline: Deadline) {
        let state = self.search_state();
        state.stop.cancel();
        state.tasks.close();
        if deadline.bound("imports", state.tasks.wait()).await.is_err() {
            tracing::warn!("an import did not stop in time; it goes on where its products were stored last");
        }
        self.products().shutdown(deadline).await;
    }

    /// Products and their indices.
    #[must_use]
    pub fn products(&self) -> &Arc<ProductCatalogue> {
        &self.parts().products
    }

    pub(crate) fn search_config(&self) -> &SearchConfig {
        &self.config().search
    }

    pub(crate) fn search_state(&self) -> &SearchState {
        self.state()
    }
}
