//! Batches of pictures.

use std::path::PathBuf;

use breakwater_core::AspectRatio;
use breakwater_operations::Format;
use breakwater_operations::batches::MAX_CONCURRENCY;
use clap::Args;
use serde_json::Value;

use super::{Places, values};

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
    #[arg(long, value_name = "RATIO", required_unless_present = "ratio", required_unless_present_all = ["width", "height"])]
    pub(crate) aspect: Option<AspectRatio>,
    /// The same by the name that `crop` has for it: an argument of its own, so that what is wrong with it is said of what was typed
    #[arg(long, value_name = "RATIO", hide = true, conflicts_with = "aspect")]
    pub(crate) ratio: Option<AspectRatio>,
    /// Strategy that chooses where to cut
    #[arg(long, value_name = "NAME", default_value = breakwater_operations::plan::DEFAULT_STRATEGY)]
    pub(crate) strategy: String,
    /// Parameters of the strategy: a JSON object
    #[arg(long, value_name = "JSON", value_parser = values::object)]
    pub(crate) parameters: Option<Value>,
    /// jpeg, png, webp or avif; without it, that of each picture
    #[arg(long, value_parser = values::written_format)]
    pub(crate) format: Option<Format>,
    /// 1 to 100, for jpeg, webp and avif
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) quality: Option<u8>,
    /// Columns of the results
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) width: Option<u32>,
    /// Rows of the results
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
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
            &["--out", "x"],
            &["--out", "x", "--width", "40"],
            &["--out", "x", "--aspect", "four"],
            &["--out", "x", "--aspect", "4:6", "--ratio", "4:6"],
            &["--out", "x", "--aspect", "4:6", "--concurrency", "65"],
            &["--out", "x", "--aspect", "4:6", "--concurrency", "0"],
        ] {
            let refused = parse(wrong).unwrap_err();
            assert_eq!(refused.exit_code(), 2, "{wrong:?}: {refused}");
        }
    }

    #[test]
    fn a_batch_takes_parameters_and_either_name_of_the_ratio() {
        let parse = |arguments: &[&str]| {
            let cli = Cli::try_parse_from([&["breakwater", "batch", "photos", "--out", "done"], arguments].concat()).unwrap();
            let Command::Batch(batch) = cli.command else { panic!("another command") };
            batch
        };
        let batch = parse(&["--ratio", "4:6", "--parameters", r#"{"x": 0.1}"#, "--format", "jpg", "--quality", "100"]);
        assert_eq!((batch.aspect, batch.ratio.map(|ratio| ratio.to_string())), (None, Some("4:6".to_owned())));
        assert_eq!(batch.parameters, Some(serde_json::json!({ "x": 0.1 })));
        let batch = parse(&["--width", "40", "--height", "60"]);
        assert_eq!((batch.aspect, batch.ratio, batch.width, batch.height), (None, None, Some(40), Some(60)));
    }

    #[test]
    fn what_a_batch_cannot_mean_is_wrong_usage_and_names_what_was_typed() {
        let batch = ["breakwater", "batch", "photos", "--out", "done"];
        let of_ratio = [&batch[..], &["--aspect", "4:6"]].concat();
        for (command, argument, value) in [
            (&batch[..], "--aspect", "0:1"),
            (&batch, "--ratio", "0:1"),
            (&of_ratio, "--parameters", "\"text\""),
            (&of_ratio, "--format", "gif"),
            (&of_ratio, "--format", "bmp"),
            (&of_ratio, "--quality", "0"),
            (&of_ratio, "--quality", "101"),
            (&of_ratio, "--width", "0"),
            (&of_ratio, "--height", "0"),
        ] {
            let refused = Cli::try_parse_from([command, &[argument, value]].concat()).unwrap_err();
            let said = refused.to_string();
            assert!(refused.exit_code() == 2 && said.contains(&format!("'{argument} <")), "{argument} {value}: {said}");
            assert!(value == "gif" || !said.contains("gif"), "only what can be written is listed: {said}");
        }
        let missing = Cli::try_parse_from(batch).unwrap_err().to_string();
        assert!(missing.contains("--aspect <RATIO>"), "{missing}");
    }
}
