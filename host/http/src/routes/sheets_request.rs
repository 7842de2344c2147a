//! What `POST /v1/sheets` takes, as JSON and as a form.

use breakwater_core::Failure;
use breakwater_operations::{GridLayout, ImageSource, SheetDestination, SheetImage, SheetInput, SheetSpec};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::form::{Fields, Form, field_invalid};
use crate::json::{self, Known};

/// Which photographs to put on which pages. Lengths are text with a unit, such as `10mm`, `1.5cm`, `4in` or `12pt`, or a number of
/// millimetres. Exactly one of `grid_layout` and `photo_size`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SheetRequest {
    /// Paths of photographs below the media root, in their order; a leading slash means the media root.
    #[schema(min_items = 1, max_items = 1000, example = json!(["/output/1.jpg", "/output/2.jpg"]))]
    processed_images: Vec<String>,
    /// Cells of equal size that fill the page between its margins.
    grid_layout: Option<GridBody>,
    /// Photographs of exactly this size, as many as fit, in the middle of the page.
    #[schema(example = "35x45mm")]
    photo_size: Option<String>,
    /// `portrait` or `landscape`; portrait when absent.
    #[schema(example = "portrait")]
    sheet_orientation: Option<String>,
    /// `pdf`, `png` or `jpeg`; pdf when absent. PNG and JPEG are a picture of each page.
    #[schema(example = "pdf")]
    output_format: Option<String>,
    /// A name such as `A4` or `Letter`, or a measure such as `4x6in`; A4 when absent.
    #[schema(example = "A4")]
    page_size: Option<String>,
    /// One to four lengths in the order of CSS; 10 mm when absent, with `photo_size` none.
    #[serde(default, deserialize_with = "length")]
    #[schema(value_type = Option<LengthForms>)]
    margin: Option<String>,
    /// Between cells; 4 mm or twice the bleed when absent, with `photo_size` none.
    #[serde(default, deserialize_with = "length")]
    #[schema(value_type = Option<LengthForms>)]
    gap: Option<String>,
    /// How far pictures that fill their cells reach beyond the cut. The page of a grid is larger by it.
    #[serde(default, deserialize_with = "length")]
    #[schema(value_type = Option<LengthForms>)]
    bleed: Option<String>,
    /// `none`, `marks` or `lines`.
    cut_guides: Option<String>,
    /// `fit` (all of a photograph), `fill` (cut off evenly) or `crop` (cut where a strategy says).
    fit: Option<String>,
    /// Name of the strategy that cuts; means `fit` is `crop`.
    crop_strategy: Option<String>,
    /// Whether photographs may lie on their sides: with `photo_size` all of them where more fit so, which is the default; in a grid each
    /// that is larger so.
    rotate: Option<bool>,
    /// How often each photograph is placed; when absent once, and with `photo_size` as often as fills a page.
    #[schema(minimum = 1, maximum = 10000)]
    copies: Option<u32>,
    /// A text below each photograph, in any script; as many as there are photographs.
    captions: Option<Vec<String>>,
    /// Height of the letters of captions in points.
    #[schema(minimum = 4, maximum = 72)]
    caption_size: Option<f32>,
    /// Of pictures of pages the resolution, 300 when absent; of photographs in a PDF the highest: those above it are scaled. Without it
    /// they are not.
    #[schema(minimum = 36, maximum = 1200)]
    dpi: Option<u32>,
    /// Of what is written as JPEG; 90 when absent.
    #[schema(minimum = 1, maximum = 100)]
    quality: Option<u8>,
}

/// Rows and columns of a sheet, 1 to 100 each.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[schema(as = GridLayout)]
#[serde(deny_unknown_fields, expecting = "an object with rows and columns")]
pub(crate) struct GridBody {
    /// From top to bottom.
    #[schema(minimum = 1, maximum = 100, example = 5)]
    rows: u32,
    /// From left to right.
    #[schema(minimum = 1, maximum = 100, example = 4)]
    columns: u32,
}

/// Both ways of writing a length.
#[derive(ToSchema)]
#[schema(as = SheetLength)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used: a length is kept as text")]
pub(crate) enum LengthForms {
    /// Such as `10mm`; several where there may be several.
    Text(String),
    /// Millimetres.
    Millimetres(f64),
}

impl Known for SheetRequest {
    const FIELDS: &'static [&'static str] = &[
        // The pictures first: a form has them as files, and the rest as texts.
        "processed_images",
        "grid_layout",
        "photo_size",
        "sheet_orientation",
        "output_format",
        "page_size",
        "margin",
        "gap",
        "bleed",
        "cut_guides",
        "fit",
        "crop_strategy",
        "rotate",
        "copies",
        "captions",
        "caption_size",
        "dpi",
        "quality",
    ];
}

pub(crate) const FIELDS: Fields =
    Fields { files: &["images"], texts: SheetRequest::FIELDS.split_at(1).1, repeated: &["images", "captions"] };

/// Photographs and what their sheet is to be like, as a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used: forms are read field by field")]
pub(crate) struct SheetForm {
    /// The photographs, in their order.
    #[schema(value_type = Vec<String>, format = Binary, content_media_type = "application/octet-stream")]
    images: Vec<String>,
    /// JSON: `{"rows": 5, "columns": 4}`.
    #[schema(example = "{\"rows\": 5, \"columns\": 4}")]
    grid_layout: Option<String>,
    /// As in JSON; and so the fields below.
    #[schema(example = "35x45mm")]
    photo_size: Option<String>,
    sheet_orientation: Option<String>,
    output_format: Option<String>,
    page_size: Option<String>,
    margin: Option<String>,
    gap: Option<String>,
    bleed: Option<String>,
    cut_guides: Option<String>,
    fit: Option<String>,
    crop_strategy: Option<String>,
    rotate: Option<bool>,
    copies: Option<u32>,
    /// The field is repeated.
    captions: Option<Vec<String>>,
    caption_size: Option<f32>,
    dpi: Option<u32>,
    quality: Option<u8>,
}

/// Reads a JSON body. Where the sheet goes is decided by the answer.
pub(crate) fn of_json(bytes: &[u8]) -> Result<SheetInput, Failure> {
    let mut request: SheetRequest = json::read(bytes)?;
    let paths = std::mem::take(&mut request.processed_images);
    Ok(request.into_input(paths.into_iter().map(|path| SheetImage::Given(ImageSource::Path(path))).collect()))
}

/// A length: text, or a number of millimetres, which is the same as text.
fn length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Option::<Value>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Number(millimetres)) => Ok(Some(millimetres.to_string())),
        Some(_) => Err(D::Error::custom("write a length as text, such as \"10mm\", or as a number of millimetres")),
    }
}

/// Reads a form.
pub(crate) fn of_form(mut form: Form) -> Result<SheetInput, Failure> {
    let mut request = SheetRequest {
        processed_images: Vec::new(),
        grid_layout: form.json("grid_layout")?,
        photo_size: form.text("photo_size")?,
        sheet_orientation: form.text("sheet_orientation")?,
        output_format: form.text("output_format")?,
        page_size: form.text("page_size")?,
        margin: form.text("margin")?,
        gap: form.text("gap")?,
        bleed: form.text("bleed")?,
        cut_guides: form.text("cut_guides")?,
        fit: form.text("fit")?,
        crop_strategy: form.text("crop_strategy")?,
        rotate: form.parsed("rotate")?,
        copies: form.parsed("copies")?,
        captions: None,
        caption_size: form.parsed("caption_size")?,
        dpi: form.parsed("dpi")?,
        quality: form.parsed("quality")?,
    };
    let (mut images, mut captions) = (Vec::new(), Vec::new());
    for part in form.into_parts() {
        if part.name == "images" {
            images.push(SheetImage::Given(ImageSource::Bytes(part.bytes)));
        } else {
            captions.push(String::from_utf8(part.bytes.into()).map_err(|_| field_invalid("captions", "is not UTF-8 text"))?);
        }
    }
    request.captions = Some(captions).filter(|captions| !captions.is_empty());
    Ok(request.into_input(images))
}

impl SheetRequest {
    fn into_input(self, images: Vec<SheetImage>) -> SheetInput {
        let spec = SheetSpec {
            grid_layout: self.grid_layout.map(|GridBody { rows, columns }| GridLayout { rows, columns }),
            photo_size: self.photo_size,
            sheet_orientation: self.sheet_orientation,
            output_format: self.output_format,
            page_size: self.page_size,
            margin: self.margin,
            gap: self.gap,
            bleed: self.bleed,
            cut_guides: self.cut_guides,
            fit: self.fit,
            crop_strategy: self.crop_strategy,
            rotate: self.rotate,
            copies: self.copies,
            captions: self.captions,
            caption_size: self.caption_size,
            dpi: self.dpi,
            quality: self.quality,
        };
        SheetInput { images, spec, destination: SheetDestination::Media }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_image_processing_client_are_understood() {
        let text = r#"{
            "processed_images": ["/path/to/processed1.jpg", "/path/to/processed2.jpg"],
            "grid_layout": { "rows": 2, "columns": 2 },
            "sheet_orientation": "portrait",
            "output_format": "pdf"
        }"#;
        let input = of_json(text.as_bytes()).unwrap();
        assert_eq!(input.images.len(), 2);
        assert_eq!(input.spec.grid_layout, Some(GridLayout { rows: 2, columns: 2 }));
        assert_eq!(input.spec.files(2).unwrap(), 1);
    }

    #[test]
    fn fields_that_cannot_be_meant_are_refused() {
        for (text, code) in [
            (r#"{"grid_layout":{"rows":1,"columns":1}}"#, "request.field-invalid"),
            (r#"{"processed_images":["a"],"grid_layout":{"rows":-1,"columns":1}}"#, "request.field-invalid"),
            (r#"{"processed_images":["a"],"grid":{"rows":1,"columns":1}}"#, "request.unknown-field"),
            (r#"{"processed_images":["a"],"copies":"two"}"#, "request.field-invalid"),
        ] {
            assert_eq!(of_json(text.as_bytes()).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn options_that_cannot_be_read_are_named_by_their_places() {
        for (options, pointer, message) in [
            (r#""grid_layout":{"rows":"2","columns":2}"#, "/grid_layout/rows", "invalid type: string \"2\", expected u32"),
            (r#""grid_layout":"2x2""#, "/grid_layout", "invalid type: string \"2x2\", expected an object with rows and columns"),
            (r#""dpi":"high""#, "/dpi", "invalid type: string \"high\", expected u32"),
            (r#""margin":[10]"#, "/margin", "write a length as text, such as \"10mm\", or as a number of millimetres"),
            (r#""captions":["a",1]"#, "/captions/1", "invalid type: integer `1`, expected a string"),
        ] {
            let failure = of_json(format!(r#"{{"processed_images":["a"],{options}}}"#).as_bytes()).unwrap_err();
            assert_eq!((&*failure.code, failure.message), ("request.field-invalid", format!("{pointer}: {message}")), "{options}");
            assert_eq!(failure.detail.unwrap()["violations"][0]["pointer"], pointer, "{options}");
        }
    }

    #[test]
    fn a_number_alone_is_millimetres() {
        let text = r#"{"processed_images":["a"],"grid_layout":{"rows":1,"columns":1},"margin":5,"gap":2.5,"bleed":null}"#;
        let spec = of_json(text.as_bytes()).unwrap().spec;
        assert_eq!((spec.margin.as_deref(), spec.gap.as_deref(), spec.bleed), (Some("5"), Some("2.5"), None));
        let negative = of_json(br#"{"processed_images":["a"],"photo_size":"35x45mm","margin":-1}"#).unwrap();
        assert_eq!(negative.spec.files(1).unwrap_err().code, "sheet.length-invalid");
    }
}
