//! Asking the service, and what all of its answers have in common.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use breakwater_guest::{Blob, Failure, Form, Invocation, Request, Response, Upstreams, path_template};
use image_model::{Bounds, Detection, MAX_DETECTIONS, MAX_LABEL, MAX_LANDMARKS, Point};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The upstream's name.
const UPSTREAM: &str = "image-service";
/// The largest file taken out of JSON, in bytes; larger ones are asked for as they are, or by path.
const MAX_INLINE: usize = 1 << 20;

/// One kind of request.
pub(crate) struct Route {
    /// The setting that holds its path.
    pub(crate) setting: &'static str,
    /// Its path when that is not set.
    pub(crate) path: &'static str,
    /// The field that names the picture or pictures.
    pub(crate) named_by: &'static str,
    /// The part of a form that holds a picture instead.
    pub(crate) part: &'static str,
    /// Whether there may be more than one.
    pub(crate) several: bool,
}

/// Whether the call's pictures are named rather than attached.
///
/// # Errors
/// `operation.image-missing` (invalid-request) unless they are given in exactly one way.
pub(crate) fn is_named(call: &Invocation, route: &Route) -> Result<bool, Failure> {
    let most = if route.several { usize::MAX } else { 1 };
    match (call.input.get(route.named_by).is_some(), call.attachments.len()) {
        (true, 0) => Ok(true),
        (false, count) if (1..=most).contains(&count) => Ok(false),
        _ => {
            let message = format!("give the picture either as `{}` or as attachment", route.named_by);
            Err(Failure::invalid_request("operation.image-missing", &message))
        }
    }
}

/// Sends the call's input: as JSON when the pictures are named, as a form when they are attached.
///
/// # Errors
/// As [`is_named`], and those of the upstream, without the bodies of its answers.
pub(crate) fn ask<H: Upstreams>(host: &H, call: Invocation, route: &Route, accept: &str) -> Result<Response, Failure> {
    let named = is_named(&call, route)?;
    let path = path_template::configured(host, route.setting, route.path, &call.context)?;
    let Value::Object(fields) = call.input else {
        return Err(Failure::invalid_request("operation.input-invalid", "the input is no object"));
    };
    let request = Request::post(path).header("accept", accept).read();
    let request = if named { request.json(&fields)? } else { request.form(form(&fields, call.attachments, route.part)) };
    host.upstream(UPSTREAM).send(request).map_err(Failure::for_caller)
}

/// Text fields are JSON, but for strings, which are as they are.
fn form(fields: &Map<String, Value>, pictures: Vec<Blob>, part: &str) -> Form {
    let mut form = Form::new();
    for (name, value) in fields {
        form = match value {
            Value::String(text) => form.text(name, text.as_str()),
            other => form.text(name, other.to_string()),
        };
    }
    for (index, picture) in pictures.into_iter().enumerate() {
        let media_type = picture.media_type();
        let extension = media_type.strip_prefix("image/").filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        form = form.file(part, &format!("{}.{}", index + 1, extension.unwrap_or("bin")), picture);
    }
    form
}

/// A detection as the service writes it.
#[derive(Debug, Deserialize)]
pub(crate) struct Found {
    #[serde(alias = "type")]
    kind: String,
    #[serde(default)]
    label: Option<String>,
    confidence: f64,
    #[serde(rename = "box", alias = "bounding_box")]
    bounds: Bounds,
    #[serde(default)]
    landmarks: Vec<Point>,
}

/// Turns detections into ours, by falling confidence. A kind that we do not know is an object of that label.
///
/// # Errors
/// `upstream.response-invalid` with the JSON Pointer of what cannot be.
pub(crate) fn detections(found: Vec<Found>) -> Result<Vec<Detection>, Failure> {
    if found.len() > MAX_DETECTIONS {
        return Err(Failure::response_invalid(&format!("it has {} detections; at most {MAX_DETECTIONS} are read", found.len())));
    }
    let mut detections = Vec::with_capacity(found.len());
    for (index, one) in found.into_iter().enumerate() {
        let at = |place: &str, what: &str| Failure::response_invalid(&format!("/detections/{index}/{place}: {what}"));
        if !(0.0..=1.0).contains(&one.confidence) {
            return Err(at("confidence", "not from 0 to 1"));
        }
        if one.bounds.width < 0.0 || one.bounds.height < 0.0 {
            return Err(at("box", "an edge is negative"));
        }
        if one.landmarks.len() > MAX_LANDMARKS {
            return Err(at("landmarks", "more than 16"));
        }
        let known = matches!(one.kind.as_str(), "face" | "person" | "object");
        let label = one.label.filter(|label| !label.is_empty()).unwrap_or_else(|| one.kind.clone());
        detections.push(Detection {
            kind: if known { one.kind } else { "object".to_owned() },
            label: label.chars().take(MAX_LABEL).collect(),
            confidence: one.confidence,
            bounds: one.bounds,
            landmarks: one.landmarks,
        });
    }
    detections.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    Ok(detections)
}

/// Whether a file inside of the JSON is small enough to be taken out of it.
pub(crate) fn is_inline(base64: &str) -> bool {
    base64.len() <= MAX_INLINE.div_ceil(3) * 4
}

/// A file that came inside of the JSON.
///
/// # Errors
/// `upstream.response-invalid` when it is not base64, or over 1 MiB.
pub(crate) fn inline(base64: &str, media_type: &str) -> Result<Blob, Failure> {
    if !is_inline(base64) {
        return Err(Failure::response_invalid("a file in it is larger than 1 MiB; send it as the whole answer, or by path"));
    }
    let bytes = STANDARD.decode(base64).map_err(|error| Failure::response_invalid(&format!("a file in it is not base64: {error}")))?;
    Ok(Blob::new(media_type, bytes))
}

/// Numbers of a header, such as `0,10,400,600`; nothing unless there are exactly as many.
pub(crate) fn numbers<const N: usize>(answer: &Response, header: &str) -> Result<[u32; N], Failure> {
    let text = answer.header(header).unwrap_or_default();
    let numbers: Option<Vec<u32>> = text.split([',', 'x']).map(|number| number.trim().parse().ok()).collect();
    numbers.and_then(|numbers| numbers.try_into().ok()).ok_or_else(|| {
        Failure::response_invalid(&format!("a picture comes with the header {header}, {N} whole numbers; here it says {text:?}"))
    })
}

/// The last word of a media type, as formats are named: `jpeg` for `image/jpeg`.
pub(crate) fn format_of(media_type: &str) -> Option<String> {
    media_type.split_once('/').map(|(_, format)| format.to_owned()).filter(|format| format.len() <= 32)
}
