//! What a crop plugin implements.

use crate::call::CallContext;
use crate::detection::{Detection, Kind};
use crate::failure::Failure;
use crate::geometry::AspectRatio;
use crate::image::ImageView;
use crate::parameters::Parameters;
use crate::plan::CropPlan;

/// One way of choosing a crop.
///
/// Pure: the same image, ratio, detections and parameters give the same plan.
pub trait CropStrategy {
    /// As users write it: lower case letters, digits and `_`; unique across the active plugins.
    const NAME: &'static str;
    /// One sentence for people, at most 256 bytes.
    const SUMMARY: &'static str;
    /// Detections worth having ready before [`plan`](Self::plan); a hint.
    const NEEDS: &'static [Kind];
    /// What a caller may set; made with [`parameters!`](crate::parameters!), or [`NoParameters`](crate::parameters::NoParameters).
    type Parameters: Parameters;

    /// Chooses a crop of `image`: not empty, inside the image, of the wanted ratio within a pixel.
    ///
    /// # Errors
    /// A failure of kind `invalid-request` is shown to the caller; any other passes the call on to the next provider.
    fn plan<I: ImageView>(image: &I, wanted: &Wanted<Self::Parameters>) -> Result<CropPlan, Failure>;
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted<P> {
    /// The ratio that the crop must have.
    pub ratio: AspectRatio,
    /// What the caller set, and defaults for the rest.
    pub parameters: P,
    /// Detections supplied with the request; when there are any, no detector is asked.
    pub given: Vec<Detection>,
    /// What may be known about the call.
    pub call: CallContext,
}

impl<P> Wanted<P> {
    /// A wish without detections of its own, as tests use it.
    #[must_use]
    pub fn new(ratio: AspectRatio, parameters: P) -> Self {
        Self { ratio, parameters, given: Vec::new(), call: CallContext::default() }
    }

    /// The same with detections supplied.
    #[must_use]
    pub fn with_given(self, given: Vec<Detection>) -> Self {
        Self { given, ..self }
    }

    /// Detections of `kind` with at least this confidence: those given with the request if there are any, else the detector's.
    ///
    /// Boxes are cut to the edges of the image; what lies outside, or holds a number that is not finite, is left out.
    ///
    /// # Errors
    /// Those of [`ImageView::detect`].
    pub fn detections<I: ImageView>(&self, image: &I, kind: Kind, confidence: f32) -> Result<Vec<Detection>, Failure> {
        let detected;
        let found = if self.given.is_empty() {
            detected = image.detect(kind)?;
            &detected
        } else {
            &self.given
        };
        let size = image.size();
        Ok(found.iter().filter(|one| one.kind == kind && one.confidence >= confidence).filter_map(|one| one.clipped(size)).collect())
    }
}
