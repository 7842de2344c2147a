//! Directions in a space.

/// The most numbers in a vector. The largest embeddings in use have 4096.
pub const MAX_DIMENSION: usize = 16_384;

/// A direction: finite numbers of which the squares sum up to one, so that the cosine of two is the sum of their products.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector(Box<[f32]>);

/// Why numbers are no vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VectorError {
    /// There are none, or too many.
    #[error("a vector has 1 to {MAX_DIMENSION} numbers, not {0}")]
    Dimension(usize),
    /// One is infinite or not a number.
    #[error("number {at} of the vector is not finite")]
    NotFinite {
        /// Counted from 0.
        at: usize,
    },
    /// All are zero: the vector points nowhere.
    #[error("every number of the vector is zero: it has no direction")]
    NoDirection,
}

impl Vector {
    /// The direction of these numbers, whatever their length.
    ///
    /// # Errors
    /// When they have no direction, are not finite, or are none or too many.
    pub fn new(values: &[f32]) -> Result<Self, VectorError> {
        if values.is_empty() || values.len() > MAX_DIMENSION {
            return Err(VectorError::Dimension(values.len()));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(VectorError::NotFinite { at });
        }
        let length = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if length == 0.0 {
            return Err(VectorError::NoDirection);
        }
        Ok(Self(values.iter().map(|value| (f64::from(*value) / length) as f32).collect()))
    }

    /// The numbers.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// How many there are.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.0.len()
    }

    /// In half precision, the lowest byte of each number first: half the size, and for directions no worse than what an index keeps.
    #[must_use]
    pub fn to_half_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect()
    }

    /// From [`Self::to_half_bytes`].
    ///
    /// # Errors
    /// As [`Self::new`]; an odd number of bytes has no dimension.
    pub fn from_half_bytes(bytes: &[u8]) -> Result<Self, VectorError> {
        let (numbers, []) = bytes.as_chunks::<2>() else { return Err(VectorError::Dimension(0)) };
        let values: Vec<f32> = numbers.iter().map(|number| half::f16::from_le_bytes(*number).to_f32()).collect();
        Self::new(&values)
    }

    /// The cosine of the angle between two vectors of one space, -1..=1.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> f32 {
        let sum: f64 = self.0.iter().zip(&other.0).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        sum.clamp(-1.0, 1.0) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_a_direction_or_say_why_not() {
        assert_eq!(Vector::new(&[3.0, 4.0]).unwrap().values(), [0.6, 0.8]);
        // Squares that no single-precision number holds.
        let large = Vector::new(&[3e30, 4e30]).unwrap();
        assert!(large.values().iter().zip([0.6, 0.8]).all(|(found, expected): (&f32, f32)| (found - expected).abs() < 1e-6), "{large:?}");
        assert_eq!(Vector::new(&[]), Err(VectorError::Dimension(0)));
        assert_eq!(Vector::new(&vec![1.0; MAX_DIMENSION + 1]), Err(VectorError::Dimension(MAX_DIMENSION + 1)));
        assert_eq!(Vector::new(&[1.0, f32::NAN]), Err(VectorError::NotFinite { at: 1 }));
        assert_eq!(Vector::new(&[0.0; 4]), Err(VectorError::NoDirection));
    }

    #[test]
    fn half_precision_keeps_the_direction_and_refuses_what_is_none() {
        let values: Vec<f32> = (0..1280).map(|index| ((index * 37 % 101) as f32 - 50.0) / 50.0).collect();
        let vector = Vector::new(&values).unwrap();
        let bytes = vector.to_half_bytes();
        assert_eq!(bytes.len(), 2560);
        let back = Vector::from_half_bytes(&bytes).unwrap();
        assert!(vector.cosine(&back) > 0.999_999, "{}", vector.cosine(&back));
        // Once more changes nothing, so that an index made again from the records is the same.
        assert_eq!(back.to_half_bytes(), bytes);
        assert_eq!(Vector::from_half_bytes(&bytes[1..]), Err(VectorError::Dimension(0)));
        assert_eq!(Vector::from_half_bytes(&[0, 0]), Err(VectorError::NoDirection));
    }

    #[test]
    fn the_cosine_of_two_directions() {
        let [a, b] = [[1.0, 0.0], [1.0, 1.0]].map(|values| Vector::new(&values).unwrap());
        assert!((a.cosine(&b) - 0.5f32.sqrt()).abs() < 1e-6);
        assert_eq!(a.cosine(&a), 1.0);
    }
}
