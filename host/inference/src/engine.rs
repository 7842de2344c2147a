//! The seam between networks and whatever computes them.

pub mod burn;
pub(crate) mod clip;
pub mod convnet;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::array::{ArrayError, Outputs};
use crate::batch::Batch;
use crate::clip::Clip;
use crate::graph::shape::GraphError;
use crate::graph::weights::Network;

/// What kind of machine computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A graphics card, or something that calls itself one.
    Gpu,
    /// The processor.
    Cpu,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
        })
    }
}

/// Computes networks on one device.
pub trait Engine: Send + Sync + 'static {
    /// The device, for people, such as `AMD Radeon RX 7800 XT (Vulkan)`.
    fn device(&self) -> &str;

    /// What kind of device it is.
    fn kind(&self) -> DeviceKind;

    /// The most images that a run should hold. One where a batch takes as long as its images one by one: then the first image
    /// would only wait for the last.
    fn preferred_batch(&self) -> usize;

    /// The most runs that the device should work on side by side, each in a session of its own.
    fn concurrency(&self) -> usize {
        1
    }

    /// Brings a network onto the device. The session is used by one thread at a time.
    ///
    /// # Errors
    /// When the device cannot take it.
    fn prepare(&self, network: &Network) -> Result<Box<dyn Session>, EngineError>;

    /// Brings a CLIP model onto the device, reading its files.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when the files cannot be read or fit no model, or the engine computes convolution networks only;
    /// anything else when the device cannot take it.
    fn prepare_clip(&self, _clip: &Arc<Clip>) -> Result<Box<dyn Session>, EngineError> {
        Err(EngineError::Refused { what: format!("{} computes convolution networks only", self.device()) })
    }

    /// As [`Engine::preferred_batch`], for CLIP models.
    fn preferred_clip_batch(&self) -> usize {
        self.preferred_batch()
    }

    /// Bytes of weights of CLIP models that sessions of this engine hold now, if it counts them.
    fn clip_bytes(&self) -> u64 {
        0
    }
}

/// A network on a device.
pub trait Session: Send {
    /// Computes every output of the graph for a batch; outputs come in the graph's order, images in the batch's.
    ///
    /// # Errors
    /// [`EngineError::Input`] and [`EngineError::Refused`] when the graph does not take such a batch, anything else when the device failed.
    fn run(&mut self, batch: Batch<'_>) -> Result<Outputs, EngineError>;
}

/// A run that failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The graph does not take this input. Another device would not either.
    #[error("the network does not take this input")]
    Input(#[from] GraphError),
    /// The network does not take these numbers or pictures. Another device would not either.
    #[error("the network does not take these values: {what}")]
    Refused {
        /// Which, and why.
        what: String,
    },
    /// An array does not have the shape it should have.
    #[error("an array does not fit: {what}")]
    Output {
        /// Which, and how.
        what: String,
    },
    /// The device failed.
    #[error("the device failed: {what}")]
    Device {
        /// What it reported.
        what: String,
    },
}

impl From<ArrayError> for EngineError {
    fn from(error: ArrayError) -> Self {
        Self::Output { what: error.what().to_owned() }
    }
}
