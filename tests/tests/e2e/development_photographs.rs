//! The photographs that may not be shipped: read from beside the checkout when they are there, and said loudly when they are not.

use std::collections::BTreeMap;
use std::path::PathBuf;

use breakwater_tests::client::{Client, Field};
use breakwater_tests::photographs::{self, Photograph};
use serde::Deserialize;

use crate::support::{Area, Found, RATIOS, assert_valid, client, crop_of, found, ok};

/// What a reference implementation found, counts checked by eye.
#[derive(Deserialize)]
struct Reference {
    images: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
struct Expected {
    size: [u32; 2],
    faces_xyxy: Vec<[f64; 4]>,
}

/// The photographs with their faces, if they are there.
fn photographs() -> Option<Vec<(Photograph, Vec<Area>)>> {
    let Some(folder) = photographs::development_folder() else {
        println!("NOT RUN: the development photographs are not there (../shared/assets, or the folder that BREAKWATER_ASSETS names)");
        return None;
    };
    let reference: Reference = serde_json::from_slice(&std::fs::read(folder.join("golden/faces_pseudo_gt.json")).unwrap()).unwrap();
    let read = |(name, expected): (String, Expected)| {
        let path: PathBuf = folder.join("images").join(name.rsplit('/').next().unwrap());
        let photograph = Photograph::read(&path).unwrap();
        assert_eq!([photograph.width, photograph.height], expected.size, "{name}");
        let area = |[left, top, right, bottom]: [f64; 4]| Area { x: left, y: top, width: right - left, height: bottom - top };
        (photograph, expected.faces_xyxy.into_iter().map(area).collect())
    };
    Some(reference.images.into_iter().map(read).collect())
}

async fn faces(client: &Client, photograph: &Photograph) -> Vec<Found> {
    let fields: [Field<'_>; 2] = [("detection_types", &"face"), ("confidence_threshold", &0.8)];
    found(&ok(&client.detect(&photograph.bytes, &fields).await.unwrap()))
}

#[tokio::test]
async fn all_twelve_faces_are_found_and_no_false_one() {
    let Some(photographs) = photographs() else { return };
    let client = client();
    let (mut total, mut worst, mut sum) = (0, 1.0_f64, 0.0);
    for (photograph, expected) in &photographs {
        let found = faces(&client, photograph).await;
        assert_eq!(found.len(), expected.len(), "{}: {found:?}", photograph.name);
        for area in expected {
            let overlap = found.iter().map(|face| face.area.iou(area)).fold(0.0, f64::max);
            assert!(overlap > 0.85, "{}: a face at {area:?} is found only by {overlap:.3} in {found:?}", photograph.name);
            (total, worst, sum) = (total + 1, worst.min(overlap), sum + overlap);
        }
    }
    assert_eq!(total, 12);
    let photographs = photographs.len();
    println!(
        "parity with the reference: {total} of 12 faces in {photographs} photographs, none false; IoU mean {:.4}, least {worst:.4}",
        sum / 12.0
    );
}

#[tokio::test]
async fn center_faces_keeps_every_face_for_which_a_window_exists() {
    let Some(photographs) = photographs() else { return };
    let client = client();
    let (mut kept, mut possible) = (0, 0);
    for (photograph, _) in photographs.iter().filter(|(_, faces)| !faces.is_empty()) {
        let size = (photograph.width, photograph.height);
        let found: Vec<_> = faces(&client, photograph).await.iter().map(|face| face.area.clipped(size.0, size.1)).collect();
        for ratio in RATIOS {
            let text = format!("{}:{}", ratio.0, ratio.1);
            let fields: [Field<'_>; 2] = [("target_aspect_ratio", &text), ("crop_strategy", &"center_faces")];
            let answer = ok(&client.crop(&photograph.bytes, &fields).await.unwrap());
            let crop = crop_of(&answer);
            assert_valid(&crop, size, ratio);
            let inside = found.iter().filter(|face| crop.holds(face)).count();
            if fits(&found, size, ratio) {
                assert_eq!(inside, found.len(), "{} at {text}: a window holds all faces, {crop:?} does not", photograph.name);
                (kept, possible) = (kept + inside, possible + found.len());
            } else {
                assert!(inside > 0, "{} at {text}: no face is kept", photograph.name);
            }
        }
    }
    println!("center_faces: {kept} of {possible} faces kept, over five ratios, where one window can hold them all");
    assert!(possible >= 20, "only {possible}");
}

/// Whether the largest window of a ratio can hold all faces at once.
fn fits(faces: &[Area], size: (u32, u32), ratio: (u32, u32)) -> bool {
    let (width, height) = (f64::from(size.0), f64::from(size.1));
    let exact = f64::from(ratio.0) / f64::from(ratio.1);
    let window = (width.min(height * exact), height.min(width / exact));
    let edge = |of: fn(&Area) -> f64, choose: fn(f64, f64) -> f64, start: f64| faces.iter().map(of).fold(start, choose);
    let across = edge(Area::right, f64::max, 0.0) - edge(|face| face.x, f64::min, width);
    let down = edge(Area::bottom, f64::max, 0.0) - edge(|face| face.y, f64::min, height);
    across <= window.0 - 1.0 && down <= window.1 - 1.0
}

#[test]
fn a_window_exists_when_the_faces_fit_into_the_largest_one() {
    let face = |x: f64, y: f64| Area { x, y, width: 100.0, height: 100.0 };
    assert!(fits(&[face(0.0, 0.0), face(300.0, 0.0)], (1000, 500), (1, 1)));
    assert!(!fits(&[face(0.0, 0.0), face(450.0, 0.0)], (1000, 500), (1, 1)));
    assert!(!fits(&[face(0.0, 0.0), face(0.0, 300.0)], (500, 1000), (16, 9)));
}
