//! A sheet as pictures of its pages.

use breakwater_core::Size;
use cosmic_text::skrifa::instance::{LocationRef, Size as FontSize};
use cosmic_text::skrifa::outline::DrawSettings;
use cosmic_text::skrifa::{FontRef, GlyphId, MetadataProvider as _};

use super::canvas::Canvas;
use super::captions::{Line, Typesetter};
use super::composer::PlacedPhotograph;
use super::layout::Area;
use super::options::DEFAULT_DPI;
use super::outline::Outline;
use super::placement::{self, Placement};
use super::{Layout, Length, Photograph, SheetError, SheetFormat, SheetOptions};
use crate::decode::{Wanted, decode};
use crate::encode::encode;
use crate::orientation::Orientation;
use crate::raster::Raster;
use crate::resize::{Filter, Window, resize};
use crate::{Format, Limits, VisionError};

/// Guides are one pixel wide and half grey.
const GUIDE_GREY: u8 = 128;

/// A sheet under way: one page at a time is in memory.
pub(super) struct PictureSheet {
    options: SheetOptions,
    layout: Layout,
    limits: Limits,
    dpi: u32,
    size: Size,
    typesetter: Typesetter,
    page: Option<Canvas>,
}

impl PictureSheet {
    pub(super) fn new(options: SheetOptions, layout: Layout, limits: Limits) -> Result<Self, SheetError> {
        let dpi = options.dpi.unwrap_or(DEFAULT_DPI);
        let [width, height] = [layout.media.width, layout.media.height].map(|length| length.in_pixels(dpi).unsigned_abs().max(1));
        let limit = limits.max_pixels.min(u64::from(limits.max_edge).pow(2));
        let too_long = width.max(height) > u64::from(limits.max_edge.min(65_535));
        if width * height > limits.max_pixels || too_long {
            return Err(SheetError::TooManyPixels { width, height, limit });
        }
        let size = Size::new(width as u32, height as u32);
        Ok(Self { options, layout, limits, dpi, size, typesetter: Typesetter::new(), page: None })
    }

    /// Puts a photograph into a cell of the page under way.
    pub(super) fn place(&mut self, cell: usize, photograph: &Photograph) -> Result<PlacedPhotograph, SheetError> {
        let Some(cell) = self.layout.cells.get(cell).copied() else { return Ok(PlacedPhotograph::default()) };
        let size = photograph.size();
        let turned = placement::is_turned(&cell, size, self.options.turn);
        let placement = placement::place(&cell, size, self.options.fit, photograph.crop, turned);
        let (picture, left, top) = self.scaled(photograph, &placement)?;
        let whole = self.size;
        let page = self.page.get_or_insert_with(|| Canvas::new(whole));
        page.draw(&picture, left, top);
        let mut line = Line::default();
        if let Some(area) = cell.caption.filter(|_| !photograph.caption.trim().is_empty()) {
            line = self.typesetter.line(&photograph.caption, self.options.caption_size, area.width.in_points() as f32);
            self.write_line(&line, area);
        }
        Ok(PlacedPhotograph { missing: line.missing })
    }

    /// The page under way as a file.
    pub(super) fn end_page(&mut self) -> Result<Vec<u8>, SheetError> {
        let mut page = self.page.take().unwrap_or_else(|| Canvas::new(self.size));
        for guide in &self.layout.guides {
            let [left, top, across, down] = [guide.left, guide.top, guide.across, guide.down].map(|length| length.in_pixels(self.dpi));
            page.fill(left, top, across.max(1), down.max(1), GUIDE_GREY);
        }
        let (format, quality) = match self.options.format {
            SheetFormat::Jpeg => (Format::Jpeg, Some(self.options.jpeg_quality())),
            _ => (Format::Png, None),
        };
        let too_large = || VisionError::OutputTooLarge { size: self.size, reason: "there is no memory for it".into() };
        Ok(encode(page.into_raster().ok_or_else(too_large)?, format, quality, None)?)
    }

    /// The visible part of a photograph at the resolution of the page, as it lies there, and where.
    fn scaled(&self, photograph: &Photograph, placement: &Placement) -> Result<(Raster, i64, i64), SheetError> {
        let clock = self.limits.start();
        let pixels = |micrometres: f64| Length::micrometres(micrometres.round() as i64).in_pixels(self.dpi);
        let [x, y, width, height] = placement.visible();
        let (left, top) = (pixels(x), pixels(y));
        let (across, down) = ((pixels(x + width) - left).max(1) as u32, (pixels(y + height) - top).max(1) as u32);
        // The visible part as shares of the photograph, lying and then upright.
        let [whole_left, whole_top, whole_width, whole_height] = placement.whole;
        let share = [(x - whole_left) / whole_width, (y - whole_top) / whole_height, width / whole_width, height / whole_height];
        let [u, v, w, h] = if placement.turned { [1.0 - share[1] - share[3], share[0], share[3], share[2]] } else { share };
        let to = if placement.turned { Size::new(down, across) } else { Size::new(across, down) };
        let needed = |pixels: u32, share: f64| (f64::from(pixels) / share.max(1e-9)).ceil() as u32;
        let size = photograph.size();
        let at_least = Size::new(needed(to.width, w).min(size.width), needed(to.height, h).min(size.height));
        let wanted = Wanted { at_least: Some(at_least), area: None };
        let raster = decode(&photograph.bytes, &photograph.header, wanted, clock)?.raster;
        let [columns, rows] = [raster.size().width, raster.size().height].map(f64::from);
        let from = Window { left: (u * columns).max(0.0), top: (v * rows).max(0.0), width: w * columns, height: h * rows };
        // Rounding must not push the far edges over the raster's.
        let from = Window { width: from.width.min(columns - from.left), height: from.height.min(rows - from.top), ..from };
        let too_large = || VisionError::OutputTooLarge { size: to, reason: "it cannot be scaled to that".into() };
        let picture = resize(&raster, from, to, Filter::Sharp).ok_or_else(too_large)?.into_flattened();
        clock.check()?;
        let picture = if placement.turned { Orientation::from_exif(8).apply(picture) } else { picture };
        Ok((picture, left, top))
    }

    fn write_line(&mut self, line: &Line, area: Area) {
        let scale = self.dpi as f32 / 72.0;
        let points = |length: Length| length.in_points() as f32;
        let start = points(area.left) + (points(area.width) - line.width) / 2.0;
        let base = points(area.top) + (points(area.height) + self.options.caption_size * 0.7) / 2.0;
        let Some(page) = &mut self.page else { return };
        for glyph in &line.glyphs {
            let Some((font, index)) = self.typesetter.font(glyph.font) else { continue };
            let Ok(face) = FontRef::from_index(font.data(), index) else { continue };
            let Some(letter) = face.outline_glyphs().get(GlyphId::from(glyph.id)) else { continue };
            let mut outline = Outline::default();
            let settings = DrawSettings::unhinted(FontSize::new(self.options.caption_size * scale), LocationRef::default());
            if letter.draw(settings, &mut outline).is_ok() {
                let (left, base) = ((start + glyph.right) * scale, (base - glyph.above) * scale);
                outline.cover(left, base, |column, row, share| page.darken(column, row, share));
            }
        }
    }
}
