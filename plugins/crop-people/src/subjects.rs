//! People and things, as much of them as fits.

use breakwater_guest::{CropPlan, CropStrategy, Failure, ImageView, Kind, LargestWindow, Reasons, Span, Wanted, attention, parameters};

use crate::offset::{candidates, holds};

parameters! {
    /// What counts as a subject.
    pub struct SubjectsParameters {
        /// Lowest confidence of a person or thing that counts.
        confidence: f32 = 0.45 in 0.0..=1.0,
        /// How much a person counts beside a thing of the same size.
        people: f32 = 2.0 in 0.0..=10.0,
    }
}

/// Share of a subject's worth that it has only when it is whole.
const WORTH_OF_BEING_WHOLE: f64 = 0.3;
/// Of so many subjects the heaviest are considered: the work grows with the square.
const MOST: usize = 200;

/// The largest window of the ratio that keeps the most of people and things, by area and confidence.
pub struct Subjects;

struct Subject {
    span: Span,
    weight: f64,
}

impl CropStrategy for Subjects {
    const NAME: &'static str = "subjects";
    const SUMMARY: &'static str = "The largest window that keeps the most of people and things; without any, what draws the eye.";
    const NEEDS: &'static [Kind] = &[Kind::Person, Kind::Object];
    type Parameters = SubjectsParameters;

    fn plan<I: ImageView>(image: &I, wanted: &Wanted<SubjectsParameters>) -> Result<CropPlan, Failure> {
        let window = LargestWindow::new(image.size(), wanted.ratio);
        let mut subjects = Vec::new();
        for (kind, factor) in [(Kind::Person, wanted.parameters.people), (Kind::Object, 1.0)] {
            for one in wanted.detections(image, kind, wanted.parameters.confidence)? {
                subjects.push(Subject { span: window.along(&one.bounds), weight: f64::from(one.weight() * factor) });
            }
        }
        let mut reasons = Reasons::new();
        reasons.note("subjects_found", subjects.len() as f32);
        subjects.retain(|subject| subject.weight > 0.0);
        if subjects.is_empty() {
            return attention::plan(image, &window, attention::EDGE, reasons);
        }
        subjects.sort_unstable_by(|a, b| b.weight.total_cmp(&a.weight));
        subjects.truncate(MOST);

        let total: f64 = subjects.iter().map(|subject| subject.weight).sum();
        let middle = subjects.iter().map(|subject| subject.span.middle() * subject.weight).sum::<f64>() / total;
        let wish = window.clamp(middle - f64::from(window.length()) / 2.0);
        let offset = best_offset(&window, &subjects, wish);

        let covered = window.covers(offset);
        let whole = subjects.iter().filter(|subject| holds(covered, subject.span)).map(|subject| subject.weight).sum::<f64>();
        reasons.weigh("subject_area_kept", 0.7, (visible(&subjects, covered) / total) as f32);
        reasons.weigh("subjects_whole", 0.3, (whole / total) as f32);
        Ok(reasons.plan(window.at(offset)))
    }
}

/// The weight of the visible parts.
fn visible(subjects: &[Subject], covered: Span) -> f64 {
    let share = |span: Span| if span.length() > 0.0 { span.overlap(covered) / span.length() } else { 1.0 };
    subjects.iter().map(|subject| subject.weight * share(subject.span)).sum()
}

/// The offset with the most visible and whole; the one nearest to `wish` among equals.
fn best_offset(window: &LargestWindow, subjects: &[Subject], wish: u32) -> u32 {
    let spans: Vec<Span> = subjects.iter().map(|subject| subject.span).collect();
    let mut best: Option<(f64, u32)> = None;
    for offset in candidates(window, &spans, wish) {
        let covered = window.covers(offset);
        let whole: f64 = subjects.iter().filter(|subject| holds(covered, subject.span)).map(|subject| subject.weight).sum();
        let worth = (1.0 - WORTH_OF_BEING_WHOLE) * visible(subjects, covered) + WORTH_OF_BEING_WHOLE * whole;
        let better = best.is_none_or(|(most, at)| {
            let equal = (worth - most).abs() <= 1e-9 * most.abs();
            if equal { (offset.abs_diff(wish), offset) < (at.abs_diff(wish), at) } else { worth > most }
        });
        if better {
            best = Some((worth, offset));
        }
    }
    best.map_or(wish, |(_, offset)| offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_guest::testing::{FakeImage, subject};
    use breakwater_guest::{AspectRatio, Bounds, Detection, Size};

    fn person(x: f32, width: f32, confidence: f32) -> Detection {
        subject(Kind::Person, "person", Bounds { x, y: 50.0, width, height: 200.0 }, confidence)
    }

    fn thing(x: f32, width: f32, confidence: f32) -> Detection {
        subject(Kind::Object, "dog", Bounds { x, y: 50.0, width, height: 200.0 }, confidence)
    }

    fn plan(detections: Vec<Detection>) -> CropPlan {
        let image = FakeImage::new(Size { width: 900, height: 300 }).with_detections(detections);
        Subjects::plan(&image, &Wanted::new(AspectRatio { width: 1, height: 1 }, SubjectsParameters::default())).unwrap()
    }

    #[test]
    fn one_subject_comes_to_lie_in_the_middle() {
        assert_eq!(plan(vec![person(600.0, 100.0, 0.9)]).crop.x, 500);
    }

    #[test]
    fn of_two_that_do_not_fit_together_the_person_is_kept_whole() {
        let crop = plan(vec![person(0.0, 120.0, 0.8), thing(700.0, 150.0, 0.8)]).crop;
        assert_eq!(crop.x, 0);
        let crop = plan(vec![person(0.0, 60.0, 0.5), thing(600.0, 250.0, 0.9)]).crop;
        assert!(crop.x <= 600 && crop.x + crop.width >= 850, "{crop:?}");
    }

    #[test]
    fn what_is_not_sure_does_not_count() {
        let crop = plan(vec![person(100.0, 100.0, 0.44), thing(600.0, 100.0, 0.5)]).crop;
        assert_eq!(crop.x, 500);
    }

    #[test]
    fn people_count_as_much_as_they_are_told_to() {
        let image =
            FakeImage::new(Size { width: 900, height: 300 }).with_detections(vec![person(0.0, 200.0, 0.9), thing(650.0, 200.0, 0.9)]);
        let x = |people| {
            let wanted = Wanted::new(AspectRatio { width: 1, height: 1 }, SubjectsParameters { people, ..SubjectsParameters::default() });
            Subjects::plan(&image, &wanted).unwrap().crop.x
        };
        assert!(x(2.0) == 0 && x(0.5) >= 550);
    }

    #[test]
    fn without_subjects_the_eye_decides() {
        let image = FakeImage::new(Size { width: 900, height: 300 }).with_saliency(|x, _| if x > 0.9 { 1.0 } else { 0.0 });
        let plan = Subjects::plan(&image, &Wanted::new(AspectRatio { width: 1, height: 1 }, SubjectsParameters::default())).unwrap();
        assert_eq!(plan.crop.x, 600);
        assert_eq!(plan.terms[0].name, "subjects_found");
    }
}
