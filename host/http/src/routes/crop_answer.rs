//! What `POST /v1/crop` gives: a description, or the picture with the decision in headers.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use breakwater_operations::{CropOutput, CropTimings};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::{DetectionBody, PluginBody, ReasonBody, RectBody, SizeBody, TermBody, each, milliseconds};

/// The bytes of a picture.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Picture(Vec<u8>);

/// Where the picture was cut and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct CropAnswer {
    /// Where it was cut, in pixels of the original after EXIF orientation.
    crop: RectBody,
    /// Path of the result below the media root, usable as `image_path`.
    output_path: Option<String>,
    /// The result.
    output: OutputBody,
    /// Size of the original after EXIF orientation.
    image: SizeBody,
    /// The strategy asked for.
    crop_strategy: String,
    /// The ratio asked for, such as `4:6`.
    target_aspect_ratio: String,
    /// 0 to 1, comparable only within one strategy.
    score: f32,
    /// Why there.
    reasons: Vec<TermBody>,
    /// What is known to be in the picture: what the request brought, or what the strategy wanted to be found.
    detections: Vec<DetectionBody>,
    /// The plugin that chose; absent when the host did.
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<PluginBody>,
    /// Who chose, such as `plugin:crop-people@0.1.0` or `host:center`.
    served_by: String,
    /// Whether another than the strategy's plugin chose.
    degraded: bool,
    /// Why.
    degraded_reasons: Vec<ReasonBody>,
    /// How long each stage took, in milliseconds.
    timings_ms: CropTimingsBody,
}

/// The result.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Output)]
pub(crate) struct OutputBody {
    /// Columns.
    width: u32,
    /// Rows.
    height: u32,
    /// `jpeg`, `png`, `webp` or `avif`.
    format: &'static str,
    /// Such as `image/jpeg`.
    media_type: &'static str,
    /// Size of the file.
    bytes: usize,
}

/// Milliseconds of each stage.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CropTimings)]
pub(crate) struct CropTimingsBody {
    /// Getting the bytes.
    read: f64,
    /// Decoding.
    decode: f64,
    /// Finding what the strategy needs.
    detect: f64,
    /// Asking the strategy.
    plan: f64,
    /// Cutting and scaling.
    resize: f64,
    /// Encoding.
    encode: f64,
    /// Writing below the media root.
    write: f64,
    /// All of it.
    total: f64,
}

impl From<CropTimings> for CropTimingsBody {
    fn from(timings: CropTimings) -> Self {
        Self {
            read: milliseconds(timings.read),
            decode: milliseconds(timings.decode),
            detect: milliseconds(timings.detect),
            plan: milliseconds(timings.plan),
            resize: milliseconds(timings.resize),
            encode: milliseconds(timings.encode),
            write: milliseconds(timings.write),
            total: milliseconds(timings.total),
        }
    }
}

impl From<CropOutput> for CropAnswer {
    fn from(output: CropOutput) -> Self {
        let degraded = output.is_degraded();
        let (size, format) = (output.image.size, output.image.format);
        Self {
            crop: output.crop.into(),
            output_path: output.output_path,
            output: OutputBody {
                width: size.width,
                height: size.height,
                format: format.name(),
                media_type: format.media_type(),
                bytes: output.image.bytes.len(),
            },
            image: output.source_size.into(),
            crop_strategy: output.strategy,
            target_aspect_ratio: output.ratio.to_string(),
            score: output.score,
            reasons: each(output.reasons),
            detections: each(output.detections),
            plugin: output.plugin.map(PluginBody::from),
            served_by: output.served_by.label(),
            degraded,
            degraded_reasons: each(output.degraded_reasons),
            timings_ms: output.timings.into(),
        }
    }
}

/// The picture, with the decision in headers.
pub(crate) fn picture(output: CropOutput) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(output.image.format.media_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    // The bytes came from outside: nothing may take them for anything but a picture.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in decision(&output) {
        // A value that cannot be a header (a strategy may be named by a guest) is left out rather than failing the call.
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    (headers, output.image.bytes).into_response()
}

fn decision(output: &CropOutput) -> Vec<(&'static str, String)> {
    let crop = output.crop;
    let mut headers = vec![
        ("x-breakwater-crop", format!("{},{},{},{}", crop.x, crop.y, crop.width, crop.height)),
        ("x-breakwater-strategy", output.strategy.clone()),
        ("x-breakwater-score", output.score.to_string()),
        ("x-breakwater-served-by", output.served_by.label()),
        ("x-breakwater-degraded", output.is_degraded().to_string()),
        ("server-timing", server_timing(&output.timings)),
    ];
    if let Some(plugin) = &output.plugin {
        headers.push(("x-breakwater-plugin", format!("{}@{}", plugin.id, plugin.version)));
        headers.push(("x-breakwater-plugin-digest", plugin.digest.to_string()));
    }
    if !output.degraded_reasons.is_empty() {
        let codes: Vec<_> = output.degraded_reasons.iter().map(|reason| format!("{} {}", reason.provider, reason.code)).collect();
        headers.push(("x-breakwater-degraded-reason", codes.join(", ")));
    }
    headers
}

/// As browsers show it (W3C Server Timing).
fn server_timing(timings: &CropTimings) -> String {
    let body = CropTimingsBody::from(*timings);
    let stages = [
        ("read", body.read),
        ("decode", body.decode),
        ("detect", body.detect),
        ("plan", body.plan),
        ("resize", body.resize),
        ("encode", body.encode),
        ("total", body.total),
    ];
    let entries: Vec<_> = stages.iter().map(|(name, milliseconds)| format!("{name};dur={milliseconds}")).collect();
    entries.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timings_are_written_as_browsers_read_them() {
        let timings = CropTimings { decode: Duration::from_micros(2500), ..CropTimings::default() };
        assert!(server_timing(&timings).starts_with("read;dur=0, decode;dur=2.5, detect;dur=0"));
    }
}
