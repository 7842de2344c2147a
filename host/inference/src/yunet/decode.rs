//! From the heads of YuNet to faces.

use breakwater_core::{Bounds, Detection, DetectionKind, Point};

use crate::array::{Array, Outputs};
use crate::engine::EngineError;
use crate::suppression::{Candidate, suppress};
use crate::yunet::STRIDES;

/// Faces that overlap a more confident one by more than this are the same face.
pub const OVERLAP: f32 = 0.45;

/// The faces of image `image` of a batch, in pixels of the network's input, at least `floor` confident, most confident first.
///
/// At cell `(x, y)` of stride `s`: confidence `√(cls · obj)`, centre `((x + b₀) s, (y + b₁) s)`, size `(e^b₂ s, e^b₃ s)`, landmark
/// `k` at `((x + k₀) s, (y + k₁) s)`. Cells whose numbers are not finite are no faces.
///
/// # Errors
/// When an output is missing or has another shape than the graph gives it.
pub fn faces(outputs: &Outputs, image: usize, floor: f32) -> Result<Vec<Detection>, EngineError> {
    let mut candidates = Vec::new();
    for stride in STRIDES {
        let head = |name: &str, channels: usize| -> Result<Planes<'_>, EngineError> {
            Planes::of(outputs.get(&format!("{name}_{stride}"))?, image, channels)
        };
        let (class, object, bounds, points) = (head("cls", 1)?, head("obj", 1)?, head("bbox", 4)?, head("kps", 10)?);
        let cells = class.channel(0).iter().zip(object.channel(0)).enumerate();
        for (cell, (class, object)) in cells {
            let confidence = (class * object).sqrt();
            // The comparison also drops NaN.
            if !(confidence >= floor && confidence.is_finite()) {
                continue;
            }
            let face = face_at(cell, bounds.width, stride as f32, confidence.min(1.0), &bounds, &points);
            candidates
                .extend(face.filter(|face| face.bounds.is_valid() && face.landmarks.iter().all(|p| p.x.is_finite() && p.y.is_finite())));
        }
    }
    let candidates = candidates.into_iter().map(|detection| Candidate { class: 0, detection }).collect();
    Ok(suppress(candidates, OVERLAP).into_iter().map(|candidate| candidate.detection).collect())
}

fn face_at(cell: usize, columns: usize, stride: f32, confidence: f32, bounds: &Planes<'_>, points: &Planes<'_>) -> Option<Detection> {
    let column = cell.checked_rem(columns)? as f32;
    let row = cell.checked_div(columns)? as f32;
    let side = |channel| bounds.channel(channel).get(cell).copied();
    let (center_x, center_y) = ((column + side(0)?) * stride, (row + side(1)?) * stride);
    let (width, height) = (side(2)?.exp() * stride, side(3)?.exp() * stride);
    let landmark = |index: usize| -> Option<Point> {
        let offset = |channel| points.channel(channel).get(cell).copied();
        Some(Point { x: (column + offset(2 * index)?) * stride, y: (row + offset(2 * index + 1)?) * stride })
    };
    Some(Detection {
        kind: DetectionKind::Face,
        label: "face".to_owned(),
        confidence,
        bounds: Bounds { x: center_x - width / 2.0, y: center_y - height / 2.0, width, height },
        landmarks: (0..5).map(landmark).collect::<Option<Vec<_>>>()?,
    })
}

/// The channels of one image of an output.
pub(crate) struct Planes<'a> {
    values: &'a [f32],
    plane: usize,
    /// Columns of a plane.
    pub(crate) width: usize,
}

impl<'a> Planes<'a> {
    pub(crate) fn of(array: &'a Array, image: usize, channels: usize) -> Result<Self, EngineError> {
        let shape = array.shape();
        let plane = shape.height * shape.width;
        let start = image * shape.channels * plane;
        let values = array.values().get(start..start + shape.channels * plane);
        match values {
            Some(values) if shape.channels == channels && image < shape.images => Ok(Self { values, plane, width: shape.width }),
            _ => Err(EngineError::Output { what: format!("{channels} channels of image {image} expected, got {:?}", shape.dims()) }),
        }
    }

    pub(crate) fn channel(&self, channel: usize) -> &'a [f32] {
        self.values.get(channel * self.plane..(channel + 1) * self.plane).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::shape::Shape;

    /// Outputs for an input of 64x32 pixels where one cell of stride 16 holds a face.
    fn outputs(class: f32, side: f32) -> Outputs {
        let mut arrays = Vec::new();
        for (head, channels) in [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)] {
            for stride in STRIDES {
                let shape = Shape::new(1, channels, 32 / stride, 64 / stride);
                let mut values = vec![0.0; shape.elements().unwrap()];
                if stride == 16 {
                    let (plane, cell) = (2 * 4, 4 + 2);
                    for channel in 0..channels {
                        values[channel * plane + cell] = match head {
                            "cls" => class,
                            "obj" => 0.81,
                            "bbox" => [0.5, 0.25, side, 0.0][channel],
                            _ => channel as f32 / 10.0,
                        };
                    }
                }
                arrays.push((format!("{head}_{stride}"), Array::new(shape, values).unwrap()));
            }
        }
        Outputs::new(arrays)
    }

    #[test]
    fn a_cell_becomes_a_face_by_the_published_formula() {
        let faces = faces(&outputs(1.0, 2f32.ln()), 0, 0.5).unwrap();
        assert_eq!(faces.len(), 1);
        let face = &faces[0];
        assert!((face.confidence - 0.9).abs() < 1e-6);
        // Cell (2, 1) of stride 16: centre (40, 20), size (32, 16).
        let expected = Bounds { x: 24.0, y: 12.0, width: 32.0, height: 16.0 };
        assert!(face.bounds.iou(&expected) > 0.9999, "{:?}", face.bounds);
        assert!((face.landmarks[1].x - (2.0 + 0.2) * 16.0).abs() < 1e-4 && (face.landmarks[1].y - (1.0 + 0.3) * 16.0).abs() < 1e-4);
    }

    #[test]
    fn cells_below_the_floor_and_cells_of_nonsense_are_no_faces() {
        assert_eq!(faces(&outputs(0.2, 0.0), 0, 0.5).unwrap(), []);
        assert_eq!(faces(&outputs(f32::NAN, 0.0), 0, 0.5).unwrap(), []);
        assert_eq!(faces(&outputs(f32::INFINITY, 0.0), 0, 0.5).unwrap(), []);
        assert_eq!(faces(&outputs(1.0, 1e9), 0, 0.5).unwrap(), []);
    }

    #[test]
    fn an_image_that_is_not_in_the_batch_is_an_error() {
        assert!(matches!(faces(&outputs(1.0, 0.0), 1, 0.5), Err(EngineError::Output { .. })));
    }
}
