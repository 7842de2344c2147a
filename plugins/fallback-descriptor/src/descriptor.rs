//! The formula.

use breakwater_guest::Thumbnail;

use crate::colours::{self, colours};
use crate::gradients::{self, gradients};
use crate::grid::Grid;

/// Names the space: another formula has another name.
pub const MODEL: &str = "classical-descriptor-v1";
/// Numbers in a descriptor.
pub const DIMENSION: usize = gradients::COUNT + colours::COUNT;
/// The longer edge of the small picture that is looked at.
pub const THUMBNAIL: u32 = 128;
/// How much of a descriptor's square is about gradients; the rest is about colours.
const GRADIENTS: f32 = 0.6;

/// The descriptor of a picture, not yet of length one; `None` for no picture.
///
/// 1. The picture, scaled to at most 128 pixels, is averaged onto a grid of 64 by 64 cells, whatever its ratio.
/// 2. Gradients of luminance (BT.601, between the neighbours of a cell) are counted by their strength into 4 by 4 regions of 8 directions:
///    each cell into the four regions whose middles are nearest, bilinearly, each gradient into its direction and the next ones by the
///    squared cosine of twice the angle. Shares of the whole, and their square roots: 128 numbers.
/// 3. Colours are counted into 2 by 2 regions of 6 by 6 steps, bilinearly: (R - G) / (R + G + B) and ((R + G) / 2 - B) / (R + G + B), each
///    from -0.5 to 0.5, weighted by R + G + B. Shares, and their square roots: 144 numbers.
/// 4. Numbers `a` and `b` that mirroring would swap become `(a + b) / √2` and `|a - b| / √2`.
/// 5. Both parts are joined, weighted by the square roots of 0.6 and 0.4.
///
/// Mirroring left to right changes nothing; scaling, re-encoding and evenly darker or brighter exposure change little; without colours, what
/// the gradients say is left.
#[must_use]
pub fn descriptor(thumbnail: &Thumbnail) -> Option<Vec<f64>> {
    let grid = Grid::of(thumbnail)?;
    let weighted = |numbers: Vec<f32>, weight: f32| numbers.into_iter().map(move |number| f64::from(number * weight.sqrt()));
    Some(weighted(gradients(&grid), GRADIENTS).chain(weighted(colours(&grid), 1.0 - GRADIENTS)).collect())
}
