//! What was built: the binary, the plugins and the guests of the tests.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use bytes::Bytes;

/// Where the built things of this checkout lie.
#[derive(Debug, Clone)]
pub struct Artifacts {
    /// The service's binary.
    pub binary: PathBuf,
    /// Folder of plugin folders, each with its manifest and component.
    pub plugins: PathBuf,
    /// Folder of the components of tests/guests, `NAME.wasm`.
    pub guests: PathBuf,
}

impl Artifacts {
    /// Finds them in the target folder that the running executable lies in: `TARGET/debug/xtask` or `TARGET/debug/deps/e2e-1234`.
    ///
    /// # Errors
    /// When the binary is not built; the message says how to build it.
    pub fn locate() -> Result<Self> {
        let executable = env::current_exe().context("the running executable has no path")?;
        let profile = executable.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).context("the executable lies nowhere")?;
        let target = profile.parent().context("the executable lies outside of a target folder")?;
        let binary = profile.join(format!("breakwater{}", env::consts::EXE_SUFFIX));
        if !binary.is_file() {
            bail!("{} is not built: run `cargo build --workspace --bins`, or `cargo xtask test` for everything", binary.display());
        }
        Ok(Self { binary, plugins: target.join("breakwater-plugins"), guests: target.join("breakwater-guests") })
    }

    /// A component of tests/guests.
    ///
    /// # Errors
    /// When it is not built; the message says how to build it.
    pub fn guest(&self, name: &str) -> Result<Bytes> {
        let path = self.guests.join(name).with_extension("wasm");
        let component = fs::read(&path).with_context(|| format!("{} is not built: `cargo xtask test` builds it", path.display()))?;
        Ok(component.into())
    }
}

/// The top folder of the checkout: the one whose cargo runs us, since checkouts that share a target folder share executables too.
#[must_use]
pub fn root() -> PathBuf {
    let own = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().unwrap_or(&own).to_path_buf()
}
