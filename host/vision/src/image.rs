//! A decoded image: what every other part of the host holds when it holds a photograph.

use std::fmt;
use std::sync::OnceLock;

use breakwater_core::{Rect, Size};
use bytes::Bytes;

use crate::analysis::{Analysis, HeatMap, View};
use crate::decode::{Wanted, decode};
use crate::header::Header;
use crate::raster::{Raster, RgbImage};
use crate::resize::{Filter, Window, resize, resize_columns_first};
use crate::{Format, Limits, VisionError};

/// How much detail is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Every pixel.
    Full,
    /// A reduced scale will do, as long as the raster is at least this size on both edges (or the image's own, where that is
    /// smaller). JPEG is then decoded at 1/2, 1/4 or 1/8, at a fraction of the cost; other formats are decoded in full.
    AtLeast(Size),
}

/// How pixels are weighed when an image is scaled for a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resampling {
    /// A triangle; `BILINEAR` in PIL.
    Linear,
    /// The cubic of Catmull and Rom; `BICUBIC` in PIL.
    Cubic,
}

/// The BLAKE3 digest of an image's source bytes: two images with the same digest are the same image.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentDigest([u8; 32]);

impl ContentDigest {
    /// The digest of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ContentDigest {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentDigest({self})")
    }
}

/// A photograph, upright, in sRGB, 8 bits a channel. Immutable; share it as `Arc<Image>`.
///
/// All coordinates are pixels of the original after orientation, [`Image::size`], even when the raster is smaller.
pub struct Image {
    source: Bytes,
    header: Header,
    raster: Raster,
    digest: OnceLock<ContentDigest>,
    analysis: Analysis,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("format", &self.format())
            .field("size", &self.size())
            .field("raster", &self.raster)
            .finish_non_exhaustive()
    }
}

impl Image {
    /// Decodes `bytes`, whose format is found from their content. The bytes are kept, so that [`crate::render`] can decode more
    /// detail later.
    ///
    /// # Errors
    /// `image.unsupported`, `image.corrupt`, and every limit. Nothing larger than the metadata is allocated before the limits hold.
    pub fn decode(bytes: Bytes, detail: Detail, limits: &Limits) -> Result<Self, VisionError> {
        let clock = limits.start();
        let header = Header::read(&bytes, limits)?;
        let at_least = match detail {
            Detail::Full => None,
            Detail::AtLeast(size) => Some(size),
        };
        let raster = decode(&bytes, &header, Wanted { at_least, area: None }, clock)?.raster;
        Ok(Self { source: bytes, header, raster, digest: OnceLock::new(), analysis: Analysis::default() })
    }

    /// The size of the original after orientation.
    #[must_use]
    pub fn size(&self) -> Size {
        self.header.size()
    }

    /// The pixels, perhaps at a reduced scale.
    #[must_use]
    pub fn raster(&self) -> &Raster {
        &self.raster
    }

    /// The digest of the source bytes, computed on first use.
    #[must_use]
    pub fn digest(&self) -> ContentDigest {
        *self.digest.get_or_init(|| ContentDigest::of(&self.source))
    }

    /// The format of the source.
    #[must_use]
    pub fn format(&self) -> Format {
        self.header.format
    }

    /// The bytes it was decoded from.
    #[must_use]
    pub fn source(&self) -> &Bytes {
        &self.source
    }

    /// The picture scaled so that the longer edge is at most `edge`; never enlarged.
    ///
    /// # Errors
    /// `image.edge-out-of-range` unless `edge` is 1..=512.
    pub fn thumbnail(&self, edge: u32) -> Result<RgbImage, VisionError> {
        self.view().thumbnail(edge)
    }

    /// How much each cell draws the eye, 0..=1; the longer edge has at most `edge` cells. See `analysis/saliency.rs` for the method.
    ///
    /// # Errors
    /// `image.edge-out-of-range` unless `edge` is 1..=256.
    pub fn saliency(&self, edge: u32) -> Result<HeatMap, VisionError> {
        self.view().saliency(edge)
    }

    /// BT.601 luma of each cell, gamma-encoded, 0..=1; the longer edge has at most `edge` cells.
    ///
    /// # Errors
    /// `image.edge-out-of-range` unless `edge` is 1..=512.
    pub fn luminance(&self, edge: u32) -> Result<HeatMap, VisionError> {
        self.view().luminance(edge)
    }

    /// A hash of which few of 64 bits differ between near-duplicates: re-encoded, scaled or darkened. See `analysis/perceptual_hash.rs` for
    /// the method. None for a picture that is nearly of one brightness.
    #[must_use]
    pub fn perceptual_hash(&self) -> Option<u64> {
        self.view().perceptual_hash()
    }

    /// Shannon entropy, in bits (0..=8), of the luma inside `area`, measured at a resolution of at most 256 pixels on the image's
    /// longer edge.
    ///
    /// # Errors
    /// `image.area-outside` when `area` is empty or not inside the image.
    pub fn entropy(&self, area: Rect) -> Result<f32, VisionError> {
        self.view().entropy(area)
    }

    /// The whole picture at exactly this size, smoothed against aliasing, for detectors. An empty size gives an empty picture.
    #[must_use]
    pub fn resized_rgb(&self, to: Size) -> RgbImage {
        let scaled = resize(&self.raster, Window::whole(self.raster.size()), to, Filter::Smooth);
        scaled.map_or_else(|| RgbImage { size: Size::new(0, 0), pixels: Vec::new() }, |raster| raster.to_rgb())
    }

    /// What [`Image::resized_rgb`] would show of the picture at size `to` inside `area`, without making the rest: the cost is that of
    /// `area`, however large `to` is. An area that is empty or not inside `to` gives an empty picture.
    #[must_use]
    pub fn resized_part_rgb(&self, to: Size, area: Rect) -> RgbImage {
        self.resampled_part_rgb(to, area, Resampling::Linear)
    }

    /// As [`Image::resized_part_rgb`], with a filter that is named. Both are widened with the scale against aliasing, as `PIL.Image.resize`
    /// does it.
    #[must_use]
    pub fn resampled_part_rgb(&self, to: Size, area: Rect, resampling: Resampling) -> RgbImage {
        let window = Window::scaled(area, to, self.raster.size());
        let scaled = match resampling {
            _ if !area.lies_inside(to) => None,
            Resampling::Linear => resize(&self.raster, window, area.size(), Filter::Smooth),
            Resampling::Cubic => resize_columns_first(&self.raster, window, area.size(), Filter::Cubic),
        };
        scaled.map_or_else(|| RgbImage { size: Size::new(0, 0), pixels: Vec::new() }, |raster| raster.to_rgb())
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    fn view(&self) -> View<'_> {
        View { analysis: &self.analysis, raster: &self.raster, original: self.size() }
    }
}
