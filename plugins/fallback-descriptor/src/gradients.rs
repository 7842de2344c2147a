//! Which way edges run, and where.

use crate::grid::{EDGE, Grid};
use crate::mirror::pair;

/// Regions across and down.
const REGIONS: usize = 4;
/// Directions of an edge, 22.5 degrees apart; which side is brighter does not matter.
const DIRECTIONS: usize = 8;
/// Numbers that come of it.
pub(crate) const COUNT: usize = REGIONS * REGIONS * DIRECTIONS;
/// Twice the angle of each direction, as cosine and sine.
const DOUBLED: [(f32, f32); DIRECTIONS] = {
    const HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
    [(1.0, 0.0), (HALF, HALF), (0.0, 1.0), (-HALF, HALF), (-1.0, 0.0), (-HALF, -HALF), (0.0, -1.0), (HALF, -HALF)]
};
/// What is added to the sum of all gradients: a hundredth of full contrast in each cell. Noise of a plain picture stays small beside it.
const DAMPING: f32 = 0.01 * (EDGE * EDGE) as f32;

/// Histograms of directions by region, as square roots of shares, so that the squares add up to one less what was damped.
pub(crate) fn gradients(grid: &Grid) -> Vec<f32> {
    let mut histograms = [[0.0_f32; DIRECTIONS]; REGIONS * REGIONS];
    for (x, y, _) in grid.cells() {
        let (column, row) = (x as isize, y as isize);
        let across = luma(grid, column + 1, row) - luma(grid, column - 1, row);
        let down = luma(grid, column, row + 1) - luma(grid, column, row - 1);
        let strength = (across * across + down * down).sqrt();
        if strength <= f32::EPSILON {
            continue;
        }
        // Twice the angle: a direction and its opposite are the same.
        let (cosine, sine) = ((across * across - down * down) / strength, 2.0 * across * down / strength);
        let directions = DOUBLED.map(|(c, s)| (cosine * c + sine * s).max(0.0));
        let lengths: f32 = directions.iter().map(|part| part * part).sum();
        for (region, share) in regions(x, y) {
            let Some(histogram) = histograms.get_mut(region) else { continue };
            for (bin, part) in histogram.iter_mut().zip(directions) {
                *bin += share * strength * part * part / lengths;
            }
        }
    }
    let total: f32 = histograms.iter().flatten().sum::<f32>() + DAMPING;
    let of = |x: usize, y: usize, direction: usize| {
        let histogram = histograms.get(y * REGIONS + x);
        histogram.and_then(|histogram| histogram.get(direction)).map_or(0.0, |bin| (bin / total).sqrt())
    };
    let mut numbers = Vec::with_capacity(COUNT);
    for y in 0..REGIONS {
        for x in 0..REGIONS / 2 {
            for direction in 0..DIRECTIONS {
                // Mirrored, a region is on the other side, and an edge leans the other way.
                let (other, leaning) = (REGIONS - 1 - x, (DIRECTIONS - direction) % DIRECTIONS);
                numbers.extend(pair(of(x, y, direction), of(other, y, leaning)));
            }
        }
    }
    numbers
}

/// Luminance by BT.601.
fn luma(grid: &Grid, x: isize, y: isize) -> f32 {
    let [red, green, blue] = grid.at(x, y);
    0.299 * red + 0.587 * green + 0.114 * blue
}

/// The regions that a cell belongs to, by how near their middles are: what moves a little changes a little.
fn regions(x: usize, y: usize) -> impl Iterator<Item = (usize, f32)> {
    let (across, down) = (near(x), near(y));
    down.into_iter().flat_map(move |(row, of_row)| across.map(|(column, of_column)| (row * REGIONS + column, of_row * of_column)))
}

/// The two regions of a row or column that a cell lies between, each with its share; at the edges all is the outermost's.
fn near(cell: usize) -> [(usize, f32); 2] {
    let place = (cell as f32 + 0.5) * REGIONS as f32 / EDGE as f32 - 0.5;
    let place = place.clamp(0.0, (REGIONS - 1) as f32);
    let first = (place as usize).min(REGIONS - 2);
    let share = place - first as f32;
    [(first, 1.0 - share), (first + 1, share)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_belongs_to_its_regions_in_full_and_mirrored_to_those_on_the_other_side() {
        for cell in 0..EDGE {
            let [(first, a), (second, b)] = near(cell);
            assert!((a + b - 1.0).abs() < 1e-6 && (0.0..=1.0).contains(&a) && second == first + 1);
            let mut mirrored = [0.0; REGIONS];
            for (region, share) in near(EDGE - 1 - cell) {
                mirrored[REGIONS - 1 - region] += share;
            }
            assert!((mirrored[first] - a).abs() < 1e-5 && (mirrored[second] - b).abs() < 1e-5, "{cell}");
        }
        assert_eq!(near(0), [(0, 1.0), (1, 0.0)]);
        assert_eq!(near(EDGE - 1), [(2, 0.0), (3, 1.0)]);
    }
}
