//! Going back by itself: when the breaker of an active generation opens, the one before it serves again.
//!
//! Only a guest's own faults move that breaker, so a service that is down never sends a healthy plugin back.

use std::sync::Weak;

use breakwater_core::Digest;

use super::Catalogue;
use crate::config::Rollback;
use crate::error::PluginError;
use crate::plugin_id::PluginId;

/// Is called where a breaker opened: on the thread of a call that must not wait for what follows.
pub(super) fn went_wrong(catalogue: &Weak<Catalogue>, id: &PluginId, digest: Digest) {
    let Some(catalogue) = catalogue.upgrade() else { return };
    // Without a runtime there is no call, and nobody to go back for.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let id = id.clone();
    // Not awaited: it ends by itself, and a shutdown waits for the state that it holds.
    drop(runtime.spawn(async move {
        match catalogue.go_back_from(&id, digest).await {
            Ok(Some(rollback)) => {
                let (from, to) = (rollback.from.short(), rollback.to.short());
                tracing::warn!(plugin = %id, %from, %to, "a plugin failed too often by its own fault; the generation before it serves again");
                catalogue.config.rollback_observer.went_back(&rollback);
            }
            Ok(None) => {}
            Err(error) => tracing::error!(plugin = %id, code = error.code(), %error, "a plugin that failed too often could not be rolled back"),
        }
    }));
}

impl Catalogue {
    /// Goes back from a generation, if it is still the active one and an earlier one is kept.
    async fn go_back_from(&self, id: &PluginId, digest: Digest) -> Result<Option<Rollback>, PluginError> {
        let mut state = self.state.lock().await;
        let before = state.previous.get(id).and_then(|before| before.last()).copied();
        let Some(to) = before.filter(|_| state.active.get(id) == Some(&digest)) else { return Ok(None) };
        self.switch(&mut state, id, to, true).await?;
        Ok(Some(Rollback { plugin: id.clone(), from: digest, to }))
    }
}
