//! A package becomes the active generation of its plugin, or nothing changes.

use std::sync::Arc;

use breakwater_core::{CallContext, Digest, Principal};

use super::Catalogue;
use super::info::GenerationInfo;
use super::shelf::now_ms;
use crate::error::PluginError;
use crate::generation::{Generation, Offers};
use crate::package::PluginPackage;
use crate::probe::probe;
use crate::records::{CatalogueState, GenerationRecord};
use crate::world::World;

impl Catalogue {
    /// Deploys a package: compile, map, check the types, ask what it offers, probe it, publish. Calls that began before are served by
    /// the generation they began with. Deploying what is active already changes nothing; what is kept already is activated.
    ///
    /// # Errors
    /// Any [`PluginError`] but [`PluginError::GenerationInUse`]. Nothing has changed then.
    pub async fn deploy(&self, package: PluginPackage) -> Result<GenerationInfo, PluginError> {
        self.to_the_end(move |this| async move { this.deploy_package(&package).await }).await
    }

    async fn deploy_package(&self, package: &PluginPackage) -> Result<GenerationInfo, PluginError> {
        let mut state = self.state.lock().await;
        let record = self.record(package)?;
        let outcome = self.deploy_record(&mut state, record.clone(), package).await;
        match &outcome {
            Ok(info) => {
                tracing::debug!(plugin = %record.id, version = %record.version, generation = %info.digest.short(), "a plugin was deployed");
            }
            Err(error) => {
                tracing::debug!(plugin = %record.id, version = %record.version, code = error.code(), %error, "a plugin was not deployed");
                self.forget_code_if_unused(&state, record.code_digest).await;
            }
        }
        outcome
    }

    async fn deploy_record(
        &self,
        state: &mut CatalogueState,
        record: GenerationRecord,
        package: &PluginPackage,
    ) -> Result<GenerationInfo, PluginError> {
        if state.generation(&record.id, record.digest).is_some() {
            return self.switch(state, &record.id, record.digest, false).await;
        }
        let (generation, record) = self.prepare(record, package).await?;
        // Checked again when it is published; here so that a name that is taken is not found out after the probes.
        self.snapshot().with(state.revision + 1, &generation, self.order(state))?;
        let limits = record.limits.tighten(&self.config.limits_of(record.world));
        probe(&generation, package.fixtures(), &self.services, &limits).await?;
        self.records.put_component(record.code_digest, package.component().clone()).await?;
        let mut next = state.clone();
        next.generations.push(record);
        self.publish(state, next, &generation, false).await
    }

    /// What would be kept of a package, before it has said what it offers.
    fn record(&self, package: &PluginPackage) -> Result<GenerationRecord, PluginError> {
        let manifest = package.manifest();
        let code_digest = Digest::of(package.component());
        let granted = self.config.grants.effective(&manifest.id, &manifest.capabilities);
        let frozen = serde_json::to_vec(&(&manifest.id, &manifest.version, &granted, &manifest.limits, &manifest.config));
        let frozen = frozen.map_err(|error| PluginError::ManifestInvalid(error.to_string()))?;
        let reach = self.config.reach.effective(&manifest.id, &manifest.reach);
        // What the first world never had is left out, so that its generations keep their digests.
        let beyond = (manifest.world != World::Crop || !reach.is_empty()).then(|| serde_json::to_vec(&(manifest.world, &reach)));
        let beyond = beyond.transpose().map_err(|error| PluginError::ManifestInvalid(error.to_string()))?;
        let parts = [Some(code_digest.as_bytes().as_slice()), Some(frozen.as_slice()), beyond.as_deref()];
        Ok(GenerationRecord {
            digest: Digest::of_parts(parts.into_iter().flatten()),
            code_digest,
            id: manifest.id.clone(),
            version: manifest.version.clone(),
            world: manifest.world,
            granted,
            reach,
            limits: manifest.limits,
            config: manifest.config.clone(),
            strategies: Vec::new(),
            operations: Vec::new(),
            levels: Vec::new(),
            ranker: None,
            deployed_at_ms: now_ms(),
        })
    }

    async fn prepare(
        &self,
        mut record: GenerationRecord,
        package: &PluginPackage,
    ) -> Result<(Arc<Generation>, GenerationRecord), PluginError> {
        let guest = self.guest(&record, package.component()).await?;
        let context = CallContext::root(Principal::System, self.config.limits_of(record.world).timeout);
        let described = guest.describe(&context).await;
        let described = described.map_err(|fault| PluginError::DescribeInvalid(fault.failure.chain()))?;
        let offers = Offers::described(described, &mut record)?;
        let generation = self.assemble(record.clone(), guest, offers);
        Ok((generation, record))
    }
}
