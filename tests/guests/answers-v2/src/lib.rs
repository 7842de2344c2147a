//! Version 2 of the plugin `answers`, which offers one strategy more.

use breakwater_guest::parameters::NoParameters;
use breakwater_guest::{CropPlan, CropStrategy, Failure, ImageView, Kind, LargestWindow, Reasons, Wanted};

/// Offered by no other version.
struct OnlyInTwo;

impl CropStrategy for OnlyInTwo {
    const NAME: &'static str = "only_in_two";
    const SUMMARY: &'static str = "The window at the upper left; version 1 does not know it.";
    const NEEDS: &'static [Kind] = &[];
    type Parameters = NoParameters;

    fn plan<I: ImageView>(image: &I, wanted: &Wanted<NoParameters>) -> Result<CropPlan, Failure> {
        Ok(Reasons::new().plan(LargestWindow::new(image.size(), wanted.ratio).at(0)))
    }
}

breakwater_guest::export_crop_plugin!(answers::Versioned<2>, OnlyInTwo);
