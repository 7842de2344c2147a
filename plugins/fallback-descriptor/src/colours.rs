//! Which colours there are, and where.

use crate::grid::{EDGE, Grid};
use crate::mirror::pair;

/// Regions across and down.
const REGIONS: usize = 2;
/// Steps of each of the two opponent colours.
const STEPS: usize = 6;
/// Numbers that come of it.
pub(crate) const COUNT: usize = REGIONS * REGIONS * STEPS * STEPS;
/// How far the opponent colours of a full colour are from grey.
const REACH: f32 = 0.5;
/// Added to the brightness that they are divided by: the colours of the darkest cells are noise.
const FLOOR: f32 = 0.02;

/// Histograms of red against green and yellow against blue by region, as square roots of shares, so that the squares add up to one. Each
/// cell counts by its brightness, and its colours are taken relative to that: a darker print has the same histograms.
pub(crate) fn colours(grid: &Grid) -> Vec<f32> {
    let mut histograms = vec![[0.0_f32; STEPS * STEPS]; REGIONS * REGIONS];
    for (x, y, [red, green, blue]) in grid.cells() {
        let brightness = red + green + blue;
        let of_brightness = |difference: f32| difference / (brightness + FLOOR);
        let (red_green, yellow_blue) = (steps(of_brightness(red - green)), steps(of_brightness((red + green) / 2.0 - blue)));
        let region = (y * REGIONS / EDGE) * REGIONS + x * REGIONS / EDGE;
        let Some(histogram) = histograms.get_mut(region) else { continue };
        for (row, of_row) in yellow_blue {
            for (column, of_column) in red_green {
                if let Some(bin) = histogram.get_mut(row * STEPS + column) {
                    *bin += brightness * of_row * of_column;
                }
            }
        }
    }
    let total: f32 = histograms.iter().flatten().sum();
    // A black picture has no colours.
    let of = |region: usize, bin: usize| {
        let value = histograms.get(region).and_then(|histogram| histogram.get(bin)).copied().unwrap_or_default();
        if total > 0.0 { (value / total).sqrt() } else { 0.0 }
    };
    let mut numbers = Vec::with_capacity(COUNT);
    for y in 0..REGIONS {
        for x in 0..REGIONS / 2 {
            for bin in 0..STEPS * STEPS {
                numbers.extend(pair(of(y * REGIONS + x, bin), of(y * REGIONS + REGIONS - 1 - x, bin)));
            }
        }
    }
    numbers
}

/// The two steps that a value from `-REACH` to `REACH` lies between, each with its share.
fn steps(value: f32) -> [(usize, f32); 2] {
    let place = (value.clamp(-REACH, REACH) + REACH) / (2.0 * REACH) * (STEPS - 1) as f32;
    let first = (place as usize).min(STEPS - 2);
    let share = place - first as f32;
    [(first, 1.0 - share), (first + 1, share)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_between_two_steps() {
        assert_eq!(steps(-9.0), [(0, 1.0), (1, 0.0)]);
        assert_eq!(steps(9.0), [(4, 0.0), (5, 1.0)]);
        assert_eq!(steps(0.0), [(2, 0.5), (3, 0.5)]);
    }
}
