//! A plugin as it arrives: manifest, component, fixtures.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use bytes::Bytes;

use crate::error::PluginError;
use crate::manifest::{MAX_MANIFEST, Manifest};

mod fixture;
mod ranking;

pub use fixture::{CallFixture, Exchange, Expectation, Fixture, PlanFixture, Target};
pub use ranking::{FixtureCandidate, RankFixture};

/// The largest component that is read, in bytes. What is compiled is bounded by the runtime's own limit.
const MAX_COMPONENT: usize = 64 << 20;
/// The largest picture or detections file of a fixture, in bytes.
const MAX_FIXTURE_FILE: usize = 8 << 20;

/// A plugin, read and checked for form. What its component does is not known yet.
#[derive(Debug, Clone)]
pub struct PluginPackage {
    manifest: Manifest,
    component: Bytes,
    fixtures: Vec<Fixture>,
}

impl PluginPackage {
    /// Reads a folder with `plugin.toml`, the component it names and its fixtures. Nothing outside the folder is read.
    ///
    /// # Errors
    /// [`PluginError::ManifestInvalid`] or [`PluginError::ComponentInvalid`].
    pub fn read_folder(folder: impl AsRef<Path>) -> Result<Self, PluginError> {
        let folder = folder.as_ref();
        let root = folder.canonicalize().map_err(|error| PluginError::ManifestInvalid(format!("{}: {error}", folder.display())))?;
        let manifest = read_file(&root, "plugin.toml", MAX_MANIFEST)?;
        let manifest =
            String::from_utf8(manifest.into()).map_err(|_| PluginError::ManifestInvalid("plugin.toml is not UTF-8 text".to_owned()))?;
        Self::assemble(&manifest, |name, max| read_file(&root, name, max))
    }

    /// A package from files held in memory, by the paths that the manifest uses.
    ///
    /// # Errors
    /// As [`Self::read_folder`].
    pub fn from_files(manifest: &str, files: &BTreeMap<String, Bytes>) -> Result<Self, PluginError> {
        Self::assemble(manifest, |name, max| {
            let file = files.get(name).ok_or_else(|| PluginError::ManifestInvalid(format!("the package has no file `{name}`")))?;
            if file.len() > max { Err(too_large(name, max)) } else { Ok(file.clone()) }
        })
    }

    /// A package from its parts. `fixtures` are used instead of those the manifest names.
    ///
    /// # Errors
    /// [`PluginError::ManifestInvalid`] or [`PluginError::ComponentInvalid`].
    pub fn from_parts(manifest: &str, component: Bytes, fixtures: Vec<Fixture>) -> Result<Self, PluginError> {
        Ok(Self { manifest: Manifest::parse(manifest)?, component: encoded(component)?, fixtures })
    }

    fn assemble(manifest: &str, read: impl Fn(&str, usize) -> Result<Bytes, PluginError>) -> Result<Self, PluginError> {
        let manifest = Manifest::parse(manifest)?;
        let component = encoded(read(&manifest.component, MAX_COMPONENT)?)?;
        let fixtures = fixture::read(&manifest.fixtures, |name| read(name, MAX_FIXTURE_FILE))?;
        Ok(Self { manifest, component, fixtures })
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The component's bytes.
    #[must_use]
    pub fn component(&self) -> &Bytes {
        &self.component
    }

    /// The probes.
    #[must_use]
    pub fn fixtures(&self) -> &[Fixture] {
        &self.fixtures
    }
}

/// A core module that `wit-bindgen` made carries its component type along and becomes a component here; anything else stays as it is.
fn encoded(bytes: Bytes) -> Result<Bytes, PluginError> {
    if !wasmparser::Parser::is_core_wasm(&bytes) {
        return Ok(bytes);
    }
    let encode = || wit_component::ComponentEncoder::default().validate(true).module(&bytes)?.encode();
    encode()
        .map(Bytes::from)
        .map_err(|error| PluginError::ComponentInvalid(format!("the file is a core module and could not be made a component: {error:#}")))
}

fn too_large(name: &str, max: usize) -> PluginError {
    PluginError::ManifestInvalid(format!("`{name}` is larger than {max} bytes"))
}

/// Reads a file below `root`, which is canonical. Links may not lead out of it.
fn read_file(root: &Path, name: &str, max: usize) -> Result<Bytes, PluginError> {
    let wrong = |what: String| PluginError::ManifestInvalid(format!("`{name}`: {what}"));
    if Path::new(name).components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(wrong("paths are relative and stay inside the plugin's folder".to_owned()));
    }
    let path = root.join(name).canonicalize().map_err(|error| wrong(error.to_string()))?;
    if !path.starts_with(root) {
        return Err(wrong("the path leads out of the plugin's folder".to_owned()));
    }
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(|error| wrong(error.to_string()))?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(wrong("not a regular file".to_owned()));
    }
    file.take(max as u64 + 1).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() > max { Err(too_large(name, max)) } else { Ok(bytes.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "id = \"crop\"\nversion = \"0.1.0\"\nworld = \"breakwater:plugin/crop-plugin@0.1.0\"\n";

    fn folder(manifest: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plugin.toml"), manifest).unwrap();
        std::fs::write(folder.path().join("component.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
        folder
    }

    #[test]
    fn a_folder_is_read_with_its_fixtures() {
        let folder =
            folder(&format!("{MANIFEST}[[fixtures]]\nimage = \"a.png\"\nstrategy = \"s\"\nratio = \"1:1\"\ndetections = \"a.json\""));
        std::fs::write(folder.path().join("a.png"), b"picture").unwrap();
        let detection = r#"[{"kind":"face","label":"face","confidence":0.9,"box":{"x":1,"y":2,"width":3,"height":4}}]"#;
        std::fs::write(folder.path().join("a.json"), detection).unwrap();
        let package = PluginPackage::read_folder(folder.path()).unwrap();
        let Fixture::Plan(fixture) = package.fixtures().first().unwrap() else { panic!("a fixture of another world") };
        assert_eq!((&fixture.image[..], fixture.detections.as_ref().unwrap().len()), (&b"picture"[..], 1));
    }

    #[test]
    fn nothing_outside_the_folder_is_read() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        for component in ["../component.wasm", "/etc/hostname", "link.wasm", "missing.wasm", "."] {
            let folder = folder(&format!("{MANIFEST}component = {component:?}\n"));
            std::os::unix::fs::symlink(outside.path(), folder.path().join("link.wasm")).unwrap();
            let error = PluginPackage::read_folder(folder.path()).unwrap_err();
            assert_eq!(error.code(), "plugin.manifest-invalid", "{component}: {error}");
        }
    }

    #[test]
    fn a_core_module_without_a_component_type_is_refused() {
        let error = PluginPackage::from_parts(MANIFEST, Bytes::from_static(b"\0asm\x01\0\0\0\x00"), Vec::new()).unwrap_err();
        assert_eq!(error.code(), "plugin.component-invalid");
    }
}
