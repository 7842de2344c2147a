//! `crop-image`.

use breakwater_guest::{AspectRatio, Blob, Failure, Host, ImageView, Invocation, Reply, Response, Upstreams};
use image_model::{CropOutput, Picture, RatioInput, Rect, Size, Term};
use serde::Deserialize;
use serde_json::json;

use crate::service::{self, Found, Route};

pub(crate) const NAME: &str = "crop-image";
const ROUTE: Route = Route { setting: "crop_path", path: "/crop", named_by: "image_path", part: "image", several: false };
/// The most reasons that are passed on.
const MAX_REASONS: usize = 64;

#[derive(Deserialize)]
struct Asked {
    target_aspect_ratio: Option<RatioInput>,
    crop_strategy: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    store: Option<bool>,
}

/// What was cut, as the service writes it.
#[derive(Deserialize)]
pub(crate) struct Answer {
    crop: Rect,
    image: Size,
    #[serde(default)]
    output: Option<Picture>,
    #[serde(default)]
    output_path: Option<String>,
    #[serde(default)]
    crop_strategy: Option<String>,
    #[serde(default)]
    score: Option<f64>,
    #[serde(default)]
    reasons: Vec<Term>,
    #[serde(default)]
    detections: Vec<Found>,
    /// The picture itself, where it has no path.
    #[serde(default)]
    image_base64: Option<String>,
}

/// What the request said, as the answer repeats it.
#[derive(Clone)]
pub(crate) struct Wish {
    pub(crate) strategy: Option<String>,
    pub(crate) ratio: AspectRatio,
    /// Whether the result has a size of its own rather than that of the cut.
    pub(crate) scaled: bool,
}

/// Asks the service to cut a picture.
pub(crate) fn crop<H: Upstreams>(host: &H, mut call: Invocation) -> Result<Reply, Failure> {
    let asked: Asked = call.read()?;
    let named = service::is_named(&call, &ROUTE)?;
    let ratio = RatioInput::wanted(asked.target_aspect_ratio.as_ref(), asked.width, asked.height)?;
    let wish = Wish { strategy: asked.crop_strategy, ratio, scaled: asked.width.is_some() || asked.height.is_some() };
    if let Some(fields) = call.input.as_object_mut() {
        // How the result comes is between the host and us.
        fields.remove("store");
        let written = if named { json!({ "width": ratio.width, "height": ratio.height }) } else { text(ratio).into() };
        fields.insert("target_aspect_ratio".to_owned(), written);
    }
    // A path means something only where both see the same files, so a picture that came along counts before it.
    let by_path = named && asked.store != Some(false);
    let accept = if by_path { "application/json" } else { "image/*, application/json;q=0.9" };
    let answer = service::ask(host, call, &ROUTE, accept)?;
    if answer.media_type().starts_with("image/") {
        return of_picture(host, answer, wish);
    }
    let mut answer: Answer = answer.json()?;
    let inline = answer.image_base64.take();
    let mut output = answer.into_output(wish)?;
    match (&output.output_path, inline) {
        (None, None) => Err(Failure::response_invalid("it has neither output_path nor image_base64, and is no picture")),
        (Some(_), None) => Reply::of(&output),
        (Some(_), Some(base64)) if !service::is_inline(&base64) => Reply::of(&output),
        (_, Some(base64)) => {
            let media_type = output.output.media_type.as_deref().unwrap_or("application/octet-stream");
            let picture = service::inline(&base64, media_type)?;
            output.output_path = None;
            Ok(Reply::of(&output)?.with_attachment(picture))
        }
    }
}

impl Answer {
    /// Ours, without the picture.
    ///
    /// # Errors
    /// `upstream.response-invalid` with the JSON Pointer of what cannot be.
    pub(crate) fn into_output(self, wish: Wish) -> Result<CropOutput, Failure> {
        let output = match self.output {
            Some(output) => output,
            None if wish.scaled => return Err(Failure::response_invalid("/output: the size of the result is missing")),
            None => {
                let Size { width, height } = self.crop.size();
                Picture { width, height, format: None, media_type: None, bytes: None }
            }
        };
        if !(Size { width: output.width, height: output.height }).is_possible() {
            return Err(Failure::response_invalid("/output: an edge is not from 1 to 1000000"));
        }
        let long = |text: &Option<String>, most: usize| text.as_ref().is_some_and(|text| text.chars().count() > most);
        if long(&output.format, 32) || long(&output.media_type, 128) {
            return Err(Failure::response_invalid("/output: the format is no name"));
        }
        if self.output_path.as_ref().is_some_and(|path| !(1..=4096).contains(&path.chars().count())) {
            return Err(Failure::response_invalid("/output_path: not from 1 to 4096 characters"));
        }
        if self.reasons.len() > MAX_REASONS {
            return Err(Failure::response_invalid("/reasons: more than 64"));
        }
        let detections = service::detections(self.detections)?;
        let output = Cut { crop: self.crop, image: self.image, score: self.score }.checked(output, wish, self.crop_strategy)?;
        Ok(CropOutput { output_path: self.output_path, reasons: self.reasons, detections, ..output })
    }
}

/// The decision.
struct Cut {
    crop: Rect,
    image: Size,
    score: Option<f64>,
}

impl Cut {
    fn checked(self, output: Picture, wish: Wish, strategy: Option<String>) -> Result<CropOutput, Failure> {
        if !self.image.is_possible() {
            return Err(Failure::response_invalid("/image: an edge is not from 1 to 1000000"));
        }
        if !self.crop.lies_inside(self.image) {
            return Err(Failure::response_invalid("/crop: it is empty or not inside of the picture"));
        }
        if self.score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
            return Err(Failure::response_invalid("/score: not from 0 to 1"));
        }
        Ok(CropOutput {
            crop: self.crop,
            output_path: None,
            output,
            image: self.image,
            crop_strategy: wish.strategy.or(strategy).unwrap_or_else(|| "center_faces".to_owned()),
            target_aspect_ratio: text(wish.ratio),
            score: self.score,
            reasons: Vec::new(),
            detections: Vec::new(),
        })
    }
}

/// An answer that is the picture: the decision is in its headers.
fn of_picture<H: Host>(host: &H, answer: Response, wish: Wish) -> Result<Reply, Failure> {
    let [x, y, width, height] = service::numbers(&answer, "x-crop")?;
    let [columns, rows] = service::numbers(&answer, "x-image-size")?;
    let score = answer.header("x-crop-score").and_then(|score| score.parse().ok());
    let picture: Blob = answer.into_blob()?;
    // The host decodes it, so that nothing that is no picture goes on. Whose fault it is then is clear.
    let size = host.open(&picture).map_err(|failure| Failure::response_invalid(&format!("it is no picture ({})", failure.code)))?.size();
    let media_type = picture.media_type();
    let output = Picture {
        width: size.width,
        height: size.height,
        format: service::format_of(&media_type),
        media_type: Some(media_type).filter(|media_type| media_type.len() <= 128),
        bytes: Some(picture.length()),
    };
    let cut = Cut { crop: Rect { x, y, width, height }, image: Size { width: columns, height: rows }, score };
    Ok(Reply::of(&cut.checked(output, wish, None)?)?.with_attachment(picture))
}

/// As answers write it.
fn text(ratio: AspectRatio) -> String {
    format!("{}:{}", ratio.width, ratio.height)
}
