//! `breakwater sheet`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use breakwater_core::{CallContext, Failure, Outcome, Principal};
use breakwater_http::SheetAnswer;
use breakwater_operations::operation::COMPOSE_SHEET;
use breakwater_operations::{SheetContent, SheetDestination, SheetImage, SheetInput, SheetOutput, SheetSpec};
use serde_json::json;

use super::local::{Local, block_on};
use crate::cli::{Rotate, SheetArguments};
use crate::output;

pub(crate) fn run(arguments: SheetArguments) -> Result<ExitCode> {
    block_on(async {
        let cuts = arguments.strategy.is_some() || arguments.fit.as_deref() == Some("crop");
        let local = if cuts { Local::with_plugins(&arguments.places).await? } else { Local::start(&arguments.places).await? };
        let result = compose(&local, &arguments).await;
        local.host.stop(Duration::from_secs(1)).await;
        match result {
            Ok(outcome) => {
                report(outcome, arguments.json)?;
                Ok(ExitCode::SUCCESS)
            }
            Err(failure) => {
                refuse(&failure, &arguments);
                Ok(ExitCode::FAILURE)
            }
        }
    })
}

async fn compose(local: &Local, arguments: &SheetArguments) -> Result<Outcome<SheetOutput>, Failure> {
    let spec = spec(arguments);
    // What cannot be meant is refused before the first photograph is read.
    spec.files(arguments.files.len())?;
    let images = arguments.files.iter().map(|file| SheetImage::File(file.clone())).collect();
    let input = SheetInput { images, spec, destination: SheetDestination::File(arguments.out.clone()) };
    // Somebody waits for it here, as long as any sheet may take.
    let context = CallContext::root(Principal::System, COMPOSE_SHEET.timeout);
    local.host.operations.compose_sheet_here(&context, input).await
}

fn spec(arguments: &SheetArguments) -> SheetSpec {
    let of_name = || arguments.out.extension().map(|end| end.to_string_lossy().into_owned());
    let name = |file: &std::path::PathBuf| file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    SheetSpec {
        grid_layout: arguments.grid,
        photo_size: arguments.photo.clone(),
        sheet_orientation: arguments.landscape.then(|| "landscape".to_owned()),
        output_format: arguments.output_format.clone().or_else(of_name),
        page_size: Some(arguments.page.clone()),
        margin: arguments.margin.clone(),
        gap: arguments.gap.clone(),
        bleed: arguments.bleed.clone(),
        cut_guides: arguments.cut_guides.clone(),
        fit: arguments.fit.clone(),
        crop_strategy: arguments.strategy.clone(),
        rotate: arguments.rotate.map(|rotate| rotate == Rotate::Auto),
        copies: arguments.copies,
        captions: arguments.captions.then(|| arguments.files.iter().map(name).collect()),
        caption_size: arguments.caption_size,
        dpi: arguments.dpi,
        quality: arguments.quality,
    }
}

fn report(outcome: Outcome<SheetOutput>, as_json: bool) -> Result<()> {
    let sheet = &outcome.value;
    for missing in &sheet.missing_characters {
        let characters: Vec<String> = missing.characters.chars().map(|character| format!("U+{:04X}", u32::from(character))).collect();
        output::note(&format!("warning: no font has {} of caption {}; a box stands for each", characters.join(", "), missing.index + 1));
    }
    for reason in &outcome.reasons {
        output::note(&format!(
            "warning: {} failed: {} ({}); some photographs are cut in the middle",
            reason.provider, reason.message, reason.code
        ));
    }
    if as_json {
        output::line(&serde_json::to_string(&SheetAnswer::from(outcome))?);
        return Ok(());
    }
    let shown = |path: &Path| path.display().to_string();
    let paths = sheet.files.iter().filter_map(|file| match &file.content {
        SheetContent::File(path) => Some(shown(path)),
        SheetContent::Media(path) => Some(path.clone()),
        SheetContent::Unnamed(_) | SheetContent::Bytes(_) => None,
    });
    let paths: Vec<String> = paths.collect();
    let bytes: u64 = sheet.files.iter().map(|file| file.bytes).sum();
    let (pages, placed) = (sheet.pages.unwrap_or_default(), sheet.placed.unwrap_or_default());
    let turned = if sheet.turned { ", on their sides" } else { "" };
    let seconds = outcome.elapsed.as_secs_f64();
    let plural = if pages == 1 { "" } else { "s" };
    output::line(&format!("{placed} photographs on {pages} page{plural}{turned}, {bytes} bytes, {seconds:.1} s -> {}", paths.join(", ")));
    Ok(())
}

fn refuse(failure: &Failure, arguments: &SheetArguments) {
    if arguments.json {
        let error = json!({ "code": failure.code, "message": failure.message, "details": failure.detail });
        output::line(&json!({ "error": error }).to_string());
    }
    let unreadable = failure.detail.as_ref().and_then(|detail| detail.get("images")?.as_array());
    for image in unreadable.into_iter().flatten() {
        let index = image.get("index").and_then(serde_json::Value::as_u64).unwrap_or_default();
        let file = usize::try_from(index).ok().and_then(|index| arguments.files.get(index));
        let message = image.get("message").and_then(serde_json::Value::as_str).unwrap_or_default();
        output::error(&format!("{}: {message}", file.map(|file| file.display().to_string()).unwrap_or_default()));
    }
    output::error(&failure.chain());
}
