//! How an image becomes the numbers that CLIP sees, as `CLIPImageProcessor` of transformers does it.

use std::path::PathBuf;

use breakwater_core::{Rect, Size};
use breakwater_vision::{Image, Resampling};
use serde::Deserialize;
use serde_json::Value;

use crate::batch::Normalisation;
use crate::error::InferenceError;
use crate::frame::Frame;

/// Means of the training images, of OpenAI's `clip/clip.py`.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// Their standard deviations.
const DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];
/// Numbers of the filters in PIL, which the files use.
const BILINEAR: u64 = 2;
const BICUBIC: u64 = 3;

/// How images are prepared: scaled until the shorter edge has so many pixels, then the square in the middle.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipPreparation {
    /// Length of the shorter edge once it is scaled, in pixels.
    pub shorter: u32,
    /// Edge of the square that the model sees, in pixels.
    pub edge: u32,
    /// Whether images are scaled with a cubic filter, as the reference does, or a linear one.
    pub cubic: bool,
    /// Subtracted from values of 0..=1: red, green, blue.
    pub mean: [f32; 3],
    /// Divides them then.
    pub deviation: [f32; 3],
}

/// What of the file matters. Fields that are not there have the defaults of transformers.
#[derive(Default, Deserialize)]
struct Raw {
    size: Option<Value>,
    crop_size: Option<Value>,
    resample: Option<u64>,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
    rescale_factor: Option<f64>,
    do_resize: Option<bool>,
    do_center_crop: Option<bool>,
    do_rescale: Option<bool>,
    do_normalize: Option<bool>,
}

impl ClipPreparation {
    /// From a `preprocessor_config.json`, if there is one, for a model that sees squares of `edge` pixels.
    pub(super) fn read(file: Option<(PathBuf, Vec<u8>)>, edge: usize) -> Result<Self, InferenceError> {
        let Some((path, bytes)) = file else { return Self::of(Raw::default(), edge).map_err(|what| unusable(PathBuf::new(), what)) };
        match serde_json::from_slice(&bytes) {
            Ok(raw) => Self::of(raw, edge).map_err(|what| unusable(path, what)),
            Err(error) => Err(unusable(path, error.to_string())),
        }
    }

    fn of(raw: Raw, edge: usize) -> Result<Self, String> {
        let steps = [("do_resize", raw.do_resize), ("do_center_crop", raw.do_center_crop), ("do_rescale", raw.do_rescale)];
        let steps = steps.into_iter().chain([("do_normalize", raw.do_normalize)]);
        if let Some((step, _)) = steps.into_iter().find(|(_, done)| *done == Some(false)) {
            return Err(format!("{step} is false; images are always scaled, cut and normalised"));
        }
        if raw.rescale_factor.is_some_and(|factor| (factor * 255.0 - 1.0).abs() > 1e-3) {
            return Err("rescale_factor is not 1/255".to_owned());
        }
        let edge = u32::try_from(edge).map_err(|_| "the model sees larger images than any".to_owned())?;
        let crop = raw.crop_size.map_or(Ok(edge), |size| square(&size, "crop_size"))?;
        if crop != edge {
            return Err(format!("crop_size is {crop}, but the model sees squares of {edge} pixels"));
        }
        let shorter = raw.size.map_or(Ok(edge), |size| square(&size, "size"))?;
        if !(edge..=4 * edge).contains(&shorter) {
            return Err(format!("size is {shorter}; it must be between {edge} and four times that"));
        }
        let cubic = match raw.resample.unwrap_or(BICUBIC) {
            BICUBIC => true,
            BILINEAR => false,
            other => return Err(format!("resample is {other}; 3 (bicubic) and 2 (bilinear) are understood")),
        };
        let (mean, deviation) = (raw.image_mean.unwrap_or(MEAN), raw.image_std.unwrap_or(DEVIATION));
        if !mean.iter().all(|value| value.is_finite()) || !deviation.iter().all(|value| value.is_finite() && *value > 0.0) {
            return Err("image_mean and image_std must be finite, image_std above 0".to_owned());
        }
        Ok(Self { shorter, edge, cubic, mean, deviation })
    }

    /// How bytes of prepared pixels become numbers.
    #[must_use]
    pub fn normalisation(&self) -> Normalisation {
        Normalisation::rgb(self.mean.map(|value| value * 255.0), self.deviation.map(|value| value * 255.0))
    }

    /// An image of this size once its shorter edge is scaled. The longer one is cut to whole pixels, as the reference does.
    #[must_use]
    pub fn scaled(&self, image: Size) -> Size {
        let (width, height) = (u64::from(image.width.max(1)), u64::from(image.height.max(1)));
        let long = |longer: u64, shorter: u64| u32::try_from(u64::from(self.shorter) * longer / shorter).unwrap_or(u32::MAX);
        if width <= height { Size::new(self.shorter, long(height, width)) } else { Size::new(long(width, height), self.shorter) }
    }

    /// The square in the middle of the scaled image.
    #[must_use]
    pub fn frame(&self, image: &Image) -> Frame {
        let (scaled, input) = (self.scaled(image.size()), Size::new(self.edge, self.edge));
        let middle = |whole: u32| whole.saturating_sub(self.edge) / 2;
        let area = Rect::new(middle(scaled.width), middle(scaled.height), self.edge, self.edge);
        let filter = if self.cubic { Resampling::Cubic } else { Resampling::Linear };
        Frame { content: image.resampled_part_rgb(scaled, area, filter), left: 0, top: 0, input }
    }
}

/// The number in `224`, `{"shortest_edge": 224}` or `{"height": 224, "width": 224}`.
fn square(size: &Value, field: &str) -> Result<u32, String> {
    let of = |name: &str| size.get(name).and_then(Value::as_u64);
    let edge = match (size.as_u64(), of("shortest_edge"), of("height"), of("width")) {
        (Some(edge), ..) | (None, Some(edge), ..) => Some(edge),
        // A size of both edges would change the ratio of images; a crop of both may be square.
        (None, None, Some(height), Some(width)) if height == width && field == "crop_size" => Some(height),
        _ => None,
    };
    edge.and_then(|edge| u32::try_from(edge).ok()).ok_or_else(|| format!("{field} is {size}, which is not understood"))
}

fn unusable(path: PathBuf, what: String) -> InferenceError {
    InferenceError::Unusable { path, source: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ClipPreparation, String> {
        let read = ClipPreparation::read(Some((PathBuf::new(), json.as_bytes().to_vec())), 224);
        read.map_err(|error| std::error::Error::source(&error).unwrap().to_string())
    }

    #[test]
    fn files_of_all_ages_say_the_same() {
        let usual = ClipPreparation::read(None, 224).unwrap();
        assert_eq!((usual.shorter, usual.edge, usual.cubic), (224, 224, true));
        let old = r#"{"size": 224, "crop_size": 224, "resample": 3, "do_normalize": true, "feature_extractor_type": "CLIPFeatureExtractor",
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}"#;
        let new = r#"{"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}, "rescale_factor": 0.00392156862745098}"#;
        for json in [old, new, "{}"] {
            assert_eq!(read(json).unwrap(), usual);
        }
        let other = read(r#"{"size": 256, "resample": 2, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}"#).unwrap();
        assert_eq!((other.shorter, other.cubic, other.mean, other.deviation), (256, false, [0.0; 3], [1.0; 3]));
    }

    #[test]
    fn what_is_not_done_here_is_named() {
        for (json, named) in [
            ("3", "invalid type"),
            (r#"{"do_resize": false}"#, "do_resize"),
            (r#"{"do_normalize": false}"#, "do_normalize"),
            (r#"{"rescale_factor": 1}"#, "rescale_factor"),
            (r#"{"crop_size": 336}"#, "crop_size"),
            (r#"{"size": 100}"#, "size"),
            (r#"{"size": 100000}"#, "size"),
            (r#"{"size": {"height": 224, "width": 224}}"#, "size"),
            (r#"{"resample": 1}"#, "resample"),
            (r#"{"image_std": [1, 0, 1]}"#, "image_std"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(named), "{json}: {error}");
        }
    }

    #[test]
    fn the_longer_edge_is_cut_to_whole_pixels() {
        let preparation = ClipPreparation::read(None, 224).unwrap();
        for (image, expected) in [
            ((640, 480), (298, 224)),
            ((480, 640), (224, 298)),
            ((1, 1), (224, 224)),
            ((3, 2), (336, 224)),
            ((65_535, 1), (14_679_840, 224)),
            ((0, 0), (224, 224)),
        ] {
            assert_eq!(preparation.scaled(Size::new(image.0, image.1)), Size::new(expected.0, expected.1), "{image:?}");
        }
    }
}
