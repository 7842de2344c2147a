//! The largest window of a ratio. It spans the image on one axis, so that choosing a crop means choosing an offset on the other.

use std::ops::RangeInclusive;

use crate::geometry::{AspectRatio, Bounds, Rect, Size};

/// A direction in which a window moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// From left to right.
    Horizontal,
    /// From top to bottom.
    Vertical,
}

/// A stretch of an axis, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Where it begins.
    pub low: f64,
    /// Where it ends, not below `low`.
    pub high: f64,
}

impl Span {
    /// Its length.
    #[must_use]
    pub fn length(self) -> f64 {
        self.high - self.low
    }

    /// Its middle.
    #[must_use]
    pub fn middle(self) -> f64 {
        f64::midpoint(self.low, self.high)
    }

    /// The length of what both have in common.
    #[must_use]
    pub fn overlap(self, other: Self) -> f64 {
        (self.high.min(other.high) - self.low.max(other.low)).max(0.0)
    }

    /// The shortest span around both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }
}

/// A window of a wanted ratio, as large as the image allows.
///
/// Whatever fits some window of the ratio fits this one at some offset, so a strategy that does not zoom need not look further.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LargestWindow {
    image: Size,
    size: Size,
    axis: Axis,
}

impl LargestWindow {
    /// The largest window of `ratio` in an image of this size (both edges at least 1).
    #[must_use]
    pub fn new(image: Size, ratio: AspectRatio) -> Self {
        Self::of_size(image, ratio.largest_in(image))
    }

    /// As [`new`](Self::new), but one pixel longer on the axis it moves on when the tolerance of the ratio allows it. For what
    /// just does not fit.
    #[must_use]
    pub fn stretched(image: Size, ratio: AspectRatio) -> Self {
        let window = Self::new(image, ratio);
        let mut size = window.size;
        match window.axis {
            Axis::Horizontal => size.width = (size.width + 1).min(image.width),
            Axis::Vertical => size.height = (size.height + 1).min(image.height),
        }
        if ratio.fits(size) { Self::of_size(image, size) } else { window }
    }

    fn of_size(image: Size, size: Size) -> Self {
        let axis = if size.width < image.width { Axis::Horizontal } else { Axis::Vertical };
        Self { image, size, axis }
    }

    /// Its size.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// The axis it moves on.
    #[must_use]
    pub fn axis(&self) -> Axis {
        self.axis
    }

    /// Its length on the axis it moves on.
    #[must_use]
    pub fn length(&self) -> u32 {
        self.on_axis(self.size)
    }

    /// The largest offset: 0 when it cannot move.
    #[must_use]
    pub fn room(&self) -> u32 {
        self.on_axis(self.image) - self.length()
    }

    /// Share of the image's area that it keeps.
    #[must_use]
    pub fn area_kept(&self) -> f32 {
        (self.size.pixels() as f64 / self.image.pixels() as f64) as f32
    }

    /// The rectangle at `offset`, which is cut to [`room`](Self::room).
    #[must_use]
    pub fn at(&self, offset: u32) -> Rect {
        let offset = offset.min(self.room());
        let (x, y) = match self.axis {
            Axis::Horizontal => (offset, 0),
            Axis::Vertical => (0, offset),
        };
        Rect { x, y, width: self.size.width, height: self.size.height }
    }

    /// The rectangle in the middle of the image.
    #[must_use]
    pub fn centered(&self) -> Rect {
        self.at(self.room() / 2)
    }

    /// The whole offset nearest to the wished one.
    #[must_use]
    pub fn clamp(&self, offset: f64) -> u32 {
        // A wish that is not a number becomes 0.
        within(offset.round(), 0.0, f64::from(self.room())) as u32
    }

    /// What the window covers of its axis at `offset`.
    #[must_use]
    pub fn covers(&self, offset: u32) -> Span {
        let low = f64::from(offset);
        Span { low, high: low + f64::from(self.length()) }
    }

    /// The part of the axis that a box takes, cut to the image.
    #[must_use]
    pub fn along(&self, bounds: &Bounds) -> Span {
        let (low, length, end) = match self.axis {
            Axis::Horizontal => (bounds.x, bounds.width, self.image.width),
            Axis::Vertical => (bounds.y, bounds.height, self.image.height),
        };
        let (low, end) = (f64::from(low), f64::from(end));
        Span { low: within(low, 0.0, end), high: within(low + f64::from(length), 0.0, end) }
    }

    /// The offsets at which the whole of `span` is inside the window; `None` when it is too long.
    ///
    /// ```
    /// use breakwater_guest::{AspectRatio, LargestWindow, Size, Span};
    /// let window = LargestWindow::new(Size { width: 100, height: 50 }, AspectRatio { width: 1, height: 1 });
    /// assert_eq!(window.keeping(Span { low: 20.5, high: 60.0 }), Some(10..=20));
    /// assert_eq!(window.keeping(Span { low: 20.5, high: 80.0 }), None);
    /// ```
    #[must_use]
    pub fn keeping(&self, span: Span) -> Option<RangeInclusive<u32>> {
        let room = f64::from(self.room());
        let first = (span.high - f64::from(self.length())).ceil().max(0.0);
        let last = span.low.floor().min(room);
        (first <= last).then_some(first as u32..=last as u32)
    }

    fn on_axis(&self, size: Size) -> u32 {
        match self.axis {
            Axis::Horizontal => size.width,
            Axis::Vertical => size.height,
        }
    }
}

/// `value` cut to `low..=high`. Unlike `clamp` it cannot panic, whose message alone would add 20 KB of float formatting to a component.
fn within(value: f64, low: f64, high: f64) -> f64 {
    value.max(low).min(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: AspectRatio = AspectRatio { width: 1, height: 1 };

    #[test]
    fn a_window_moves_on_the_axis_it_does_not_span() {
        let wide = LargestWindow::new(Size { width: 300, height: 200 }, SQUARE);
        assert_eq!((wide.axis(), wide.length(), wide.room()), (Axis::Horizontal, 200, 100));
        let high = LargestWindow::new(Size { width: 200, height: 300 }, SQUARE);
        assert_eq!((high.axis(), high.length(), high.room()), (Axis::Vertical, 200, 100));
        assert_eq!(high.at(70), Rect { x: 0, y: 70, width: 200, height: 200 });
        assert_eq!(high.at(700), high.at(100));
    }

    #[test]
    fn the_tolerance_of_the_ratio_gives_one_pixel_and_no_more() {
        let size = Size { width: 300, height: 200 };
        assert_eq!(LargestWindow::stretched(size, SQUARE).length(), 201);
        let whole = Size { width: 300, height: 300 };
        assert_eq!(LargestWindow::stretched(whole, SQUARE).size(), whole);
        // 2:1 in 300x201 is 300x150; 151 is off by 2 x 151 - 300 = 2 parts, which is within 2.
        assert_eq!(LargestWindow::stretched(Size { width: 300, height: 201 }, AspectRatio { width: 2, height: 1 }).length(), 151);
    }

    #[test]
    fn a_box_that_reaches_over_the_edge_counts_as_far_as_the_edge() {
        let window = LargestWindow::new(Size { width: 100, height: 50 }, SQUARE);
        let span = window.along(&Bounds { x: -20.0, y: 0.0, width: 65.5, height: 10.0 });
        assert_eq!(span, Span { low: 0.0, high: 45.5 });
        assert_eq!(window.keeping(span), Some(0..=0));
        let right = window.along(&Bounds { x: 60.25, y: 0.0, width: 500.0, height: 10.0 });
        assert_eq!(window.keeping(right), Some(50..=50));
    }

    #[test]
    fn a_wish_becomes_an_offset_that_exists() {
        let window = LargestWindow::new(Size { width: 100, height: 50 }, SQUARE);
        assert_eq!([-3.0, 12.5, 900.0, f64::NAN].map(|wish| window.clamp(wish)), [0, 13, 50, 0]);
    }
}
