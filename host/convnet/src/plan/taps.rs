//! Where a resize reads.

use crate::kernel::rows::Tap;
use crate::plan::{Grid, Taps};
use crate::program::Kind;

/// The taps of a resize; nothing for any other layer.
pub(super) fn taps(kind: &Kind, source: &Grid, output: &Grid) -> Option<Taps> {
    let along = |from: usize, to: usize| -> Option<Vec<Tap>> {
        match kind {
            Kind::Resize { numerator, denominator, .. } => {
                Some((0..to).map(|position| bilinear(position, from, *numerator, *denominator)).collect())
            }
            Kind::Nearest { factor } => Some((0..to).map(|position| nearest(position, from, *factor)).collect()),
            _ => None,
        }
    };
    Some(Taps { columns: along(source.width, output.width)?, rows: along(source.height, output.height)? })
}

/// `(position + 0.5) · denominator / numerator - 0.5`, kept between the first and the last of `length`.
fn bilinear(position: usize, length: usize, numerator: usize, denominator: usize) -> Tap {
    let last = length.saturating_sub(1);
    let at = ((position as f64 + 0.5) * denominator as f64 / numerator.max(1) as f64 - 0.5).clamp(0.0, last as f64);
    let low = (at.floor() as usize).min(last);
    Tap { low, high: (low + 1).min(last), weight: (at - low as f64) as f32 }
}

fn nearest(position: usize, length: usize, factor: usize) -> Tap {
    let at = (position / factor.max(1)).min(length.saturating_sub(1));
    Tap { low: at, high: at, weight: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_centres_of_pixels_and_edges_are_repeated() {
        let tap = |low, high, weight| Tap { low, high, weight };
        assert_eq!([0, 1, 2, 3].map(|x| bilinear(x, 2, 2, 1)), [tap(0, 1, 0.0), tap(0, 1, 0.25), tap(0, 1, 0.75), tap(1, 1, 0.0)]);
        assert_eq!([0, 1].map(|x| bilinear(x, 4, 1, 2)), [tap(0, 1, 0.5), tap(2, 3, 0.5)]);
        assert_eq!(bilinear(0, 1, 3, 1), tap(0, 0, 0.0));
        assert_eq!(nearest(5, 3, 2), tap(2, 2, 0.0));
    }
}
