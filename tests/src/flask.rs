//! A virtual environment with Flask, which `cargo xtask test` makes in the target folder.

use std::env;
use std::path::PathBuf;

/// What is installed in it, with what Flask needs itself.
pub const PACKAGES: [&str; 2] = ["flask==3.1.3", "flask-cors==6.0.5"];
/// Its place in the target folder.
pub const FOLDER: &str = "breakwater-flask";

/// Names a virtual environment to use instead.
const OVERRIDE: &str = "BREAKWATER_FLASK";

/// The virtual environment; nothing when it was not made. Then the test says so:
/// `NOT RUN: … (there is no Flask: cargo xtask test installs it)`.
#[must_use]
pub fn virtualenv() -> Option<PathBuf> {
    if let Some(folder) = env::var_os(OVERRIDE) {
        return Some(PathBuf::from(folder));
    }
    let executable = env::current_exe().ok()?;
    let is_whole = |folder: &PathBuf| folder.join(mark()).is_file();
    executable.ancestors().map(|folder| folder.join(FOLDER)).find(is_whole)
}

/// The file in it that says that everything is installed. The versions are in the name, so that other ones are installed anew.
#[must_use]
pub fn mark() -> String {
    PACKAGES.join("-")
}
