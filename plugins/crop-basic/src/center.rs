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

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_guest::testing::FakeImage;
    use breakwater_guest::{AspectRatio, Rect, Size};

    fn plan(parameters: CenterParameters) -> CropPlan {
        let image = FakeImage::new(Size { width: 405, height: 300 });
        Center::plan(&image, &Wanted::new(AspectRatio { width: 1, height: 1 }, parameters)).unwrap()
    }

    #[test]
    fn the_window_is_as_large_as_it_can_be_and_in_the_middle() {
        let middle = plan(CenterParameters::default());
        assert_eq!(middle.crop, Rect { x: 52, y: 0, width: 300, height: 300 });
        assert!((middle.score - 300.0 / 405.0).abs() < 1e-6);
    }

    #[test]
    fn gravity_moves_it_to_the_edges() {
        assert_eq!(plan(CenterParameters { x: 0.0, y: 1.0 }).crop.x, 0);
        assert_eq!(plan(CenterParameters { x: 1.0, y: 0.0 }).crop.x, 105);
    }
}
