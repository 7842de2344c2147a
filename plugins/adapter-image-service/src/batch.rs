//! `process-batch`.

use breakwater_guest::{AspectRatio, Failure, Invocation, Reply, Upstreams};
use image_model::{CropOutput, Detection, RatioInput};
use serde::{Deserialize, Serialize};

use crate::crop::{self, Wish};
use crate::service::{self, Found, Route};

pub(crate) const NAME: &str = "process-batch";
const ROUTE: Route = Route { setting: "batch_path", path: "/batch", named_by: "images", part: "images", several: true };
/// For a batch that is to be looked at, not cut.
const ANY_RATIO: AspectRatio = AspectRatio { width: 1, height: 1 };

#[derive(Deserialize)]
struct Asked {
    images: Option<Vec<String>>,
    #[serde(default)]
    processing_options: Options,
}

#[derive(Default, Deserialize)]
struct Options {
    target_aspect_ratio: Option<RatioInput>,
    crop_strategy: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Processed>,
}

#[derive(Deserialize)]
struct Processed {
    success: bool,
    #[serde(default)]
    detections: Vec<Found>,
    #[serde(default)]
    result: Option<crop::Answer>,
    #[serde(default)]
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(alias = "code", alias = "errorCode")]
    error_code: Option<String>,
}

#[derive(Serialize)]
struct Output {
    results: Vec<OneOutput>,
    total: usize,
    succeeded: usize,
    failed: usize,
}

#[derive(Serialize)]
struct OneOutput {
    #[serde(skip_serializing_if = "Option::is_none")]
    image_path: Option<String>,
    success: bool,
    detections: Vec<Detection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<CropOutput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorOutput>,
}

#[derive(Serialize)]
struct ErrorOutput {
    error_code: String,
    message: &'static str,
}

/// Asks the service to detect and cut in many pictures.
pub(crate) fn process<H: Upstreams>(host: &H, call: Invocation) -> Result<Reply, Failure> {
    let asked: Asked = call.read()?;
    let count = asked.images.as_ref().map_or(call.attachments.len(), Vec::len);
    let Options { target_aspect_ratio, crop_strategy, width, height } = asked.processing_options;
    let ratio = match (&target_aspect_ratio, width, height) {
        (None, None, None) => ANY_RATIO,
        _ => RatioInput::wanted(target_aspect_ratio.as_ref(), width, height)?,
    };
    let wish = Wish { strategy: crop_strategy, ratio, scaled: width.is_some() || height.is_some() };
    let answer: Answer = service::ask(host, call, &ROUTE, "application/json")?.json()?;
    if answer.results.len() != count {
        return Err(Failure::response_invalid(&format!("/results: {} of them for {count} pictures", answer.results.len())));
    }
    let mut names = asked.images.unwrap_or_default().into_iter();
    let mut results = Vec::with_capacity(count);
    for (index, one) in answer.results.into_iter().enumerate() {
        let mut output =
            one.into_output(&wish).map_err(|failure| Failure { message: format!("result {index}: {}", failure.message), ..failure })?;
        output.image_path = names.next();
        results.push(output);
    }
    let succeeded = results.iter().filter(|one| one.success).count();
    Reply::of(&Output { total: results.len(), succeeded, failed: results.len() - succeeded, results })
}

impl Processed {
    fn into_output(self, wish: &Wish) -> Result<OneOutput, Failure> {
        let detections = service::detections(self.detections)?;
        let result = self.result.map(|result| result.into_output(wish.clone())).transpose()?;
        if result.as_ref().is_some_and(|result| result.output_path.is_none()) {
            return Err(Failure::response_invalid("/result/output_path: it is missing, and pictures of a batch come by path"));
        }
        let error = (!self.success).then(|| ErrorOutput {
            error_code: self.error.and_then(|error| error.error_code).filter(|code| is_code(code)).unwrap_or_else(|| "UNKNOWN".to_owned()),
            message: "the service could not process this picture",
        });
        Ok(OneOutput { image_path: None, success: self.success, detections, result: result.filter(|_| self.success), error })
    }
}

fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}
