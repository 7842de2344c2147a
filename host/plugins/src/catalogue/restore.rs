//! Taking over a state from the records: at the start, and when another process changed it.

use std::sync::Arc;

use super::Catalogue;
use crate::records::CatalogueState;
use crate::snapshot::Snapshot;

impl Catalogue {
    /// Makes `theirs` the state of this process. Generations that serve already go on; the others are loaded. One that cannot be loaded
    /// is reported and left out.
    pub(super) async fn adopt(&self, state: &mut CatalogueState, theirs: CatalogueState) {
        *state = theirs;
        self.shelf.keep(&state.generations);
        let mut snapshot = Snapshot::at(state.revision);
        for (id, digest) in &state.active {
            let Some(record) = state.generation(id, *digest) else {
                tracing::error!(plugin = %id, generation = %digest.short(), "the active generation is not on record");
                continue;
            };
            let published = match self.load(record).await {
                Ok(generation) => snapshot.with(state.revision, &generation, self.order(state)),
                Err(error) => Err(error),
            };
            match published {
                Ok(with) => snapshot = with,
                Err(error) => {
                    tracing::error!(plugin = %id, generation = %digest.short(), code = error.code(), %error, "a plugin could not be brought back");
                    self.shelf.failed(*digest, error.to_string());
                }
            }
        }
        self.snapshot.store(Arc::new(snapshot));
    }
}
