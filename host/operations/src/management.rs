//! Changing the set of plugins.

use std::collections::BTreeMap;
use std::future::Future;

use breakwater_core::{Digest, Failure};
use breakwater_plugins::{GenerationInfo, Manifest, PluginError, PluginId, PluginInfo, PluginPackage};
use breakwater_telemetry::{Event, PluginChange};
use bytes::Bytes;

use crate::operations::Operations;

/// A plugin as it is sent over a wire.
#[derive(Debug, Clone)]
pub struct PackageParts {
    /// Text of `plugin.toml`.
    pub manifest: String,
    /// The component.
    pub component: Bytes,
    /// The files that the manifest's fixtures name, each by its path relative to the manifest.
    pub files: BTreeMap<String, Bytes>,
}

impl Operations {
    /// Every plugin with its kept generations.
    #[must_use]
    pub fn plugins(&self) -> Vec<PluginInfo> {
        self.catalogue().list()
    }

    /// Compiles, checks, probes and activates a plugin. Once begun it runs to its end, whether or not anyone still waits.
    ///
    /// # Errors
    /// The codes of [`PluginError`]; nothing of a plugin that fails becomes visible.
    pub async fn deploy_plugin(&self, parts: PackageParts) -> Result<GenerationInfo, Failure> {
        let manifest = Manifest::parse(&parts.manifest)?;
        let mut files = parts.files;
        files.insert(manifest.component.clone(), parts.component);
        let package = PluginPackage::from_files(&parts.manifest, &files)?;
        let catalogue = self.catalogue().clone();
        self.change(manifest.id, PluginChange::Deployed, async move { catalogue.deploy(package).await }).await
    }

    /// Makes a kept generation the active one.
    ///
    /// # Errors
    /// `plugin.id-invalid`, `plugin.digest-invalid`, `plugin.not-found` and the other codes of [`PluginError`].
    pub async fn activate_plugin(&self, id: &str, digest: &str) -> Result<GenerationInfo, Failure> {
        let (id, digest) = (plugin_id(id)?, generation_digest(digest)?);
        let catalogue = self.catalogue().clone();
        self.change(id.clone(), PluginChange::Activated, async move { catalogue.activate(&id, digest).await }).await
    }

    /// Goes back to the generation that was active before.
    ///
    /// # Errors
    /// As [`Self::activate_plugin`].
    pub async fn roll_back_plugin(&self, id: &str) -> Result<GenerationInfo, Failure> {
        let id = plugin_id(id)?;
        let catalogue = self.catalogue().clone();
        self.change(id.clone(), PluginChange::RolledBack, async move { catalogue.rollback(&id).await }).await
    }

    /// Forgets a generation that is not in use.
    ///
    /// # Errors
    /// As [`Self::activate_plugin`], and `plugin.generation-in-use`.
    pub async fn remove_generation(&self, id: &str, digest: &str) -> Result<(), Failure> {
        let (id, digest) = (plugin_id(id)?, generation_digest(digest)?);
        let (catalogue, plugin) = (self.catalogue().clone(), id.to_string());
        let removal = async move { catalogue.remove(&id, digest).await };
        let removed = to_its_end(removal).await;
        if removed.is_ok() {
            self.metrics().emit(&Event::Plugin { plugin, change: PluginChange::Removed, detail: digest.short() });
        }
        removed
    }

    /// Makes a change and says so, whether it worked or was refused.
    async fn change(
        &self,
        id: PluginId,
        change: PluginChange,
        work: impl Future<Output = Result<GenerationInfo, PluginError>> + Send + 'static,
    ) -> Result<GenerationInfo, Failure> {
        let result = to_its_end(work).await;
        let (change, detail) = match &result {
            Ok(generation) => (change, generation.digest.short()),
            Err(failure) => (PluginChange::Refused, failure.chain()),
        };
        self.metrics().emit(&Event::Plugin { plugin: id.to_string(), change, detail });
        result
    }
}

/// Runs a change as a task of its own: a client that hangs up must not leave it half done.
async fn to_its_end<T: Send + 'static>(change: impl Future<Output = Result<T, PluginError>> + Send + 'static) -> Result<T, Failure> {
    match tokio::spawn(change).await {
        Ok(result) => result.map_err(Failure::from),
        Err(error) => Err(Failure::internal("a change of the plugin catalogue did not end").caused_by(error)),
    }
}

fn plugin_id(text: &str) -> Result<PluginId, Failure> {
    text.parse().map_err(|error: breakwater_plugins::InvalidPluginId| Failure::invalid("plugin.id-invalid", error.to_string()))
}

fn generation_digest(text: &str) -> Result<Digest, Failure> {
    text.parse().map_err(|error: breakwater_core::digest::InvalidDigest| Failure::invalid("plugin.digest-invalid", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_digests_that_cannot_exist_are_refused_before_the_catalogue_is_asked() {
        assert_eq!(plugin_id("../etc").unwrap_err().code, "plugin.id-invalid");
        assert_eq!(generation_digest("12").unwrap_err().code, "plugin.digest-invalid");
    }
}
