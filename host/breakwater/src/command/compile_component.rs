//! `breakwater compile-component`: what the service runs in a process of its own.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

pub(crate) fn run(input: &Path, output: &Path) -> Result<ExitCode> {
    breakwater_plugins::compile_component_main(input, output)?;
    Ok(ExitCode::SUCCESS)
}
