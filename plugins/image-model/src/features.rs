//! What a picture looks like, as a direction.

use serde::{Deserialize, Serialize};

/// What `extract-features` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeaturesOutput {
    /// Finite numbers of which the squares add up to one.
    pub embedding: Vec<f64>,
    /// How many there are.
    pub dimension: usize,
    /// Whose they are: only those of one model can be compared.
    pub model: String,
    /// Whether the squares add up to one.
    pub normalized: bool,
}

impl FeaturesOutput {
    /// The direction of these numbers by a model; `None` when they have none, or are not finite.
    #[must_use]
    pub fn of(model: &str, numbers: &[f64]) -> Option<Self> {
        let embedding = direction(numbers)?;
        Some(Self { dimension: embedding.len(), embedding, model: model.to_owned(), normalized: true })
    }
}

/// Numbers of length one in the same direction, in single precision, each written with no more digits than that has; `None` when they have
/// no direction, or are not finite.
#[must_use]
pub fn direction(numbers: &[f64]) -> Option<Vec<f64>> {
    let largest = numbers.iter().fold(0.0_f64, |largest, number| largest.max(number.abs()));
    if numbers.iter().any(|number| !number.is_finite()) || largest == 0.0 {
        return None;
    }
    // By the largest first, so that no square overflows or vanishes.
    let length = numbers.iter().map(|number| (number / largest).powi(2)).sum::<f64>().sqrt();
    Some(numbers.iter().map(|number| digits((number / largest / length) as f32)).collect())
}

/// The double that is written with the digits of the single.
fn digits(single: f32) -> f64 {
    single.to_string().parse().unwrap_or_else(|_| f64::from(single))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_a_direction_with_their_own_digits() {
        assert_eq!(direction(&[3.0, -4.0]), Some(vec![0.6, -0.8]));
        assert_eq!(direction(&[3e300, 4e300]), Some(vec![0.6, 0.8]));
        assert_eq!(direction(&[3e-300, 4e-300]), Some(vec![0.6, 0.8]));
        for none in [&[][..], &[0.0, 0.0], &[1.0, f64::NAN], &[f64::INFINITY]] {
            assert_eq!(direction(none), None, "{none:?}");
        }
    }
}
