//! Where things lie, and how cargo is called.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{command, system_packages};

/// The checkout this command was built from.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The checkout whose cargo runs this command.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find() -> Result<Self> {
        let own = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = own.parent().context("xtask lies outside of a workspace")?.to_path_buf();
        Ok(Self { root })
    }

    /// The top folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `cargo`, to be run in the top folder.
    ///
    /// Every build selects the whole workspace (the top folder's manifest is virtual, so even `--bin` does), because cargo unifies the
    /// features of dependencies over the packages it builds: another selection would compile burn and its like once more.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root);
        // What cargo says of this command when it runs it. Build scripts that read such variables would run again, and what depends on them be
        // compiled again, whenever a build from here follows one by hand.
        let said =
            |name: &OsString| name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        for (name, _) in env::vars_os().filter(|(name, _)| said(name)) {
            cargo.env_remove(name);
        }
        cargo
    }

    /// Builds the service's binary.
    ///
    /// # Errors
    /// When it does not build.
    pub(crate) fn build_binary(&self) -> Result<()> {
        system_packages::ensure_compiler()?;
        command::run(self.cargo().args(["build", "--workspace", "--bins"]))
    }
}

/// Where cargo puts what it builds for the workspace in `root`.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}
