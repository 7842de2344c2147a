//! Images made ready for a network, and the way back from its pixels to the original's.

use breakwater_core::{Bounds, Detection, Point, Size};
use breakwater_vision::RgbImage;

use crate::graph::shape::Shape;

/// A scaled image and where it lies in the network's input; the rest of the input is black.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The scaled image.
    pub content: RgbImage,
    /// Columns of black left of it.
    pub left: u32,
    /// Rows of black above it.
    pub top: u32,
    /// The network's input.
    pub input: Size,
}

/// From pixels of a network's input to pixels of the original image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mapping {
    original: Size,
    content: Size,
    left: u32,
    top: u32,
}

/// Where an image goes in a network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The image is scaled to this.
    pub content: Size,
    /// Columns of black left of it.
    pub left: u32,
    /// Rows of black above it.
    pub top: u32,
    /// The network's input.
    pub input: Size,
}

impl Placement {
    /// At its own size, or the longer edge scaled down to `max_edge`; black to the right and below up to multiples of `multiple`.
    #[must_use]
    pub fn at_own_size(image: Size, max_edge: u32, multiple: u32) -> Self {
        let content = image.fit_longer(max_edge);
        let padded = |edge: u32| edge.max(1).div_ceil(multiple).saturating_mul(multiple);
        Self { content, left: 0, top: 0, input: Size::new(padded(content.width), padded(content.height)) }
    }

    /// Scaled up or down until it just fits into a square of `edge`, in its middle.
    #[must_use]
    pub fn letterbox(image: Size, edge: u32) -> Self {
        let scale = f64::from(edge) / f64::from(image.longer().max(1));
        let scaled = |length: u32| ((f64::from(length) * scale).round() as u32).clamp(1, edge);
        let content = Size::new(scaled(image.width), scaled(image.height));
        Self { content, left: (edge - content.width) / 2, top: (edge - content.height) / 2, input: Size::new(edge, edge) }
    }

    /// The way back to an original of this size.
    #[must_use]
    pub fn mapping(&self, original: Size) -> Mapping {
        Mapping { original, content: self.content, left: self.left, top: self.top }
    }
}

impl Mapping {
    /// A place in the original.
    #[must_use]
    pub fn point(&self, point: Point) -> Point {
        let scale = |original: u32, content: u32| original as f32 / content.max(1) as f32;
        Point {
            x: (point.x - self.left as f32) * scale(self.original.width, self.content.width),
            y: (point.y - self.top as f32) * scale(self.original.height, self.content.height),
        }
    }

    /// A detection in the original, its box cut at the image's edges; nothing if the box lies outside. Landmarks are not cut:
    /// an eye beyond the edge is beyond the edge.
    #[must_use]
    pub fn detection(&self, detection: Detection) -> Option<Detection> {
        let Bounds { x, y, .. } = detection.bounds;
        let start = self.point(Point { x, y });
        let end = self.point(Point { x: detection.bounds.right(), y: detection.bounds.bottom() });
        let bounds = Bounds::from_corners(start.x, start.y, end.x, end.y).clipped(self.original);
        let landmarks = detection.landmarks.iter().map(|point| self.point(*point)).collect();
        (bounds.area() > 0.0).then_some(Detection { bounds, landmarks, ..detection })
    }
}

impl Frame {
    /// The shape of a batch of one.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape::new(1, 3, self.input.height as usize, self.input.width as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_core::DetectionKind;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_letterboxed_maps_back_to_where_it_was(w in 1u32..5_000, h in 1u32..5_000, fx in 0f32..1.0, fy in 0f32..1.0) {
            let original = Size::new(w, h);
            let placement = Placement::letterbox(original, 416);
            prop_assert!(placement.left + placement.content.width <= 416 && placement.top + placement.content.height <= 416);
            prop_assert_eq!(placement.content.longer(), 416);
            let inside = Point {
                x: placement.left as f32 + fx * placement.content.width as f32,
                y: placement.top as f32 + fy * placement.content.height as f32,
            };
            let back = placement.mapping(original).point(inside);
            prop_assert!((back.x - fx * w as f32).abs() <= 1e-3 * w as f32 + 1e-3, "{} of {w}", back.x);
            prop_assert!((back.y - fy * h as f32).abs() <= 1e-3 * h as f32 + 1e-3, "{} of {h}", back.y);
        }

        #[test]
        fn an_image_at_its_own_size_is_padded_to_whole_strides(w in 1u32..5_000, h in 1u32..5_000) {
            let placement = Placement::at_own_size(Size::new(w, h), 640, 32);
            let Size { width, height } = placement.input;
            prop_assert!(width <= 640 && height <= 640 && width.is_multiple_of(32) && height.is_multiple_of(32));
            prop_assert!(width - placement.content.width < 32 && height - placement.content.height < 32);
            prop_assert!(w.max(h) > 640 || placement.content == Size::new(w, h));
        }
    }

    #[test]
    fn boxes_are_cut_at_the_edges_and_dropped_outside() {
        let mapping = Placement::letterbox(Size::new(832, 416), 416).mapping(Size::new(832, 416));
        let found = |x, y, width, height| {
            let bounds = Bounds { x, y, width, height };
            let landmarks = vec![Point { x, y }];
            mapping.detection(Detection { kind: DetectionKind::Face, label: String::new(), confidence: 1.0, bounds, landmarks })
        };
        // Scaled by half, 104 rows of black above.
        let face = found(-10.0, 94.0, 30.0, 30.0).unwrap();
        assert_eq!(face.bounds, Bounds { x: 0.0, y: 0.0, width: 40.0, height: 40.0 });
        assert_eq!(face.landmarks, [Point { x: -20.0, y: -20.0 }]);
        assert_eq!(found(10.0, 20.0, 30.0, 30.0), None, "wholly in the black");
    }
}
