//! The features of an image or a text, as a direction.

use std::sync::Arc;

use breakwater_core::Digest;

use crate::array::Array;
use crate::engine::EngineError;

/// Features of an image or a text by one model: a direction in space, of length one, so that the cosine of two of them is the sum of the
/// products of their features. Only embeddings by one revision of one model can be compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    model: Arc<str>,
    revision: Digest,
    values: Box<[f32]>,
}

/// Features that are all zero, or not all finite: they point nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the features have no direction")]
pub struct NoDirection;

impl Embedding {
    /// Features by a revision of `model`, each divided by their length (the root of the sum of their squares).
    ///
    /// # Errors
    /// When they point nowhere.
    pub fn new(model: impl Into<Arc<str>>, revision: Digest, features: &[f32]) -> Result<Self, NoDirection> {
        let length = features.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if !(length.is_finite() && length > 0.0) {
            return Err(NoDirection);
        }
        let values = features.iter().map(|value| (f64::from(*value) / length) as f32).collect();
        Ok(Self { model: model.into(), revision, values })
    }

    /// From a network's features of image `image` of a batch.
    ///
    /// # Errors
    /// When the image is not in the batch, or its features point nowhere.
    pub(crate) fn of(model: &Arc<str>, revision: Digest, features: &Array, image: usize) -> Result<Self, EngineError> {
        let shape = features.shape();
        let count = shape.channels * shape.height * shape.width;
        let of_image = features.values().chunks_exact(count.max(1)).nth(image);
        let features = of_image.ok_or_else(|| EngineError::Output { what: format!("image {image} of {:?}", shape.dims()) })?;
        Self::new(Arc::clone(model), revision, features).map_err(|error| EngineError::Output { what: error.to_string() })
    }

    /// The model's id, such as `efficientnet-lite0`.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Digest of the model's weights and of how inputs are prepared for it.
    #[must_use]
    pub fn revision(&self) -> Digest {
        self.revision
    }

    /// The features.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// How many there are.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::shape::Shape;

    fn of(values: [f32; 4], image: usize) -> Result<Vec<f32>, EngineError> {
        let features = Array::new(Shape::new(2, 2, 1, 1), values.to_vec()).unwrap();
        Embedding::of(&"m".into(), Digest::of(b""), &features, image).map(|embedding| embedding.values().to_vec())
    }

    #[test]
    fn features_of_each_image_get_length_one() {
        assert_eq!(of([3.0, 4.0, 0.0, -2.0], 0).unwrap(), [0.6, 0.8]);
        assert_eq!(of([3.0, 4.0, 0.0, -2.0], 1).unwrap(), [0.0, -1.0]);
        // Squares that no single-precision number holds.
        for image in [0, 1] {
            let found = of([3e30, 4e30, 3e-30, 4e-30], image).unwrap();
            assert!(found.iter().zip([0.6f32, 0.8]).all(|(found, expected)| (found - expected).abs() < 1e-6), "{found:?}");
        }
    }

    #[test]
    fn features_without_a_direction_and_images_that_are_not_there_are_errors() {
        for values in [[0.0; 4], [f32::NAN, 1.0, 0.0, 0.0], [1.0, f32::INFINITY, 0.0, 0.0]] {
            assert!(matches!(of(values, 0), Err(EngineError::Output { .. })), "{values:?}");
        }
        assert!(matches!(of([1.0; 4], 2), Err(EngineError::Output { .. })));
    }
}
