//! Guests: the plugins of plugins/ and the misbehaving components of tests/guests, built and encoded as components.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use wit_component::ComponentEncoder;

use crate::command;
use crate::wasm_toolchain::WasmToolchain;
use crate::workspace::target_folder;

/// A plugin as it can be deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuiltPlugin {
    /// From its manifest.
    pub(crate) id: String,
    /// Holds plugin.toml, the component and the fixtures.
    pub(crate) folder: PathBuf,
}

/// What is needed of plugin.toml here; the service reads and checks all of it.
#[derive(Deserialize)]
struct Manifest {
    id: String,
    #[serde(default = "default_component")]
    component: String,
}

fn default_component() -> String {
    "component.wasm".to_owned()
}

impl Manifest {
    fn read(folder: &Path) -> Result<Self> {
        read_toml(&folder.join("plugin.toml"))
    }
}

/// The package of a plugin that is no member of our workspaces.
#[derive(Deserialize)]
struct Package {
    package: PackageName,
}

#[derive(Deserialize)]
struct PackageName {
    name: String,
}

fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

/// A workspace's members, as its Cargo.toml lists them.
#[derive(Deserialize)]
struct CargoToml {
    workspace: Members,
}

#[derive(Deserialize)]
struct Members {
    members: Vec<String>,
}

/// Builds every plugin of plugins/ into a deployable folder, `breakwater-plugins/ID` in the target folder. Does nothing when no
/// source has changed since.
///
/// # Errors
/// When a plugin does not compile, is no component of its world, or cannot be written.
pub(crate) fn build_plugins(root: &Path) -> Result<Vec<BuiltPlugin>> {
    let build = Build::new(root, "plugins", "breakwater-plugins")?;
    let sources: Vec<PathBuf> = build.members()?.into_iter().map(|name| build.workspace.join(name)).collect();
    let mut built = Vec::new();
    for source in sources.iter().filter(|source| source.join("plugin.toml").exists()) {
        let manifest = Manifest::read(source)?;
        let plugin = BuiltPlugin { folder: build.output.join(&manifest.id), id: manifest.id };
        built.push((plugin, source, manifest.component));
    }
    let complete = built.iter().all(|(plugin, _, component)| plugin.folder.join(component).exists());
    if !complete || !build.is_current()? {
        build.compile()?;
        build.remove_folders_except(&built.iter().map(|(plugin, ..)| plugin.id.as_str()).collect())?;
        for (plugin, source, component) in &built {
            let package = source.file_name().context("a plugin's folder has a name")?.to_string_lossy();
            copy_tree(&source.join("fixtures"), &plugin.folder.join("fixtures"))?;
            write_if_changed(&plugin.folder.join("plugin.toml"), &fs::read(source.join("plugin.toml"))?)?;
            // Last, because a service that watches the folder starts when the component changes.
            write_if_changed(&plugin.folder.join(component), &build.component(&package)?)?;
        }
        build.remember()?;
    }
    Ok(built.into_iter().map(|(plugin, ..)| plugin).collect())
}

/// Builds a plugin of somebody's own, where it lies: its plugin.toml says where the component goes.
///
/// # Errors
/// When it does not compile, is no component of its world, or cannot be written.
pub(crate) fn build_plugin(root: &Path, folder: &Path) -> Result<()> {
    let manifest = Manifest::read(folder)?;
    let cargo: Package = read_toml(&folder.join("Cargo.toml"))?;
    // Beside ours, so that the standard library and the SDK are compiled once for all.
    let target = target_folder(root).join("wasm");
    command::run(&mut WasmToolchain::find()?.build(folder, &target))?;
    write_if_changed(&folder.join(manifest.component), &component(&target, &cargo.package.name)?)
}

/// Builds the components of tests/guests, and returns the folder that holds them as `NAME.wasm`: one for each member that is a
/// cdylib, and `corrupt.wasm`. Does nothing when no source has changed since.
///
/// # Errors
/// When a guest does not compile or cannot be written.
pub(crate) fn build_test_guests(root: &Path) -> Result<PathBuf> {
    let build = Build::new(root, "tests/guests", "breakwater-guests")?;
    if build.is_current()? {
        return Ok(build.output);
    }
    build.compile()?;
    for package in build.members()? {
        let module = WasmToolchain::module(&build.target, &package);
        if module.exists() {
            write_if_changed(&build.output.join(format!("{package}.wasm")), &build.component(&package)?)?;
        }
    }
    // A download that broke off: it begins as a component does.
    let whole = fs::read(build.output.join("misbehaving.wasm"))?;
    let half = whole.get(..whole.len() / 2).unwrap_or_default();
    write_if_changed(&build.output.join("corrupt.wasm"), half)?;
    build.remember()?;
    Ok(build.output)
}

/// One workspace of guests and where its results go.
struct Build {
    root: PathBuf,
    workspace: PathBuf,
    target: PathBuf,
    output: PathBuf,
    toolchain: WasmToolchain,
    fingerprint: String,
}

impl Build {
    fn new(root: &Path, workspace: &str, output: &str) -> Result<Self> {
        let target = target_folder(root);
        let output = target.join(output);
        fs::create_dir_all(&output)?;
        let toolchain = WasmToolchain::find()?;
        let mut hash = Sha256::new();
        hash.update(toolchain.version()?);
        for folder in ["wit", "guest/rust", workspace] {
            hash_tree(&root.join(folder), &mut hash)?;
        }
        let fingerprint = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { root: root.to_path_buf(), workspace: root.join(workspace), target: target.join("wasm"), output, toolchain, fingerprint })
    }

    fn members(&self) -> Result<Vec<String>> {
        let cargo: CargoToml = read_toml(&self.workspace.join("Cargo.toml"))?;
        Ok(cargo.workspace.members)
    }

    fn compile(&self) -> Result<()> {
        command::run(self.toolchain.build(&self.workspace, &self.target).arg("--locked"))
            .with_context(|| format!("guests of {} in {}", self.workspace.display(), self.root.display()))
    }

    fn component(&self, package: &str) -> Result<Vec<u8>> {
        component(&self.target, package)
    }

    /// Whether the results were made from the sources as they are now.
    fn is_current(&self) -> Result<bool> {
        let path = self.stamp();
        Ok(path.exists() && fs::read_to_string(path)? == self.fingerprint)
    }

    fn remember(&self) -> Result<()> {
        Ok(fs::write(self.stamp(), &self.fingerprint)?)
    }

    fn stamp(&self) -> PathBuf {
        self.output.join(".made-from")
    }

    /// A plugin that is gone from the sources must not be deployed from the results.
    fn remove_folders_except(&self, kept: &BTreeSet<&str>) -> Result<()> {
        for entry in fs::read_dir(&self.output)? {
            let entry = entry?;
            if entry.path().join("plugin.toml").exists() && !kept.contains(entry.file_name().to_string_lossy().as_ref()) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// The module that cargo built, encoded as the component that its bindings describe.
fn component(target: &Path, package: &str) -> Result<Vec<u8>> {
    let path = WasmToolchain::module(target, package);
    let module = fs::read(&path).with_context(|| format!("{package} left no module at {}: is its crate-type cdylib?", path.display()))?;
    let encode = || ComponentEncoder::default().validate(true).module(&module)?.encode();
    encode().with_context(|| format!("{package} cannot be made a component"))
}

/// The files below `folder` in order of their names, without what cargo builds.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        entries.push(entry?.path());
    }
    entries.sort();
    let mut files = Vec::new();
    for path in entries {
        if !path.is_dir() {
            files.push(path);
        } else if path.file_name() != Some("target".as_ref()) {
            files.extend(self::files(&path)?);
        }
    }
    Ok(files)
}

fn hash_tree(folder: &Path, hash: &mut Sha256) -> Result<()> {
    for path in files(folder)? {
        let content = fs::read(&path)?;
        // Lengths keep neighbours apart.
        hash.update(format!("{}\0{}\0", path.display(), content.len()));
        hash.update(content);
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let wanted = if from.exists() { files(from)? } else { Vec::new() };
    let mut kept = BTreeSet::new();
    for path in wanted {
        let copy = to.join(path.strip_prefix(from)?);
        write_if_changed(&copy, &fs::read(&path)?)?;
        kept.insert(copy);
    }
    if to.exists() {
        for stale in files(to)?.into_iter().filter(|path| !kept.contains(path)) {
            fs::remove_file(stale)?;
        }
    }
    Ok(())
}

/// Replaces a file in one step, and leaves one alone that holds this content already.
fn write_if_changed(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let folder = path.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder)?;
    let mut name = path.file_name().context("a file has a name")?.to_os_string();
    name.push(".new");
    let new = folder.join(name);
    fs::write(&new, content).with_context(|| new.display().to_string())?;
    fs::rename(&new, path).with_context(|| path.display().to_string())
}
