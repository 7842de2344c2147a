//! Sizes and places in pixels, origin top left, after EXIF orientation.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// A size of `width` by `height` pixels.
    #[must_use]
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Number of pixels.
    #[must_use]
    pub const fn pixels(&self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// The longer edge.
    #[must_use]
    pub fn longer(&self) -> u32 {
        self.width.max(self.height)
    }

    /// Whether either edge is zero.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Scaled so that the longer edge is at most `edge`, never enlarged, never less than one pixel.
    #[must_use]
    pub fn fit_longer(&self, edge: u32) -> Self {
        let longer = self.longer();
        if longer <= edge || longer == 0 {
            return *self;
        }
        let scale = f64::from(edge) / f64::from(longer);
        let fit = |length: u32| ((f64::from(length) * scale).round() as u32).clamp(1, edge.max(1));
        Self::new(fit(self.width), fit(self.height))
    }

    /// The rectangle that covers all of it.
    #[must_use]
    pub const fn rect(&self) -> Rect {
        Rect { x: 0, y: 0, width: self.width, height: self.height }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// A rectangle of whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Rect {
    /// A rectangle from its top left corner and size.
    #[must_use]
    pub const fn new(x: u32, y: u32, width: u32, height: u32) -> Self {
        Self { x, y, width, height }
    }

    /// Its size.
    #[must_use]
    pub const fn size(&self) -> Size {
        Size::new(self.width, self.height)
    }

    /// Whether it is not empty and lies wholly inside an image of this size.
    #[must_use]
    pub fn lies_inside(&self, size: Size) -> bool {
        let ends_inside = |start: u32, length: u32, end: u32| length > 0 && u64::from(start) + u64::from(length) <= u64::from(end);
        ends_inside(self.x, self.width, size.width) && ends_inside(self.y, self.height, size.height)
    }

    /// Whether `bounds` lies wholly inside, allowing `slack` pixels on each edge.
    #[must_use]
    pub fn contains(&self, bounds: &Bounds, slack: f32) -> bool {
        let (left, top) = (self.x as f32 - slack, self.y as f32 - slack);
        let right = self.x as f32 + self.width as f32 + slack;
        let bottom = self.y as f32 + self.height as f32 + slack;
        bounds.x >= left && bounds.y >= top && bounds.right() <= right && bounds.bottom() <= bottom
    }
}

impl fmt::Display for Rect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}+{}+{}", self.width, self.height, self.x, self.y)
    }
}

/// A place with sub-pixel precision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// From the left edge.
    pub x: f32,
    /// From the top edge.
    pub y: f32,
}

/// A box with sub-pixel edges, as detectors give it. It may reach over the edges of the image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width, not negative.
    pub width: f32,
    /// Height, not negative.
    pub height: f32,
}

impl Bounds {
    /// A box from its corners.
    #[must_use]
    pub fn from_corners(left: f32, top: f32, right: f32, bottom: f32) -> Self {
        Self { x: left, y: top, width: (right - left).max(0.0), height: (bottom - top).max(0.0) }
    }

    /// Right edge.
    #[must_use]
    pub fn right(&self) -> f32 {
        self.x + self.width
    }

    /// Bottom edge.
    #[must_use]
    pub fn bottom(&self) -> f32 {
        self.y + self.height
    }

    /// Area in square pixels.
    #[must_use]
    pub fn area(&self) -> f32 {
        self.width * self.height
    }

    /// Whether every coordinate is a number and the size is not negative.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        [self.x, self.y, self.width, self.height].iter().all(|value| value.is_finite()) && self.width >= 0.0 && self.height >= 0.0
    }

    /// Intersection over union with `other`, 0..=1.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f32 {
        let width = self.right().min(other.right()) - self.x.max(other.x);
        let height = self.bottom().min(other.bottom()) - self.y.max(other.y);
        let intersection = width.max(0.0) * height.max(0.0);
        let union = self.area() + other.area() - intersection;
        if union > 0.0 { intersection / union } else { 0.0 }
    }

    /// Cut to the edges of an image of this size.
    #[must_use]
    pub fn clipped(&self, size: Size) -> Self {
        let (width, height) = (size.width as f32, size.height as f32);
        Self::from_corners(
            self.x.clamp(0.0, width),
            self.y.clamp(0.0, height),
            self.right().clamp(0.0, width),
            self.bottom().clamp(0.0, height),
        )
    }
}

/// Width to height, both at least 1; 4:6 is portrait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AspectRatio {
    /// Parts of width.
    pub width: u32,
    /// Parts of height.
    pub height: u32,
}

/// Text or numbers that are no aspect ratio.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an aspect ratio is WIDTH:HEIGHT with whole numbers from 1 to 10000, such as 4:6; got {0:?}")]
pub struct InvalidAspectRatio(String);

impl AspectRatio {
    /// The largest part accepted.
    pub const MAX_PART: u32 = 10_000;

    /// A ratio of `width` to `height`.
    ///
    /// # Errors
    /// When a part is zero or over [`Self::MAX_PART`].
    pub fn new(width: u32, height: u32) -> Result<Self, InvalidAspectRatio> {
        let valid = 1..=Self::MAX_PART;
        if valid.contains(&width) && valid.contains(&height) {
            Ok(Self { width, height })
        } else {
            Err(InvalidAspectRatio(format!("{width}:{height}")))
        }
    }

    /// Width divided by height.
    #[must_use]
    pub fn value(&self) -> f64 {
        f64::from(self.width) / f64::from(self.height)
    }

    /// The largest size of this ratio inside `size`, rounded to whole pixels, at least 1x1.
    #[must_use]
    pub fn largest_in(&self, size: Size) -> Size {
        let round = |numerator: u64, denominator: u64| ((2 * numerator + denominator) / (2 * denominator)).max(1);
        let (rw, rh) = (u64::from(self.width), u64::from(self.height));
        let (w, h) = (u64::from(size.width), u64::from(size.height));
        if w * rh >= h * rw {
            Size::new(round(h * rw, rh).min(w) as u32, size.height)
        } else {
            Size::new(size.width, round(w * rh, rw).min(h) as u32)
        }
    }

    /// Whether a rectangle of this size has the ratio within a pixel: changing one edge by at most one pixel makes it exact.
    #[must_use]
    pub fn fits(&self, size: Size) -> bool {
        let (rw, rh) = (u64::from(self.width), u64::from(self.height));
        let (w, h) = (u64::from(size.width), u64::from(size.height));
        // |w - h·rw/rh| ≤ 1, or |h - w·rh/rw| ≤ 1, both multiplied out.
        (w * rh).abs_diff(h * rw) <= rw.max(rh)
    }
}

impl FromStr for AspectRatio {
    type Err = InvalidAspectRatio;

    /// Reads `4:6`, `4x6` or `4/6`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidAspectRatio(text.chars().take(40).collect());
        let (width, height) = text.trim().split_once([':', 'x', '/']).ok_or_else(invalid)?;
        let part = |digits: &str| digits.trim().parse().map_err(|_| invalid());
        Self::new(part(width)?, part(height)?).map_err(|_| invalid())
    }
}

impl fmt::Display for AspectRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_largest_window_fits_its_ratio_and_lies_inside(w in 1u32..30_000, h in 1u32..30_000, rw in 1u32..100, rh in 1u32..100) {
            let ratio = AspectRatio::new(rw, rh).unwrap();
            let size = Size::new(w, h);
            let window = ratio.largest_in(size);
            prop_assert!(window.rect().lies_inside(size));
            prop_assert!(window.width == w || window.height == h);
            prop_assert!(ratio.fits(window) || window.width == 1 || window.height == 1, "{window} of {ratio} in {size}");
        }
    }

    #[test]
    fn a_ratio_is_exact_within_one_pixel() {
        let ratio: AspectRatio = "4:6".parse().unwrap();
        for (size, fits) in [
            ((400, 600), true),
            ((401, 600), true),
            ((400, 599), true),
            ((402, 600), false),
            ((404, 600), false),
            ((400, 601), true),
            ((400, 603), false),
        ] {
            assert_eq!(ratio.fits(Size::new(size.0, size.1)), fits, "{size:?}");
        }
    }

    #[test]
    fn what_is_no_ratio_is_refused() {
        for text in ["", "4", "4:0", "0:4", "-1:2", "4:6:8", "a:b", "4:99999"] {
            assert!(text.parse::<AspectRatio>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rectangle_that_would_overflow_is_outside() {
        assert!(!Rect::new(u32::MAX, 0, 2, 1).lies_inside(Size::new(u32::MAX, 10)));
        assert!(!Rect::new(0, 0, 0, 1).lies_inside(Size::new(10, 10)));
    }

    #[test]
    fn fitting_keeps_a_pixel_of_a_thin_image() {
        assert_eq!(Size::new(1, 20_000).fit_longer(640), Size::new(1, 640));
        assert_eq!(Size::new(10, 5).fit_longer(640), Size::new(10, 5));
    }

    #[test]
    fn iou_of_half_overlapping_boxes() {
        let a = Bounds::from_corners(0.0, 0.0, 2.0, 1.0);
        let b = Bounds::from_corners(1.0, 0.0, 3.0, 1.0);
        assert!((a.iou(&b) - 1.0 / 3.0).abs() < 1e-6);
    }
}
