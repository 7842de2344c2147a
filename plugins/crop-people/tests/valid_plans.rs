//! Any picture, any ratio, any detections, any parameters: a valid plan, and always the same.

#[path = "../../testing/any_input.rs"]
mod any_input;

use any_input::{check, detection, ratio, size};
use crop_people::center_faces::{CenterFaces, CenterFacesParameters};
use crop_people::portrait::{Portrait, PortraitParameters};
use crop_people::subjects::{Subjects, SubjectsParameters};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_plan_is_valid_and_the_same_twice(
        size in size(),
        ratio in ratio(),
        found in prop::collection::vec(detection(), 0..6),
        (confidence, headroom, margin, height) in (0.0_f32..=1.0, 0.0_f32..=3.0, 0.0_f32..=3.0, 0.0_f32..=1.0),
        (head, eye_line, people) in (0.1_f32..=0.95, 0.1_f32..=0.9, 0.0_f32..=10.0),
    ) {
        check::<CenterFaces>(CenterFacesParameters { confidence, headroom, margin, height }, size, ratio, &found)?;
        check::<Portrait>(PortraitParameters { confidence, head, eye_line }, size, ratio, &found)?;
        check::<Subjects>(SubjectsParameters { confidence, people }, size, ratio, &found)?;
    }
}
