//! The image a plan is made for.

use crate::bindings::breakwater::plugin::imaging;
pub use crate::bindings::breakwater::plugin::imaging::{HeatMap, Thumbnail};
use crate::detection::{Detection, Kind};
use crate::failure::Failure;
use crate::geometry::{Rect, Size};

/// An image as a strategy sees it: the host's own inside a plugin, a [`FakeImage`](crate::testing::FakeImage) in tests.
///
/// Every method but `size` is one host call; the operator limits how many a call may make.
pub trait ImageView {
    /// Of the original, after EXIF orientation. All coordinates are in its pixels.
    fn size(&self) -> Size;

    /// The picture scaled so that its longer edge is at most `edge` (1..=512), never enlarged.
    ///
    /// # Errors
    /// `image.edge-out-of-range`.
    fn thumbnail(&self, edge: u32) -> Result<Thumbnail, Failure>;

    /// How much each cell draws the eye, 0..=1; the longer edge has at most `edge` cells (1..=256).
    ///
    /// # Errors
    /// `image.edge-out-of-range`.
    fn saliency(&self, edge: u32) -> Result<HeatMap, Failure>;

    /// Luminance of each cell (BT.601, gamma encoded), 0..=1; the longer edge has at most `edge` cells (1..=512).
    ///
    /// # Errors
    /// `image.edge-out-of-range`.
    fn luminance(&self, edge: u32) -> Result<HeatMap, Failure>;

    /// What the detector for `kind` found, ordered by falling confidence. Several calls cost one inference.
    ///
    /// [`Wanted::detections`](crate::Wanted::detections) is what a strategy usually wants instead.
    ///
    /// # Errors
    /// `detector.unavailable`, `detector.overloaded`, `detector.failed`.
    fn detect(&self, kind: Kind) -> Result<Vec<Detection>, Failure>;

    /// Shannon entropy of the luminance inside `area`, in bits (0..=8).
    ///
    /// # Errors
    /// `image.area-outside` when `area` is empty or not inside the image.
    fn entropy(&self, area: Rect) -> Result<f32, Failure>;
}

impl ImageView for imaging::Image {
    fn size(&self) -> Size {
        self.size()
    }

    fn thumbnail(&self, edge: u32) -> Result<Thumbnail, Failure> {
        self.thumbnail(edge)
    }

    fn saliency(&self, edge: u32) -> Result<HeatMap, Failure> {
        self.saliency(edge)
    }

    fn luminance(&self, edge: u32) -> Result<HeatMap, Failure> {
        self.luminance(edge)
    }

    fn detect(&self, kind: Kind) -> Result<Vec<Detection>, Failure> {
        self.detect(kind)
    }

    fn entropy(&self, area: Rect) -> Result<f32, Failure> {
        self.entropy(area)
    }
}

impl<I: ImageView> ImageView for std::rc::Rc<I> {
    fn size(&self) -> Size {
        (**self).size()
    }

    fn thumbnail(&self, edge: u32) -> Result<Thumbnail, Failure> {
        (**self).thumbnail(edge)
    }

    fn saliency(&self, edge: u32) -> Result<HeatMap, Failure> {
        (**self).saliency(edge)
    }

    fn luminance(&self, edge: u32) -> Result<HeatMap, Failure> {
        (**self).luminance(edge)
    }

    fn detect(&self, kind: Kind) -> Result<Vec<Detection>, Failure> {
        (**self).detect(kind)
    }

    fn entropy(&self, area: Rect) -> Result<f32, Failure> {
        (**self).entropy(area)
    }
}

impl HeatMap {
    /// The rows of the map, from the top.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.size.width.max(1) as usize)
    }
}
