//! A row, a few pixels at a time.

/// Divides a row into tiles that differ by one pixel at most: equal tiles waste less than full ones and a rest.
pub struct Tiles {
    x: usize,
    width: usize,
    pixels: usize,
    /// Tiles that have one pixel more.
    longer: usize,
}

impl Tiles {
    /// `width` pixels in tiles of at most `widest`, which is not 0.
    #[inline(always)]
    pub fn new(width: usize, widest: usize) -> Self {
        let tiles = width.div_ceil(widest).max(1);
        Self { x: 0, width, pixels: width / tiles, longer: width % tiles }
    }

    /// The next tile's first pixel and number of pixels.
    #[inline(always)]
    pub fn advance(&mut self) -> Option<(usize, usize)> {
        if self.x >= self.width {
            return None;
        }
        let pixels = self.pixels + usize::from(self.longer > 0);
        self.longer = self.longer.saturating_sub(1);
        let x = self.x;
        self.x += pixels;
        Some((x, pixels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_follow_each_other_and_are_as_equal_as_can_be() {
        for width in 1..100 {
            let mut next = 0;
            let mut sizes = Vec::new();
            let mut tiles = Tiles::new(width, 12);
            while let Some((x, pixels)) = tiles.advance() {
                assert_eq!(x, next);
                next += pixels;
                sizes.push(pixels);
            }
            assert_eq!(next, width);
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1 && *sizes.iter().max().unwrap() <= 12);
        }
    }
}
