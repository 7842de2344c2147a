//! What draws the eye: edges, strong colour and skin, weighed against the middle of the picture.
//!
//! The features are those of libvips' `VIPS_INTERESTING_ATTENTION` (`smartcrop.c`), which took them from smartcrop.js by
//! J. Wagner: the strength of edges (a Laplacian of lightness), the closeness of the normalised colour to a skin colour
//! `(0.78, 0.57, 0.44)`, and the saturation; dark cells count for neither of the last two. Unlike there, each feature is scaled by
//! its own 99th percentile, so that a busy background does not drown the rest, the sum is smoothed over a twentieth of the
//! longer edge, and a mild Gaussian favours the centre, where photographers put their subject (Judd et al., 2009). Everything is
//! plain arithmetic in a fixed order: the same pixels always give the same map.

use breakwater_core::Size;

use super::{HeatMap, luma};
use crate::raster::Raster;

const SKIN: [f32; 3] = [0.78, 0.57, 0.44];
const EDGE_WEIGHT: f32 = 1.0;
const SATURATION_WEIGHT: f32 = 0.6;
const SKIN_WEIGHT: f32 = 0.8;
/// Below this luma (0..=1) colour is noise.
const DARK: f32 = 0.05;
/// A picture whose strongest edges or colours are weaker than these has none worth stretching to full strength.
const FAINT_EDGE: f32 = 0.08;
const FAINT_COLOUR: f32 = 0.3;
/// How much less the far corners count than the centre.
const CORNER_LOSS: f32 = 0.35;

/// The map of an opaque raster, one cell a pixel, scaled so that the strongest is 1. A flat picture gives zeros.
pub(super) fn map(raster: &Raster) -> HeatMap {
    let size = raster.size();
    let width = size.width as usize;
    let pixels = raster.pixels().as_chunks::<4>().0;
    let light: Vec<f32> = pixels.iter().map(|[r, g, b, _]| luma(*r, *g, *b) / 255.0).collect();
    let mut edges = edge_strength(&light, width);
    let mut saturation: Vec<f32> = pixels.iter().zip(&light).map(|(pixel, light)| colourfulness(pixel, *light)).collect();
    let skin = pixels.iter().zip(&light).map(|(pixel, light)| skin_likeness(pixel, *light));
    normalise(&mut edges, FAINT_EDGE);
    normalise(&mut saturation, FAINT_COLOUR);
    let sum = edges.iter().zip(&saturation).zip(skin);
    let mut values: Vec<f32> =
        sum.map(|((edge, saturation), skin)| EDGE_WEIGHT * edge + SATURATION_WEIGHT * saturation + SKIN_WEIGHT * skin).collect();

    let radius = (size.longer() as usize / 40).max(1);
    // Two box filters in a row are a triangle, close enough to a Gaussian.
    for _ in 0..2 {
        blur_rows(&mut values, width, radius);
        blur_columns(&mut values, width, radius);
    }
    favour_centre(&mut values, size);
    let (low, high) = values.iter().fold((f32::MAX, 0.0f32), |(low, high), value| (low.min(*value), high.max(*value)));
    let range = high - low;
    // A flat picture differs from cell to cell by the centre's weight alone: nothing in it draws the eye.
    let flat = range < 1e-3 || edges.iter().chain(&saturation).all(|value| *value == 0.0);
    values.iter_mut().for_each(|value| *value = if flat { 0.0 } else { ((*value - low) / range).clamp(0.0, 1.0) });
    HeatMap { size, values }
}

/// The absolute Laplacian over the four neighbours; the picture's edges are continued.
fn edge_strength(light: &[f32], width: usize) -> Vec<f32> {
    let mut strength = Vec::with_capacity(light.len());
    let rows: Vec<&[f32]> = light.chunks_exact(width).collect();
    for (y, row) in rows.iter().enumerate() {
        let above = y.checked_sub(1).and_then(|y| rows.get(y)).unwrap_or(row);
        let below = rows.get(y + 1).unwrap_or(row);
        let left = row.iter().take(1).chain(row.iter());
        let right = row.iter().skip(1).chain(row.last());
        let around = above.iter().zip(*below).zip(left).zip(right);
        strength.extend(row.iter().zip(around).map(|(at, (((a, b), l), r))| (4.0 * at - a - b - l - r).abs()));
    }
    strength
}

/// Saturation as in HSL, weighed by how far the colour is from black and white.
fn colourfulness([red, green, blue, _]: &[u8; 4], light: f32) -> f32 {
    if light < DARK {
        return 0.0;
    }
    let high = (*red).max(*green).max(*blue);
    let low = (*red).min(*green).min(*blue);
    f32::from(high - low) / 255.0
}

/// One minus the distance of the colour's direction to that of skin, from half on stretched over 0..=1.
fn skin_likeness([red, green, blue, _]: &[u8; 4], light: f32) -> f32 {
    let colour = [red, green, blue].map(|channel| f32::from(*channel));
    let length = colour.iter().map(|channel| channel * channel).sum::<f32>().sqrt();
    if light < DARK || length == 0.0 {
        return 0.0;
    }
    let distance = colour.iter().zip(SKIN).map(|(channel, skin)| (channel / length - skin / 1.062).powi(2)).sum::<f32>().sqrt();
    ((0.2 - distance) / 0.2).max(0.0)
}

/// Divides by the 99th percentile, but by no less than `faint`, and cuts at 1.
fn normalise(values: &mut [f32], faint: f32) {
    let mut sorted = values.to_vec();
    let index = sorted.len().saturating_sub(1) * 99 / 100;
    if sorted.is_empty() {
        return;
    }
    let (_, high, _) = sorted.select_nth_unstable_by(index, f32::total_cmp);
    let scale = 1.0 / high.max(faint);
    values.iter_mut().for_each(|value| *value = (*value * scale).min(1.0));
}

/// A running mean over `2 * radius + 1` values; at the ends over those there are.
fn blur_line(line: &[f32], radius: usize, mut put: impl FnMut(usize, f32)) {
    let mut sum: f32 = line.iter().take(radius).sum();
    let mut count = line.len().min(radius);
    for at in 0..line.len() {
        if let Some(entering) = line.get(at + radius) {
            sum += entering;
            count += 1;
        }
        if let Some(leaving) = at.checked_sub(radius + 1).and_then(|at| line.get(at)) {
            sum -= leaving;
            count -= 1;
        }
        put(at, sum / count.max(1) as f32);
    }
}

fn blur_rows(values: &mut [f32], width: usize, radius: usize) {
    let mut line = Vec::with_capacity(width);
    for row in values.chunks_exact_mut(width) {
        line.clear();
        line.extend_from_slice(row);
        blur_line(&line, radius, |at, mean| {
            if let Some(value) = row.get_mut(at) {
                *value = mean;
            }
        });
    }
}

fn blur_columns(values: &mut [f32], width: usize, radius: usize) {
    let mut line = Vec::with_capacity(values.len() / width.max(1));
    for x in 0..width {
        line.clear();
        line.extend(values.iter().skip(x).step_by(width));
        blur_line(&line, radius, |at, mean| {
            if let Some(value) = values.get_mut(at * width + x) {
                *value = mean;
            }
        });
    }
}

fn favour_centre(values: &mut [f32], size: Size) {
    let from_middle = |at: usize, length: u32| (at as f32 + 0.5) / length as f32 * 2.0 - 1.0;
    for (y, row) in values.chunks_exact_mut(size.width as usize).enumerate() {
        let down = from_middle(y, size.height).powi(2);
        for (x, value) in row.iter_mut().enumerate() {
            let distance = (from_middle(x, size.width).powi(2) + down) / 2.0;
            *value *= 1.0 - CORNER_LOSS * distance;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::painted;
    use super::*;

    fn peak(map: &HeatMap) -> (u32, u32) {
        let (index, _) = map.values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
        (index as u32 % map.size.width, index as u32 / map.size.width)
    }

    #[test]
    fn the_peak_lies_on_the_object_wherever_it_is() {
        for (left, top) in [(20, 20), (180, 20), (20, 120), (180, 120), (100, 70)] {
            let inside = move |x: u32, y: u32| (left..left + 30).contains(&x) && (top..top + 30).contains(&y);
            for object in [[230, 40, 40], [250, 250, 250], [224, 172, 140]] {
                let found = map(&painted(Size::new(240, 180), |x, y| if inside(x, y) { object } else { [90, 95, 92] }));
                let (x, y) = peak(&found);
                assert!(inside(x, y), "object {object:?} at {left},{top}, peak at {x},{y}");
                assert_eq!(found.values[(y * 240 + x) as usize], 1.0);
            }
        }
    }

    #[test]
    fn values_stay_between_zero_and_one_and_repeat() {
        let noisy = painted(Size::new(97, 61), |x, y| [((x * 37) ^ (y * 91)) as u8, (x * y) as u8, (x + 7 * y) as u8]);
        let once = map(&noisy);
        assert!(once.values.iter().all(|value| (0.0..=1.0).contains(value)));
        assert_eq!(once, map(&noisy));
    }

    #[test]
    fn nothing_draws_the_eye_in_a_flat_picture() {
        for colour in [[0, 0, 0], [128, 128, 128], [255, 255, 255]] {
            assert!(map(&painted(Size::new(50, 40), |_, _| colour)).values.iter().all(|value| *value == 0.0), "{colour:?}");
        }
        assert_eq!(map(&painted(Size::new(1, 1), |_, _| [200, 10, 10])).values.len(), 1);
    }

    #[test]
    fn skin_counts_more_than_an_equally_saturated_blue() {
        // Two patches of the same contrast on grey, the left one blue, the right one skin.
        let colour = |x: u32, y: u32| match (x, y) {
            (40..70, 60..90) => [140, 172, 224],
            (170..200, 60..90) => [224, 172, 140],
            _ => [176, 176, 176],
        };
        let (x, _) = peak(&map(&painted(Size::new(240, 150), colour)));
        assert!((170..200).contains(&x), "{x}");
    }
}
