//! Head and shoulders of one person.

use breakwater_guest::{
    AspectRatio, Bounds, CropPlan, CropStrategy, Detection, Failure, ImageView, Kind, LargestWindow, Point, Reasons, Rect, Size, Wanted,
    attention, parameters,
};

parameters! {
    /// How the head is framed.
    pub struct PortraitParameters {
        /// Lowest confidence of a face that counts.
        confidence: f32 = 0.8 in 0.0..=1.0,
        /// Height of the head, chin to crown, as a share of the crop's height. Passports ask for 0.7 to 0.8.
        head: f32 = 0.5 in 0.1..=0.95,
        /// How far down the eyes are, as a share of the crop's height.
        eye_line: f32 = 0.42 in 0.1..=0.9,
    }
}

/// Head heights per distance from the eyes to the mouth. In an upright face the eyes are half way between crown and chin, and the
/// mouth is two thirds of the way from them to the chin: classical proportions.
const HEADS_PER_EYES_TO_MOUTH: f32 = 3.0;
/// Head heights per height of a face's box, which reaches from the chin to about the hairline.
const HEADS_PER_BOX: f32 = 1.25;
/// Where the eyes are in a face's box, from its top, when there are no landmarks.
const EYES_IN_BOX: f32 = 0.4;

/// Head and shoulders of the largest face, the eyes on a line.
pub struct Portrait;

/// What framing needs of a face.
struct Head {
    /// Between the eyes.
    eyes: Point,
    /// Chin to crown, in pixels.
    height: f32,
    face: Bounds,
}

impl CropStrategy for Portrait {
    const NAME: &'static str = "portrait";
    const SUMMARY: &'static str = "Head and shoulders of the largest face, the eyes on a line; without faces, what draws the eye.";
    const NEEDS: &'static [Kind] = &[Kind::Face];
    type Parameters = PortraitParameters;

    fn plan<I: ImageView>(image: &I, wanted: &Wanted<PortraitParameters>) -> Result<CropPlan, Failure> {
        let size = image.size();
        let found = wanted.detections(image, Kind::Face, wanted.parameters.confidence)?;
        let mut reasons = Reasons::new();
        reasons.note("faces_found", found.len() as f32);
        let Some(largest) = found.iter().max_by(|a, b| a.bounds.area().total_cmp(&b.bounds.area())) else {
            return attention::plan(image, &LargestWindow::new(size, wanted.ratio), attention::EDGE, reasons);
        };
        let head = Head::new(largest);
        let crop = frame(size, wanted.ratio, &head, &wanted.parameters);

        let height = crop.height as f32;
        let kept = head.face.intersection(&crop.bounds()).area() / head.face.area();
        let share = head.height / height;
        let eye_line = (head.eyes.y - crop.y as f32) / height;
        let off_middle = (head.eyes.x - crop.bounds().center().x).abs() / crop.width as f32;
        reasons.weigh("face_kept", 0.4, kept);
        reasons.weigh("head_size", 0.25, (share / wanted.parameters.head).min(wanted.parameters.head / share));
        reasons.weigh("eye_line", 0.2, 1.0 - (eye_line - wanted.parameters.eye_line).abs() / 0.25);
        reasons.weigh("in_the_middle", 0.15, 1.0 - 2.0 * off_middle);
        reasons.note("head_share", share);
        Ok(reasons.plan(crop))
    }
}

impl Head {
    fn new(face: &Detection) -> Self {
        let bounds = face.bounds;
        let by_box = bounds.height * HEADS_PER_BOX;
        let Some([right_eye, left_eye, _, right_mouth, left_mouth]) = face.face_landmarks() else {
            let eyes = Point { x: bounds.center().x, y: bounds.y + bounds.height * EYES_IN_BOX };
            return Self { eyes, height: by_box, face: bounds };
        };
        let between = |a: Point, b: Point| Point { x: f32::midpoint(a.x, b.x), y: f32::midpoint(a.y, b.y) };
        let (eyes, mouth) = (between(right_eye, left_eye), between(right_mouth, left_mouth));
        // Foreshortened when the head is bowed, so the box has a say as well.
        let by_landmarks = (eyes.x - mouth.x).hypot(eyes.y - mouth.y) * HEADS_PER_EYES_TO_MOUTH;
        // Landmarks far from the box are not those of this face.
        let height = by_landmarks.max(by_box * 0.7).min(by_box * 1.4);
        let inside = Point { x: eyes.x.max(bounds.x).min(bounds.right()), y: eyes.y.max(bounds.y).min(bounds.bottom()) };
        Self { eyes: inside, height: height.max(1.0), face: bounds }
    }
}

/// The window in which the head has the wanted size and place, larger where the face would be cut otherwise, and moved where the
/// picture ends.
fn frame(image: Size, ratio: AspectRatio, head: &Head, parameters: &PortraitParameters) -> Rect {
    let for_head = f64::from(head.height / parameters.head);
    // A window as high as this is as wide as the face, with a pixel to spare for each edge.
    let for_width = (f64::from(head.face.width) + 2.0) / ratio.value();
    let for_height = f64::from(head.face.height) + 2.0;
    let window = ratio.scaled_in(image, for_head.max(for_width).max(for_height));
    let wish_x = head.eyes.x - window.width as f32 / 2.0;
    let wish_y = head.eyes.y - window.height as f32 * parameters.eye_line;
    Rect {
        x: offset(wish_x, window.width, image.width, (head.face.x, head.face.right())),
        y: offset(wish_y, window.height, image.height, (head.face.y, head.face.bottom())),
        width: window.width,
        height: window.height,
    }
}

/// The offset nearest to a wish at which a stretch stays inside the window if it fits, and the window inside the image.
fn offset(wish: f32, window: u32, image: u32, (low, high): (f32, f32)) -> u32 {
    let room = image - window;
    let (first, last) = ((high - window as f32).ceil().max(0.0), low.floor().min(room as f32));
    let wish = if first <= last { wish.round().max(first).min(last) } else { (low + high - window as f32) / 2.0 };
    // A wish that is not a number becomes 0.
    (wish.max(0.0).min(room as f32) as u32).min(room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_guest::testing::{FakeImage, face};

    const ID: AspectRatio = AspectRatio { width: 35, height: 45 };

    fn plan(image: Size, faces: Vec<Detection>, parameters: PortraitParameters) -> CropPlan {
        let image = FakeImage::new(image).with_detections(faces);
        Portrait::plan(&image, &Wanted::new(ID, parameters)).unwrap()
    }

    #[test]
    fn the_head_has_its_size_and_the_eyes_their_line() {
        // Eyes at (500, 380), mouth at y 460: the head is 3 x 80 = 240 high.
        let plan = plan(Size { width: 1000, height: 1200 }, vec![face(400.0, 300.0, 200.0, 0.9)], PortraitParameters::default());
        assert!(plan.crop.height.abs_diff(480) <= 1, "{:?}", plan.crop);
        let eye_line = (380.0 - plan.crop.y as f32) / plan.crop.height as f32;
        assert!((eye_line - 0.42).abs() < 0.005, "{eye_line}");
        assert!((plan.crop.bounds().center().x - 500.0).abs() <= 1.0);
        assert!(plan.score > 0.98, "{}", plan.score);
    }

    #[test]
    fn the_largest_face_is_framed() {
        let faces = vec![face(100.0, 300.0, 100.0, 0.99), face(600.0, 300.0, 160.0, 0.85)];
        let crop = plan(Size { width: 1000, height: 1200 }, faces, PortraitParameters::default()).crop;
        assert!((crop.bounds().center().x - 680.0).abs() <= 1.0, "{crop:?}");
    }

    #[test]
    fn a_passport_is_tighter() {
        let parameters = PortraitParameters { head: 0.75, eye_line: 0.45, ..PortraitParameters::default() };
        let crop = plan(Size { width: 1000, height: 1200 }, vec![face(400.0, 300.0, 200.0, 0.9)], parameters).crop;
        assert!(crop.height.abs_diff(320) <= 1, "{crop:?}");
    }

    #[test]
    fn at_the_edge_of_the_picture_the_face_stays_whole() {
        for (x, y) in [(0.0, 0.0), (800.0, 0.0), (0.0, 1000.0), (800.0, 1000.0)] {
            let one = face(x, y, 200.0, 0.9);
            let crop = plan(Size { width: 1000, height: 1200 }, vec![one.clone()], PortraitParameters::default()).crop;
            assert_eq!(one.bounds.intersection(&crop.bounds()), one.bounds, "{crop:?}");
        }
    }

    #[test]
    fn a_face_without_landmarks_is_framed_by_its_box() {
        let bare = Detection { landmarks: Vec::new(), ..face(400.0, 300.0, 200.0, 0.9) };
        let crop = plan(Size { width: 1000, height: 1200 }, vec![bare], PortraitParameters::default()).crop;
        assert!(crop.height.abs_diff(500) <= 1, "{crop:?}");
    }

    #[test]
    fn without_faces_the_eye_decides() {
        let plan = plan(Size { width: 350, height: 450 }, vec![face(10.0, 10.0, 50.0, 0.79)], PortraitParameters::default());
        assert_eq!(plan.terms[1].name, "salient_mass_kept");
    }
}
