//! A page as pixels.

use breakwater_core::Size;

use crate::raster::Raster;

/// A white page under way. What reaches over its edges is left out.
pub(super) struct Canvas {
    size: Size,
    pixels: Vec<u8>,
}

impl Canvas {
    pub(super) fn new(size: Size) -> Self {
        Self { size, pixels: vec![255; size.pixels() as usize * Raster::CHANNELS] }
    }

    /// Draws an opaque picture with its top left corner at a pixel.
    pub(super) fn draw(&mut self, picture: &Raster, left: i64, top: i64) {
        let row = picture.size().width as usize * Raster::CHANNELS;
        let skipped = left.min(0).unsigned_abs() as usize * Raster::CHANNELS;
        for (pixels, y) in picture.pixels().chunks_exact(row).zip(top..) {
            let Some(pixels) = pixels.get(skipped..) else { continue };
            let Some(to) = self.row(y, left.max(0)) else { continue };
            let length = pixels.len().min(to.len());
            if let (Some(to), Some(from)) = (to.get_mut(..length), pixels.get(..length)) {
                to.copy_from_slice(from);
            }
        }
    }

    /// Lays black over a pixel, `share` of it (0..=1).
    pub(super) fn darken(&mut self, column: i64, row: i64, share: f32) {
        let Some(pixel) = self.row(row, column.max(0)).filter(|_| column >= 0) else { return };
        pixel.iter_mut().take(3).for_each(|channel| *channel = (f32::from(*channel) * (1.0 - share)).round() as u8);
    }

    /// Fills a rectangle with a grey.
    pub(super) fn fill(&mut self, left: i64, top: i64, width: i64, height: i64, grey: u8) {
        for y in top..top + height {
            let pixels = (left + width - left.max(0)).max(0) as usize;
            let Some(row) = self.row(y, left.max(0)) else { continue };
            let channels = row.chunks_exact_mut(Raster::CHANNELS).take(pixels).flat_map(|pixel| pixel.iter_mut().take(3));
            channels.for_each(|channel| *channel = grey);
        }
    }

    /// The pixels as a picture.
    pub(super) fn into_raster(self) -> Option<Raster> {
        Raster::new(self.size, true, self.pixels)
    }

    /// The rest of a row from a column on.
    fn row(&mut self, y: i64, x: i64) -> Option<&mut [u8]> {
        let y = usize::try_from(y).ok().filter(|y| *y < self.size.height as usize)?;
        let x = usize::try_from(x).ok().filter(|x| *x < self.size.width as usize)?;
        let row = self.size.width as usize * Raster::CHANNELS;
        self.pixels.get_mut(y * row + x * Raster::CHANNELS..(y + 1) * row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn darkness(canvas: Canvas) -> Vec<u8> {
        canvas.into_raster().unwrap().pixels().chunks(4).map(|pixel| pixel[0]).collect()
    }

    #[test]
    fn what_reaches_over_the_edges_is_left_out() {
        let dot = Raster::new(Size::new(2, 2), true, vec![9; 16]).unwrap();
        for (left, top, expected) in [
            (-1, -1, [9, 255, 255, 255, 255, 255, 255, 255, 255]),
            (2, 1, [255, 255, 255, 255, 255, 9, 255, 255, 9]),
            (3, 0, [255; 9]),
            (0, -2, [255; 9]),
            (i64::MIN / 8, 0, [255; 9]),
        ] {
            let mut canvas = Canvas::new(Size::new(3, 3));
            canvas.draw(&dot, left, top);
            assert_eq!(darkness(canvas), expected, "{left},{top}");
        }
        let mut canvas = Canvas::new(Size::new(3, 1));
        canvas.fill(-5, 0, 7, 9, 100);
        canvas.darken(2, 0, 0.5);
        canvas.darken(-1, 0, 1.0);
        canvas.darken(3, 0, 1.0);
        assert_eq!(darkness(canvas), [100, 100, 128]);
    }
}
