//! The probes of plugin.toml that need nothing but detections come to the same plans natively.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets a surprise should stop there")]

#[path = "../../testing/fixtures.rs"]
mod fixtures;

use fixtures::plan;

#[test]
fn the_plans_of_the_manifest_are_those_of_the_code() {
    fixtures::check(env!("CARGO_MANIFEST_DIR"), |strategy, fixture, size, given| match strategy {
        "center_faces" => Some(plan::<crop_people::center_faces::CenterFaces>(fixture, size, given)),
        "portrait" => Some(plan::<crop_people::portrait::Portrait>(fixture, size, given)),
        "subjects" => Some(plan::<crop_people::subjects::Subjects>(fixture, size, given)),
        other => panic!("no strategy {other}"),
    });
}
