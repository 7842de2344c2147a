//! `breakwater sidecar`.

mod doctor;
mod explanation;
mod table;

use std::process::ExitCode;

use anyhow::{Error, Result};
use serde_json::Value;

use super::local::block_on;
use crate::cli::{ServerAddress, SidecarCommand};
use crate::output;
use crate::server_client::{Order, Refusal, Server};
use crate::times::now_ms;

pub(crate) fn run(command: SidecarCommand) -> Result<ExitCode> {
    block_on(async {
        match command {
            SidecarCommand::List { server } => {
                let sidecars = Server::at(&server.server)?.sidecars().await?;
                print(&server, &sidecars, |sidecars| table::all(sidecars, now_ms()))?;
                Ok(ExitCode::SUCCESS)
            }
            SidecarCommand::Status { name, server } => {
                let status = Server::at(&server.server)?.sidecar(&name).await?;
                print(&server, &status, |status| table::one(status, now_ms()))?;
                Ok(verdict(table::is_ready(&status)))
            }
            SidecarCommand::Logs { name, follow, lines, server } => {
                let show = |line: &str| output::line(&if server.json { line.to_owned() } else { table::log_line(line) });
                Server::at(&server.server)?.sidecar_logs(&name, lines, follow, show).await?;
                Ok(ExitCode::SUCCESS)
            }
            SidecarCommand::Start { name, server } => order(&name, Order::Start, &server).await,
            SidecarCommand::Stop { name, server } => order(&name, Order::Stop, &server).await,
            SidecarCommand::Restart { name, rolling: false, server } => order(&name, Order::Restart, &server).await,
            SidecarCommand::Restart { name, rolling: true, server } => order(&name, Order::RollingRestart, &server).await,
            SidecarCommand::Doctor { name, config, server } => doctor::run(&name, config, &server).await,
        }
    })
}

async fn order(name: &str, order: Order, server: &ServerAddress) -> Result<ExitCode> {
    match Server::at(&server.server)?.order_sidecar(name, order).await {
        Ok(status) => {
            print(server, &status, |status| table::instances(std::iter::once(status), now_ms()))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            explain(&error, server)?;
            Err(error)
        }
    }
}

/// Shows why a sidecar did not start, if that is what the service said.
fn explain(error: &Error, server: &ServerAddress) -> Result<()> {
    let details = error.downcast_ref::<Refusal>().map(|refusal| &refusal.details);
    if let Some(why) = details.and_then(|details| details.get("error")).filter(|why| why.is_object()) {
        print(server, why, |why| explanation::text(why, None))?;
    }
    Ok(())
}

fn print(server: &ServerAddress, answer: &Value, text: impl FnOnce(&Value) -> String) -> Result<()> {
    Ok(output::answer(server.json, answer, text)?)
}

fn verdict(is_well: bool) -> ExitCode {
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
