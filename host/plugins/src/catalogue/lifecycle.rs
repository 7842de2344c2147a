//! Switching between kept generations, and letting go of them.

use std::sync::Arc;

use breakwater_core::Digest;

use super::Catalogue;
use super::info::GenerationInfo;
use crate::error::PluginError;
use crate::generation::Generation;
use crate::plugin_id::PluginId;
use crate::records::{CatalogueState, RecordsError};

impl Catalogue {
    /// Makes a kept generation the active one.
    ///
    /// # Errors
    /// [`PluginError::NotFound`] when it is not kept; whatever keeps it from being loaded; [`PluginError::Records`].
    pub async fn activate(&self, id: &PluginId, digest: Digest) -> Result<GenerationInfo, PluginError> {
        let id = id.clone();
        self.to_the_end(move |this| async move { this.switch(&mut *this.state.lock().await, &id, digest, false).await }).await
    }

    /// Goes back to the generation that was active before. Going back again goes back further.
    ///
    /// # Errors
    /// [`PluginError::NotFound`] when none is kept; otherwise as [`Self::activate`].
    pub async fn rollback(&self, id: &PluginId) -> Result<GenerationInfo, PluginError> {
        let id = id.clone();
        self.to_the_end(move |this| async move { this.go_back(&id).await }).await
    }

    /// Forgets a kept generation.
    ///
    /// # Errors
    /// [`PluginError::NotFound`], [`PluginError::GenerationInUse`] for the active one and for one that still serves calls,
    /// [`PluginError::Records`].
    pub async fn remove(&self, id: &PluginId, digest: Digest) -> Result<(), PluginError> {
        let id = id.clone();
        self.to_the_end(move |this| async move { this.remove_generation(&id, digest).await }).await
    }

    async fn go_back(&self, id: &PluginId) -> Result<GenerationInfo, PluginError> {
        let mut state = self.state.lock().await;
        let before = state.previous.get(id).and_then(|before| before.last()).copied();
        let before = before.ok_or_else(|| PluginError::NotFound(format!("no earlier generation of the plugin `{id}` is kept")))?;
        self.switch(&mut state, id, before, true).await
    }

    async fn remove_generation(&self, id: &PluginId, digest: Digest) -> Result<(), PluginError> {
        let mut state = self.state.lock().await;
        let record = state.generation(id, digest).ok_or_else(|| not_kept(id, digest))?;
        let code = record.code_digest;
        if state.active.get(id) == Some(&digest) {
            return Err(PluginError::GenerationInUse(format!("the generation {} of `{id}` is active", digest.short())));
        }
        if self.shelf.is_in_use(digest) {
            return Err(PluginError::GenerationInUse(format!("the generation {} of `{id}` still serves calls", digest.short())));
        }
        let mut next = state.clone();
        forget(&mut next, digest);
        self.save(&mut state, next).await?;
        self.shelf.keep(&state.generations);
        self.forget_code_if_unused(&state, code).await;
        Ok(())
    }

    /// Loads a kept generation and publishes it.
    pub(super) async fn switch(
        &self,
        state: &mut CatalogueState,
        id: &PluginId,
        digest: Digest,
        back: bool,
    ) -> Result<GenerationInfo, PluginError> {
        let record = state.generation(id, digest).cloned().ok_or_else(|| not_kept(id, digest))?;
        let serves = self.snapshot().generation(id).is_some_and(|generation| generation.digest() == digest);
        if serves && state.active.get(id) == Some(&digest) {
            return self.info(digest);
        }
        let generation = self.load(&record).await?;
        // It may still be draining with its breaker open; whoever activates it gives it another chance.
        generation.reset_breaker();
        let next = state.clone();
        self.publish(state, next, &generation, back).await
    }

    /// The point of no return of every change: saves the state with `generation` active and shows it to new calls.
    pub(super) async fn publish(
        &self,
        state: &mut CatalogueState,
        mut next: CatalogueState,
        generation: &Arc<Generation>,
        back: bool,
    ) -> Result<GenerationInfo, PluginError> {
        let (id, digest) = (generation.id().clone(), generation.digest());
        let snapshot = self.snapshot().with(state.revision + 1, generation, self.order(state))?;
        let before = next.active.insert(id.clone(), digest);
        let previous = next.previous.entry(id.clone()).or_default();
        previous.retain(|earlier| *earlier != digest && Some(*earlier) != before);
        // What was left by going back is no place to go back to.
        previous.extend(before.filter(|before| *before != digest && !back));
        let dropped = self.trim(&mut next, &id);
        self.save(state, next).await?;
        self.shelf.keep(&state.generations);
        self.shelf.loaded(generation);
        self.snapshot.store(Arc::new(snapshot));
        for code in dropped {
            self.forget_code_if_unused(state, code).await;
        }
        self.info(digest)
    }

    /// Writes a changed state. When somebody else changed the records meanwhile, theirs is taken over and the change is refused.
    async fn save(&self, state: &mut CatalogueState, mut next: CatalogueState) -> Result<(), PluginError> {
        next.revision = state.revision + 1;
        next.order = self.order(state).to_vec();
        match self.records.save(state.revision, &next).await {
            Ok(()) => {
                *state = next;
                Ok(())
            }
            Err(error) => {
                if let RecordsError::Conflict { .. } = error {
                    let theirs = self.records.load().await?;
                    self.adopt(state, theirs).await;
                }
                Err(error.into())
            }
        }
    }

    /// Lets go of the oldest generations over the number kept, except those that still serve. Returns their components.
    fn trim(&self, next: &mut CatalogueState, id: &PluginId) -> Vec<Digest> {
        let active = next.active.get(id).copied();
        let of_plugin = next.generations.iter().filter(|record| record.id == *id);
        let surplus = of_plugin.clone().count().saturating_sub(self.config.kept_generations);
        let idle = of_plugin.filter(|record| Some(record.digest) != active && !self.shelf.is_in_use(record.digest));
        let dropped: Vec<_> = idle.take(surplus).map(|record| (record.digest, record.code_digest)).collect();
        dropped.iter().for_each(|(digest, _)| forget(next, *digest));
        dropped.into_iter().map(|(_, code)| code).collect()
    }

    /// Removes a component that no kept generation uses. Failing costs only space.
    pub(super) async fn forget_code_if_unused(&self, state: &CatalogueState, code: Digest) {
        if state.generations.iter().any(|record| record.code_digest == code) {
            return;
        }
        self.cache.remove(code);
        if let Err(error) = self.records.remove_component(code).await {
            tracing::warn!(component = %code.short(), %error, "an unused component could not be removed from the records");
        }
    }

    fn info(&self, digest: Digest) -> Result<GenerationInfo, PluginError> {
        let info = self.shelf.info(digest, &self.snapshot());
        info.ok_or_else(|| PluginError::NotFound(format!("the generation {} is not kept", digest.short())))
    }
}

fn forget(state: &mut CatalogueState, digest: Digest) {
    state.generations.retain(|record| record.digest != digest);
    state.previous.values_mut().for_each(|previous| previous.retain(|earlier| *earlier != digest));
}

fn not_kept(id: &PluginId, digest: Digest) -> PluginError {
    PluginError::NotFound(format!("no generation {} of the plugin `{id}` is kept", digest.short()))
}
