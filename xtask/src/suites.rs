//! `cargo xtask test`: every test of the project, and one summary.
//!
//! The suite `workspace` holds all test programs of the host, also those that start the real binary: `e2e` and `faults`.

mod javascript_guests;
mod summary;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;

use self::summary::Summary;
use crate::workspace::{self, Workspace};
use crate::{command, flask, guests, postgres, system_packages, temporal};

/// Workspaces of guest code whose tests run natively.
const GUEST_WORKSPACES: [&str; 2] = ["guest/rust", "plugins"];

/// Builds what tests need, runs all suites, and sums up.
///
/// # Errors
/// When something does not build. Failing tests are no error of this function; they are in the summary and in the exit code.
pub(crate) fn run(workspace: &Workspace, filter: Option<&str>) -> Result<ExitCode> {
    let started = Instant::now();
    system_packages::ensure_software_opengl();
    system_packages::ensure_test_programs();
    let target = workspace::target_folder(workspace.root());
    postgres::ensure(&target);
    temporal::ensure(&target);
    flask::ensure(&target);
    guests::build_plugins(workspace.root())?;
    let components = guests::build_test_guests(workspace.root())?;
    javascript_guests::build(workspace.root(), &components);
    workspace.build_binary()?;

    let mut summary = Summary::default();
    let mut host = workspace.cargo();
    run_suite(&mut summary, "workspace", host.args(["test", "--workspace", "--no-fail-fast"]), filter)?;
    for folder in GUEST_WORKSPACES {
        let mut cargo = workspace.cargo();
        cargo.current_dir(workspace.root().join(Path::new(folder))).args(["test", "--workspace", "--no-fail-fast"]);
        run_suite(&mut summary, folder, &mut cargo, filter)?;
    }
    println!("\n{}\nin {} s", summary, started.elapsed().as_secs());
    Ok(if summary.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one suite. What passing tests print is shown too: they measure, and they say what they could not run.
fn run_suite(summary: &mut Summary, name: &str, cargo: &mut Command, filter: Option<&str>) -> Result<()> {
    let cargo = cargo.args(["--", "--show-output"]).args(filter);
    summary.begin(name);
    let succeeded = command::stream(cargo, |line| {
        println!("{line}");
        summary.read(line);
    })?;
    summary.end(succeeded);
    Ok(())
}
