//! Test doubles, so that plugins run under plain `cargo test`.

mod contract;
mod host;

pub use contract::{candidate, check_levels, check_operations, check_ranking};
pub use host::{FakeHost, Sent};

use std::cell::RefCell;

use crate::detection::{Detection, Kind};
use crate::failure::Failure;
use crate::geometry::{AspectRatio, Bounds, Point, Rect, Size};
use crate::image::{HeatMap, ImageView, Thumbnail};
use crate::plan::CropPlan;

/// Red, green and blue by the place.
type Colours = dyn Fn(f64, f64) -> [u8; 3];

/// A made-up image: a size, functions for its maps, and detections.
///
/// ```
/// use breakwater_guest::testing::{FakeImage, face};
/// use breakwater_guest::{ImageView, Kind, Size};
///
/// let image = FakeImage::new(Size { width: 600, height: 400 })
///     .with_saliency(|x, y| if x > 0.8 && y < 0.5 { 1.0 } else { 0.0 })
///     .with_detections(vec![face(100.0, 80.0, 60.0, 0.97)]);
/// assert_eq!(image.detect(Kind::Face).unwrap().len(), 1);
/// assert_eq!(image.saliency(6).unwrap().values.iter().sum::<f32>(), 2.0);
/// assert_eq!(image.calls(), ["detect", "saliency"]);
/// ```
pub struct FakeImage {
    size: Size,
    saliency: Box<dyn Fn(f64, f64) -> f32>,
    luminance: Box<dyn Fn(f64, f64) -> f32>,
    colours: Option<Box<Colours>>,
    detections: Result<Vec<Detection>, Failure>,
    calls: RefCell<Vec<&'static str>>,
}

impl FakeImage {
    /// A grey image without saliency and detections.
    #[must_use]
    pub fn new(size: Size) -> Self {
        Self {
            size,
            saliency: Box::new(|_, _| 0.0),
            luminance: Box::new(|_, _| 0.5),
            colours: None,
            detections: Ok(Vec::new()),
            calls: RefCell::default(),
        }
    }

    /// Saliency as a function of the place, both coordinates in 0..=1.
    #[must_use]
    pub fn with_saliency(self, saliency: impl Fn(f64, f64) -> f32 + 'static) -> Self {
        Self { saliency: Box::new(saliency), ..self }
    }

    /// Luminance as a function of the place, both coordinates in 0..=1.
    #[must_use]
    pub fn with_luminance(self, luminance: impl Fn(f64, f64) -> f32 + 'static) -> Self {
        Self { luminance: Box::new(luminance), ..self }
    }

    /// Red, green and blue of thumbnails as a function of the place, both coordinates in 0..=1; grey by luminance unless set.
    #[must_use]
    pub fn with_colours(self, colours: impl Fn(f64, f64) -> [u8; 3] + 'static) -> Self {
        Self { colours: Some(Box::new(colours)), ..self }
    }

    /// What the detectors find, of all kinds together.
    #[must_use]
    pub fn with_detections(self, detections: Vec<Detection>) -> Self {
        Self { detections: Ok(detections), ..self }
    }

    /// Makes every detector fail.
    #[must_use]
    pub fn with_failing_detectors(self, failure: Failure) -> Self {
        Self { detections: Err(failure), ..self }
    }

    /// The host calls made so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<&'static str> {
        self.calls.borrow().clone()
    }

    fn map(&self, edge: u32, most: u32, value: &dyn Fn(f64, f64) -> f32) -> Result<HeatMap, Failure> {
        let size = self.scaled(edge, most)?;
        Ok(HeatMap { size, values: middles(size).map(|(x, y)| value(x, y)).collect() })
    }

    /// The image's size with its longer edge at most `edge`, as the host does it.
    fn scaled(&self, edge: u32, most: u32) -> Result<Size, Failure> {
        if !(1..=most).contains(&edge) {
            return Err(Failure::invalid_request("image.edge-out-of-range", &format!("the edge must be from 1 to {most}, not {edge}")));
        }
        let longer = self.size.width.max(self.size.height);
        if longer <= edge {
            return Ok(self.size);
        }
        let fit = |length: u32| ((f64::from(length) * f64::from(edge) / f64::from(longer)).round() as u32).clamp(1, edge);
        Ok(Size { width: fit(self.size.width), height: fit(self.size.height) })
    }
}

/// The middles of the cells of a map, row by row, in 0..=1.
fn middles(size: Size) -> impl Iterator<Item = (f64, f64)> {
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    let middle = |index: u32, length: f64| (f64::from(index) + 0.5) / length;
    (0..size.height).flat_map(move |y| (0..size.width).map(move |x| (middle(x, width), middle(y, height))))
}

impl ImageView for FakeImage {
    fn size(&self) -> Size {
        self.size
    }

    fn thumbnail(&self, edge: u32) -> Result<Thumbnail, Failure> {
        self.calls.borrow_mut().push("thumbnail");
        if let Some(colours) = &self.colours {
            let size = self.scaled(edge, 512)?;
            return Ok(Thumbnail { size, rgb: middles(size).flat_map(|(x, y)| colours(x, y)).collect() });
        }
        let map = self.map(edge, 512, &self.luminance)?;
        Ok(Thumbnail { size: map.size, rgb: map.values.iter().flat_map(|value| [(value * 255.0) as u8; 3]).collect() })
    }

    fn saliency(&self, edge: u32) -> Result<HeatMap, Failure> {
        self.calls.borrow_mut().push("saliency");
        self.map(edge, 256, &self.saliency)
    }

    fn luminance(&self, edge: u32) -> Result<HeatMap, Failure> {
        self.calls.borrow_mut().push("luminance");
        self.map(edge, 512, &self.luminance)
    }

    fn detect(&self, kind: Kind) -> Result<Vec<Detection>, Failure> {
        self.calls.borrow_mut().push("detect");
        let found = self.detections.clone()?;
        Ok(found.into_iter().filter(|one| one.kind == kind).collect())
    }

    fn entropy(&self, area: Rect) -> Result<f32, Failure> {
        self.calls.borrow_mut().push("entropy");
        if !area.lies_inside(self.size) {
            return Err(Failure::invalid_request("image.area-outside", "the area is empty or not inside the image"));
        }
        let map = self.map(512, 512, &self.luminance)?;
        let scale = f64::from(map.size.width) / f64::from(self.size.width);
        let inside = |start: u32, length: u32, cell: usize| {
            let place = (cell as f64 + 0.5) / scale;
            place >= f64::from(start) && place < f64::from(start) + f64::from(length)
        };
        let mut counts = [0_u32; 256];
        for (_, row) in map.rows().enumerate().filter(|(y, _)| inside(area.y, area.height, *y)) {
            for (_, value) in row.iter().enumerate().filter(|(x, _)| inside(area.x, area.width, *x)) {
                if let Some(count) = counts.get_mut((value * 255.0) as usize) {
                    *count += 1;
                }
            }
        }
        let total = counts.iter().sum::<u32>().max(1);
        let share = |count: u32| f64::from(count) / f64::from(total);
        Ok(counts.iter().filter(|count| **count > 0).map(|count| -share(*count) * share(*count).log2()).sum::<f64>() as f32)
    }
}

/// Checks a plan as the host does: what breaks a rule here costs the plugin a strike there.
///
/// # Errors
/// The rule that is broken, in a sentence.
pub fn check_plan(plan: &CropPlan, image: Size, ratio: AspectRatio) -> Result<(), String> {
    if !plan.crop.lies_inside(image) {
        return Err(format!("{:?} is empty or not inside {image:?}", plan.crop));
    }
    // A ratio that no window of whole pixels can meet is met by the largest window there is.
    if !ratio.fits(plan.crop.size()) && plan.crop.size() != ratio.largest_in(image) {
        return Err(format!("{:?} is more than a pixel away from {ratio:?}", plan.crop));
    }
    if !(0.0..=1.0).contains(&plan.score) {
        return Err(format!("the score {} is not from 0 to 1", plan.score));
    }
    if plan.terms.len() > 64 || plan.terms.iter().any(|term| term.name.len() > 64) {
        return Err("there are more than 64 terms, or one has a name longer than 64 bytes".to_owned());
    }
    let unusable = plan.terms.iter().find(|term| !term.weight.is_finite() || !term.value.is_finite());
    unusable.map_or(Ok(()), |term| Err(format!("the term {} is not finite", term.name)))
}

/// A face: a square box with its five landmarks where an upright face has them.
#[must_use]
pub fn face(x: f32, y: f32, edge: f32, confidence: f32) -> Detection {
    let at = |right: f32, down: f32| Point { x: x + edge * right, y: y + edge * down };
    Detection {
        kind: Kind::Face,
        label: "face".to_owned(),
        confidence,
        bounds: Bounds { x, y, width: edge, height: edge },
        landmarks: vec![at(0.3, 0.4), at(0.7, 0.4), at(0.5, 0.6), at(0.35, 0.8), at(0.65, 0.8)],
    }
}

/// A person or a thing without landmarks.
#[must_use]
pub fn subject(kind: Kind, label: &str, bounds: Bounds, confidence: f32) -> Detection {
    Detection { kind, label: label.to_owned(), confidence, bounds, landmarks: Vec::new() }
}
