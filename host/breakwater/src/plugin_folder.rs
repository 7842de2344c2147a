//! The folder of plugins: deployed at the start, and again whenever it changes when it is watched.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use breakwater_core::Digest;
use breakwater_plugins::{Catalogue, PluginError, PluginPackage};
use breakwater_settings::Settings;
use breakwater_telemetry::{Event, Metrics, PluginChange};

use crate::places::Surroundings;

/// The configured folder, else the first of the usual ones that exists, else none.
///
/// # Errors
/// When the configured folder does not exist.
pub(crate) fn find(settings: &Settings, surroundings: &Surroundings) -> Result<Option<PathBuf>> {
    match &settings.plugins.dir {
        Some(folder) if folder.is_dir() => Ok(Some(folder.clone())),
        Some(folder) => anyhow::bail!("the folder of plugins {} does not exist", folder.display()),
        None => Ok(surroundings.plugin_folders().into_iter().find(|folder| folder.is_dir())),
    }
}

/// The plugins of a folder, by name: its subfolders with a `plugin.toml`, or the folder itself if it has one.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn plugins(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_plugin = |path: &PathBuf| path.join("plugin.toml").is_file();
    let own = folder.to_path_buf();
    if is_plugin(&own) {
        return Ok(vec![own]);
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read the folder of plugins {}", folder.display()))?;
    let mut found: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(is_plugin).collect();
    found.sort();
    Ok(found)
}

/// What became of a plugin of the folder.
#[derive(Debug)]
pub(crate) enum Deployed {
    /// It serves.
    Now,
    /// It was deployed before. Whichever generation was chosen since then serves.
    Before,
}

/// Deploys plugins from folders.
#[derive(Clone)]
pub(crate) struct Deployer {
    catalogue: Arc<Catalogue>,
    metrics: Arc<Metrics>,
}

impl Deployer {
    pub(crate) fn new(catalogue: Arc<Catalogue>, metrics: Arc<Metrics>) -> Self {
        Self { catalogue, metrics }
    }

    /// Deploys the plugins of the folder that are not known yet. A plugin that is refused does not keep the others from serving;
    /// the log says why. Returns how many were refused.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) async fn deploy_new(&self, folder: &Path) -> Result<usize> {
        let mut refused = 0;
        for plugin in plugins(folder)? {
            refused += usize::from(self.deploy_if_new(&plugin).await.is_err());
        }
        Ok(refused)
    }

    /// Deploys one plugin unless a generation of the same version and component is kept: after a restart, a rollback that was made
    /// before it must still stand.
    ///
    /// # Errors
    /// When the plugin is refused; it was reported.
    pub(crate) async fn deploy_if_new(&self, folder: &Path) -> Result<Deployed, PluginError> {
        let package = self.read(folder)?;
        let manifest = package.manifest();
        let (version, code) = (manifest.version.to_string(), Digest::of(package.component()));
        let kept = self.catalogue.list().into_iter().filter(|plugin| plugin.id == manifest.id).flat_map(|plugin| plugin.generations);
        if kept.into_iter().any(|generation| generation.version == version && generation.code_digest == code) {
            return Ok(Deployed::Before);
        }
        self.deploy(package).await.map(|()| Deployed::Now)
    }

    /// Deploys a plugin whose files changed.
    pub(crate) async fn deploy_changed(&self, folder: PathBuf) {
        if let Ok(package) = self.read(&folder) {
            // A refusal was reported; what served before still serves.
            drop(self.deploy(package).await);
        }
    }

    fn read(&self, folder: &Path) -> Result<PluginPackage, PluginError> {
        PluginPackage::read_folder(folder).inspect_err(|error| {
            let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
            self.report(&name, PluginChange::Refused, error.to_string());
        })
    }

    async fn deploy(&self, package: PluginPackage) -> Result<(), PluginError> {
        let id = package.manifest().id.to_string();
        match self.catalogue.deploy(package).await {
            Ok(generation) => {
                self.report(&id, PluginChange::Deployed, generation.digest.short());
                Ok(())
            }
            Err(error) => {
                self.report(&id, PluginChange::Refused, error.to_string());
                Err(error)
            }
        }
    }

    fn report(&self, plugin: &str, change: PluginChange, detail: String) {
        self.metrics.emit(&Event::Plugin { plugin: plugin.to_owned(), change, detail });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_the_subfolders_with_a_manifest() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b", "a", "empty"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        for name in ["b", "a"] {
            std::fs::write(folder.path().join(name).join("plugin.toml"), "").unwrap();
        }
        let names =
            |folder: &Path| -> Vec<_> { plugins(folder).unwrap().into_iter().map(|path| path.file_name().unwrap().to_owned()).collect() };
        assert_eq!(names(folder.path()), ["a", "b"]);
        assert_eq!(names(&folder.path().join("a")), ["a"], "a plugin's own folder is that plugin");
        assert!(plugins(&folder.path().join("none")).is_err());
    }

    #[test]
    fn a_folder_that_was_asked_for_must_exist() {
        let settings = |text| Settings::parse(Path::new("b.toml"), text, [], &[]).unwrap();
        let nowhere = Surroundings { executable: Some("/nowhere/bin/breakwater".into()), ..Surroundings::default() };
        assert!(find(&settings("[plugins]\ndir = \"/nowhere\"\n"), &nowhere).is_err());
        assert_eq!(find(&settings("[plugins]\ndir = \"/\"\n"), &nowhere).unwrap(), Some(PathBuf::from("/")));
    }
}
