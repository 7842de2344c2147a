//! Batches of pictures.

use std::path::PathBuf;

use breakwater_core::AspectRatio;
use breakwater_operations::Format;
use breakwater_operations::batches::MAX_CONCURRENCY;
use clap::Args;
use serde_json::Value;

use super::Places;

/// Results get the names of their pictures, with the end of their format. The same command goes on where an interrupted one was, does
/// pictures again that have changed or failed, and leaves the others alone
#[derive(Debug, Args)]
pub(crate) struct BatchArguments {
    /// Folder of pictures
    pub(crate) folder: PathBuf,
    /// Folder for the results, their manifest.json, and the journal in .breakwater
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Ratio of the crops, such as 4:6; without it, that of --width and --height
    #[arg(long, value_name = "RATIO", alias = "ratio")]
    pub(crate) aspect: Option<AspectRatio>,
    /// Strategy that chooses where to cut
    #[arg(long, value_name = "NAME", default_value = breakwater_operations::plan::DEFAULT_STRATEGY)]
    pub(crate) strategy: String,
    /// Parameters of the strategy: a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) parameters: Option<Value>,
    /// jpeg, png, webp or avif; without it, that of each picture
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// 1 to 100, for jpeg, webp and avif
    #[arg(long)]
    pub(crate) quality: Option<u8>,
    /// Columns of the results
    #[arg(long)]
    pub(crate) width: Option<u32>,
    /// Rows of the results
    #[arg(long)]
    pub(crate) height: Option<u32>,
    /// Keep EXIF data, where the format allows
    #[arg(long)]
    pub(crate) keep_metadata: bool,
    /// Also the folders in the folder
    #[arg(long)]
    pub(crate) recursive: bool,
    /// Pictures at once; without it, as many as there are cores
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CONCURRENCY)))]
    pub(crate) concurrency: Option<u32>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) places: Places,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::{Cli, Command};

    #[test]
    fn a_batch_names_a_folder_and_where_its_results_go() {
        let parse = |arguments: &[&str]| Cli::try_parse_from([&["breakwater", "batch", "photos"], arguments].concat());
        let Ok(Cli { command: Command::Batch(batch) }) = parse(&["--aspect", "4:6", "--out", "done", "--concurrency", "64"]) else {
            panic!("a batch")
        };
        assert_eq!(
            (batch.aspect.unwrap().to_string(), batch.strategy.as_str(), batch.concurrency),
            ("4:6".into(), "center_faces", Some(64))
        );
        for wrong in [
            &["--aspect", "4:6"][..],
            &["--out", "x", "--aspect", "four"],
            &["--out", "x", "--concurrency", "65"],
            &["--out", "x", "--concurrency", "0"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
