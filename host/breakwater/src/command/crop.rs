//! `breakwater crop`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use breakwater_core::{DetectionKind, Failure};
use breakwater_http::CropAnswer;
use breakwater_operations::{CropInput, CropOutput, ImageSource, WantedSize};
use serde_json::json;

use super::local::{Local, Report, block_on};
use crate::cli::CropArguments;

pub(crate) fn run(arguments: CropArguments) -> Result<ExitCode> {
    block_on(async {
        let folder = &arguments.output;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let names = names(&arguments.files);
        let local = Local::with_plugins(&arguments.places).await?;
        local.each(&arguments.files, arguments.json, async |local, index, file| crop(local, &arguments, names.get(index), file).await).await
    })
}

async fn crop(local: &Local, arguments: &CropArguments, name: Option<&String>, file: &Path) -> Result<Report, Failure> {
    let input = CropInput {
        image: ImageSource::Bytes(local.read(file)?),
        ratio: arguments.ratio,
        strategy: Some(arguments.strategy.clone()),
        parameters: arguments.parameters.clone(),
        detections: Vec::new(),
        size: WantedSize { width: arguments.width, height: arguments.height },
        format: arguments.format,
        quality: arguments.quality,
        keep_metadata: arguments.keep_metadata,
        store: false,
    };
    let output = local.host.operations.crop(&local.call(), input).await?;
    let name = format!("{}.{}", name.map_or("picture", String::as_str), output.image.format.extension());
    let target = arguments.output.join(name);
    write(&target, &output.image.bytes)?;
    let text = text(&output, &target);
    let answer = serde_json::to_value(CropAnswer::from(output));
    let mut json = answer.map_err(|error| Failure::internal("the answer cannot be written").caused_by(error))?;
    if let Some(fields) = json.as_object_mut() {
        fields.insert("output_path".to_owned(), json!(target.display().to_string()));
    }
    Ok(Report { text, json })
}

/// Writes under another name first, so that a picture is there whole or not at all.
fn write(target: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::invalid("file.unwritable", format!("{} cannot be written: {error}", target.display()));
    let part = target.with_extension("part");
    std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, target)).map_err(failed)
}

fn text(output: &CropOutput, target: &Path) -> String {
    let faces = output.detections.iter().filter(|detection| detection.kind == DetectionKind::Face).count();
    let mut text = format!(
        "{} {} of {}, {}, {}, {:.1} ms -> {}",
        output.strategy,
        output.crop,
        output.source_size,
        if faces == 1 { "1 face".to_owned() } else { format!("{faces} faces") },
        output.served_by.label(),
        output.timings.total.as_secs_f64() * 1000.0,
        target.display()
    );
    for reason in &output.degraded_reasons {
        text += &format!("\n  degraded: {} failed: {} ({})", reason.provider, reason.message, reason.code);
    }
    text
}

/// A name for each result: that of its picture, with a number where two pictures have the same.
fn names(files: &[PathBuf]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let name = |file: &PathBuf| {
        let stem = file.file_stem().map_or_else(|| "picture".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let numbered = std::iter::once(stem.clone()).chain((2..).map(|number: u64| format!("{stem}-{number}")));
        let free = numbered.into_iter().find(|name| !taken.contains(name)).unwrap_or(stem);
        taken.insert(free.clone());
        free
    };
    files.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_one_name_do_not_overwrite_each_other() {
        let files = ["a/x.jpg", "b/x.png", "x-2.jpg", "y.jpg", ".."].map(PathBuf::from);
        assert_eq!(names(&files), ["x", "x-2", "x-2-2", "y", "picture"]);
    }

    #[test]
    fn a_result_is_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x.jpg");
        write(&target, b"picture").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"picture");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        assert_eq!(write(&folder.path().join("none/x.jpg"), b"").unwrap_err().code, "file.unwritable");
    }
}
