//! The picture on a square grid, whatever its size and ratio.

use breakwater_guest::Thumbnail;

/// Cells across and down.
pub(crate) const EDGE: usize = 64;

/// Red, green and blue of each cell, 0 to 1, row by row.
pub(crate) struct Grid(Vec<[f32; 3]>);

impl Grid {
    /// The mean colour of what each cell covers; a picture smaller than the grid has several cells to a pixel. `None` for no picture.
    pub(crate) fn of(thumbnail: &Thumbnail) -> Option<Self> {
        let (width, height) = (thumbnail.size.width as usize, thumbnail.size.height as usize);
        if width == 0 || height == 0 || thumbnail.rgb.len() != width * height * 3 {
            return None;
        }
        let (across, down) = (spans(width), spans(height));
        // First across each row, then down.
        let narrow: Vec<Vec<[f32; 3]>> =
            thumbnail.rgb.chunks_exact(width * 3).map(|row| across.iter().map(|span| span.of_row(row)).collect()).collect();
        let cells = down.iter().flat_map(|span| (0..EDGE).map(|x| span.mean(&narrow, x)).collect::<Vec<_>>());
        Some(Self(cells.collect()))
    }

    /// A cell; places outside are those at the edge.
    pub(crate) fn at(&self, x: isize, y: isize) -> [f32; 3] {
        let inside = |place: isize| place.clamp(0, EDGE as isize - 1) as usize;
        self.0.get(inside(y) * EDGE + inside(x)).copied().unwrap_or_default()
    }

    /// Every cell with its place.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (usize, usize, [f32; 3])> {
        self.0.iter().enumerate().map(|(index, colour)| (index % EDGE, index / EDGE, *colour))
    }
}

/// What one cell covers of a row or column: the first pixel, and how much of each.
struct Span {
    first: usize,
    shares: Vec<f32>,
}

/// The spans of all cells over so many pixels.
fn spans(pixels: usize) -> Vec<Span> {
    let scale = pixels as f32 / EDGE as f32;
    let span = |cell: usize| {
        let (from, to) = (cell as f32 * scale, (cell + 1) as f32 * scale);
        let first = (from as usize).min(pixels - 1);
        let last = (to.ceil() as usize).clamp(first + 1, pixels);
        let covered = |pixel: usize| (to.min((pixel + 1) as f32) - from.max(pixel as f32)).max(0.0) / scale;
        Span { first, shares: (first..last).map(covered).collect() }
    };
    (0..EDGE).map(span).collect()
}

impl Span {
    fn of_row(&self, row: &[u8]) -> [f32; 3] {
        let pixels = row.chunks_exact(3).skip(self.first);
        let mut sum = [0.0; 3];
        for (pixel, share) in pixels.zip(&self.shares) {
            for (sum, value) in sum.iter_mut().zip(pixel) {
                *sum += share * f32::from(*value) / 255.0;
            }
        }
        sum
    }

    fn mean(&self, rows: &[Vec<[f32; 3]>], x: usize) -> [f32; 3] {
        let mut sum = [0.0; 3];
        for (row, share) in rows.iter().skip(self.first).zip(&self.shares) {
            for (sum, value) in sum.iter_mut().zip(row.get(x).copied().unwrap_or_default()) {
                *sum += share * value;
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use breakwater_guest::Size;

    use super::*;

    fn grid(width: u32, height: u32, colour: impl Fn(u32, u32) -> u8) -> Grid {
        let rgb = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| [colour(x, y); 3]).collect();
        Grid::of(&Thumbnail { size: Size { width, height }, rgb }).unwrap()
    }

    #[test]
    fn every_pixel_counts_by_how_much_of_it_a_cell_covers() {
        for (width, height) in [(1, 1), (64, 64), (128, 100), (100, 33), (37, 128)] {
            let flat = grid(width, height, |_, _| 51);
            assert!(flat.cells().all(|(_, _, [red, ..])| (red - 0.2).abs() < 1e-5), "{width}x{height}");
            let halves = grid(width * 2, height, |x, _| if x < width { 0 } else { 255 });
            let mean = halves.cells().map(|(_, _, [red, ..])| red).sum::<f32>() / (EDGE * EDGE) as f32;
            assert!((mean - 0.5).abs() < 1e-4, "{width}x{height}: {mean}");
        }
        let small = grid(2, 1, |x, _| if x == 0 { 0 } else { 255 });
        assert_eq!((small.at(31, 5), small.at(32, 5)), ([0.0; 3], [1.0; 3]));
        assert_eq!((small.at(-9, -9), small.at(99, 99)), ([0.0; 3], [1.0; 3]));
    }

    #[test]
    fn what_is_no_picture_has_no_grid() {
        let thumbnail = |width, height, bytes| Thumbnail { size: Size { width, height }, rgb: vec![0; bytes] };
        for wrong in [thumbnail(0, 5, 0), thumbnail(2, 2, 11), thumbnail(2, 2, 13)] {
            assert!(Grid::of(&wrong).is_none());
        }
    }
}
