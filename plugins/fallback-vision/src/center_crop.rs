//! The largest window of the ratio, in the middle.

use breakwater_guest::{Failure, ImageView, Invocation, LargestWindow, Reply};
use image_model::{CropOutput, Picture, RatioInput, Term};
use serde::Deserialize;

pub(crate) const NAME: &str = "center-crop";

#[derive(Deserialize)]
struct Asked {
    target_aspect_ratio: Option<RatioInput>,
    width: Option<u32>,
    height: Option<u32>,
}

/// Where to cut, and how large the result is to be. The host cuts: pixels never come here.
pub(crate) fn answer<I: ImageView>(image: &I, call: &Invocation) -> Result<Reply, Failure> {
    let asked: Asked = call.read()?;
    let ratio = RatioInput::wanted(asked.target_aspect_ratio.as_ref(), asked.width, asked.height)?;
    let window = LargestWindow::new(image.size(), ratio);
    let crop = window.centered();
    // One edge of the result gives the other by the ratio, rounded.
    let scaled = |edge: u32, by: u32, to: u32| {
        let exact = (u64::from(edge) * u64::from(to) + u64::from(by) / 2) / u64::from(by);
        u32::try_from(exact).unwrap_or(u32::MAX).max(1)
    };
    let (width, height) = match (asked.width, asked.height) {
        (Some(width), Some(height)) => (width, height),
        (Some(width), None) => (width, scaled(width, ratio.width, ratio.height)),
        (None, Some(height)) => (scaled(height, ratio.height, ratio.width), height),
        (None, None) => (crop.width, crop.height),
    };
    let kept = f64::from(window.area_kept());
    Reply::of(&CropOutput {
        crop: crop.into(),
        output_path: None,
        output: Picture { width, height, format: None, media_type: None, bytes: None },
        image: image.size().into(),
        crop_strategy: "center".to_owned(),
        target_aspect_ratio: format!("{}:{}", ratio.width, ratio.height),
        score: Some(kept),
        reasons: vec![Term { name: "area_kept".to_owned(), weight: 1.0, value: kept }],
        detections: Vec::new(),
    })
}
