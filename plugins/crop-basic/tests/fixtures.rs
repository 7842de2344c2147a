//! The probes of plugin.toml that need nothing but detections come to the same plans natively.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets a surprise should stop there")]

#[path = "../../testing/fixtures.rs"]
mod fixtures;

use fixtures::plan;

#[test]
fn the_plans_of_the_manifest_are_those_of_the_code() {
    fixtures::check(env!("CARGO_MANIFEST_DIR"), |strategy, fixture, size, given| match strategy {
        "center" => Some(plan::<crop_basic::center::Center>(fixture, size, given)),
        "thirds" => Some(plan::<crop_basic::thirds::Thirds>(fixture, size, given)),
        // These ask for maps of the picture, which only the host makes.
        "attention" | "entropy" => None,
        other => panic!("no strategy {other}"),
    });
}
