//! What guests get from the host: the whole contract, and what goes with the image.

use breakwater_core::DetectionKind;

use crate::support::{Detectors, Host, face, guest, package, package_with, picture, plan, shipped, term};

const EVERYTHING: &str =
    "capabilities = [\"blobs\", \"imaging\", \"config\", \"logging\"]\n[config]\ngreeting = \"hello\"\nother = \"1\"\n";

/// The kept component of the first contract calls every function once. It must load and be answered the same for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kept_component_of_the_first_contract_is_served() {
    let kept = include_bytes!("../../../../tests/contracts/crop-plugin-0.1.0.wasm");
    let host = Host::with(Detectors::Find(vec![face(10.0, 10.0, 8.0), face(30.0, 10.0, 8.0)]), |_| ()).await;
    host.catalogue.deploy(package_with("kept", "0.1.0", kept.as_slice().into(), EVERYTHING)).await.unwrap();
    let answer = host.plan("everything").await.unwrap();
    for (name, expected) in [
        ("setting_bytes", 5.0),
        ("settings", 2.0),
        ("blob_type_bytes", 9.0),
        ("blob_read", 1.0),
        ("own_size", 2.0),
        ("thumbnail_bytes", 16.0 * 11.0 * 3.0),
        ("thumbnail_pixels", 16.0 * 11.0),
        ("saliency_cells", 16.0 * 11.0),
        ("luminance_cells", 16.0 * 11.0),
        ("faces", 2.0),
        ("people", 0.0),
        ("objects", 0.0),
        ("outside_is_refused", 1.0),
        ("edge_is_refused", 1.0),
    ] {
        assert_eq!(term(&answer, name), expected, "{name} of {:?}", answer.reasons);
    }
    let remaining = term(&answer, "remaining_ms");
    assert!((1.0..=5000.0).contains(&remaining), "{remaining}");
    assert!((0.5..8.0).contains(&term(&answer, "entropy")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_the_contract_as_it_is_now_is_served_too() {
    let host = Host::start().await;
    host.catalogue.deploy(package_with("whole", "0.1.0", guest("whole-contract"), EVERYTHING)).await.unwrap();
    assert_eq!(term(&host.plan("everything").await.unwrap(), "settings"), 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn detections_given_with_the_request_replace_those_of_the_host() {
    let host = Host::with(Detectors::Find(vec![face(4.0, 20.0, 10.0)]), |_| ()).await;
    host.catalogue.deploy(package("crop-people", "0.1.0", shipped("crop-people"))).await.unwrap();
    let size = picture().size();
    assert!(size.width > size.height);
    let found = host.plan("center_faces").await.unwrap();
    assert_eq!(found.crop.x, 0, "the host's face is at the left edge");
    let given = plan(&host.snapshot(), "center_faces", &[face(size.width as f32 - 14.0, 20.0, 10.0)]).await.unwrap();
    assert_eq!(given.crop.x + given.crop.width, size.width, "the given face is at the right edge");
    let mut person = face(0.0, 0.0, 20.0);
    person.kind = DetectionKind::Person;
    let other = plan(&host.snapshot(), "center_faces", &[person]).await.unwrap();
    assert_eq!(term(&other, "faces_found"), 0.0, "given detections of other kinds leave no faces");
}
