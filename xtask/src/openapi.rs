//! `cargo xtask openapi`: the API's description, committed so that a change of the API shows in a review.

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use breakwater_tests::artifacts::Artifacts;
use serde_json::Value;

use crate::workspace::Workspace;

/// Writes docs/openapi.json, or compares it.
///
/// # Errors
/// When the binary does not build or gives no description.
pub(crate) fn run(workspace: &Workspace, check: bool) -> Result<ExitCode> {
    workspace.build_binary()?;
    let current = describe()?;
    let path = workspace.root().join("docs/openapi.json");
    if !check {
        fs::write(&path, current).with_context(|| format!("could not write {}", path.display()))?;
        println!("wrote docs/openapi.json");
        return Ok(ExitCode::SUCCESS);
    }
    if fs::read_to_string(&path).is_ok_and(|committed| committed == current) {
        println!("docs/openapi.json describes the API as it is");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: docs/openapi.json is out of date: run `cargo xtask openapi` and commit the file");
    Ok(ExitCode::FAILURE)
}

/// The description as pretty JSON with a final newline.
fn describe() -> Result<String> {
    let output = Command::new(Artifacts::locate()?.binary).arg("openapi").output().context("could not run `breakwater openapi`")?;
    if !output.status.success() {
        bail!("`breakwater openapi` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let description: Value = serde_json::from_slice(&output.stdout).context("`breakwater openapi` did not print JSON")?;
    Ok(format!("{}\n", serde_json::to_string_pretty(&description)?))
}
