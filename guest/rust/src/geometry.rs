//! Sizes and places in pixels, origin top left, after EXIF orientation.

pub use crate::bindings::breakwater::plugin::geometry::{AspectRatio, Bounds, Point, Rect, Size};

impl Size {
    /// The rectangle that covers all of it.
    #[must_use]
    pub fn rect(self) -> Rect {
        Rect { x: 0, y: 0, width: self.width, height: self.height }
    }

    /// Number of pixels.
    #[must_use]
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

impl Rect {
    /// Its size.
    #[must_use]
    pub fn size(self) -> Size {
        Size { width: self.width, height: self.height }
    }

    /// Whether it is not empty and lies wholly inside an image of this size.
    #[must_use]
    pub fn lies_inside(self, size: Size) -> bool {
        let fits = |start: u32, length: u32, end: u32| length > 0 && u64::from(start) + u64::from(length) <= u64::from(end);
        fits(self.x, self.width, size.width) && fits(self.y, self.height, size.height)
    }

    /// The same rectangle with edges between pixels.
    #[must_use]
    pub fn bounds(self) -> Bounds {
        Bounds { x: self.x as f32, y: self.y as f32, width: self.width as f32, height: self.height as f32 }
    }
}

impl Bounds {
    /// A box from its edges.
    #[must_use]
    pub fn from_edges(left: f32, top: f32, right: f32, bottom: f32) -> Self {
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

    /// Its middle.
    #[must_use]
    pub fn center(&self) -> Point {
        Point { x: self.x + self.width / 2.0, y: self.y + self.height / 2.0 }
    }

    /// Whether every number is finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        [self.x, self.y, self.width, self.height].iter().all(|value| value.is_finite())
    }

    /// What both have in common; a box without area when that is nothing.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self::from_edges(self.x.max(other.x), self.y.max(other.y), self.right().min(other.right()), self.bottom().min(other.bottom()))
    }

    /// Cut to the edges of an image of this size.
    #[must_use]
    pub fn clipped(&self, size: Size) -> Self {
        self.intersection(&size.rect().bounds())
    }

    /// The smallest box around both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::from_edges(self.x.min(other.x), self.y.min(other.y), self.right().max(other.right()), self.bottom().max(other.bottom()))
    }
}

impl AspectRatio {
    /// Width divided by height.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.width) / f64::from(self.height)
    }

    /// The largest size of this ratio inside `size`, rounded to whole pixels, at least 1x1.
    #[must_use]
    pub fn largest_in(self, size: Size) -> Size {
        let round = |numerator: u64, denominator: u64| ((2 * numerator + denominator) / (2 * denominator)).max(1);
        let (rw, rh) = (u64::from(self.width), u64::from(self.height));
        let (w, h) = (u64::from(size.width), u64::from(size.height));
        if w * rh >= h * rw {
            Size { width: round(h * rw, rh).min(w) as u32, height: size.height }
        } else {
            Size { width: size.width, height: round(w * rh, rw).min(h) as u32 }
        }
    }

    /// A size of this ratio of about the given height, no larger than [`largest_in`](Self::largest_in).
    #[must_use]
    pub fn scaled_in(self, size: Size, height: f64) -> Size {
        let largest = self.largest_in(size);
        if height.is_nan() || height >= f64::from(largest.height) {
            return largest;
        }
        // The edge with more parts is rounded first: then the other one is at most half a pixel off.
        let ratio = self.value();
        let whole = |length: f64, most: u32| (length.round() as u32).clamp(1, most);
        if ratio >= 1.0 {
            let width = whole(height * ratio, largest.width);
            Size { width, height: whole(f64::from(width) / ratio, largest.height) }
        } else {
            let height = whole(height, largest.height);
            Size { width: whole(f64::from(height) * ratio, largest.width), height }
        }
    }

    /// Whether a rectangle of this size has the ratio within a pixel: changing one edge by at most one pixel makes it exact.
    #[must_use]
    pub fn fits(self, size: Size) -> bool {
        let (rw, rh) = (u64::from(self.width), u64::from(self.height));
        (u64::from(size.width) * rh).abs_diff(u64::from(size.height) * rw) <= rw.max(rh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_size_has_the_ratio_and_is_no_larger_than_the_largest() {
        for (w, h) in [(1, 1), (7, 3), (160, 90), (1, 500), (500, 1), (333, 777)] {
            let image = Size { width: w, height: h };
            for (rw, rh) in [(1, 1), (4, 6), (16, 9), (100, 1), (1, 100), (35, 45), (9_999, 10_000)] {
                let ratio = AspectRatio { width: rw, height: rh };
                let largest = ratio.largest_in(image);
                for height in [0.0, 0.4, 1.0, 2.5, 33.3, 1e9, f64::NAN] {
                    let size = ratio.scaled_in(image, height);
                    assert!(size.width >= 1 && size.height >= 1 && size.width <= largest.width && size.height <= largest.height);
                    assert!(ratio.fits(size) || size == largest, "{size:?} for {ratio:?} in {image:?} at {height}");
                }
            }
        }
    }

    #[test]
    fn a_ratio_is_exact_within_one_pixel() {
        let ratio = AspectRatio { width: 4, height: 6 };
        let fits = |width, height| ratio.fits(Size { width, height });
        assert_eq!([fits(400, 600), fits(401, 600), fits(400, 599), fits(402, 600), fits(400, 603)], [true, true, true, false, false]);
    }

    #[test]
    fn what_is_outside_has_no_area_left() {
        let image = Size { width: 100, height: 50 };
        assert_eq!(Bounds { x: 120.0, y: 10.0, width: 30.0, height: 10.0 }.clipped(image).area(), 0.0);
        assert_eq!(
            Bounds { x: -10.0, y: 40.0, width: 30.0, height: 30.0 }.clipped(image),
            Bounds { x: 0.0, y: 40.0, width: 20.0, height: 10.0 }
        );
    }
}
