//! Looking at an image through a small, cached copy of it.
//!
//! Every number comes from one base picture whose longer edge is at most [`MAX_THUMBNAIL_EDGE`] pixels, made on first use and
//! kept: a strategy that asks a hundred times pays for one pass over the photograph.

mod entropy;
mod perceptual_hash;
mod saliency;

use std::sync::OnceLock;

use breakwater_core::{Rect, Size};

use crate::VisionError;
use crate::raster::{Raster, RgbImage};
use crate::resize::{Filter, Window, resize};

/// The longest edge of a thumbnail or luminance map.
pub const MAX_THUMBNAIL_EDGE: u32 = 512;

/// The longest edge of a saliency map, and the resolution at which saliency and entropy are measured.
pub const MAX_MAP_EDGE: u32 = 256;

/// One number per cell, row-major, each 0..=1.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// Cells across and down.
    pub size: Size,
    /// `width * height` values.
    pub values: Vec<f32>,
}

/// What has been computed of one image so far.
#[derive(Debug, Default)]
pub(crate) struct Analysis {
    /// Opaque, at most [`MAX_THUMBNAIL_EDGE`].
    base: OnceLock<Raster>,
    /// Opaque, at most [`MAX_MAP_EDGE`].
    small: OnceLock<Raster>,
    /// Luminance of `small`, 8 bits.
    levels: OnceLock<Vec<u8>>,
    saliency: OnceLock<HeatMap>,
}

/// An analysis of one image: its cache, its pixels, and the size its coordinates are in.
pub(crate) struct View<'a> {
    pub(crate) analysis: &'a Analysis,
    pub(crate) raster: &'a Raster,
    pub(crate) original: Size,
}

fn check_edge(edge: u32, max: u32) -> Result<(), VisionError> {
    if (1..=max).contains(&edge) { Ok(()) } else { Err(VisionError::EdgeOutOfRange { edge, max }) }
}

/// `raster` at `size`, or as it is where that is not possible, which sizes from [`Size::fit_longer`] never are.
fn scaled(raster: &Raster, size: Size) -> Raster {
    if size == raster.size() {
        return raster.clone();
    }
    resize(raster, Window::whole(raster.size()), size, Filter::Smooth).unwrap_or_else(|| raster.clone())
}

impl<'a> View<'a> {
    /// The size whose longer edge is at most `edge`: never larger than the original, whatever scale was decoded.
    fn fitted(&self, edge: u32) -> Size {
        self.original.fit_longer(edge)
    }

    fn base(&self) -> &'a Raster {
        self.analysis.base.get_or_init(|| scaled(self.raster, self.fitted(MAX_THUMBNAIL_EDGE)).into_flattened())
    }

    fn small(&self) -> &'a Raster {
        self.analysis.small.get_or_init(|| scaled(self.base(), self.fitted(MAX_MAP_EDGE)))
    }

    pub(crate) fn thumbnail(&self, edge: u32) -> Result<RgbImage, VisionError> {
        check_edge(edge, MAX_THUMBNAIL_EDGE)?;
        Ok(scaled(self.base(), self.fitted(edge)).to_rgb())
    }

    pub(crate) fn luminance(&self, edge: u32) -> Result<HeatMap, VisionError> {
        check_edge(edge, MAX_THUMBNAIL_EDGE)?;
        let raster = scaled(self.base(), self.fitted(edge));
        let values = raster.pixels().as_chunks::<4>().0.iter().map(|[r, g, b, _]| luma(*r, *g, *b) / 255.0).collect();
        Ok(HeatMap { size: raster.size(), values })
    }

    pub(crate) fn saliency(&self, edge: u32) -> Result<HeatMap, VisionError> {
        check_edge(edge, MAX_MAP_EDGE)?;
        let whole = self.analysis.saliency.get_or_init(|| saliency::map(self.small()));
        Ok(whole.averaged(self.fitted(edge)))
    }

    pub(crate) fn perceptual_hash(&self) -> Option<u64> {
        perceptual_hash::of(self.small())
    }

    pub(crate) fn entropy(&self, area: Rect) -> Result<f32, VisionError> {
        if !area.lies_inside(self.original) {
            return Err(VisionError::AreaOutside { area, size: self.original });
        }
        let small = self.small();
        let levels = self
            .analysis
            .levels
            .get_or_init(|| small.pixels().as_chunks::<4>().0.iter().map(|[r, g, b, _]| (luma(*r, *g, *b) + 0.5) as u8).collect());
        Ok(entropy::of_area(levels, small.size(), area, self.original))
    }
}

/// BT.601 luma of gamma-encoded values, 0..=255.
fn luma(red: u8, green: u8, blue: u8) -> f32 {
    0.299 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue)
}

impl HeatMap {
    /// The map with larger cells: each is the mean of what it covers.
    fn averaged(&self, size: Size) -> Self {
        if size == self.size {
            return self.clone();
        }
        let across = weights(self.size.width, size.width);
        let down = weights(self.size.height, size.height);
        let width = self.size.width as usize;
        let rows: Vec<Vec<f32>> =
            self.values.chunks_exact(width).map(|row| across.iter().map(|span| span.mean(row.iter().copied())).collect()).collect();
        let mut values = Vec::with_capacity((size.width * size.height) as usize);
        for span in &down {
            let column = |x: usize| span.mean(rows.iter().map(|row| row.get(x).copied().unwrap_or_default()));
            values.extend((0..across.len()).map(column));
        }
        Self { size, values }
    }
}

/// What one cell covers of a finer row: `[start, end)` in its cells.
struct Span {
    start: f32,
    end: f32,
}

impl Span {
    fn mean(&self, values: impl Iterator<Item = f32>) -> f32 {
        let first = self.start as usize;
        let weighted = values.enumerate().skip(first).map_while(|(index, value)| {
            let covered = (index as f32 + 1.0).min(self.end) - (index as f32).max(self.start);
            (covered > 0.0).then_some(value * covered)
        });
        (weighted.sum::<f32>() / (self.end - self.start)).clamp(0.0, 1.0)
    }
}

fn weights(from: u32, to: u32) -> Vec<Span> {
    let scale = from as f32 / to.max(1) as f32;
    (0..to).map(|cell| Span { start: cell as f32 * scale, end: ((cell + 1) as f32 * scale).min(from as f32) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn painted(size: Size, colour: impl Fn(u32, u32) -> [u8; 3]) -> Raster {
        let pixels = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y))).flat_map(|(x, y)| {
            let [r, g, b] = colour(x, y);
            [r, g, b, 255]
        });
        Raster::new(size, true, pixels.collect()).unwrap()
    }

    fn with_view<T>(raster: &Raster, original: Size, look: impl FnOnce(View) -> T) -> T {
        look(View { analysis: &Analysis::default(), raster, original })
    }

    #[test]
    fn edges_outside_their_range_are_refused() {
        let raster = painted(Size::new(64, 48), |_, _| [1, 2, 3]);
        with_view(&raster, raster.size(), |view| {
            for edge in [0, 513, u32::MAX] {
                assert_eq!(view.thumbnail(edge).unwrap_err().code(), "image.edge-out-of-range");
                assert_eq!(view.luminance(edge).unwrap_err().code(), "image.edge-out-of-range");
            }
            assert_eq!(view.saliency(257).unwrap_err(), VisionError::EdgeOutOfRange { edge: 257, max: 256 });
            assert_eq!(view.saliency(0).unwrap_err().code(), "image.edge-out-of-range");
        });
    }

    #[test]
    fn a_thumbnail_is_never_larger_than_the_original_and_keeps_a_pixel() {
        let raster = painted(Size::new(64, 48), |_, _| [9, 8, 7]);
        let thumbnail = with_view(&raster, raster.size(), |view| view.thumbnail(512).unwrap());
        assert_eq!((thumbnail.size, &thumbnail.pixels[..3]), (Size::new(64, 48), &[9, 8, 7][..]));
        let thin = painted(Size::new(1, 2000), |_, _| [1, 1, 1]);
        assert_eq!(with_view(&thin, thin.size(), |view| view.thumbnail(100).unwrap().size), Size::new(1, 100));
    }

    #[test]
    fn a_reduced_raster_gives_maps_of_the_same_size_as_a_full_one() {
        let raster = painted(Size::new(321, 241), |x, _| [x as u8, 0, 0]);
        let map = with_view(&raster, Size::new(641, 481), |view| view.luminance(300).unwrap());
        assert_eq!(map.size, Size::new(641, 481).fit_longer(300));
    }

    #[test]
    fn luminance_is_bt601() {
        for (colour, expected) in [([255, 0, 0], 0.299), ([0, 255, 0], 0.587), ([0, 0, 255], 0.114), ([255, 255, 255], 1.0)] {
            let raster = painted(Size::new(20, 10), |_, _| colour);
            let map = with_view(&raster, raster.size(), |view| view.luminance(10).unwrap());
            assert_eq!(map.size, Size::new(10, 5));
            assert!(map.values.iter().all(|value| (value - expected).abs() < 1e-3), "{colour:?}: {:?}", map.values.first());
        }
    }

    #[test]
    fn averaging_keeps_the_mean_at_any_size() {
        let map = HeatMap { size: Size::new(7, 5), values: (0..35).map(|index| (index % 9) as f32 / 9.0).collect() };
        let mean = |map: &HeatMap| map.values.iter().sum::<f32>() / map.values.len() as f32;
        for (width, height) in [(1, 1), (3, 2), (7, 1), (6, 5), (2, 4)] {
            let averaged = map.averaged(Size::new(width, height));
            assert_eq!(averaged.values.len(), (width * height) as usize);
            assert!((mean(&averaged) - mean(&map)).abs() < 1e-5, "{width}x{height}");
        }
    }

    #[test]
    fn an_area_outside_has_no_entropy() {
        let raster = painted(Size::new(64, 48), |_, _| [1, 2, 3]);
        with_view(&raster, raster.size(), |view| {
            for area in [Rect::new(0, 0, 65, 48), Rect::new(0, 0, 0, 1), Rect::new(64, 0, 1, 1), Rect::new(u32::MAX, 0, 2, 2)] {
                assert_eq!(view.entropy(area).unwrap_err().code(), "image.area-outside");
            }
            assert_eq!(view.entropy(Rect::new(63, 47, 1, 1)), Ok(0.0));
        });
    }
}
