//! A virtual environment with Flask for the tests.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use breakwater_tests::flask::{FOLDER, PACKAGES, mark};

use crate::command;

/// Makes it in the target folder unless it is there. The tests that need it say so when they do not run, so this failing is only reported.
pub(crate) fn ensure(target: &Path) {
    if let Err(error) = install(&target.join(FOLDER)) {
        eprintln!("note: {error:#}; the tests that need Flask will say that they did not run");
    }
}

/// It becomes visible when it is whole.
fn install(folder: &Path) -> Result<()> {
    let whole = folder.join(mark());
    if whole.is_file() {
        return Ok(());
    }
    std::fs::remove_dir_all(folder).or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    // Without its own pip, which Debian has in a package that need not be there: that of the system installs into it.
    command::run(Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(folder))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--python"]).arg(folder.join("bin/python"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore", "--only-binary=:all:"]);
    command::run(pip.args(PACKAGES))?;
    Ok(std::fs::write(whole, "installed\n")?)
}
