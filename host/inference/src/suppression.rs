//! Non-maximum suppression: one box per thing.

use breakwater_core::Detection;

/// A box with the class within which it competes.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Boxes of different classes never suppress each other.
    pub class: usize,
    /// The box.
    pub detection: Detection,
}

/// The most candidates that compete; beyond it the least confident are dropped, so that a picture full of noise costs at most
/// `MAX_CANDIDATES²` comparisons.
pub const MAX_CANDIDATES: usize = 2_000;

/// Keeps each candidate that overlaps no more confident kept one of its class by more than `overlap` (intersection over union),
/// most confident first.
#[must_use]
pub fn suppress(mut candidates: Vec<Candidate>, overlap: f32) -> Vec<Candidate> {
    candidates.sort_by(|a, b| b.detection.confidence.total_cmp(&a.detection.confidence));
    candidates.truncate(MAX_CANDIDATES);
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        let same = |other: &Candidate| other.class == candidate.class && other.detection.bounds.iou(&candidate.detection.bounds) > overlap;
        if !kept.iter().any(same) {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_core::{Bounds, DetectionKind};

    fn candidate(class: usize, confidence: f32, x: f32) -> Candidate {
        let bounds = Bounds { x, y: 0.0, width: 10.0, height: 10.0 };
        Candidate {
            class,
            detection: Detection { kind: DetectionKind::Object, label: String::new(), confidence, bounds, landmarks: vec![] },
        }
    }

    fn kept(candidates: Vec<Candidate>, overlap: f32) -> Vec<f32> {
        suppress(candidates, overlap).iter().map(|candidate| candidate.detection.confidence).collect()
    }

    #[test]
    fn the_most_confident_of_overlapping_boxes_stays() {
        // Boxes shifted by 2 of 10 overlap by 8 / 12.
        assert_eq!(kept(vec![candidate(0, 0.6, 0.0), candidate(0, 0.9, 2.0)], 0.5), [0.9]);
        assert_eq!(kept(vec![candidate(0, 0.6, 0.0), candidate(0, 0.9, 2.0)], 0.7), [0.9, 0.6]);
    }

    #[test]
    fn a_suppressed_box_suppresses_nothing() {
        // Each overlaps its neighbour only; the middle one is gone before it could take the last.
        assert_eq!(kept(vec![candidate(0, 0.9, 0.0), candidate(0, 0.8, 3.0), candidate(0, 0.7, 6.0)], 0.5), [0.9, 0.7]);
    }

    #[test]
    fn classes_do_not_compete() {
        assert_eq!(kept(vec![candidate(0, 0.6, 0.0), candidate(1, 0.9, 0.0)], 0.5), [0.9, 0.6]);
    }

    #[test]
    fn the_number_of_candidates_is_bounded() {
        let many = (0..MAX_CANDIDATES + 10).map(|index| candidate(0, 0.5 + index as f32 * 1e-5, index as f32 * 20.0)).collect();
        let kept = kept(many, 0.5);
        assert_eq!(kept.len(), MAX_CANDIDATES);
        assert!(kept.iter().all(|confidence| *confidence > 0.5 + 9.5e-5), "the least confident are dropped");
    }
}
