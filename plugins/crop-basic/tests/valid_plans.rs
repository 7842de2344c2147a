//! Any picture, any ratio, any detections, any parameters: a valid plan, and always the same.

#[path = "../../testing/any_input.rs"]
mod any_input;

use any_input::{check, detection, ratio, size};
use crop_basic::attention::{Attention, AttentionParameters};
use crop_basic::center::{Center, CenterParameters};
use crop_basic::entropy::{Entropy, EntropyParameters};
use crop_basic::thirds::{Thirds, ThirdsParameters};
use proptest::prelude::*;

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
