//! Sidecars: how they are, what they wrote, and what is wrong with them.

use std::path::PathBuf;

use clap::Subcommand;

use super::ServerAddress;

/// The most lines that a service keeps of a sidecar.
const MAX_LINES: i64 = 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum SidecarCommand {
    /// List the sidecars of a running service, a line an instance
    List {
        #[command(flatten)]
        server: ServerAddress,
    },
    /// Show how a sidecar is, what went wrong and what to do about it; fails when it is not ready
    Status {
        /// The sidecar
        name: String,
        #[command(flatten)]
        server: ServerAddress,
    },
    /// Print what a sidecar wrote last
    Logs {
        /// The sidecar
        name: String,
        /// Print further lines as they come
        #[arg(long, short)]
        follow: bool,
        /// How many of the last lines to print
        #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u16).range(0..=MAX_LINES))]
        lines: u16,
        #[command(flatten)]
        server: ServerAddress,
    },
    /// Start the instances that do not run, and wait until they are ready
    Start {
        /// The sidecar
        name: String,
        #[command(flatten)]
        server: ServerAddress,
    },
    /// End every instance after the calls that run
    Stop {
        /// The sidecar
        name: String,
        #[command(flatten)]
        server: ServerAddress,
    },
    /// End and start every instance, and wait until they are ready
    Restart {
        /// The sidecar
        name: String,
        /// One instance after the other, so that the others answer meanwhile
        #[arg(long)]
        rolling: bool,
        #[command(flatten)]
        server: ServerAddress,
    },
    /// Look here at everything a sidecar needs, also without a service, and say what to do; fails when something is wrong
    Doctor {
        /// The sidecar
        name: String,
        /// Configuration file
        #[arg(long, value_name = "FILE", env = "BREAKWATER_CONFIG")]
        config: Option<PathBuf>,
        #[command(flatten)]
        server: ServerAddress,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(words: &[&str]) -> Result<SidecarCommand, clap::Error> {
        let cli = Cli::try_parse_from(["breakwater", "sidecar"].iter().chain(words))?;
        let Command::Sidecar(command) = cli.command else { panic!("another command") };
        Ok(command)
    }

    #[test]
    fn logs_are_bounded_and_followed_when_asked() {
        let command = parse(&["logs", "flask", "-f", "--lines", "5"]).unwrap();
        assert!(matches!(command, SidecarCommand::Logs { name, follow: true, lines: 5, .. } if name == "flask"));
        assert!(matches!(parse(&["logs", "flask"]).unwrap(), SidecarCommand::Logs { follow: false, lines: 200, .. }));
        for lines in ["1001", "-1", "all"] {
            assert!(parse(&["logs", "flask", "--lines", lines]).is_err(), "{lines}");
        }
    }

    #[test]
    fn whatever_concerns_one_sidecar_names_it() {
        for command in ["status", "logs", "start", "stop", "restart", "doctor"] {
            assert!(parse(&[command]).is_err(), "{command}");
        }
        assert!(matches!(parse(&["restart", "a", "--rolling"]).unwrap(), SidecarCommand::Restart { rolling: true, .. }));
        let doctor = parse(&["doctor", "a", "--config", "b.toml"]).unwrap();
        assert!(matches!(doctor, SidecarCommand::Doctor { config: Some(file), .. } if file.as_os_str() == "b.toml"));
    }
}
