//! From the heads of NanoDet to people and objects.

use breakwater_core::{Bounds, Detection, DetectionKind};

use crate::array::Outputs;
use crate::engine::EngineError;
use crate::nanodet::labels::COCO;
use crate::nanodet::{BINS, CLASSES, STRIDES};
use crate::suppression::{Candidate, suppress};
use crate::yunet::decode::Planes;

/// Boxes of one class that overlap a more confident one by more than this are the same thing.
pub const OVERLAP: f32 = 0.6;

/// The things in image `image` of a batch, in pixels of the network's input, at least `floor` confident, most confident first.
///
/// At cell `(x, y)` of stride `s`, for each side: softmax over the bins, their expectation times `s` is the distance from
/// `((x + ½) s, (y + ½) s)`. Cells whose numbers are not finite are nothing.
///
/// # Errors
/// When an output is missing or has another shape than the graph gives it.
pub fn things(outputs: &Outputs, image: usize, floor: f32) -> Result<Vec<Detection>, EngineError> {
    let mut candidates = Vec::new();
    for stride in STRIDES {
        let scores = Planes::of(outputs.get(&format!("cls_{stride}"))?, image, CLASSES)?;
        let distances = Planes::of(outputs.get(&format!("reg_{stride}"))?, image, 4 * BINS)?;
        for (class, label) in COCO.iter().enumerate() {
            for (cell, &confidence) in scores.channel(class).iter().enumerate() {
                // The comparison also drops NaN.
                if !(confidence >= floor && confidence.is_finite()) {
                    continue;
                }
                let Some(bounds) = bounds_at(cell, stride as f32, &distances).filter(Bounds::is_valid) else { continue };
                let kind = if class == 0 { DetectionKind::Person } else { DetectionKind::Object };
                let label = (*label).to_owned();
                let detection = Detection { kind, label, confidence: confidence.min(1.0), bounds, landmarks: Vec::new() };
                candidates.push(Candidate { class, detection });
            }
        }
    }
    Ok(suppress(candidates, OVERLAP).into_iter().map(|candidate| candidate.detection).collect())
}

fn bounds_at(cell: usize, stride: f32, distances: &Planes<'_>) -> Option<Bounds> {
    let column = cell.checked_rem(distances.width)? as f32;
    let row = cell.checked_div(distances.width)? as f32;
    let (x, y) = ((column + 0.5) * stride, (row + 0.5) * stride);
    let distance = |side: usize| -> Option<f32> {
        let bin = |bin: usize| distances.channel(side * BINS + bin).get(cell).copied();
        let bins = (0..BINS).map(bin).collect::<Option<Vec<f32>>>()?;
        Some(expectation(&bins) * stride)
    };
    Some(Bounds::from_corners(x - distance(0)?, y - distance(1)?, x + distance(2)?, y + distance(3)?))
}

/// The mean index under the softmax of `scores`.
fn expectation(scores: &[f32]) -> f32 {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut total) = (0.0, 0.0);
    for (index, score) in scores.iter().enumerate() {
        let weight = (score - highest).exp();
        sum += weight * index as f32;
        total += weight;
    }
    sum / total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Array;
    use crate::graph::shape::Shape;

    /// Outputs for an input of 64x32 pixels where cell (3, 1) of stride 8 holds something of `class`.
    fn outputs(class: usize, confidence: f32, bins: [usize; 4]) -> Outputs {
        let mut arrays = Vec::new();
        for stride in STRIDES {
            let plane = (32 / stride) * (64 / stride);
            let (mut scores, mut distances) = (vec![0.0; CLASSES * plane], vec![0.0; 4 * BINS * plane]);
            if stride == 8 {
                let cell = 8 + 3;
                scores[class * plane + cell] = confidence;
                for (side, bin) in bins.into_iter().enumerate() {
                    distances[(side * BINS + bin) * plane + cell] = 60.0;
                }
            }
            let array = |channels, values| Array::new(Shape::new(1, channels, 32 / stride, 64 / stride), values).unwrap();
            arrays.push((format!("cls_{stride}"), array(CLASSES, scores)));
            arrays.push((format!("reg_{stride}"), array(4 * BINS, distances)));
        }
        Outputs::new(arrays)
    }

    #[test]
    fn a_cell_becomes_a_box_by_the_published_formula() {
        let found = things(&outputs(60, 0.75, [1, 0, 2, 3]), 0, 0.3).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].kind, found[0].label.as_str(), found[0].confidence), (DetectionKind::Object, "dining table", 0.75));
        // Centre (28, 12); distances 8, 0, 16, 24.
        let expected = Bounds::from_corners(20.0, 12.0, 44.0, 36.0);
        assert!(found[0].bounds.iou(&expected) > 0.999, "{:?}", found[0].bounds);
    }

    #[test]
    fn the_first_class_is_a_person() {
        assert_eq!(things(&outputs(0, 0.5, [1; 4]), 0, 0.3).unwrap()[0].kind, DetectionKind::Person);
    }

    #[test]
    fn cells_below_the_floor_and_cells_of_nonsense_are_nothing() {
        assert_eq!(things(&outputs(3, 0.2, [1; 4]), 0, 0.3).unwrap(), []);
        assert_eq!(things(&outputs(3, f32::NAN, [1; 4]), 0, 0.3).unwrap(), []);
    }

    #[test]
    fn the_expectation_survives_huge_scores() {
        assert!((expectation(&[1e4, 1e4, -1e4]) - 0.5).abs() < 1e-6);
    }
}
