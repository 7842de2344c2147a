//! Shannon entropy: how many different things there are to see in an area.

use breakwater_core::{Rect, Size};

/// The entropy in bits, 0..=8, of the histogram (256 bins) of the levels whose pixels `area` covers, `-Σ p·log2 p`.
///
/// `area` is in pixels of `original`, `levels` is that image at `size`; at least one level is counted.
pub(super) fn of_area(levels: &[u8], size: Size, area: Rect, original: Size) -> f32 {
    let (left, right) = covered(area.x, area.width, original.width, size.width);
    let (top, bottom) = covered(area.y, area.height, original.height, size.height);
    let rows = levels.chunks_exact(size.width.max(1) as usize).skip(top).take(bottom - top);
    // Four histograms, because neighbours are often equal and would wait for each other's increment.
    let mut histograms = [[0u32; 256]; 4];
    for row in rows.filter_map(|row| row.get(left..right)) {
        let (quads, rest) = row.as_chunks::<4>();
        for quad in quads {
            for (histogram, level) in histograms.iter_mut().zip(quad) {
                count(histogram, *level);
            }
        }
        for (histogram, level) in histograms.iter_mut().zip(rest) {
            count(histogram, *level);
        }
    }
    let [a, b, c, d] = histograms;
    let bins = a.iter().zip(b).zip(c).zip(d).map(|(((a, b), c), d)| a + b + c + d);
    let total = ((bottom - top) * (right - left)) as f32;
    let entropy: f32 = bins.filter(|bin| *bin > 0).map(|bin| bin as f32 / total).map(|share| -share * share.log2()).sum();
    entropy.clamp(0.0, 8.0)
}

fn count(histogram: &mut [u32; 256], level: u8) {
    if let Some(bin) = histogram.get_mut(usize::from(level)) {
        *bin += 1;
    }
}

/// The cells of a row of `cells` that `[start, start + length)` of `original` reaches by its middle, at least one.
fn covered(start: u32, length: u32, original: u32, cells: u32) -> (usize, usize) {
    let scale = f64::from(cells) / f64::from(original.max(1));
    let first = ((f64::from(start) * scale).round() as u32).min(cells.saturating_sub(1));
    let last = (((f64::from(start) + f64::from(length)) * scale).round() as u32).clamp(first + 1, cells.max(first + 1));
    (first as usize, last as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entropy(levels: &[u8], size: Size) -> f32 {
        of_area(levels, size, size.rect(), size)
    }

    #[test]
    fn known_patterns_have_their_known_entropies() {
        let size = Size::new(64, 64);
        let pattern = |level: fn(usize) -> usize| (0..4096).map(|index| level(index) as u8).collect::<Vec<_>>();
        assert_eq!(entropy(&pattern(|_| 77), size), 0.0);
        assert!((entropy(&pattern(|index| index % 2 * 255), size) - 1.0).abs() < 1e-6);
        assert!((entropy(&pattern(|index| index % 4), size) - 2.0).abs() < 1e-6);
        assert!((entropy(&pattern(|index| index % 256), size) - 8.0).abs() < 1e-5);
        // Three quarters of one level: 0.75·log2(4/3) + 0.25·log2(4).
        assert!((entropy(&pattern(|index| usize::from(index % 4 == 0)), size) - 0.811_278).abs() < 1e-5);
    }

    #[test]
    fn only_the_area_counts_and_it_may_be_smaller_than_a_cell() {
        let size = Size::new(8, 8);
        let levels: Vec<u8> = (0..64).map(|index| if index % 8 < 4 { 10 } else { index }).collect();
        let original = Size::new(800, 800);
        assert_eq!(of_area(&levels, size, Rect::new(0, 0, 400, 800), original), 0.0);
        assert!((of_area(&levels, size, Rect::new(400, 0, 400, 800), original) - 5.0).abs() < 1e-5);
        assert_eq!(of_area(&levels, size, Rect::new(799, 799, 1, 1), original), 0.0);
        assert_eq!(of_area(&levels, size, Rect::new(449, 30, 3, 3), original), 0.0);
    }
}
