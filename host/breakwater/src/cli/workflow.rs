//! Workflows and their executions.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ServerAddress;
use crate::document::Typed;

/// How far an execution may be.
const EXECUTION_STATUSES: [&str; 6] = ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "PAUSED"];

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowCommand {
    /// Create the workflow of a file, or change the one of its name so that it is as the file says
    Apply(ApplyArguments),
    /// Execute a workflow, wait until it has ended, and print its output
    Run(RunArguments),
    /// Show how an execution is; fails when it failed or was cancelled
    Status {
        /// The execution
        execution: String,
        /// Show everything that happened too
        #[arg(long)]
        history: bool,
        #[command(flatten)]
        server: ServerAddress,
    },
    /// List the workflows of a running service
    List {
        /// Only those that are ACTIVE, INACTIVE or ARCHIVED
        #[arg(long, value_parser = super::STATUSES, ignore_case = true)]
        status: Option<String>,
        #[command(flatten)]
        server: ServerAddress,
    },
    /// List executions, the newest first
    Executions {
        /// Only those of the workflow of this id or name
        #[arg(long, value_name = "ID")]
        workflow: Option<String>,
        /// Only those that are PENDING, RUNNING, COMPLETED, FAILED, CANCELLED or PAUSED
        #[arg(long, value_parser = EXECUTION_STATUSES, ignore_case = true)]
        status: Option<String>,
        /// How many at most
        #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        #[command(flatten)]
        server: ServerAddress,
    },
    /// End an execution
    Cancel(ExecutionArguments),
    /// Begin no further step of an execution
    Pause(ExecutionArguments),
    /// Go on with an execution that is paused
    Resume(ExecutionArguments),
    /// Go on with an execution that failed, from the step that failed
    Retry(ExecutionArguments),
    /// Send a signal to an execution
    Signal {
        /// The execution
        execution: String,
        /// The signal's name
        name: String,
        /// What it brings; null without it
        #[arg(value_name = "JSON|@FILE")]
        data: Option<Typed>,
        /// Signals of one execution with the same key are one
        #[arg(long)]
        key: Option<String>,
        #[command(flatten)]
        server: ServerAddress,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArguments {
    /// JSON, or TOML if it is called so; - reads JSON from standard input
    pub(crate) file: PathBuf,
    /// Refuse what names services, operations or workflows that are not there
    #[arg(long)]
    pub(crate) strict: bool,
    /// Say what is wrong and what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) server: ServerAddress,
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// The workflow's id or name
    pub(crate) id: String,
    /// Its input; an empty object without it
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) input: Option<Typed>,
    /// What is kept with the execution and goes with every call, such as project_id and request_id: a JSON object
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) context: Option<Typed>,
    /// Executions with the same key are one
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Print the execution's id as soon as it is accepted
    #[arg(long)]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) server: ServerAddress,
}

#[derive(Debug, Args)]
pub(crate) struct ExecutionArguments {
    /// The execution
    pub(crate) execution: String,
    #[command(flatten)]
    pub(crate) server: ServerAddress,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(words: &[&str]) -> Result<WorkflowCommand, clap::Error> {
        let cli = Cli::try_parse_from(["breakwater", "workflow"].iter().chain(words))?;
        let Command::Workflow(command) = cli.command else { panic!("another command") };
        Ok(command)
    }

    #[test]
    fn what_is_run_has_an_input_a_context_and_a_key() {
        let words = ["run", "documents", "--input", r#"{"a": 1}"#, "--context", "@context.json", "--key", "order-7", "--no-wait", "--json"];
        let WorkflowCommand::Run(run) = parse(&words).unwrap() else { panic!("another command") };
        assert_eq!((run.id.as_str(), run.key.as_deref(), run.no_wait, run.server.json), ("documents", Some("order-7"), true, true));
        assert_eq!((run.input, run.context), (Some(Typed::Text(r#"{"a": 1}"#.into())), Some(Typed::File("context.json".into()))));
    }

    #[test]
    fn whatever_concerns_one_execution_names_it() {
        for command in ["status", "cancel", "pause", "resume", "retry", "signal", "run", "apply"] {
            assert!(parse(&[command]).is_err(), "{command}");
        }
        assert!(parse(&["signal", "e-1"]).is_err(), "a signal has a name");
        assert!(matches!(parse(&["signal", "e-1", "go"]).unwrap(), WorkflowCommand::Signal { data: None, .. }));
        assert!(matches!(parse(&["status", "e-1", "--history"]).unwrap(), WorkflowCommand::Status { history: true, .. }));
    }

    #[test]
    fn executions_are_chosen_by_status_and_bounded() {
        let command = parse(&["executions", "--status", "failed", "--workflow", "a", "--limit", "3"]).unwrap();
        assert!(matches!(command, WorkflowCommand::Executions { status: Some(_), workflow: Some(_), limit: 3, .. }));
        for wrong in [["--status", "ACTIVE"], ["--limit", "0"], ["--limit", "-1"]] {
            assert!(parse(&["executions", wrong[0], wrong[1]]).is_err(), "{wrong:?}");
        }
    }
}
