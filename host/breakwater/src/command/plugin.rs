//! `breakwater plugin`.

mod table;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use breakwater_plugins::{Inspection, PluginPackage, inspect};
use serde_json::Value;

use super::local::{Local, block_on};
use crate::cli::{Places, PluginCommand, ServerAddress};
use crate::output;
use crate::server_client::Server;

pub(crate) fn run(command: PluginCommand) -> Result<ExitCode> {
    match command {
        PluginCommand::Inspect { folder, json } => show(&folder, json),
        PluginCommand::Check { folder, places } => block_on(check(&folder, &places)),
        PluginCommand::List { server } => block_on(async {
            let plugins = Server::at(&server.server)?.plugins().await?;
            print(&server, &plugins, table::plugins)
        }),
        PluginCommand::Deploy { folder, server } => block_on(async {
            let generation = Server::at(&server.server)?.deploy(&folder).await?;
            print(&server, &generation, |generation| format!("deployed {}", table::generation(generation)))
        }),
        PluginCommand::Activate { id, digest, server } => block_on(async {
            let generation = Server::at(&server.server)?.activate(&id, &digest).await?;
            print(&server, &generation, |generation| format!("{id} serves {}", table::generation(generation)))
        }),
        PluginCommand::Rollback { id, server } => block_on(async {
            let generation = Server::at(&server.server)?.roll_back(&id).await?;
            print(&server, &generation, |generation| format!("{id} serves {}", table::generation(generation)))
        }),
        PluginCommand::Remove { id, digest, server } => block_on(async {
            let answer = Server::at(&server.server)?.remove(&id, &digest).await?;
            print(&server, &answer, |_| format!("removed {digest} of {id}"))
        }),
    }
}

fn print(server: &ServerAddress, answer: &Value, text: impl FnOnce(&Value) -> String) -> Result<ExitCode> {
    let shown = if server.json { serde_json::to_string_pretty(answer)? } else { text(answer) };
    output::line(&shown);
    Ok(ExitCode::SUCCESS)
}

fn show(folder: &Path, as_json: bool) -> Result<ExitCode> {
    let package = PluginPackage::read_folder(folder)?;
    let inspection = inspect(&package)?;
    if as_json {
        output::line(&serde_json::to_string_pretty(&inspection)?);
    } else {
        output::line(&table::inspection(&package, &inspection));
    }
    Ok(verdict(&inspection))
}

fn verdict(inspection: &Inspection) -> ExitCode {
    if inspection.mismatches.is_empty() && inspection.not_asked.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Deploys to a catalogue that is forgotten when the command ends.
async fn check(folder: &Path, places: &Places) -> Result<ExitCode> {
    let package = PluginPackage::read_folder(folder)?;
    let id = package.manifest().id.clone();
    let local = Local::start(places).await?;
    // A refusal is the error of this command; the event it also causes stays below the log's level.
    let generation = local.host.catalogue.deploy(package).await;
    let generation = generation.with_context(|| format!("{} would be refused", folder.display()))?;
    output::line(&format!("{id} {} fits, and its probes passed", generation.version));
    for strategy in &generation.strategies {
        output::line(&format!("  {:<16} {}", strategy.name, strategy.summary));
    }
    let granted: Vec<_> = generation.capabilities.iter().map(ToString::to_string).collect();
    output::line(&format!("  granted: {}", granted.join(", ")));
    Ok(ExitCode::SUCCESS)
}
