//! What is asked of a sheet, as callers write it, and what it comes to.

use breakwater_core::Failure;
use breakwater_vision::sheet::{
    Arrangement, CutGuides, Fit, Layout, Length, Margins, PageOptions, PageOrientation, PaperSize, SheetFormat, SheetOptions,
    caption_height,
};
use serde::{Deserialize, Serialize};

/// The most photographs of a sheet.
pub const MAX_IMAGES: usize = 1000;
/// The most places on all pages of a sheet that are filled.
pub const MAX_PLACES: usize = 10_000;
/// Height of the letters of captions when none is asked for, in points.
const CAPTION_SIZE: f32 = 8.0;
/// What stays free at the edges of a page and between the cells of a grid when nothing else is asked for.
const MARGIN: Length = Length::millimetres(10);
const GAP: Length = Length::millimetres(4);

/// Rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridLayout {
    /// 1 to 100.
    pub rows: u32,
    /// 1 to 100.
    pub columns: u32,
}

/// What is asked of a sheet. Lengths are text with a unit, such as `10mm`, `1.5cm`, `4in` or `12pt`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SheetSpec {
    /// Cells that fill the page; this or `photo_size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid_layout: Option<GridLayout>,
    /// Exact size of each photograph, such as `35x45mm`; this or `grid_layout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub photo_size: Option<String>,
    /// `portrait` or `landscape`; portrait when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet_orientation: Option<String>,
    /// `pdf`, `png` or `jpeg`; pdf when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_format: Option<String>,
    /// A name such as `A4` or a measure such as `4x6in`; A4 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<String>,
    /// One to four lengths; 10 mm when absent, for photographs of an exact size none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<String>,
    /// Between cells; 4 mm or twice the bleed when absent, for photographs of an exact size none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<String>,
    /// How far pictures reach beyond the cut; nothing when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bleed: Option<String>,
    /// `none`, `marks` or `lines`; none when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_guides: Option<String>,
    /// `fit`, `fill` or `crop`; when absent `crop` with a strategy, else `fill` for photographs of an exact size and `fit` in a grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<String>,
    /// Where to cut; the default strategy when `fit` is `crop` and this is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop_strategy: Option<String>,
    /// Whether photographs may lie on their sides: all of them where more of an exact size fit so, in a grid each that is larger so. When
    /// absent the former and not the latter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotate: Option<bool>,
    /// How often each photograph is placed; when absent once, and of an exact size as often as fills a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<u32>,
    /// A text below each photograph, as many as there are photographs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub captions: Option<Vec<String>>,
    /// Height of the letters of captions in points, 4 to 72; 8 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption_size: Option<f32>,
    /// 36 to 1200: of pictures of pages the resolution, 300 when absent; of photographs in a PDF the highest, none when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpi: Option<u32>,
    /// 1 to 100, of what is written as JPEG; 90 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
}

/// What a sheet comes to.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) options: SheetOptions,
    pub(crate) layout: Layout,
    pub(crate) copies: usize,
    pub(crate) captions: Vec<String>,
    /// Where a strategy is to cut.
    pub(crate) strategy: Option<String>,
    pub(crate) pages: usize,
}

impl SheetSpec {
    /// How many files the sheet is: one for a PDF, one for each page of a sheet of pictures.
    ///
    /// # Errors
    /// When the sheet would be refused, as [`crate::Operations::compose_sheet`] does it.
    pub fn files(&self, images: usize) -> Result<usize, Failure> {
        let resolved = self.resolve(images)?;
        Ok(if resolved.options.format == SheetFormat::Pdf { 1 } else { resolved.pages })
    }

    /// Media type of its files.
    ///
    /// # Errors
    /// `sheet.option-unknown`.
    pub fn media_type(&self) -> Result<&'static str, Failure> {
        let format = self.output_format.as_deref().map(str::parse::<SheetFormat>).transpose()?;
        Ok(format.unwrap_or_default().media_type())
    }

    /// Reads all of it for a number of photographs.
    ///
    /// # Errors
    /// `sheet.images-missing`, `sheet.layout-missing`, `sheet.options-contradict`, `sheet.captions-mismatch` and what the library of sheets
    /// refuses (invalid request); `sheet.too-many-images` (limit).
    pub(crate) fn resolve(&self, images: usize) -> Result<Resolved, Failure> {
        check_count(images)?;
        let read = |text: &Option<String>, default: Length| text.as_deref().map_or(Ok(default), str::parse::<Length>);
        let bleed = read(&self.bleed, Length::ZERO)?;
        let orientation = self.sheet_orientation.as_deref().map(str::parse::<PageOrientation>).transpose()?.unwrap_or_default();
        let (arrangement, margin, gap) = match (self.grid_layout, &self.photo_size) {
            (Some(GridLayout { rows, columns }), None) => (Arrangement::Grid { rows, columns }, MARGIN, GAP.max(bleed * 2)),
            (None, Some(size)) => {
                let (size, turn) = (size.parse::<PaperSize>()?, self.rotate.unwrap_or(true));
                (Arrangement::Photographs { size, turn }, Length::ZERO, Length::ZERO)
            }
            (None, None) => {
                return Err(Failure::invalid("sheet.layout-missing", "say how photographs are arranged: grid_layout, or photo_size"));
            }
            (Some(_), Some(_)) => return Err(contradiction("grid_layout and photo_size are two ways to arrange photographs; give one")),
        };
        let exact = self.photo_size.is_some();
        let fit = match (self.fit.as_deref().map(str::parse::<Fit>).transpose()?, &self.crop_strategy) {
            (Some(fit), Some(_)) if fit != Fit::Crop => return Err(contradiction("a crop_strategy cuts only where fit is crop")),
            (None, Some(_)) => Fit::Crop,
            (fit, _) => fit.unwrap_or(if exact { Fit::Fill } else { Fit::Fit }),
        };
        let captions = self.captions.clone().unwrap_or_default();
        if !captions.is_empty() && captions.len() != images {
            let message = format!("there are {} captions for {images} photographs", captions.len());
            return Err(Failure::invalid("sheet.captions-mismatch", message));
        }
        let caption_size = self.caption_size.unwrap_or(CAPTION_SIZE);
        let page = PageOptions {
            paper: self.page_size.as_deref().map(str::parse).transpose()?.unwrap_or(PaperSize::A4),
            orientation,
            margins: self.margin.as_deref().map_or(Ok(Margins::all(margin)), str::parse)?,
            gap: read(&self.gap, gap)?,
            bleed,
            caption: if captions.is_empty() { Length::ZERO } else { caption_height(caption_size) },
            guides: self.cut_guides.as_deref().map(str::parse::<CutGuides>).transpose()?.unwrap_or_default(),
            arrangement,
        };
        let format = self.output_format.as_deref().map(str::parse::<SheetFormat>).transpose()?.unwrap_or_default();
        let turn = self.rotate.unwrap_or(false) && !exact;
        let options = SheetOptions { page, fit, turn, caption_size, format, dpi: self.dpi, quality: self.quality };
        let layout = options.layout()?;
        let cells = layout.cells.len();
        let copies = match self.copies {
            Some(0) => return Err(Failure::invalid("sheet.copies-invalid", "a photograph is placed at least once")),
            Some(copies) => copies as usize,
            None if exact => (cells / images).max(1),
            None => 1,
        };
        let places = images.saturating_mul(copies);
        if places > MAX_PLACES {
            let message = format!("{images} photographs {copies} times are {places} places; a sheet has at most {MAX_PLACES}");
            return Err(Failure::limit("sheet.too-many-images", message));
        }
        let strategy = (fit == Fit::Crop).then(|| self.crop_strategy.clone().unwrap_or_else(|| crate::plan::DEFAULT_STRATEGY.to_owned()));
        Ok(Resolved { options, layout, copies, captions, strategy, pages: places.div_ceil(cells.max(1)) })
    }
}

/// Refuses a number of photographs that no sheet has.
///
/// # Errors
/// `sheet.images-missing` (invalid request), `sheet.too-many-images` (limit).
pub(crate) fn check_count(images: usize) -> Result<(), Failure> {
    match images {
        0 => Err(Failure::invalid("sheet.images-missing", "a sheet needs at least one photograph")),
        1..=MAX_IMAGES => Ok(()),
        _ => Err(Failure::limit("sheet.too-many-images", format!("a sheet has at most {MAX_IMAGES} photographs, not {images}"))),
    }
}

fn contradiction(message: &str) -> Failure {
    Failure::invalid("sheet.options-contradict", message)
}

#[cfg(test)]
mod tests {
    use breakwater_core::FailureKind;
    use serde_json::{Value, json};

    use super::*;

    fn resolve(spec: Value, images: usize) -> Result<Resolved, Failure> {
        serde_json::from_value::<SheetSpec>(spec).unwrap().resolve(images)
    }

    fn code(spec: Value, images: usize) -> String {
        resolve(spec, images).unwrap_err().code.into_owned()
    }

    #[test]
    fn the_fields_of_the_image_processing_client_are_enough() {
        let spec = json!({ "grid_layout": { "rows": 2, "columns": 2 }, "sheet_orientation": "portrait", "output_format": "pdf" });
        let resolved = resolve(spec, 5).unwrap();
        assert_eq!((resolved.layout.cells.len(), resolved.pages, resolved.copies), (4, 2, 1));
        assert_eq!((resolved.options.format, resolved.options.fit, resolved.strategy), (SheetFormat::Pdf, Fit::Fit, None));
        let bleeding = resolve(json!({ "grid_layout": { "rows": 2, "columns": 2 }, "bleed": "3mm" }), 5).unwrap();
        assert_eq!(bleeding.options.page.gap, Length::millimetres(6), "as much as the bleed needs");
    }

    #[test]
    fn photographs_of_an_exact_size_fill_a_page() {
        let spec = json!({ "photo_size": "35x45mm", "page_size": "4x6in" });
        for (images, copies, pages) in [(1, 8, 1), (2, 4, 1), (3, 2, 1), (9, 1, 2)] {
            let resolved = resolve(spec.clone(), images).unwrap();
            assert_eq!((resolved.layout.cells.len(), resolved.copies, resolved.pages), (8, copies, pages), "{images}");
        }
        let upright = resolve(json!({ "photo_size": "35x45mm", "page_size": "4x6in", "rotate": false, "copies": 3 }), 1).unwrap();
        assert_eq!((upright.layout.cells.len(), upright.copies, upright.options.fit), (6, 3, Fit::Fill));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let grid = |rows: u32, columns: u32| json!({ "rows": rows, "columns": columns });
        let with = |name: &str, value: Value| {
            let mut spec = json!({ "grid_layout": grid(2, 2) });
            spec[name] = value;
            spec
        };
        for (spec, images, expected) in [
            (json!({}), 1, "sheet.layout-missing"),
            (json!({ "grid_layout": grid(1, 0) }), 1, "sheet.grid-invalid"),
            (json!({ "grid_layout": grid(0, 1) }), 1, "sheet.grid-invalid"),
            (json!({ "grid_layout": grid(1, 1), "photo_size": "35x45mm" }), 1, "sheet.options-contradict"),
            (with("fit", "fill".into()), 0, "sheet.images-missing"),
            (with("fit", "fill".into()), 1001, "sheet.too-many-images"),
            (with("fit", "fill".into()), 10_000, "sheet.too-many-images"),
            (with("copies", 10_001.into()), 1, "sheet.too-many-images"),
            (with("copies", 0.into()), 1, "sheet.copies-invalid"),
            (with("captions", json!(["a"])), 2, "sheet.captions-mismatch"),
            (with("fit", "squeeze".into()), 1, "sheet.option-unknown"),
            (with("output_format", "webp".into()), 1, "sheet.option-unknown"),
            (with("cut_guides", "dots".into()), 1, "sheet.option-unknown"),
            (with("sheet_orientation", "upside-down".into()), 1, "sheet.option-unknown"),
            (with("page_size", "A99".into()), 1, "sheet.size-invalid"),
            (with("margin", "wide".into()), 1, "sheet.length-invalid"),
            (with("margin", "200mm".into()), 1, "sheet.does-not-fit"),
            (json!({ "grid_layout": grid(2, 2), "bleed": "3mm", "gap": "5mm" }), 1, "sheet.bleed-invalid"),
            (with("dpi", 1.into()), 1, "sheet.option-out-of-range"),
            (json!({ "photo_size": "300x300mm" }), 1, "sheet.does-not-fit"),
        ] {
            assert_eq!(code(spec.clone(), images), expected, "{spec} {images}");
        }
        let mut contradicting = with("fit", "fit".into());
        contradicting["crop_strategy"] = "center".into();
        assert_eq!(code(contradicting, 1), "sheet.options-contradict");
        assert_eq!(resolve(with("fit", "fill".into()), 10_000).unwrap_err().kind, FailureKind::Limit);
    }

    #[test]
    fn a_strategy_means_to_crop() {
        let resolved = resolve(json!({ "grid_layout": { "rows": 1, "columns": 1 }, "crop_strategy": "center" }), 1).unwrap();
        assert_eq!((resolved.options.fit, resolved.strategy.as_deref()), (Fit::Crop, Some("center")));
    }
}
