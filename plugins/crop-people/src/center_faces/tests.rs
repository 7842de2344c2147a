use breakwater_guest::testing::{FakeImage, check_plan, face};
use breakwater_guest::{AspectRatio, Bounds, Detection, Rect, Size};
use proptest::prelude::*;

use super::*;

const SQUARE: AspectRatio = AspectRatio { width: 1, height: 1 };
const UPRIGHT: AspectRatio = AspectRatio { width: 4, height: 6 };

fn plan(size: Size, ratio: AspectRatio, faces: Vec<Detection>) -> CropPlan {
    CenterFaces::plan(&FakeImage::new(size), &Wanted::new(ratio, CenterFacesParameters::default()).with_given(faces)).unwrap()
}

fn keeps(crop: Rect, bounds: &Bounds) -> bool {
    bounds.x >= crop.x as f32
        && bounds.y >= crop.y as f32
        && bounds.right() <= (crop.x + crop.width) as f32
        && bounds.bottom() <= (crop.y + crop.height) as f32
}

fn term(plan: &CropPlan, name: &str) -> f32 {
    plan.terms.iter().find(|term| term.name == name).unwrap().value
}

#[test]
fn one_face_comes_to_lie_in_the_middle() {
    let plan = plan(Size { width: 900, height: 600 }, UPRIGHT, vec![face(600.0, 200.0, 80.0, 0.9)]);
    assert_eq!(plan.crop, Rect { x: 440, y: 0, width: 400, height: 600 });
    assert!(plan.score > 0.99, "{}", plan.score);
}

#[test]
fn all_faces_are_kept_where_their_middle_would_cut_one() {
    // The middle by weight lies in the large face; the small one at the right would be out.
    let faces = vec![face(100.0, 200.0, 160.0, 0.9), face(440.0, 250.0, 50.0, 0.9)];
    let plan = plan(Size { width: 900, height: 600 }, UPRIGHT, faces.clone());
    assert!(faces.iter().all(|one| keeps(plan.crop, &one.bounds)), "{:?}", plan.crop);
    assert_eq!(term(&plan, "faces_kept"), 1.0);
}

#[test]
fn of_faces_that_do_not_fit_those_that_weigh_most_are_kept() {
    let faces = vec![face(20.0, 100.0, 60.0, 0.9), face(500.0, 100.0, 100.0, 0.9), face(700.0, 100.0, 70.0, 0.9)];
    let plan = plan(Size { width: 900, height: 600 }, UPRIGHT, faces.clone());
    let kept: Vec<bool> = faces.iter().map(|one| keeps(plan.crop, &one.bounds)).collect();
    assert_eq!(kept, [false, true, true]);
    assert!(term(&plan, "faces_kept") < 1.0);
}

#[test]
fn a_face_that_is_not_kept_is_not_cut_either_when_that_can_be_helped() {
    // Centred on the large face, the window from 300 to 700 would cut through the small one at 680.
    let faces = vec![face(420.0, 100.0, 160.0, 0.9), face(680.0, 100.0, 60.0, 0.9), face(100.0, 100.0, 100.0, 0.9)];
    let size = Size { width: 1000, height: 300 };
    let plan = plan(size, AspectRatio { width: 1, height: 1 }, faces.clone());
    assert!(keeps(plan.crop, &faces[0].bounds));
    let (from, to) = (plan.crop.x as f32, (plan.crop.x + plan.crop.width) as f32);
    for one in &faces[1..] {
        let outside = one.bounds.right() <= from || one.bounds.x >= to;
        assert!(outside || keeps(plan.crop, &one.bounds), "{one:?} {:?}", plan.crop);
    }
    assert_eq!(term(&plan, "faces_not_cut"), 1.0);
}

#[test]
fn there_is_room_above_the_topmost_face() {
    let top = face(200.0, 400.0, 100.0, 0.9);
    let plan = plan(Size { width: 600, height: 1200 }, SQUARE, vec![top, face(350.0, 700.0, 100.0, 0.9)]);
    assert!(plan.crop.y <= 350, "{:?}", plan.crop);
    assert_eq!(term(&plan, "headroom"), 1.0);
}

#[test]
fn room_above_gives_way_to_keeping_every_face() {
    let faces = vec![face(200.0, 400.0, 100.0, 0.9), face(350.0, 880.0, 100.0, 0.9)];
    let plan = plan(Size { width: 600, height: 1200 }, SQUARE, faces.clone());
    assert!(faces.iter().all(|one| keeps(plan.crop, &one.bounds)), "{:?}", plan.crop);
    assert_eq!(plan.crop.y, 380);
    assert!((term(&plan, "headroom") - 0.4).abs() < 1e-6);
}

#[test]
fn what_is_hardly_a_face_does_not_count_unless_asked_for() {
    let image = FakeImage::new(Size { width: 900, height: 600 }).with_detections(vec![face(700.0, 200.0, 80.0, 0.76)]);
    let x = |confidence| {
        let parameters = CenterFacesParameters { confidence, ..CenterFacesParameters::default() };
        CenterFaces::plan(&image, &Wanted::new(UPRIGHT, parameters)).unwrap().crop.x
    };
    assert_eq!((x(0.8), x(0.7)), (250, 500));
}

#[test]
fn without_faces_the_eye_decides() {
    let image = FakeImage::new(Size { width: 900, height: 600 }).with_saliency(|x, _| if x < 0.1 { 1.0 } else { 0.0 });
    let plan = CenterFaces::plan(&image, &Wanted::new(UPRIGHT, CenterFacesParameters::default())).unwrap();
    assert_eq!((plan.crop.x, image.calls()), (0, vec!["detect", "saliency"]));
    assert_eq!(term(&plan, "faces_found"), 0.0);
}

#[test]
fn given_faces_win_over_the_detector() {
    let image = FakeImage::new(Size { width: 900, height: 600 }).with_detections(vec![face(0.0, 200.0, 80.0, 0.9)]);
    let wanted = Wanted::new(UPRIGHT, CenterFacesParameters::default()).with_given(vec![face(600.0, 200.0, 80.0, 0.9)]);
    assert_eq!(CenterFaces::plan(&image, &wanted).unwrap().crop.x, 440);
    assert!(image.calls().is_empty());
}

#[test]
fn a_failing_detector_is_the_callers_business() {
    let failure = Failure::unavailable("detector.unavailable", "no model");
    let image = FakeImage::new(Size { width: 900, height: 600 }).with_failing_detectors(failure.clone());
    assert_eq!(CenterFaces::plan(&image, &Wanted::new(UPRIGHT, CenterFacesParameters::default())), Err(failure));
}

#[test]
fn a_face_larger_than_the_window_is_shown_in_its_middle() {
    let plan = plan(Size { width: 1000, height: 500 }, AspectRatio { width: 1, height: 5 }, vec![face(300.0, 50.0, 400.0, 0.9)]);
    assert_eq!(plan.crop, Rect { x: 450, y: 0, width: 100, height: 500 });
}

#[test]
fn an_image_that_nearly_has_the_ratio_is_kept_whole_for_faces_at_both_edges() {
    let size = Size { width: 51, height: 50 };
    let plan = plan(size, SQUARE, vec![face(0.0, 0.0, 8.0, 0.9), face(43.0, 10.0, 8.0, 0.9)]);
    assert_eq!(plan.crop, Rect { x: 0, y: 0, width: 51, height: 50 });
    assert_eq!(term(&plan, "faces_kept"), 1.0);
}

#[test]
fn a_crowd_of_thousands_is_planned() {
    let crowd = (0..5_000).map(|index| face((index % 100) as f32 * 40.0, (index / 100) as f32 * 20.0, 30.0, 0.9)).collect();
    let size = Size { width: 4_000, height: 1_000 };
    check_plan(&plan(size, SQUARE, crowd), size, SQUARE).unwrap();
}

fn faces() -> impl Strategy<Value = Vec<Detection>> {
    // In shares of the picture, so that any size of it has faces; some reach over its edges.
    prop::collection::vec((-0.1_f32..1.0, -0.1_f32..1.0, 0.01_f32..0.5, 0.5_f32..1.0), 1..7)
        .prop_map(|faces| faces.into_iter().map(|(x, y, edge, confidence)| face(x, y, edge, confidence)).collect())
}

fn scaled(faces: Vec<Detection>, size: Size) -> Vec<Detection> {
    let (width, height) = (size.width as f32, size.height as f32);
    let scale = |one: Detection| Detection {
        bounds: Bounds {
            x: one.bounds.x * width,
            y: one.bounds.y * height,
            width: one.bounds.width * width,
            height: one.bounds.height * height,
        },
        ..one
    };
    faces.into_iter().map(scale).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Tries every offset of every window that the ratio's tolerance allows at full size.
    #[test]
    fn every_face_is_kept_if_any_window_keeps_every_face(
        faces in faces(),
        (w, h) in (2_u32..160, 2_u32..160),
        ratio in prop::sample::select(vec![(1, 1), (4, 6), (6, 4), (16, 9), (9, 16), (3, 1)]),
    ) {
        let size = Size { width: w, height: h };
        let ratio = AspectRatio { width: ratio.0, height: ratio.1 };
        let faces = scaled(faces, size);
        let plan = plan(size, ratio, faces.clone());
        prop_assert_eq!(check_plan(&plan, size, ratio), Ok(()));

        let counted: Vec<Bounds> = faces.iter().filter(|one| one.confidence >= 0.8).filter_map(|one| one.clipped(size)).map(|one| one.bounds).collect();
        let largest = ratio.largest_in(size);
        let windows = [(0, 0), (1, 0), (0, 1)].map(|(right, down)| Size { width: largest.width + right, height: largest.height + down });
        let allowed = windows.into_iter().filter(|window| *window == largest || ratio.fits(*window));
        let mut places = allowed.filter(|window| window.width <= w && window.height <= h).flat_map(|window| {
            let rect = move |x, y| Rect { x, y, width: window.width, height: window.height };
            (0..=w - window.width).flat_map(move |x| (0..=h - window.height).map(move |y| rect(x, y)))
        });
        let possible = places.any(|place| counted.iter().all(|bounds| keeps(place, bounds)));
        if possible {
            prop_assert!(counted.iter().all(|bounds| keeps(plan.crop, bounds)), "{:?} of {:?}", plan.crop, counted);
        }
    }

    /// When not all fit, no other offset of the window keeps faces of more weight.
    #[test]
    fn no_other_place_of_the_window_keeps_more(faces in faces(), (w, h) in (8_u32..200, 8_u32..60)) {
        let size = Size { width: w, height: h };
        let faces = scaled(faces, size);
        let plan = plan(size, SQUARE, faces.clone());
        let counted: Vec<Detection> = faces.iter().filter(|one| one.confidence >= 0.8).filter_map(|one| one.clipped(size)).collect();
        let kept = |crop: Rect| counted.iter().filter(|one| keeps(crop, &one.bounds)).map(Detection::weight).sum::<f32>();
        let places = (0..=w - plan.crop.width).flat_map(|x| (0..=h - plan.crop.height).map(move |y| (x, y)));
        let best = places.map(|(x, y)| kept(Rect { x, y, ..plan.crop })).fold(0.0, f32::max);
        prop_assert!(counted.is_empty() || kept(plan.crop) >= best * 0.9999, "{} < {best}", kept(plan.crop));
    }
}
