//! One plugin in several versions whose answers tell which version gave them.

use breakwater_guest::parameters::NoParameters;
use breakwater_guest::{CropPlan, CropStrategy, Failure, ImageView, Kind, LargestWindow, Reasons, Wanted};

/// The centre crop, with the version as the term `version`.
pub struct Versioned<const VERSION: u32>;

impl<const VERSION: u32> CropStrategy for Versioned<VERSION> {
    const NAME: &'static str = "versioned";
    const SUMMARY: &'static str = "The centre crop; the term `version` says which version answered.";
    const NEEDS: &'static [Kind] = &[];
    type Parameters = NoParameters;

    fn plan<I: ImageView>(image: &I, wanted: &Wanted<NoParameters>) -> Result<CropPlan, Failure> {
        let mut reasons = Reasons::new();
        reasons.note("version", VERSION as f32);
        // Twice, so that an answer made of two versions shows.
        reasons.weigh("version_share", 1.0, VERSION as f32 / 16.0);
        Ok(reasons.plan(LargestWindow::new(image.size(), wanted.ratio).centered()))
    }
}
