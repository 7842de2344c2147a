//! The project's own commands: `cargo xtask --help`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks to the person who typed it")]

mod command;
mod demo;
mod flask;
mod guests;
mod neon;
mod openapi;
mod python_package;
mod sanitize;
mod serve;
mod suites;
mod system_packages;
mod tidy;
mod wasm_toolchain;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Breakwater's own commands", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Crops the bundled photographs over HTTP with every strategy and writes a contact page
    Demo(demo::Options),
    /// Builds everything and runs the service in the foreground with the plugins of this tree
    Serve {
        /// Passed on to `breakwater serve`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Builds plugins, guests and the binary, then runs every test and prints one summary
    Test {
        /// Only tests whose name contains this text
        filter: Option<String>,
    },
    /// Runs the tests of the kernels under AddressSanitizer, or under valgrind
    Sanitize(sanitize::Options),
    /// Runs the tests of the kernels for 64-bit Arm, on an emulator where the machine is another
    Neon(neon::Options),
    /// Builds the plugins in plugins/ into components, or one of your own in its folder
    BuildPlugins {
        /// A folder with Cargo.toml and plugin.toml; the component is written to where its plugin.toml says
        folder: Option<PathBuf>,
    },
    /// Writes docs/openapi.json from the binary
    Openapi {
        /// Fail when the file is out of date instead of writing it
        #[arg(long)]
        check: bool,
    },
    /// Checks the rules of the tree: layering, homes of heavy crates, file lengths, words, contracts
    Tidy {
        /// Look at this tree instead of the workspace
        #[arg(long)]
        root: Option<PathBuf>,
    },
}

fn run(task: Task) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match task {
        Task::Demo(options) => demo::run(&workspace, &options),
        Task::Serve { arguments } => serve::run(&workspace, &arguments),
        Task::Test { filter } => suites::run(&workspace, filter.as_deref()),
        Task::Sanitize(options) => sanitize::run(&workspace, &options),
        Task::Neon(options) => neon::run(&workspace, &options),
        Task::BuildPlugins { folder: None } => build_plugins(&workspace),
        Task::BuildPlugins { folder: Some(folder) } => guests::build_plugin(workspace.root(), &folder).map(|()| ExitCode::SUCCESS),
        Task::Openapi { check } => openapi::run(&workspace, check),
        Task::Tidy { root } => tidy::run(root.as_deref().unwrap_or(workspace.root())),
    }
}

fn build_plugins(workspace: &Workspace) -> Result<ExitCode> {
    for plugin in guests::build_plugins(workspace.root())? {
        println!("{}  {}", plugin.id, plugin.folder.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run(Arguments::parse().task).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
