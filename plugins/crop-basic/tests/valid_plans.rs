//! Any picture, any ratio, any detections, any parameters: a valid plan, and always the same.

use breakwater_guest::testing::{FakeImage, check_plan, face, subject};
use breakwater_guest::{AspectRatio, Bounds, CropStrategy, Detection, Kind, Size, Wanted};
use crop_basic::attention::{Attention, AttentionParameters};
use crop_basic::center::{Center, CenterParameters};
use crop_basic::entropy::{Entropy, EntropyParameters};
use crop_basic::thirds::{Thirds, ThirdsParameters};
use proptest::prelude::*;

fn detection() -> impl Strategy<Value = Detection> {
    let number = || prop_oneof![8 => -2000.0_f32..6000.0, 1 => Just(f32::NAN), 1 => Just(f32::INFINITY), 1 => Just(0.0)];
    let confidence = prop_oneof![9 => 0.3_f32..1.0, 1 => Just(f32::NAN)];
    (0..3, number(), number(), number(), number(), confidence).prop_map(|(kind, x, y, width, height, confidence)| match kind {
        0 => face(x, y, width, confidence),
        1 => subject(Kind::Person, "person", Bounds { x, y, width, height }, confidence),
        _ => subject(Kind::Object, "dog", Bounds { x, y, width, height }, confidence),
    })
}

fn size() -> impl Strategy<Value = Size> {
    let edge = || prop_oneof![1_u32..4, 1_u32..400, 400_u32..30_000];
    (edge(), edge()).prop_map(|(width, height)| Size { width, height })
}

fn ratio() -> impl Strategy<Value = AspectRatio> {
    let part = || prop_oneof![8 => 1_u32..20, 1 => 1_u32..=10_000];
    (part(), part()).prop_map(|(width, height)| AspectRatio { width, height })
}

/// Checks a strategy with the same picture twice: detections given along, and detections that the detector finds.
fn check<S: CropStrategy>(parameters: S::Parameters, size: Size, ratio: AspectRatio, found: &[Detection]) -> Result<(), TestCaseError>
where
    S::Parameters: Copy,
{
    let image = FakeImage::new(size)
        .with_saliency(|x, y| ((x * 7.0).sin() * (y * 5.0).cos()).abs() as f32)
        .with_luminance(|x, y| (x * 13.0 + y * 17.0).fract() as f32)
        .with_detections(found.to_vec());
    let given = || Wanted::new(ratio, parameters).with_given(found.to_vec());
    let plan = S::plan(&image, &given()).map_err(|failure| TestCaseError::fail(format!("{failure:?}")))?;
    prop_assert_eq!(check_plan(&plan, size, ratio), Ok(()), "{} of {:?} to {:?}", S::NAME, size, ratio);
    let again = S::plan(&image, &given());
    prop_assert_eq!(again.as_ref(), Ok(&plan), "not the same twice");
    prop_assert_eq!(S::plan(&image, &Wanted::new(ratio, parameters)), Ok(plan), "given or detected must not matter");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_plan_is_valid_and_the_same_twice(
        size in size(),
        ratio in ratio(),
        found in prop::collection::vec(detection(), 0..6),
        (x, y, face_confidence, person_confidence) in (0.0_f32..=1.0, 0.0_f32..=1.0, 0.0_f32..=1.0, 0.0_f32..=1.0),
        (map_edge, smallest) in (16_u32..=256, 0.2_f32..=1.0),
    ) {
        check::<Center>(CenterParameters { x, y }, size, ratio, &found)?;
        check::<Attention>(AttentionParameters { detail: map_edge }, size, ratio, &found)?;
        check::<Entropy>(EntropyParameters { detail: map_edge }, size, ratio, &found)?;
        check::<Thirds>(ThirdsParameters { face_confidence, person_confidence, smallest }, size, ratio, &found)?;
    }
}
