//! `breakwater`: the command line, and the only place where the parts of the service are put together.

#![forbid(unsafe_code)]

mod cli;
mod columns;
mod command;
mod compose;
mod configuration;
mod document;
mod fields;
mod output;
mod places;
mod plugin_folder;
mod server_client;
mod times;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};

fn main() -> ExitCode {
    if let Some(ended) = command::reaper::run_if_asked() {
        return ended;
    }
    // TLS needs one provider of cryptography per process, chosen before the first client is made. Only we choose, so it cannot fail.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let result = match Cli::parse().command {
        Command::Serve(arguments) => command::serve::run(arguments),
        Command::Config(command) => command::config::run(command),
        Command::Crop(arguments) => command::crop::run(arguments),
        Command::Detect(arguments) => command::detect::run(arguments),
        Command::Batch(arguments) => command::batch::run(arguments),
        Command::Sheet(arguments) => command::sheet::run(arguments),
        Command::Index(arguments) => command::index::run(arguments),
        Command::Search(arguments) => command::search::run(arguments),
        Command::Models(command) => command::models::run(command),
        Command::Call(arguments) => command::call::run(arguments),
        Command::Status { server } => command::status::run(server),
        Command::Plugin(command) => command::plugin::run(command),
        Command::Sidecar(command) => command::sidecar::run(command),
        Command::Service(command) => command::service::run(command),
        Command::Workflow(command) => command::workflow::run(command),
        Command::Openapi => command::openapi::run(),
        Command::CompileComponent { input, output } => command::compile_component::run(&input, &output),
    };
    result.unwrap_or_else(|error| {
        output::error(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}
