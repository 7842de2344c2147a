//! The window that holds most of what draws the eye.

use breakwater_guest::{CropPlan, CropStrategy, Failure, ImageView, Kind, LargestWindow, Reasons, Wanted, attention, parameters};

parameters! {
    /// How closely to look.
    pub struct AttentionParameters {
        /// Cells on the longer edge of the saliency map.
        detail: u32 = 64 in 8..=256,
    }
}

/// The largest window of the ratio with the most saliency.
pub struct Attention;

impl CropStrategy for Attention {
    const NAME: &'static str = "attention";
    const SUMMARY: &'static str = "The largest window that holds most of what draws the eye.";
    const NEEDS: &'static [Kind] = &[];
    type Parameters = AttentionParameters;

    fn plan<I: ImageView>(image: &I, wanted: &Wanted<AttentionParameters>) -> Result<CropPlan, Failure> {
        attention::plan(image, &LargestWindow::new(image.size(), wanted.ratio), wanted.parameters.detail, Reasons::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_guest::testing::FakeImage;
    use breakwater_guest::{AspectRatio, Size};

    fn x_of(saliency: fn(f64, f64) -> f32) -> u32 {
        let image = FakeImage::new(Size { width: 640, height: 320 }).with_saliency(saliency);
        let wanted = Wanted::new(AspectRatio { width: 1, height: 1 }, AttentionParameters::default());
        Attention::plan(&image, &wanted).unwrap().crop.x
    }

    #[test]
    fn the_window_goes_where_the_saliency_is_and_has_it_in_its_middle() {
        // The bright part lies from 448 to 512, and the window is 320 wide.
        assert_eq!(x_of(|x, _| if (0.7..0.8).contains(&x) { 1.0 } else { 0.0 }), 480 - 160);
    }

    #[test]
    fn what_lies_at_the_edge_pulls_the_window_there() {
        assert_eq!(x_of(|x, _| x.powi(8) as f32), 320);
        assert_eq!(x_of(|x, _| (1.0 - x).powi(8) as f32), 0);
    }

    #[test]
    fn a_picture_without_saliency_is_cut_in_the_middle() {
        assert_eq!(x_of(|_, _| 0.0), 160);
        assert_eq!(x_of(|_, _| 0.4), 160);
        assert_eq!(x_of(|_, _| f32::NAN), 160);
    }
}
