//! What the manifest and the contract ask.

use adapter_image_service::ImageService;
use breakwater_guest::Adapter;
use breakwater_guest::testing::check_operations;

use crate::calls;

#[test]
fn the_operations_are_such_as_the_host_takes() {
    assert_eq!(check_operations(ImageService::OPERATIONS), Ok(()));
    let names: Vec<_> = ImageService::OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!(names, ["detect-objects", "crop-image", "process-batch", "compose-sheet"]);
}

#[test]
fn the_fixtures_of_the_manifest_are_answered_as_it_says() {
    calls::check_adapter::<ImageService>(env!("CARGO_MANIFEST_DIR"));
}
