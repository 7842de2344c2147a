//! Plain arrays that go into engines and come out of them.

use crate::graph::shape::Shape;

/// An array that does not have the shape it should have, or is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an array does not fit: {what}")]
pub struct ArrayError {
    what: String,
}

impl ArrayError {
    /// What is wrong, and with which array.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }
}

/// Values of a tensor, images outermost, then channels, rows and columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    shape: Shape,
    values: Vec<f32>,
}

impl Array {
    /// An array of so many values.
    ///
    /// # Errors
    /// When the shape has another number of elements.
    pub fn new(shape: Shape, values: Vec<f32>) -> Result<Self, ArrayError> {
        if shape.elements() == Some(values.len()) {
            return Ok(Self { shape, values });
        }
        Err(ArrayError { what: format!("{} values for {:?}", values.len(), shape.dims()) })
    }

    /// Its shape.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Its values.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Its values, to be changed.
    #[must_use]
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Its values, without a copy.
    #[must_use]
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }
}

/// What a network computed, by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outputs(Vec<(String, Array)>);

impl Outputs {
    /// Outputs in the graph's order.
    #[must_use]
    pub fn new(arrays: Vec<(String, Array)>) -> Self {
        Self(arrays)
    }

    /// An output by name.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<&Array, ArrayError> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, array)| array).ok_or_else(|| ArrayError { what: format!("there is no output {name:?}") })
    }

    /// Every output.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Array)> {
        self.0.iter().map(|(name, array)| (name.as_str(), array))
    }
}
