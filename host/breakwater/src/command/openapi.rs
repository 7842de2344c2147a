//! `breakwater openapi`.

use std::process::ExitCode;

use anyhow::Result;

use crate::output;

pub(crate) fn run() -> Result<ExitCode> {
    output::line(&serde_json::to_string_pretty(&breakwater_http::openapi())?);
    Ok(ExitCode::SUCCESS)
}
