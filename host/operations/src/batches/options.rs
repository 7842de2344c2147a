//! What is done with each image of a batch: the `processing_options` of the image-processing client.

use breakwater_core::{AspectRatio, DetectionKind, Failure, FailureKind};
use breakwater_vision::Format;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::violations::{Violations, part};
use crate::crop::CropInput;
use crate::json::batch::check_options;
use crate::json::crop::{self, RatioJson};
use crate::json::read;
use crate::output_size::WantedSize;
use crate::source::ImageSource;
use crate::strategies::closest;

/// Where the options of a batch stand.
pub(super) const PLACE: &str = "/processing_options";
/// The names of the options, as they are written.
const NAMES: [&str; 10] = [
    "target_aspect_ratio",
    "crop_strategy",
    "strategy_parameters",
    "detection_types",
    "confidence_threshold",
    "output_format",
    "quality",
    "width",
    "height",
    "keep_metadata",
];

/// What is done with each image. What is absent is as [`CropInput`] says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProcessingOptions {
    /// The ratio of the crop; absent, it is that of `size`'s two edges.
    pub ratio: Option<AspectRatio>,
    /// Name of the strategy.
    pub strategy: Option<String>,
    /// Parameters of the strategy: an object.
    pub parameters: Option<Value>,
    /// What is looked for before it is cut, whatever the strategy wants; what is found is what it plans by. Empty looks for what the strategy
    /// wants.
    pub kinds: Vec<DetectionKind>,
    /// The least confidence of what is looked for, 0..=1; [`crate::detect::DEFAULT_THRESHOLD`] when absent.
    pub threshold: Option<f32>,
    /// Size of the results; absent, crops keep their own.
    pub size: WantedSize,
    /// Format of the results; absent, that of each image.
    pub format: Option<Format>,
    /// 1..=100, for the lossy formats.
    pub quality: Option<u8>,
    /// Whether EXIF data is kept, where the format allows.
    pub keep_metadata: bool,
}

/// As it is written. Also of an image of its own: what is there replaces what is said for all.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OptionsJson {
    target_aspect_ratio: Option<RatioJson>,
    crop_strategy: Option<String>,
    strategy_parameters: Option<Value>,
    #[serde(default)]
    detection_types: Option<Vec<DetectionKind>>,
    confidence_threshold: Option<f32>,
    output_format: Option<String>,
    quality: Option<u8>,
    width: Option<u32>,
    height: Option<u32>,
    keep_metadata: Option<bool>,
}

impl OptionsJson {
    /// These options over others.
    pub(crate) fn over(self, others: &ProcessingOptions) -> Result<ProcessingOptions, Failure> {
        let format = self.output_format.map(|name| name.parse::<Format>()).transpose();
        let format = format.map_err(|error| Failure::invalid("batch.options-invalid", error.to_string()))?;
        let sized = self.width.is_some() || self.height.is_some();
        let others = others.clone();
        Ok(ProcessingOptions {
            ratio: self.target_aspect_ratio.map(RatioJson::ratio).transpose()?.or(others.ratio),
            strategy: self.crop_strategy.or(others.strategy),
            parameters: self.strategy_parameters.or(others.parameters),
            kinds: self.detection_types.unwrap_or(others.kinds),
            threshold: self.confidence_threshold.or(others.threshold),
            size: if sized { WantedSize { width: self.width, height: self.height } } else { others.size },
            format: format.or(others.format),
            quality: self.quality.or(others.quality),
            keep_metadata: self.keep_metadata.unwrap_or(others.keep_metadata),
        })
    }
}

impl ProcessingOptions {
    /// As callers write them.
    ///
    /// # Errors
    /// `batch.options-invalid` with the violations, `crop.ratio-invalid`.
    pub fn of_json(value: Value) -> Result<Self, Failure> {
        let wrong = violations(&value, &[]);
        if !wrong.is_empty() {
            let mut placed = Violations::default();
            placed.put_below(PLACE, wrong);
            return Err(placed.into_failure("batch.options-invalid", |first| format!("the options cannot be meant: {first}")));
        }
        read::<OptionsJson>(value)?.over(&Self::default())
    }

    /// The crop of an image.
    #[must_use]
    pub fn crop_of(&self, image: ImageSource) -> CropInput {
        CropInput {
            image,
            ratio: self.ratio,
            strategy: self.strategy.clone(),
            parameters: self.parameters.clone(),
            detections: Vec::new(),
            size: self.size,
            format: self.format,
            quality: self.quality,
            keep_metadata: self.keep_metadata,
            store: true,
        }
    }

    /// The input of `crop-image` but for the image.
    #[must_use]
    pub fn crop_fields(&self) -> Map<String, Value> {
        let payload = crop::to_payload(&self.crop_of(ImageSource::Path(String::new())));
        let Value::Object(mut fields) = payload.json else { return Map::new() };
        fields.remove("image_path");
        fields
    }

    /// The input of `detect-objects` but for the image; none when nothing is to be looked for beforehand.
    pub(crate) fn detect_fields(&self) -> Option<Map<String, Value>> {
        if self.kinds.is_empty() {
            return None;
        }
        let mut fields = Map::from_iter([("detection_types".to_owned(), json!(self.kinds))]);
        if let Some(threshold) = self.threshold {
            fields.insert("confidence_threshold".to_owned(), json!(crate::json::double(threshold)));
        }
        Some(fields)
    }
}

/// What of options cannot be meant, whatever strategies there are, with places below them. `others` are names that may stand among them.
pub(super) fn violations(options: &Value, others: &[&str]) -> Violations {
    let mut wrong = Violations::default();
    let Value::Object(fields) = options else {
        wrong.put("", "the options are an object");
        return wrong;
    };
    let is_known = |(name, _): &(String, Value)| NAMES.contains(&name.as_str());
    let (known, unknown): (Map<String, Value>, Map<String, Value>) = fields.clone().into_iter().partition(is_known);
    for name in unknown.keys() {
        let shown: String = name.chars().take(64).collect();
        let meant = closest(&shown, NAMES.iter().chain(others).copied());
        let suggestion = meant.map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
        wrong.put(format!("/{}", part(name)), format!("there is no option {shown:?}{suggestion}"));
    }
    // A failure of ours is none of the caller's; what cannot be meant is then found when it is read.
    if let Err(failure) = check_options(&Value::Object(known))
        && failure.kind == FailureKind::InvalidRequest
    {
        wrong.put_below("", Violations::of(&failure).within(PLACE));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_with_the_names_of_the_client() {
        let options = ProcessingOptions::of_json(json!({
            "target_aspect_ratio": "4:6", "crop_strategy": "center", "detection_types": ["face"], "confidence_threshold": 0.7,
            "output_format": "webp", "quality": 80, "width": 400, "keep_metadata": true, "strategy_parameters": { "x": 1 }
        }));
        let options = options.unwrap();
        let fields = options.crop_fields();
        assert_eq!((&fields["output_format"], &fields["width"], &fields["store"]), (&json!("webp"), &json!(400), &json!(true)));
        assert_eq!((&fields["target_aspect_ratio"], &fields["keep_metadata"]), (&json!({ "width": 4, "height": 6 }), &json!(true)));
        assert!(!fields.contains_key("image_path"));
        assert_eq!(Value::Object(options.detect_fields().unwrap()), json!({ "detection_types": ["face"], "confidence_threshold": 0.7 }));
        assert_eq!(ProcessingOptions::of_json(json!({})).unwrap(), ProcessingOptions::default());
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        for wrong in
            [json!({ "quality": 101 }), json!({ "qualty": 80 }), json!([]), json!({ "output_format": "gif" }), json!({ "width": 0 })]
        {
            let failure = ProcessingOptions::of_json(wrong.clone()).unwrap_err();
            assert_eq!(failure.code, "batch.options-invalid", "{wrong}");
            assert!(failure.detail.unwrap()["violations"][0]["pointer"].as_str().unwrap().starts_with("/processing_options"), "{wrong}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_each_at_its_place() {
        let wrong = json!({ "quality": 0, "qualty": 80, "a/b": 1, "detection_types": ["cat"] });
        let failure = ProcessingOptions::of_json(wrong).unwrap_err();
        let detail = failure.detail.unwrap();
        let told = detail["violations"].as_array().unwrap();
        let mut pointers: Vec<_> = told.iter().map(|one| one["pointer"].as_str().unwrap()).collect();
        pointers.sort_unstable();
        assert_eq!(pointers, ["/a~1b", "/detection_types/0", "/quality", "/qualty"].map(|place| format!("{PLACE}{place}")));
        let slip = told.iter().find(|one| one["pointer"] == "/processing_options/qualty").unwrap();
        assert_eq!(slip["message"], "there is no option \"qualty\"; did you mean \"quality\"?");
        assert!(failure.message.ends_with(" (and 3 more)"), "{}", failure.message);
        let schema = crate::json::batch::spec().input_schema;
        let known = schema["properties"]["processing_options"]["properties"].as_object().unwrap();
        assert!(known.len() == NAMES.len() && NAMES.iter().all(|name| known.contains_key(*name)), "{known:?}");
    }
}
