//! The adapter in front of a made-up service.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets a surprise should stop there")]

#[path = "../../testing/calls.rs"]
mod calls;

#[path = "adapter/answers.rs"]
mod answers;
#[path = "adapter/manifest.rs"]
mod manifest;
#[path = "adapter/pictures.rs"]
mod pictures;
#[path = "adapter/requests.rs"]
mod requests;

use breakwater_guest::testing::FakeHost;
use breakwater_guest::{Failure, Invocation, Reply, Response};
use serde_json::Value;

use adapter_image_service::ImageService;

/// What the adapter makes of an answer, which must fit the schema.
fn answered(operation: &str, input: Value, answer: Value) -> Result<Reply, Failure> {
    let host = FakeHost::new().answering(move |_| Ok(Response::of_json(&answer)));
    calls::invoke::<ImageService>(&host, Invocation::new(operation, input))
}
