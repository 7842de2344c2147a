//! Scaling with SIMD: one place for the filters.

use breakwater_core::{Rect, Size};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::raster::Raster;

/// A rectangle with sub-pixel edges, in the pixels of a raster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Window {
    /// All of a raster of this size.
    pub(crate) fn whole(size: Size) -> Self {
        Self { left: 0.0, top: 0.0, width: size.width.into(), height: size.height.into() }
    }

    /// Where `area` of an image of size `original` lies in a raster of size `raster` that shows the same.
    pub(crate) fn scaled(area: Rect, original: Size, raster: Size) -> Self {
        let across = f64::from(raster.width) / f64::from(original.width.max(1));
        let down = f64::from(raster.height) / f64::from(original.height.max(1));
        let (left, top) = (f64::from(area.x) * across, f64::from(area.y) * down);
        // Rounding must not push the far edges over the raster's.
        let width = (f64::from(area.width) * across).min(f64::from(raster.width) - left);
        let height = (f64::from(area.height) * down).min(f64::from(raster.height) - top);
        Self { left, top, width, height }
    }

    /// The same window in the part of the raster that begins at `part`.
    pub(crate) fn moved_into(self, part: Rect) -> Self {
        Self { left: self.left - f64::from(part.x), top: self.top - f64::from(part.y), ..self }
    }

    /// The whole pixels it covers, when its edges fall between pixels.
    fn exact(&self) -> Option<Rect> {
        let whole = [self.left, self.top, self.width, self.height].map(|value| (value.fract() == 0.0).then_some(value as u32));
        let [Some(x), Some(y), Some(width), Some(height)] = whole else { return None };
        Some(Rect::new(x, y, width, height))
    }
}

/// How pixels are weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Lanczos with three lobes, for pictures that people see.
    Sharp,
    /// A triangle as wide as the scale, for detectors and maps: half the work, no ringing.
    Smooth,
    /// The cubic of Catmull and Rom as wide as the scale, which others call bicubic: for models that were trained on it.
    Cubic,
}

impl Filter {
    fn algorithm(self) -> ResizeAlg {
        ResizeAlg::Convolution(match self {
            Self::Sharp => FilterType::Lanczos3,
            Self::Smooth => FilterType::Bilinear,
            Self::Cubic => FilterType::CatmullRom,
        })
    }
}

/// The part of `raster` in `window`, scaled to `to`. Alpha is multiplied in for the scaling and out again after it.
///
/// A window of whole pixels that needs no scaling is copied. `None` only when `to` is empty or the window is not inside.
pub(crate) fn resize(raster: &Raster, window: Window, to: Size, filter: Filter) -> Option<Raster> {
    if let Some(area) = window.exact().filter(|area| area.size() == to) {
        return copy(raster, area);
    }
    let from = ImageRef::new(raster.size().width, raster.size().height, raster.pixels(), PixelType::U8x4).ok()?;
    let mut target = Image::new(to.width, to.height, PixelType::U8x4);
    let options = ResizeOptions::new()
        .resize_alg(filter.algorithm())
        .crop(window.left, window.top, window.width, window.height)
        .use_alpha(!raster.is_opaque());
    Resizer::new().resize(&from, &mut target, &options).ok()?;
    Raster::new(to, raster.is_opaque(), target.into_vec())
}

/// As [`resize`], but columns first and rows then, as PIL does it: values are rounded and cut to bytes in between, so that the order shows
/// where a filter overshoots.
pub(crate) fn resize_columns_first(raster: &Raster, window: Window, to: Size, filter: Filter) -> Option<Raster> {
    let whole = f64::from(raster.size().height);
    // Only the rows that the second step reads: the widest filter reaches three steps of the scale beyond the window.
    let reach = 3.0 * (window.height / f64::from(to.height.max(1))).max(1.0) + 1.0;
    let (top, bottom) = ((window.top - reach).floor().max(0.0), (window.top + window.height + reach).ceil().min(whole));
    let rows = Window { top, height: bottom - top, ..window };
    let across = resize(raster, rows, Size::new(to.width, (bottom - top) as u32), filter)?;
    resize(&across, Window { left: 0.0, width: to.width.into(), top: window.top - top, ..window }, to, filter)
}

fn copy(raster: &Raster, area: Rect) -> Option<Raster> {
    if !area.lies_inside(raster.size()) {
        return None;
    }
    if area.size() == raster.size() {
        return Some(raster.clone());
    }
    let row = raster.size().width as usize * Raster::CHANNELS;
    let start = area.x as usize * Raster::CHANNELS;
    let end = start + area.width as usize * Raster::CHANNELS;
    let rows = raster.pixels().chunks_exact(row).skip(area.y as usize).take(area.height as usize);
    let mut pixels = Vec::with_capacity((end - start) * area.height as usize);
    for row in rows {
        pixels.extend_from_slice(row.get(start..end)?);
    }
    Raster::new(area.size(), raster.is_opaque(), pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(size: Size) -> Raster {
        let pixel = |index: u64| [(index % u64::from(size.width)) as u8 * 4, (index / u64::from(size.width)) as u8 * 4, 7, 255];
        Raster::new(size, true, (0..size.pixels()).flat_map(pixel).collect()).unwrap()
    }

    #[test]
    fn a_window_without_scaling_is_copied_exactly() {
        let raster = gradient(Size::new(40, 30));
        let area = Rect::new(3, 4, 5, 6);
        let cut = resize(&raster, Window::scaled(area, raster.size(), raster.size()), area.size(), Filter::Sharp).unwrap();
        assert_eq!(cut.pixels()[..4], [12, 16, 7, 255]);
        assert_eq!(cut.pixels()[cut.pixels().len() - 4..], [28, 36, 7, 255]);
    }

    #[test]
    fn halving_averages_and_keeps_constants() {
        let raster = gradient(Size::new(40, 30));
        for filter in [Filter::Sharp, Filter::Smooth] {
            let half = resize(&raster, Window::whole(raster.size()), Size::new(20, 15), filter).unwrap();
            let middle = &half.pixels()[(7 * 20 + 10) * 4..][..4];
            assert!(middle[0].abs_diff(82) <= 1 && middle[1].abs_diff(58) <= 1, "{middle:?}");
            assert!(half.pixels().chunks(4).all(|pixel| pixel[2] == 7 && pixel[3] == 255));
        }
    }

    #[test]
    fn hidden_colour_does_not_bleed_through_transparency() {
        // Opaque white beside transparent black: whatever is seen must be white.
        let pixels = (0..64u8).flat_map(|index| if index % 8 < 4 { [255; 4] } else { [0; 4] }).collect();
        let raster = Raster::new(Size::new(8, 8), false, pixels).unwrap();
        let scaled = resize(&raster, Window::whole(raster.size()), Size::new(5, 5), Filter::Sharp).unwrap();
        for pixel in scaled.pixels().chunks(4).filter(|pixel| pixel[3] > 8) {
            assert!(pixel[0] >= 250, "{pixel:?}");
        }
    }

    #[test]
    fn a_window_outside_is_refused() {
        let raster = gradient(Size::new(8, 8));
        let window = Window { left: 4.0, top: 0.0, width: 5.0, height: 8.0 };
        assert!(resize(&raster, window, Size::new(5, 8), Filter::Sharp).is_none());
        assert!(resize(&raster, window, Size::new(3, 3), Filter::Sharp).is_none());
    }
}
