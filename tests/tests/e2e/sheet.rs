//! A sheet of the free photographs at several scales: many faces of known places in one picture.

use breakwater_tests::client::Field;
use breakwater_tests::forged;
use breakwater_tests::photographs::Photograph;
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageFormat, RgbImage};

use crate::support::{Area, client, crop_of, found, ok};

const SIZE: (u32, u32) = (1280, 960);

/// Photograph, left, top, scale. Half of these sizes reach the network, so the smallest face is 20 pixels wide there.
const PLACES: [(&str, u32, u32, f64); 6] = [
    ("astronaut.png", 0, 0, 0.8),
    ("camera.png", 420, 0, 1.0),
    ("astronaut.png", 940, 0, 0.6),
    ("astronaut.png", 940, 320, 0.45),
    ("chelsea.png", 0, 540, 1.0),
    ("coffee.png", 480, 540, 0.7),
];

/// The face of a photograph, as a reference implementation found it.
fn face_of(name: &str) -> Option<Area> {
    match name {
        "astronaut.png" => Some(Area { x: 178.3, y: 63.2, width: 89.4, height: 112.6 }),
        "camera.png" => Some(Area { x: 195.6, y: 113.2, width: 60.5, height: 80.7 }),
        _ => None,
    }
}

fn sheet() -> (bytes::Bytes, Vec<Area>) {
    let mut sheet = RgbImage::from_pixel(SIZE.0, SIZE.1, [225, 225, 220].into());
    let mut faces = Vec::new();
    for (name, left, top, scale) in PLACES {
        let photograph = image::load_from_memory(&Photograph::shipped(name).unwrap().bytes).unwrap().to_rgb8();
        let edge = |length: u32| (f64::from(length) * scale).round() as u32;
        let scaled = imageops::resize(&photograph, edge(photograph.width()), edge(photograph.height()), FilterType::Triangle);
        imageops::replace(&mut sheet, &scaled, i64::from(left), i64::from(top));
        faces.extend(face_of(name).map(|face| Area {
            x: face.x * scale + f64::from(left),
            y: face.y * scale + f64::from(top),
            width: face.width * scale,
            height: face.height * scale,
        }));
    }
    (forged::encode(&DynamicImage::ImageRgb8(sheet), ImageFormat::Png).unwrap(), faces)
}

#[tokio::test]
async fn every_face_of_the_sheet_is_found_where_it_is_and_no_other() {
    let (picture, expected) = sheet();
    let fields: [Field<'_>; 2] = [("detection_types", &"face"), ("confidence_threshold", &0.8)];
    let faces = found(&ok(&client().detect(&picture, &fields).await.unwrap()));
    let overlaps: Vec<_> = expected.iter().map(|area| faces.iter().map(|face| face.area.iou(area)).fold(0.0, f64::max)).collect();
    println!("faces of the sheet: {} of {} found, IoU {overlaps:.2?}", faces.len(), expected.len());
    assert_eq!(faces.len(), expected.len(), "{faces:?}");
    assert!(overlaps.iter().all(|overlap| *overlap > 0.6), "{overlaps:?}");
}

#[tokio::test]
async fn center_faces_takes_the_side_with_the_faces() {
    let (picture, expected) = sheet();
    let fields: [Field<'_>; 2] = [("target_aspect_ratio", &"16:9"), ("crop_strategy", &"center_faces")];
    let answer = ok(&client().crop(&picture, &fields).await.unwrap());
    let crop = crop_of(&answer);
    // The window is 1280x720, and the faces lie in the upper 400 rows.
    let kept = expected.iter().filter(|face| crop.holds(face)).count();
    assert_eq!(kept, expected.len(), "{crop:?}");
}
