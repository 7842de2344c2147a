//! The largest window in the middle, or wherever the caller's gravity pulls it.

use breakwater_guest::{Axis, CropPlan, CropStrategy, Failure, ImageView, Kind, LargestWindow, Reasons, Wanted, parameters};

parameters! {
    /// Where the window sits.
    pub struct CenterParameters {
        /// From the left edge (0) to the right edge (1), when the window can move sideways.
        x: f32 = 0.5 in 0.0..=1.0,
        /// From the top edge (0) to the bottom edge (1), when the window can move up and down.
        y: f32 = 0.5 in 0.0..=1.0,
    }
}

/// The largest window of the ratio at a fixed place.
pub struct Center;

impl CropStrategy for Center {
    const NAME: &'static str = "center";
    const SUMMARY: &'static str = "The largest window in the middle of the picture, whatever it shows.";
    const NEEDS: &'static [Kind] = &[];
    type Parameters = CenterParameters;

    fn plan<I: ImageView>(image: &I, wanted: &Wanted<CenterParameters>) -> Result<CropPlan, Failure> {
        let window = LargestWindow::new(image.size(), wanted.ratio);
        let place = match window.axis() {
            Axis::Horizontal => wanted.parameters.x,
            Axis::Vertical => wanted.parameters.y,
        };
        // Half a pixel goes up and to the left, as in the host's own centre crop.
        let offset = (f64::from(window.room()) * f64::from(place) - 0.5).ceil();
        let mut reasons = Reasons::new();
        reasons.weigh("area_kept", 1.0, window.area_kept());
        Ok(reasons.plan(window.at(window.clamp(offset))))
    }
}
