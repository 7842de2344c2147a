//! What a strategy may be asked, and what must hold of every answer.

use breakwater_guest::testing::{FakeImage, check_plan, face, subject};
use breakwater_guest::{AspectRatio, Bounds, CropStrategy, Detection, Kind, Size, Wanted};
use proptest::prelude::*;

/// Any detection, with coordinates that are no numbers among them.
pub(crate) fn detection() -> impl Strategy<Value = Detection> {
    let number = || prop_oneof![8 => -2000.0_f32..6000.0, 1 => Just(f32::NAN), 1 => Just(f32::INFINITY), 1 => Just(0.0)];
    let confidence = prop_oneof![9 => 0.3_f32..1.0, 1 => Just(f32::NAN)];
    (0..3, number(), number(), number(), number(), confidence).prop_map(|(kind, x, y, width, height, confidence)| match kind {
        0 => face(x, y, width, confidence),
        1 => subject(Kind::Person, "person", Bounds { x, y, width, height }, confidence),
        _ => subject(Kind::Object, "dog", Bounds { x, y, width, height }, confidence),
    })
}

/// Any picture, thin and tiny ones too.
pub(crate) fn size() -> impl Strategy<Value = Size> {
    let edge = || prop_oneof![1_u32..4, 1_u32..400, 400_u32..30_000];
    (edge(), edge()).prop_map(|(width, height)| Size { width, height })
}

/// Any ratio.
pub(crate) fn ratio() -> impl Strategy<Value = AspectRatio> {
    let part = || prop_oneof![8 => 1_u32..20, 1 => 1_u32..=10_000];
    (part(), part()).prop_map(|(width, height)| AspectRatio { width, height })
}

/// Checks a strategy with the same picture twice: detections given along, and detections that the detector finds.
pub(crate) fn check<S: CropStrategy>(
    parameters: S::Parameters,
    size: Size,
    ratio: AspectRatio,
    found: &[Detection],
) -> Result<(), TestCaseError>
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
