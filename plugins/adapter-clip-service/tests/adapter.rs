//! The adapter in front of a made-up service.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets a surprise should stop there")]

#[path = "../../testing/calls.rs"]
mod calls;

#[path = "adapter/answers.rs"]
mod answers;
#[path = "adapter/requests.rs"]
mod requests;

use adapter_clip_service::ClipService;
use breakwater_guest::testing::{FakeHost, check_operations};
use breakwater_guest::{Adapter, Blob, Failure, Invocation, Reply, Response};
use serde_json::{Value, json};

/// A call with so many pictures attached.
fn call(operation: &str, pictures: usize) -> Invocation {
    let call = Invocation::new(operation, json!({}));
    (0..pictures).fold(call, |call, _| call.with_attachment(Blob::new("image/jpeg", vec![0xff, 0xd8, 0xff])))
}

/// What the adapter makes of an answer, which must fit the schema. The model has four numbers.
fn answered(operation: &str, pictures: usize, answer: Value) -> Result<Reply, Failure> {
    let host = FakeHost::new().with_setting("dimension", "4").answering(move |_| Ok(Response::of_json(&answer)));
    calls::invoke::<ClipService>(&host, call(operation, pictures))
}

#[test]
fn the_operations_are_such_as_the_host_takes() {
    assert_eq!(check_operations(ClipService::OPERATIONS), Ok(()));
    let names: Vec<_> = ClipService::OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!(names, ["extract-features", "extract-features-batch"]);
}

#[test]
fn the_fixtures_of_the_manifest_are_answered_as_it_says() {
    calls::check_adapter::<ClipService>(env!("CARGO_MANIFEST_DIR"));
}
