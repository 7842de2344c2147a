//! Networks and inputs that cannot be run.

use crate::array::ArrayError;
use crate::graph::shape::GraphError;
use crate::graph::weights::WeightsError;
use crate::isa::Isa;

/// A network or an input that cannot be run. Found when the network is prepared, when a shape is planned, or when the input is
/// looked at; never in the middle of a run.
#[derive(Debug, thiserror::Error)]
pub enum ConvnetError {
    /// The graph cannot be computed for this input.
    #[error("the network does not take this input")]
    Graph(#[from] GraphError),
    /// The weights do not fit.
    #[error("the weights do not fit the network")]
    Weights(#[from] WeightsError),
    /// Arrays do not have the shape they should have.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// The machine does not have the instructions asked for.
    #[error("this machine does not have {isa} instructions")]
    Isa {
        /// What was asked for.
        isa: Isa,
    },
    /// The plan would need more memory than a plan may.
    #[error("a plan for {dims:?} would need {bytes} bytes, more than the {limit} that one may")]
    TooLarge {
        /// The input's dimensions.
        dims: [usize; 4],
        /// What it would need.
        bytes: usize,
        /// The most it may need.
        limit: usize,
    },
    /// The input holds a value that is infinite or not a number.
    #[error("value {index} of the input is not a finite number")]
    NotFinite {
        /// Position of the first such value.
        index: usize,
    },
    /// A picture does not hold as many bytes as its size says, or does not lie in the input.
    #[error("picture {index} does not fit: {what}")]
    Picture {
        /// Which of the batch.
        index: usize,
        /// What does not fit.
        what: String,
    },
}
