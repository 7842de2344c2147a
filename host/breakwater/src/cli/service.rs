//! Services with actions: registered, shown, executed.

use std::path::PathBuf;

use clap::Subcommand;

use super::ServerAddress;
use crate::document::Typed;

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// List the services that a running service knows
    List {
        /// Only those that are ACTIVE, INACTIVE or ARCHIVED
        #[arg(long, value_parser = super::STATUSES, ignore_case = true)]
        status: Option<String>,
        #[command(flatten)]
        server: ServerAddress,
    },
    /// Show a service, its actions and how it is
    Show {
        /// Its id or name
        id: String,
        #[command(flatten)]
        server: ServerAddress,
    },
    /// Register the service of a file, or change the one of its name so that it is as the file says
    Apply {
        /// JSON, or TOML if it is called so; - reads JSON from standard input
        file: PathBuf,
        #[command(flatten)]
        server: ServerAddress,
    },
    /// Take a service away
    Delete {
        /// Its id or name
        id: String,
        #[command(flatten)]
        server: ServerAddress,
    },
    /// Execute one action of a service and print its output
    Execute {
        /// Its id or name
        id: String,
        /// The action
        action: String,
        /// Its input; an empty object without it
        #[arg(long, value_name = "JSON|@FILE")]
        input: Option<Typed>,
        /// What goes with the call, such as project_id and request_id: a JSON object
        #[arg(long, value_name = "JSON|@FILE")]
        context: Option<Typed>,
        /// The same for every try at one effect
        #[arg(long)]
        key: Option<String>,
        #[command(flatten)]
        server: ServerAddress,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(words: &[&str]) -> Result<ServiceCommand, clap::Error> {
        let cli = Cli::try_parse_from(["breakwater", "service"].iter().chain(words))?;
        let Command::Service(command) = cli.command else { panic!("another command") };
        Ok(command)
    }

    #[test]
    fn an_input_is_typed_or_a_file() {
        let command = parse(&["execute", "text", "extract", "--input", "@in.json", "--context", r#"{"a": 1}"#]).unwrap();
        let ServiceCommand::Execute { input, context, key: None, .. } = command else { panic!("another command") };
        assert_eq!(input, Some(Typed::File("in.json".into())));
        assert_eq!(context, Some(Typed::Text(r#"{"a": 1}"#.into())));
        assert!(parse(&["execute", "text"]).is_err(), "an action is named");
    }

    #[test]
    fn a_status_is_one_of_three() {
        assert!(matches!(parse(&["list", "--status", "inactive"]).unwrap(), ServiceCommand::List { status: Some(_), .. }));
        assert!(parse(&["list", "--status", "RUNNING"]).is_err());
        for command in ["show", "apply", "delete"] {
            assert!(parse(&[command]).is_err(), "{command}");
        }
    }
}
