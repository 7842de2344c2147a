//! The choice and its reasons.

pub use crate::bindings::exports::breakwater::plugin::crop_strategy::{CropPlan, Term};
use crate::geometry::Rect;

/// Collects what a choice was measured by, and makes the plan of it.
///
/// The score is the weighted mean of the terms, each cut to 0..=1, so that a person can check it:
///
/// ```
/// use breakwater_guest::{Reasons, Rect};
/// let mut reasons = Reasons::new();
/// reasons.weigh("faces_kept", 3.0, 1.0);
/// reasons.weigh("headroom", 1.0, 0.5);
/// reasons.note("faces_found", 2.0);
/// let plan = reasons.plan(Rect { x: 0, y: 0, width: 4, height: 6 });
/// assert_eq!(plan.score, 0.875);
/// ```
#[derive(Debug, Default)]
pub struct Reasons {
    terms: Vec<Term>,
}

impl Reasons {
    /// No reasons yet.
    #[must_use]
    pub fn new() -> Self {
        Self { terms: Vec::with_capacity(8) }
    }

    /// Adds a measure in 0..=1 that counts `weight` (not negative) in the score. What is not a number counts as 0.
    pub fn weigh(&mut self, name: &str, weight: f32, value: f32) {
        let value = if value.is_finite() { value.clamp(0.0, 1.0) } else { 0.0 };
        self.terms.push(Term { name: name.to_owned(), weight: weight.max(0.0), value });
    }

    /// Adds a figure that explains but does not count, such as how many faces were found.
    pub fn note(&mut self, name: &str, value: f32) {
        let value = if value.is_finite() { value } else { 0.0 };
        self.terms.push(Term { name: name.to_owned(), weight: 0.0, value });
    }

    /// The weighted mean of the terms so far, 0 when nothing counts.
    #[must_use]
    pub fn score(&self) -> f32 {
        let total: f32 = self.terms.iter().map(|term| term.weight).sum();
        let sum: f32 = self.terms.iter().filter(|term| term.weight > 0.0).map(|term| term.weight * term.value).sum();
        if total > 0.0 { (sum / total).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The plan to cut `crop` for these reasons.
    #[must_use]
    pub fn plan(self, crop: Rect) -> CropPlan {
        CropPlan { crop, score: self.score(), terms: self.terms }
    }
}
