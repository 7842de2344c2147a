//! `cargo xtask serve`: the service in the foreground.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use breakwater_tests::artifacts::Artifacts;

use crate::guests;
use crate::workspace::Workspace;

/// Builds plugins and binary and runs `breakwater serve` until it ends.
///
/// # Errors
/// When something does not build or the service cannot be started.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    guests::build_plugins(workspace.root())?;
    workspace.build_binary()?;
    let artifacts = Artifacts::locate()?;
    let mut service = Command::new(&artifacts.binary);
    service.current_dir(workspace.root()).arg("serve");
    if !arguments.iter().any(|argument| argument.starts_with("--plugins")) {
        service.arg("--plugins").arg(&artifacts.plugins);
    }
    let status = service.args(arguments).status().context("could not start the service")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
