//! `breakwater models`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use breakwater_inference::{Inference, LoadState, ModelState};
use serde_json::{Value, json};

use super::local::{Local, block_on};
use crate::cli::{ModelsArguments, ModelsCommand};
use crate::output;

pub(crate) fn run(command: ModelsCommand) -> Result<ExitCode> {
    match command {
        ModelsCommand::List { arguments } => show(&arguments, false),
        ModelsCommand::Check { arguments } => show(&arguments, true),
    }
}

fn show(arguments: &ModelsArguments, check: bool) -> Result<ExitCode> {
    block_on(async {
        let local = Local::start(&arguments.places).await?;
        if check {
            load_all(&local.host.inference).await;
        }
        let (models, default) = (local.host.inference.catalogue(), local.host.inference.default_embedder());
        let shown = if arguments.json { serde_json::to_string_pretty(&as_json(&models, &default))? } else { table(&models, &default) };
        output::line(&shown);
        local.host.stop(Duration::from_secs(1)).await;
        let unusable = models.iter().any(|model| matches!(model.state, LoadState::Missing { .. } | LoadState::Failed { .. }));
        Ok(if check && unusable { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    })
}

/// Loads whatever does not serve. What it fails with stands in the catalogue.
async fn load_all(inference: &Inference) {
    for model in inference.catalogue() {
        if !matches!(model.state, LoadState::Ready) {
            drop(inference.load(&model.id).await);
        }
    }
}

fn as_json(models: &[ModelState], default: &str) -> Value {
    json!({ "models": models, "default_model": default })
}

/// A line for each model, and under it what is wrong.
fn table(models: &[ModelState], default: &str) -> String {
    let mut lines = vec![format!("{:<28} {:<20} {:<9} {:>9} {:>9}  {}", "model", "kind", "state", "dimension", "size", "device")];
    for model in models {
        let (state, remark) = state(model);
        let dimension = model.dimension.map_or_else(|| "-".to_owned(), |dimension| dimension.to_string());
        let name = if *model.id == *default { format!("{} (default)", model.id) } else { model.id.to_string() };
        let device = model.device.as_deref().unwrap_or("-");
        lines.push(format!("{name:<28} {:<20} {state:<9} {dimension:>9} {:>9}  {device}", model.kind, size(model.bytes)));
        lines.extend(remark.map(|remark| format!("    {remark}")));
    }
    lines.join("\n")
}

/// In one word, and what to do about it.
fn state(model: &ModelState) -> (&'static str, Option<String>) {
    match &model.state {
        LoadState::Ready => ("ready", None),
        LoadState::Loading => ("loading", None),
        LoadState::Unloaded => ("unloaded", None),
        LoadState::Missing { file, place } => ("missing", Some(format!("{file} is missing; put it into {}", place.display()))),
        LoadState::Failed { why } => ("failed", Some(why.clone())),
    }
}

fn size(bytes: u64) -> String {
    if bytes == 0 { "-".to_owned() } else { format!("{:.1} MB", bytes as f64 / 1e6) }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn model(id: &str, state: LoadState) -> ModelState {
        ModelState {
            id: id.into(),
            kind: "clip".into(),
            path: None,
            state,
            bytes: 1_500_000,
            dimension: Some(512),
            revision: None,
            device: Some("cpu".into()),
        }
    }

    #[test]
    fn what_is_missing_is_said_with_where_it_belongs() {
        let missing = LoadState::Missing { file: "model.safetensors".into(), place: PathBuf::from("/data/models/clip") };
        let models =
            [model("lite", LoadState::Ready), model("clip", missing), model("odd", LoadState::Failed { why: "no tensors".into() })];
        let shown = table(&models, "lite");
        let lines: Vec<_> = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "model kind state dimension size device",
                "lite (default) clip ready 512 1.5 MB cpu",
                "clip clip missing 512 1.5 MB cpu",
                "model.safetensors is missing; put it into /data/models/clip",
                "odd clip failed 512 1.5 MB cpu",
                "no tensors",
            ]
        );
        let json = as_json(&models, "lite");
        assert_eq!((&json["models"][1]["state"], &json["models"][1]["file"]), (&json!("missing"), &json!("model.safetensors")));
    }
}
