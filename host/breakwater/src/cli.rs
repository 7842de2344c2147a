//! What can be typed.

mod batch;
mod search;
mod service;
mod sheet;
mod sidecar;
mod values;
mod workflow;

use std::net::SocketAddr;
use std::path::PathBuf;

use breakwater_core::{AspectRatio, DetectionKind};
use breakwater_operations::Format;
use clap::{Args, Parser, Subcommand};

pub(crate) use batch::BatchArguments;
pub(crate) use search::{IndexArguments, ModelsArguments, ModelsCommand, SearchArguments};
pub(crate) use service::ServiceCommand;
pub(crate) use sheet::{Rotate, SheetArguments};
pub(crate) use sidecar::SidecarCommand;
pub(crate) use workflow::{ApplyArguments, ExecutionArguments, RunArguments, WorkflowCommand};

/// How services and workflows may be.
const STATUSES: [&str; 3] = ["ACTIVE", "INACTIVE", "ARCHIVED"];

/// Finds faces, people and objects in photographs and cuts them where sandboxed plugins say.
#[derive(Debug, Parser)]
#[command(name = "breakwater", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service
    Serve(ServeArguments),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Crop pictures here, without a server
    Crop(CropArguments),
    /// Find faces, people and objects in pictures here, without a server
    Detect(DetectArguments),
    /// Crop the pictures of a folder here, without a server, going on where it was interrupted
    Batch(BatchArguments),
    /// Put pictures on pages to print, here, without a server
    Sheet(SheetArguments),
    /// Make the pictures of a folder findable, here, without a server
    Index(IndexArguments),
    /// Find the pictures that look like one, or that a text describes
    Search(SearchArguments),
    /// Look at the models, and at what is missing of them
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Call an operation of a running service
    Call(CallArguments),
    /// Show how a running service is: upstreams, breakers, plugins, sidecars, cache
    Status {
        #[command(flatten)]
        server: ServerAddress,
    },
    /// Look at plugins, and change those of a running service
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Look at local processes that a running service looks after, and start and stop them
    #[command(subcommand)]
    Sidecar(SidecarCommand),
    /// Register services with actions at a running service, and execute them
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Keep workflows at a running service, and execute and steer them
    #[command(subcommand)]
    Workflow(WorkflowCommand),
    /// Print the OpenAPI document of the service
    Openapi,
    /// Compile a component; what the service runs in a process of its own
    #[command(hide = true)]
    CompileComponent {
        /// The component
        input: PathBuf,
        /// Where the machine code goes
        output: PathBuf,
    },
}

/// What every command that runs the parts of the service takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Places {
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "BREAKWATER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Folder for what survives a restart
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Folder whose subfolders are plugins
    #[arg(long, value_name = "DIR")]
    pub(crate) plugins: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(crate) places: Places,
    /// Address to listen on; port 0 picks one; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<SocketAddr>,
    /// Folder whose pictures may be named by path
    #[arg(long, value_name = "DIR")]
    pub(crate) media_root: Option<PathBuf>,
    /// Deploy a plugin again whenever its files in the folder of plugins change
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Name everything that is wrong in the configuration
    Check {
        /// Configuration file
        #[arg(value_name = "FILE", env = "BREAKWATER_CONFIG")]
        file: Option<PathBuf>,
    },
    /// Print every value in force and where it comes from
    Show {
        /// Configuration file
        #[arg(long, value_name = "FILE", env = "BREAKWATER_CONFIG")]
        config: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CropArguments {
    /// Pictures
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Strategy that chooses where to cut
    #[arg(long, default_value = breakwater_operations::plan::DEFAULT_STRATEGY)]
    pub(crate) strategy: String,
    /// Ratio of the crop, such as 4:6; without it, that of --width and --height
    #[arg(long, required_unless_present_all = ["width", "height"])]
    pub(crate) ratio: Option<AspectRatio>,
    /// Parameters of the strategy: a JSON object
    #[arg(long, value_name = "JSON", value_parser = values::object)]
    pub(crate) parameters: Option<serde_json::Value>,
    /// Format of the results: jpeg, png, webp or avif; without it, that of each picture
    #[arg(long, value_parser = values::written_format)]
    pub(crate) format: Option<Format>,
    /// Quality of the results, 1 to 100
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) quality: Option<u8>,
    /// Columns of the results
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) width: Option<u32>,
    /// Rows of the results
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) height: Option<u32>,
    /// Keep the EXIF data of the pictures
    #[arg(long)]
    pub(crate) keep_metadata: bool,
    /// Folder for the results; made when it does not exist
    #[arg(long, value_name = "DIR", default_value = "breakwater-output")]
    pub(crate) output: PathBuf,
    /// Print one JSON object a picture
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) places: Places,
}

#[derive(Debug, Args)]
pub(crate) struct DetectArguments {
    /// Pictures
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What to look for: face, person, object; faces and people without it
    #[arg(long, value_delimiter = ',')]
    pub(crate) types: Vec<DetectionKind>,
    /// The least confidence, 0 to 1
    #[arg(long, value_parser = values::number(0.0, 1.0))]
    pub(crate) threshold: Option<f32>,
    /// Print one JSON object a picture
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) places: Places,
}

#[derive(Debug, Args)]
pub(crate) struct CallArguments {
    /// The operation
    pub(crate) name: String,
    /// File with the input, JSON; - reads standard input; an empty object without it
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// File to attach; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) attach: Vec<PathBuf>,
    /// The user or service on whose behalf the call is made
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// The organisation it belongs to
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// The same for every try at one effect
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Folder for the attachments of the answer, which otherwise are printed in base64; made when it does not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Address of the running service
    #[arg(long, value_name = "URL", env = "BREAKWATER_SERVER", default_value = DEFAULT_SERVER)]
    pub(crate) server: reqwest::Url,
}

/// Where a service listens that was not told.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// Where the service is that a command talks to.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerAddress {
    /// Address of the running service
    #[arg(long, value_name = "URL", env = "BREAKWATER_SERVER", default_value = DEFAULT_SERVER)]
    pub(crate) server: reqwest::Url,
    /// Print the answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// List the plugins of a running service
    List {
        #[command(flatten)]
        server: ServerAddress,
    },
    /// Show what a plugin imports, exports and asks for, without running it
    Inspect {
        /// The plugin's folder
        folder: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Do everything that deploying would do, here, and throw the result away
    Check {
        /// The plugin's folder
        folder: PathBuf,
        #[command(flatten)]
        places: Places,
    },
    /// Deploy a plugin to a running service
    Deploy {
        /// The plugin's folder
        folder: PathBuf,
        #[command(flatten)]
        server: ServerAddress,
    },
    /// Let a kept generation of a plugin serve
    Activate {
        /// The plugin's id
        id: String,
        /// Digest of the generation, as `plugin list` shows it; its beginning is enough
        digest: String,
        #[command(flatten)]
        server: ServerAddress,
    },
    /// Let the generation before serve again
    Rollback {
        /// The plugin's id
        id: String,
        #[command(flatten)]
        server: ServerAddress,
    },
    /// Delete a kept generation that serves no calls
    Remove {
        /// The plugin's id
        id: String,
        /// Digest of the generation; its beginning is enough
        digest: String,
        #[command(flatten)]
        server: ServerAddress,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn listen_may_be_repeated_and_types_are_separated_by_commas() {
        let cli = Cli::parse_from(["breakwater", "serve", "--listen", "127.0.0.1:0", "--listen", "[::1]:0"]);
        assert!(matches!(cli.command, Command::Serve(serve) if serve.listen.len() == 2));
        let cli = Cli::parse_from(["breakwater", "detect", "a.jpg", "--types", "face,object"]);
        assert!(matches!(cli.command, Command::Detect(detect) if detect.types == [DetectionKind::Face, DetectionKind::Object]));
        assert!(Cli::try_parse_from(["breakwater", "crop"]).is_err(), "a crop needs a file");
        let cli = Cli::parse_from(["breakwater", "call", "detect-objects", "--attach", "a.jpg", "--attach", "b.jpg", "--input", "-"]);
        assert!(matches!(cli.command, Command::Call(call) if call.attach.len() == 2 && call.server.port() == Some(8080)));
        assert!(Cli::try_parse_from(["breakwater", "call"]).is_err(), "a call names an operation");
    }

    #[test]
    fn a_crop_has_a_ratio_and_parameters_that_are_an_object() {
        let parse = |arguments: &[&str]| Cli::try_parse_from([&["breakwater", "crop", "a.jpg"], arguments].concat());
        let Ok(Cli { command: Command::Crop(crop) }) = parse(&["--ratio", "4:6", "--parameters", r#"{"x": 0.1}"#]) else {
            panic!("a crop")
        };
        assert_eq!(crop.parameters, Some(serde_json::json!({ "x": 0.1 })));
        assert!(parse(&["--width", "40", "--height", "60"]).is_ok(), "both edges say the ratio");
        for missing in [&[][..], &["--width", "40"], &["--height", "60"]] {
            let refused = parse(missing).unwrap_err();
            assert!(refused.exit_code() == 2 && refused.to_string().contains("--ratio <RATIO>"), "{missing:?}: {refused}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_wrong_usage_and_names_its_argument() {
        let crop = ["breakwater", "crop", "a.jpg", "--ratio", "4:6"];
        let detect = ["breakwater", "detect", "a.jpg"];
        for (command, argument, value) in [
            (&crop[..3], "--ratio", "0:1"),
            (&crop, "--parameters", "[]"),
            (&crop, "--parameters", "{"),
            (&crop, "--format", "gif"),
            (&crop, "--quality", "0"),
            (&crop, "--quality", "101"),
            (&crop, "--width", "0"),
            (&crop, "--height", "0"),
            (&detect, "--threshold", "1.5"),
        ] {
            let refused = Cli::try_parse_from([command, &[argument, value]].concat()).unwrap_err();
            let named = refused.to_string().contains(&format!("'{argument} <"));
            assert!(refused.exit_code() == 2 && named, "{argument} {value}: {refused}");
        }
    }
}
