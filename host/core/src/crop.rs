//! Crop plans: what a strategy is asked, what it answers, and when an answer is valid.

use serde::{Deserialize, Serialize};

use crate::detection::DetectionKind;
use crate::geometry::{AspectRatio, Rect, Size};

/// A crop strategy as its plugin describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Strategy {
    /// As users write it, such as `center_faces`.
    pub name: String,
    /// One sentence for people.
    pub summary: String,
    /// JSON Schema of the parameters.
    pub parameters: serde_json::Value,
    /// Detections worth having ready before planning.
    pub needs: Vec<DetectionKind>,
}

/// What a strategy is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanRequest {
    /// Name of the strategy.
    pub strategy: String,
    /// The ratio the crop must have.
    pub ratio: AspectRatio,
    /// Parameters, valid against the strategy's schema; an object.
    pub parameters: serde_json::Value,
}

/// One reason for a choice, so that a person can check it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// What was measured, such as `faces_kept`.
    pub name: String,
    /// How much it counts.
    pub weight: f32,
    /// What it came to.
    pub value: f32,
}

/// A chosen crop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CropPlan {
    /// Where to cut, in pixels of the original image.
    pub crop: Rect,
    /// 0..=1, comparable only within one strategy.
    pub score: f32,
    /// Why.
    pub reasons: Vec<Term>,
}

/// Why a plan cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanViolation {
    /// The rectangle is empty or reaches over the image.
    #[error("the rectangle {crop} is empty or not inside the image of {size}")]
    Outside {
        /// The planned rectangle.
        crop: Rect,
        /// The image.
        size: Size,
    },
    /// The rectangle has another ratio than was asked for.
    #[error("the rectangle {crop} is more than a pixel away from the ratio {ratio}")]
    Ratio {
        /// The planned rectangle.
        crop: Rect,
        /// The ratio that was asked for.
        ratio: AspectRatio,
    },
    /// The score is not a number in 0..=1.
    #[error("the score {0} is not a number from 0 to 1")]
    Score(f32),
    /// A term holds a value that is not a finite number.
    #[error("the term {0:?} holds a value that is not a finite number")]
    Term(String),
    /// Too many terms, or names that are too long.
    #[error("a plan has at most {max} terms with names of at most {max_name} bytes", max = CropPlan::MAX_TERMS, max_name = CropPlan::MAX_TERM_NAME)]
    TooManyTerms,
}

impl CropPlan {
    /// The most terms a plan may have.
    pub const MAX_TERMS: usize = 64;
    /// The longest name of a term, in bytes.
    pub const MAX_TERM_NAME: usize = 64;

    /// Whether the plan can be used for an image of this size.
    ///
    /// A ratio that no window of whole pixels can meet (16:9 of a 1x1 image) is met by the largest window there is.
    ///
    /// # Errors
    /// The first violation found.
    pub fn check(&self, size: Size, ratio: AspectRatio) -> Result<(), PlanViolation> {
        if !self.crop.lies_inside(size) {
            return Err(PlanViolation::Outside { crop: self.crop, size });
        }
        if !ratio.fits(self.crop.size()) && self.crop.size() != ratio.largest_in(size) {
            return Err(PlanViolation::Ratio { crop: self.crop, ratio });
        }
        if !(0.0..=1.0).contains(&self.score) {
            return Err(PlanViolation::Score(self.score));
        }
        if self.reasons.len() > Self::MAX_TERMS || self.reasons.iter().any(|term| term.name.len() > Self::MAX_TERM_NAME) {
            return Err(PlanViolation::TooManyTerms);
        }
        let unusable = self.reasons.iter().find(|term| !term.weight.is_finite() || !term.value.is_finite());
        unusable.map_or(Ok(()), |term| Err(PlanViolation::Term(term.name.clone())))
    }

    /// The largest window of the ratio in the middle of the image: what is left when every strategy failed.
    #[must_use]
    pub fn centered(size: Size, ratio: AspectRatio) -> Self {
        let window = ratio.largest_in(size);
        let crop = Rect::new((size.width - window.width) / 2, (size.height - window.height) / 2, window.width, window.height);
        Self { crop, score: 0.0, reasons: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_center_crop_is_always_valid(w in 1u32..20_000, h in 1u32..20_000, rw in 1u32..200, rh in 1u32..200) {
            let (size, ratio) = (Size::new(w, h), AspectRatio::new(rw, rh).unwrap());
            prop_assert_eq!(CropPlan::centered(size, ratio).check(size, ratio), Ok(()));
        }
    }

    #[test]
    fn violations_are_named() {
        let (size, ratio) = (Size::new(100, 100), AspectRatio::new(1, 1).unwrap());
        let plan = |crop, score, value| CropPlan { crop, score, reasons: vec![Term { name: "t".into(), weight: 1.0, value }] };
        let square = Rect::new(0, 0, 50, 50);
        assert!(matches!(plan(Rect::new(60, 0, 50, 50), 0.5, 0.0).check(size, ratio), Err(PlanViolation::Outside { .. })));
        assert!(matches!(plan(Rect::new(0, 0, 50, 52), 0.5, 0.0).check(size, ratio), Err(PlanViolation::Ratio { .. })));
        assert!(matches!(plan(square, f32::NAN, 0.0).check(size, ratio), Err(PlanViolation::Score(_))));
        assert_eq!(plan(square, 0.5, f32::INFINITY).check(size, ratio), Err(PlanViolation::Term("t".into())));
        assert_eq!(plan(square, 0.5, 0.1).check(size, ratio), Ok(()));
    }
}
