//! What the host's detectors found.

pub use crate::bindings::breakwater::plugin::detections::{Detection, Kind};
use crate::geometry::{Point, Size};

impl Detection {
    /// How much it counts where several compete: its area times its confidence.
    #[must_use]
    pub fn weight(&self) -> f32 {
        self.bounds.area() * self.confidence
    }

    /// The five landmarks of a face, when the detector gave all of them: right eye, left eye, nose tip, right and left corner of
    /// the mouth.
    #[must_use]
    pub fn face_landmarks(&self) -> Option<[Point; 5]> {
        let points: [Point; 5] = self.landmarks.as_slice().try_into().ok()?;
        points.iter().all(|point| point.x.is_finite() && point.y.is_finite()).then_some(points)
    }

    /// The same with its box cut to the edges of the image; `None` when nothing of it is inside or a number is not finite.
    #[must_use]
    pub fn clipped(&self, image: Size) -> Option<Self> {
        let usable = self.bounds.is_finite() && self.confidence.is_finite();
        let bounds = self.bounds.clipped(image);
        (usable && bounds.area() > 0.0).then(|| Self { bounds, ..self.clone() })
    }
}
