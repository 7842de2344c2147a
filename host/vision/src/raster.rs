//! Decoded pixels.

use std::fmt;

use breakwater_core::Size;

/// Upright sRGB pixels, 8 bits a channel, four channels a pixel: red, green, blue and straight (not premultiplied) alpha.
///
/// Photographs keep the fourth channel too, at 255: it costs memory and buys the SIMD paths of decoder, resizer and encoder.
#[derive(Clone, PartialEq, Eq)]
pub struct Raster {
    size: Size,
    opaque: bool,
    pixels: Vec<u8>,
}

impl Raster {
    pub(crate) const CHANNELS: usize = 4;

    /// Takes RGBA pixels; `None` when their number is not that of `size`.
    pub(crate) fn new(size: Size, opaque: bool, pixels: Vec<u8>) -> Option<Self> {
        let expected = size.pixels().checked_mul(Self::CHANNELS as u64);
        (expected == Some(pixels.len() as u64) && !size.is_empty()).then_some(Self { size, opaque, pixels })
    }

    /// Its size, perhaps smaller than the image's.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Bytes a pixel.
    #[must_use]
    pub fn channels(&self) -> usize {
        Self::CHANNELS
    }

    /// Whether every alpha is 255.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        self.opaque
    }

    /// Row-major pixels, `width * height * channels` bytes.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    pub(crate) fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// The pixels, each blended over white where it is transparent.
    pub(crate) fn into_flattened(mut self) -> Self {
        if !self.opaque {
            for pixel in self.pixels.chunks_exact_mut(Self::CHANNELS) {
                if let [red, green, blue, alpha] = pixel {
                    for channel in [red, green, blue] {
                        *channel = over_white(*channel, *alpha);
                    }
                    *alpha = 255;
                }
            }
            self.opaque = true;
        }
        self
    }

    /// Three channels, blended over white where it is transparent.
    pub(crate) fn to_rgb(&self) -> RgbImage {
        let pairs = self.pixels.chunks_exact(Self::CHANNELS);
        let mut pixels = vec![0; self.pixels.len() / Self::CHANNELS * 3];
        for (from, to) in pairs.zip(pixels.chunks_exact_mut(3)) {
            if let ([red, green, blue, alpha], [r, g, b]) = (from, to) {
                (*r, *g, *b) = if self.opaque {
                    (*red, *green, *blue)
                } else {
                    (over_white(*red, *alpha), over_white(*green, *alpha), over_white(*blue, *alpha))
                };
            }
        }
        RgbImage { size: self.size, pixels }
    }
}

/// `value` with `alpha` over 255, rounded.
fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

impl fmt::Debug for Raster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raster").field("size", &self.size).field("opaque", &self.opaque).finish_non_exhaustive()
    }
}

/// Pixels for detectors and thumbnails: sRGB, 8 bits, three channels, row-major. What was transparent lies over white.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbImage {
    /// Its size.
    pub size: Size,
    /// `width * height * 3` bytes.
    pub pixels: Vec<u8>,
}

impl fmt::Debug for RgbImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RgbImage").field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raster_needs_exactly_its_pixels() {
        assert!(Raster::new(Size::new(2, 1), true, vec![0; 8]).is_some());
        assert!(Raster::new(Size::new(2, 1), true, vec![0; 7]).is_none());
        assert!(Raster::new(Size::new(0, 1), true, vec![]).is_none());
    }

    #[test]
    fn transparent_pixels_lie_over_white() {
        let raster = Raster::new(Size::new(3, 1), false, vec![0, 0, 0, 0, 200, 100, 0, 255, 0, 100, 255, 128]).unwrap();
        let rgb = raster.to_rgb();
        assert_eq!(rgb.pixels, [255, 255, 255, 200, 100, 0, 127, 177, 255]);
        let flat = raster.into_flattened();
        assert!(flat.is_opaque());
        assert_eq!(flat.pixels(), [255, 255, 255, 255, 200, 100, 0, 255, 127, 177, 255, 255]);
    }
}
