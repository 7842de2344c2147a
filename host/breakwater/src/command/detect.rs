//! `breakwater detect`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use breakwater_core::{Detection, Failure};
use breakwater_http::DetectAnswer;
use breakwater_operations::{DetectInput, ImageSource};

use super::local::{Local, Report, block_on};
use crate::cli::DetectArguments;

pub(crate) fn run(arguments: DetectArguments) -> Result<ExitCode> {
    block_on(async {
        let local = Local::start(&arguments.places).await?;
        local.each(&arguments.files, arguments.json, async |local, _, file| detect(local, &arguments, file).await).await
    })
}

async fn detect(local: &Local, arguments: &DetectArguments, file: &Path) -> Result<Report, Failure> {
    let image = ImageSource::Bytes(local.read(file)?);
    let input = DetectInput { image, kinds: arguments.types.clone(), threshold: arguments.threshold };
    let outcome = local.host.operations.detect(&local.call(), input).await?;
    let found = &outcome.value.detections;
    let mut text = format!("{} found in {} ({:.1} ms)", found.len(), outcome.value.size, outcome.elapsed.as_secs_f64() * 1000.0);
    for detection in found {
        text += "\n  ";
        text += &line(detection);
    }
    for reason in &outcome.reasons {
        text += &format!("\n  {} could not be asked: {} ({})", reason.provider, reason.message, reason.code);
    }
    let answer = serde_json::to_value(DetectAnswer::from(outcome));
    let json = answer.map_err(|error| Failure::internal("the answer cannot be written").caused_by(error))?;
    Ok(Report { text, json })
}

fn line(detection: &Detection) -> String {
    let area = detection.bounds;
    format!(
        "{:<7} {:<14} {:.3}  {:.0}x{:.0} at {:.0},{:.0}",
        detection.kind.name(),
        detection.label,
        detection.confidence,
        area.width,
        area.height,
        area.x,
        area.y
    )
}
