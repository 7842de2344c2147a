//! The subject where two lines at thirds of the picture cross.

use breakwater_guest::{
    Bounds, CropPlan, CropStrategy, Detection, Failure, HeatMap, ImageView, Kind, Point, Reasons, Rect, Size, Wanted, parameters,
};

parameters! {
    /// What is the subject, and how much may be given up for it.
    pub struct ThirdsParameters {
        /// Lowest confidence of a face that counts as the subject.
        face_confidence: f32 = 0.8 in 0.0..=1.0,
        /// Lowest confidence of a person that counts as the subject.
        person_confidence: f32 = 0.5 in 0.0..=1.0,
        /// The smallest window, in lengths of the largest: below 1, the window may shrink to bring the subject onto a third.
        smallest: f32 = 0.8 in 0.2..=1.0,
    }
}

/// Sizes tried between the largest window and the smallest.
const STEPS: u32 = 8;
/// Cells on the longer edge of the saliency map when nobody is in the picture.
const SALIENCY_EDGE: u32 = 48;

/// The subject (a face, else a person, else what draws the eye most) on a third.
pub struct Thirds;

impl CropStrategy for Thirds {
    const NAME: &'static str = "thirds";
    const SUMMARY: &'static str = "The subject on a third: a face, else a person, else what draws the eye most.";
    const NEEDS: &'static [Kind] = &[Kind::Face, Kind::Person];
    type Parameters = ThirdsParameters;

    fn plan<I: ImageView>(image: &I, wanted: &Wanted<ThirdsParameters>) -> Result<CropPlan, Failure> {
        let size = image.size();
        let (subject, found) = subject(image, wanted)?;
        let largest = wanted.ratio.largest_in(size);
        let mut best: Option<Candidate> = None;
        for step in 0..=STEPS {
            let scale = 1.0 - (1.0 - f64::from(wanted.parameters.smallest)) * f64::from(step) / f64::from(STEPS);
            let window = wanted.ratio.scaled_in(size, f64::from(largest.height) * scale);
            for (across, down) in [(1.0, 1.0), (2.0, 1.0), (1.0, 2.0), (2.0, 2.0)] {
                let candidate = Candidate::new(size, window, largest, &subject, (across / 3.0, down / 3.0));
                // The first among equals: the largest, with the subject up and to the left.
                if best.as_ref().is_none_or(|best| candidate.score() > best.score() + 1e-6) {
                    best = Some(candidate);
                }
            }
        }
        let best = best.unwrap_or_else(|| Candidate::new(size, largest, largest, &subject, (0.5, 0.5)));
        let mut reasons = best.reasons();
        reasons.note(found, 1.0);
        Ok(reasons.plan(best.crop))
    }
}

/// The box of the subject, and the name of the term that says what it is.
fn subject<I: ImageView>(image: &I, wanted: &Wanted<ThirdsParameters>) -> Result<(Bounds, &'static str), Failure> {
    let heaviest = |found: Vec<Detection>| found.into_iter().max_by(|a, b| a.weight().total_cmp(&b.weight()));
    if let Some(face) = heaviest(wanted.detections(image, Kind::Face, wanted.parameters.face_confidence)?) {
        return Ok((face.bounds, "subject_is_a_face"));
    }
    if let Some(person) = heaviest(wanted.detections(image, Kind::Person, wanted.parameters.person_confidence)?) {
        return Ok((person.bounds, "subject_is_a_person"));
    }
    Ok((peak(&image.saliency(SALIENCY_EDGE)?, image.size()), "subject_is_salient"))
}

/// The cell with the highest value, in pixels; the middle of the image when no cell stands out.
fn peak(map: &HeatMap, image: Size) -> Bounds {
    let cell_width = image.width as f32 / map.size.width.max(1) as f32;
    let cell_height = image.height as f32 / map.size.height.max(1) as f32;
    let mut best = (0.0, image.rect().bounds().center());
    for (row, values) in map.rows().enumerate() {
        for (column, value) in values.iter().enumerate() {
            if *value > best.0 {
                best = (*value, Point { x: (column as f32 + 0.5) * cell_width, y: (row as f32 + 0.5) * cell_height });
            }
        }
    }
    let Point { x, y } = best.1;
    Bounds { x: x - cell_width / 2.0, y: y - cell_height / 2.0, width: cell_width, height: cell_height }.clipped(image)
}

/// One window and how good it is.
struct Candidate {
    crop: Rect,
    on_third: f32,
    subject_kept: f32,
    size_kept: f32,
}

impl Candidate {
    /// The window of this size that brings the subject as near as it can to a place in it, given in shares of its edges.
    fn new(image: Size, window: Size, largest: Size, subject: &Bounds, place: (f64, f64)) -> Self {
        let middle = subject.center();
        let offset = |middle: f32, window: u32, image: u32, place: f64| {
            (f64::from(middle) - place * f64::from(window)).round().max(0.0).min(f64::from(image - window)) as u32
        };
        let x = offset(middle.x, window.width, image.width, place.0);
        let y = offset(middle.y, window.height, image.height, place.1);
        let crop = Rect { x, y, width: window.width, height: window.height };
        let miss = |middle: f32, start: u32, length: u32, place: f64| (f64::from(middle) - f64::from(start)) / f64::from(length) - place;
        let missed = miss(middle.x, x, window.width, place.0).hypot(miss(middle.y, y, window.height, place.1));
        let kept = subject.intersection(&crop.bounds()).area() / subject.area().max(f32::MIN_POSITIVE);
        Self {
            crop,
            // A third away is as far from the crossing as the edge or the middle of the other side is.
            on_third: (1.0 - 3.0 * missed).max(0.0) as f32,
            subject_kept: kept.min(1.0),
            size_kept: window.width as f32 / largest.width as f32,
        }
    }

    fn reasons(&self) -> Reasons {
        let mut reasons = Reasons::new();
        reasons.weigh("subject_on_a_third", 0.45, self.on_third);
        reasons.weigh("subject_kept", 0.4, self.subject_kept);
        reasons.weigh("size_kept", 0.15, self.size_kept);
        reasons
    }

    fn score(&self) -> f32 {
        0.45 * self.on_third + 0.4 * self.subject_kept + 0.15 * self.size_kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_guest::AspectRatio;
    use breakwater_guest::testing::{FakeImage, face, subject};

    const SQUARE: AspectRatio = AspectRatio { width: 1, height: 1 };

    fn plan(image: &FakeImage, smallest: f32) -> CropPlan {
        Thirds::plan(image, &Wanted::new(SQUARE, ThirdsParameters { smallest, ..ThirdsParameters::default() })).unwrap()
    }

    /// Where a point lies in a crop, in shares of its edges.
    fn place(plan: &CropPlan, x: f32, y: f32) -> (f32, f32) {
        ((x - plan.crop.x as f32) / plan.crop.width as f32, (y - plan.crop.y as f32) / plan.crop.height as f32)
    }

    #[test]
    fn a_face_comes_to_lie_on_a_third_of_both_edges_when_the_window_may_shrink() {
        let image = FakeImage::new(Size { width: 900, height: 600 }).with_detections(vec![face(400.0, 130.0, 80.0, 0.95)]);
        let plan = plan(&image, 0.8);
        let (x, y) = place(&plan, 440.0, 170.0);
        assert!((x - 1.0 / 3.0).abs() < 0.02 || (x - 2.0 / 3.0).abs() < 0.02, "{x}");
        assert!((y - 1.0 / 3.0).abs() < 0.02, "{y}");
    }

    #[test]
    fn without_leave_to_shrink_the_window_is_the_largest() {
        let image = FakeImage::new(Size { width: 900, height: 600 }).with_detections(vec![face(400.0, 130.0, 80.0, 0.95)]);
        let plan = plan(&image, 1.0);
        assert_eq!((plan.crop.width, plan.crop.height), (600, 600));
        let (x, _) = place(&plan, 440.0, 170.0);
        assert!((x - 1.0 / 3.0).abs() < 0.01 || (x - 2.0 / 3.0).abs() < 0.01, "{x}");
    }

    #[test]
    fn faces_win_over_people_and_people_over_saliency() {
        let person = subject(Kind::Person, "person", Bounds { x: 700.0, y: 100.0, width: 100.0, height: 400.0 }, 0.9);
        let base =
            || FakeImage::new(Size { width: 900, height: 600 }).with_saliency(|x, y| (0.2 - (x - 0.1).hypot(y - 0.5)).max(0.0) as f32);
        let term = |image: FakeImage| plan(&image, 0.8).terms.last().unwrap().name.clone();
        assert_eq!(term(base()), "subject_is_salient");
        assert_eq!(term(base().with_detections(vec![person.clone()])), "subject_is_a_person");
        assert_eq!(term(base().with_detections(vec![person, face(100.0, 100.0, 50.0, 0.9)])), "subject_is_a_face");
    }

    #[test]
    fn the_score_is_what_its_terms_come_to() {
        let image = FakeImage::new(Size { width: 900, height: 600 }).with_detections(vec![face(400.0, 130.0, 80.0, 0.95)]);
        let plan = plan(&image, 0.8);
        let sum: f32 = plan.terms.iter().map(|term| term.weight * term.value).sum();
        assert!((sum - plan.score).abs() < 1e-6, "{sum} {}", plan.score);
    }
}
