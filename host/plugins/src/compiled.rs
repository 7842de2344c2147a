//! Compiled components on disk: written once, checked, mapped.
//!
//! A file is named by the component's digest and the engine's settings, written beside its final place, synced and renamed, and never
//! written again. Beside it lies the digest of its content; a file that does not match is thrown away and made anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use breakwater_core::Digest;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::compile::{Compiler, on_thread};
use crate::config::CompileLimits;
use crate::engine::compatibility;
use crate::error::PluginError;

/// The folder of compiled components. Only this program's user may look into it.
#[derive(Debug, Clone)]
pub(crate) struct CompiledCache {
    folder: PathBuf,
    compatibility: String,
    compiler: Compiler,
    limits: CompileLimits,
}

impl CompiledCache {
    /// Opens the folder, making it when it is absent.
    pub(crate) fn open(folder: PathBuf, engine: &Engine, compiler: Compiler, limits: CompileLimits) -> Result<Self, PluginError> {
        let setup = |error: io::Error| PluginError::Setup(format!("the folder of compiled components: {error}"));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(setup)?;
        let folder = folder.canonicalize().map_err(setup)?;
        let metadata = folder.metadata().map_err(setup)?;
        // Its files are run as machine code: nobody else may have put them there.
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(PluginError::Setup("the folder of compiled components belongs to another user".to_owned()));
        }
        if metadata.mode() & 0o077 != 0 {
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(setup)?;
        }
        remove_leftovers(&folder).map_err(setup)?;
        Ok(Self { folder, compatibility: compatibility(engine), compiler, limits })
    }

    /// The component, mapped from its file; compiled first when there is none that is whole.
    pub(crate) async fn load(&self, engine: &Engine, digest: Digest, wasm: &bytes::Bytes) -> Result<Component, PluginError> {
        if wasm.len() > self.limits.component_bytes {
            let limit = self.limits.component_bytes;
            return Err(PluginError::ComponentInvalid(format!("it has {} bytes; at most {limit} are compiled", wasm.len())));
        }
        if let Some(component) = self.map(engine, digest).await? {
            return Ok(component);
        }
        self.compile(digest, wasm).await?;
        let mapped = self.map(engine, digest).await?;
        mapped.ok_or_else(|| PluginError::CompileFailed("the compiled file changed while it was written".to_owned()))
    }

    /// Removes the file of a component that no generation uses any more. Code that is mapped stays.
    pub(crate) fn remove(&self, digest: Digest) {
        for path in [self.code(digest), self.checksum(digest)] {
            // Absent is as good as removed, and anything else costs only disk space.
            drop(fs::remove_file(path));
        }
    }

    fn code(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}-{}.cwasm", self.compatibility))
    }

    fn checksum(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}-{}.sha256", self.compatibility))
    }

    async fn map(&self, engine: &Engine, digest: Digest) -> Result<Option<Component>, PluginError> {
        let (engine, code, checksum) = (engine.clone(), self.code(digest), self.checksum(digest));
        on_thread("plugin-loader", move || {
            if !is_whole(&code, &checksum) {
                if code.exists() {
                    tracing::warn!(component = %digest.short(), "a compiled component on disk is damaged; compiling it again");
                }
                return None;
            }
            // SAFETY: the file holds what this program's own compiler wrote: it lies in a folder that only this user can write,
            // its content matches the digest stored when it was made, and no file here is written again after its rename. The
            // engine refuses code of another version or other settings.
            match unsafe { Component::deserialize_file(&engine, &code) } {
                Ok(component) => Some(component),
                Err(error) => {
                    tracing::warn!(component = %digest.short(), error = %format!("{error:#}"), "a compiled component does not load; compiling it again");
                    None
                }
            }
        })
        .await
    }

    async fn compile(&self, digest: Digest, wasm: &bytes::Bytes) -> Result<(), PluginError> {
        let input = self.temporary("wasm", wasm)?;
        let output = self.temporary("code", b"")?;
        self.compiler.compile(input.path(), output.path(), &self.limits).await?;
        let (code, checksum, folder) = (self.code(digest), self.checksum(digest), self.folder.clone());
        on_thread("plugin-loader", move || publish(output, &code, &checksum, &folder)).await?.map_err(written)
    }

    fn temporary(&self, kind: &str, content: &[u8]) -> Result<tempfile::NamedTempFile, PluginError> {
        let mut file = tempfile::Builder::new().prefix(TEMPORARY).suffix(kind).tempfile_in(&self.folder).map_err(written)?;
        file.write_all(content).map_err(written)?;
        Ok(file)
    }
}

const TEMPORARY: &str = ".unfinished-";

fn written(error: io::Error) -> PluginError {
    PluginError::CompileFailed(format!("the compiled component could not be stored: {error}"))
}

/// Whether the code is there and is what was written.
fn is_whole(code: &Path, checksum: &Path) -> bool {
    let expected = fs::read_to_string(checksum).ok().and_then(|text| text.trim().parse::<Digest>().ok());
    expected.is_some_and(|expected| fs::read(code).is_ok_and(|bytes| Digest::of(&bytes) == expected))
}

/// Puts the code and its checksum in place; the checksum last, so that a crash between them leaves nothing that looks whole.
fn publish(output: tempfile::NamedTempFile, code: &Path, checksum: &Path, folder: &Path) -> io::Result<()> {
    let digest = Digest::of(&fs::read(output.path())?);
    File::open(output.path())?.sync_all()?;
    drop(fs::remove_file(checksum));
    fs::rename(output.into_temp_path().keep().map_err(|error| error.error)?, code)?;
    let temporary = folder.join(format!("{TEMPORARY}{digest}"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(digest.to_string().as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, checksum)?;
    File::open(folder)?.sync_all()
}

/// Files that a crash left unfinished, once they are old enough to be nobody's.
fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
        let is_old = age.is_some_and(|age| age > std::time::Duration::from_secs(3600));
        if is_old && entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
