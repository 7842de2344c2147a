//! All faces, with room above the topmost one.

mod framing;
mod selection;

use breakwater_guest::{CropPlan, CropStrategy, Failure, ImageView, Kind, LargestWindow, Reasons, Wanted, attention, parameters};

use self::framing::{Faces, wish};
use self::selection::{cut, place};
use crate::offset::holds;

parameters! {
    /// What counts as a face, and how faces are framed.
    pub struct CenterFacesParameters {
        /// Lowest confidence of a face that counts.
        confidence: f32 = 0.8 in 0.0..=1.0,
        /// Room wanted above the topmost face, in heights of that face: hair and some air.
        headroom: f32 = 0.5 in 0.0..=3.0,
        /// Room wanted beside and below the faces, in widths of the outermost ones.
        margin: f32 = 0.3 in 0.0..=3.0,
        /// How far down the middle of the faces sits when there is room: 0 is the top of the crop, 1 its bottom.
        height: f32 = 0.4 in 0.0..=1.0,
    }
}

/// The largest window of the ratio that keeps all faces, or the most of them by area and confidence.
///
/// In this order: keep faces whole; do not cut through one that is not kept; leave room above the topmost; leave room at the
/// other sides; have the faces in the middle (sideways) or at [`CenterFacesParameters::height`] (up and down).
pub struct CenterFaces;

impl CropStrategy for CenterFaces {
    const NAME: &'static str = "center_faces";
    const SUMMARY: &'static str = "The largest window that keeps all faces, with room above them; without faces, what draws the eye.";
    const NEEDS: &'static [Kind] = &[Kind::Face];
    type Parameters = CenterFacesParameters;

    fn plan<I: ImageView>(image: &I, wanted: &Wanted<CenterFacesParameters>) -> Result<CropPlan, Failure> {
        let size = image.size();
        let found = wanted.detections(image, Kind::Face, wanted.parameters.confidence)?;
        let mut reasons = Reasons::new();
        reasons.note("faces_found", found.len() as f32);
        let mut window = LargestWindow::new(size, wanted.ratio);
        if found.is_empty() {
            return attention::plan(image, &window, attention::EDGE, reasons);
        }
        let mut faces = Faces::new(&found, &window);
        if window.keeping(faces.span()).is_none() {
            // The tolerance of the ratio may be just what is missing.
            let stretched = LargestWindow::stretched(size, wanted.ratio);
            // Stretched over the whole image it has no place to choose, and keeps everything.
            let keeps = window.axis() == stretched.axis() && stretched.keeping(faces.span()).is_some();
            if keeps || stretched.size() == size {
                window = stretched;
                faces = Faces::new(&found, &window);
            }
        }
        let offset = place(&window, &faces, &wanted.parameters);

        let covered = window.covers(offset);
        let kept = faces.only(|span| holds(covered, span));
        reasons.weigh("faces_kept", 0.6, (kept.weight() / faces.weight().max(f64::MIN_POSITIVE)) as f32);
        reasons.weigh("faces_not_cut", 0.15, 1.0 - (cut(&faces, covered) / faces.weight().max(f64::MIN_POSITIVE)) as f32);
        reasons.weigh("headroom", 0.15, kept.headroom(window.at(offset).y, wanted.parameters.headroom));
        let missed = (wish(&window, &kept, &wanted.parameters) - f64::from(offset)).abs() / f64::from(window.length());
        reasons.weigh("in_place", 0.1, 1.0 - missed as f32);
        Ok(reasons.plan(window.at(offset)))
    }
}

#[cfg(test)]
mod tests;
