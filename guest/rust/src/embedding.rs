//! Vectors of images and texts, by the host's models.

pub use crate::bindings::adapter::breakwater::plugin::embedder::{Description as EmbedderDescription, Embedding};
use crate::failure::Failure;

impl Embedding {
    /// The cosine of the angle between two vectors, -1..=1.
    ///
    /// # Errors
    /// `embedder.spaces-differ` (internal) unless both are of one model and revision: such vectors cannot be compared.
    ///
    /// ```
    /// use breakwater_guest::Embedding;
    /// let vector = |revision: &str, values: [f32; 2]| Embedding { model: "m".into(), revision: revision.into(), values: values.into() };
    /// assert_eq!(vector("1", [1.0, 0.0]).cosine(&vector("1", [0.6, 0.8])).unwrap(), 0.6);
    /// assert!(vector("1", [1.0, 0.0]).cosine(&vector("2", [1.0, 0.0])).is_err());
    /// ```
    pub fn cosine(&self, other: &Self) -> Result<f32, Failure> {
        if (&self.model, &self.revision, self.values.len()) != (&other.model, &other.revision, other.values.len()) {
            let message = format!("vectors of {} and {} cannot be compared", self.model, other.model);
            return Err(Failure::internal("embedder.spaces-differ", &message));
        }
        let sum: f32 = self.values.iter().zip(&other.values).map(|(a, b)| a * b).sum();
        Ok(sum.clamp(-1.0, 1.0))
    }
}
