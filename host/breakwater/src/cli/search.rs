//! Indexing a folder, searching it, and the models that do it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Places, values};

/// The most products that a search shows.
const MAX_TOP: i64 = 100;

#[derive(Debug, Args)]
pub(crate) struct IndexArguments {
    /// Folder of pictures; the folders in it are taken too, and name the pictures' categories
    pub(crate) folder: PathBuf,
    /// Name of the import, under which it goes on after an interruption; made of the folder's path without it
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Begin anew instead of going on where an interrupted import was
    #[arg(long)]
    pub(crate) restart: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Send the pictures to the service at this address instead of working here
    #[arg(long, value_name = "URL", conflicts_with = "restart")]
    pub(crate) server: Option<reqwest::Url>,
    #[command(flatten)]
    pub(crate) places: Places,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArguments {
    /// A picture's file, or what a text model should look for
    #[arg(value_name = "FILE|TEXT")]
    pub(crate) query: String,
    /// Take the query as a text, also if there is a file of that name
    #[arg(long)]
    pub(crate) text: bool,
    /// How many to show at most
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=MAX_TOP))]
    pub(crate) top: u16,
    /// Only those of this category; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) category: Vec<String>,
    /// Only those at least this similar, -1 to 1
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = values::number(-1.0, 1.0))]
    pub(crate) min_similarity: Option<f32>,
    /// The model, or an alias of models
    #[arg(long, value_name = "ID")]
    pub(crate) model: Option<String>,
    /// Show near-duplicates one by one
    #[arg(long)]
    pub(crate) all_duplicates: bool,
    /// Write a page with thumbnails
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Ask the service at this address instead of searching here
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<reqwest::Url>,
    #[command(flatten)]
    pub(crate) places: Places,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models that are built in or configured
    List {
        #[command(flatten)]
        arguments: ModelsArguments,
    },
    /// Load every model, and say what is missing and where it belongs
    Check {
        #[command(flatten)]
        arguments: ModelsArguments,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ModelsArguments {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) places: Places,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn a_search_takes_a_file_or_a_text_and_bounded_counts() {
        let cli = Cli::parse_from([
            "breakwater",
            "search",
            "a red dress",
            "--top",
            "5",
            "--category",
            "a",
            "--category",
            "b",
            "--html",
            "o.html",
        ]);
        let Command::Search(search) = cli.command else { panic!("no search") };
        assert_eq!((search.query.as_str(), search.top, search.category.len(), search.text), ("a red dress", 5, 2, false));
        assert_eq!(search.html, Some(PathBuf::from("o.html")));
        let cli = Cli::parse_from(["breakwater", "search", "a.jpg", "--min-similarity", "-0.5"]);
        assert!(matches!(cli.command, Command::Search(search) if search.top == 10 && search.min_similarity == Some(-0.5)));
        for top in ["0", "101", "-1", "many"] {
            assert!(Cli::try_parse_from(["breakwater", "search", "a", "--top", top]).is_err(), "{top}");
        }
        for least in ["-1.5", "2", "nan"] {
            assert!(Cli::try_parse_from(["breakwater", "search", "a", "--min-similarity", least]).is_err(), "{least}");
        }
        assert!(Cli::try_parse_from(["breakwater", "search"]).is_err(), "a search needs something to look for");
    }

    #[test]
    fn an_index_is_of_one_folder() {
        let cli = Cli::parse_from(["breakwater", "index", "photos", "--name", "autumn", "--restart", "--data-dir", "d"]);
        let Command::Index(index) = cli.command else { panic!("no index") };
        assert_eq!((index.folder, index.name.as_deref(), index.restart), (PathBuf::from("photos"), Some("autumn"), true));
        assert!(Cli::try_parse_from(["breakwater", "index", "a", "--server", "http://x:1", "--restart"]).is_err());
        assert!(Cli::try_parse_from(["breakwater", "index", "a", "b"]).is_err());
    }

    #[test]
    fn models_are_listed_or_checked() {
        let cli = Cli::parse_from(["breakwater", "models", "check", "--json"]);
        assert!(matches!(cli.command, Command::Models(ModelsCommand::Check { arguments }) if arguments.json));
        assert!(Cli::try_parse_from(["breakwater", "models"]).is_err());
    }
}
