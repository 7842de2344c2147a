//! EfficientNet-Lite0: the part of an image that it sees. The layers are in [`breakwater_convnet::networks::efficientnet_lite0`].

use breakwater_core::{Rect, Size};
use breakwater_vision::{Image, RgbImage};

pub use breakwater_convnet::networks::efficientnet_lite0::{DEVIATION, EDGE, FEATURES, MEAN, OUTPUT, SHORTER_EDGE, graph};

/// Size of the network's input.
pub const INPUT: Size = Size::new(EDGE, EDGE);

/// An image of this size once its shorter edge has [`SHORTER_EDGE`] pixels; it is scaled down or up.
#[must_use]
pub fn scaled(image: Size) -> Size {
    let scale = f64::from(SHORTER_EDGE) / f64::from(image.width.min(image.height).max(1));
    let edge = |length: u32| ((f64::from(length) * scale).round() as u32).max(SHORTER_EDGE);
    Size::new(edge(image.width), edge(image.height))
}

/// The square of [`EDGE`] in the middle of the scaled image.
pub(crate) fn centre(image: &Image) -> RgbImage {
    let scaled = scaled(image.size());
    image.resized_part_rgb(scaled, Rect::new((scaled.width - EDGE) / 2, (scaled.height - EDGE) / 2, EDGE, EDGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_edge_decides_the_scale() {
        for (image, expected) in [
            ((512, 512), (256, 256)),
            ((451, 300), (385, 256)),
            ((400, 600), (256, 384)),
            ((1, 1), (256, 256)),
            ((10_000, 1), (2_560_000, 256)),
            ((1, 65_535), (256, 16_776_960)),
        ] {
            assert_eq!(scaled(Size::new(image.0, image.1)), Size::new(expected.0, expected.1), "{image:?}");
        }
    }
}
