//! The guests of tests/guests-js, made into components where Node is there to do it.

use std::path::Path;
use std::process::Command;

use crate::{command, system_packages};

/// Builds them beside the other test guests; nothing happens when they are there and current. Their packages come from npm's registry,
/// and a machine that cannot reach it still runs all other tests, so a failure is only reported.
pub(super) fn build(root: &Path, output: &Path) {
    if !["node", "npm"].into_iter().all(system_packages::is_on_path) {
        return;
    }
    let script = root.join("tests/guests-js/build.mjs");
    if let Err(error) = command::run(Command::new("node").arg(script).arg(output)) {
        eprintln!("note: {error:#}; the tests of guests in JavaScript build them once more, or say that they did not run");
    }
}
