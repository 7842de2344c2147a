//! Why models could not be started, and the failures of their calls.

use std::path::PathBuf;

use breakwater_core::{Failure, FailureKind};

use crate::config::InvalidConfig;
use crate::engine::EngineError;
use crate::graph::weights::WeightsError;
use crate::model::Model;

/// A start that failed.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// The configuration is wrong.
    #[error("the configuration of inference is wrong")]
    Config(#[from] InvalidConfig),
    /// A GPU was demanded and none is usable.
    #[error("no usable GPU: {reason}")]
    NoGpu {
        /// What was found and why it was refused.
        reason: String,
    },
    /// A weights file could not be read.
    #[error("could not read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A weights file is larger than any that fits.
    #[error("{path} has more than {limit} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most it may have.
        limit: u64,
    },
    /// The weights do not fit the network.
    #[error("the weights of {model} cannot be used")]
    Weights {
        /// The model.
        model: &'static str,
        /// Why.
        source: WeightsError,
    },
    /// The device did not take or run a network.
    #[error("the device cannot run {model}")]
    Engine {
        /// The model.
        model: &'static str,
        /// Why.
        source: EngineError,
    },
    /// A thread could not be started.
    #[error("could not start a thread")]
    Thread(#[from] std::io::Error),
}

impl From<InferenceError> for Failure {
    fn from(error: InferenceError) -> Self {
        Failure::new(FailureKind::Unavailable, "detector.unavailable", "the detectors could not be started").caused_by(error)
    }
}

/// What a model is, which its failures say.
fn is_detector(model: &str) -> bool {
    Model::ALL.into_iter().any(|known| known.name() == model && known.dimension().is_none())
}

/// The models are not running, or no longer.
pub(crate) fn unavailable(model: &'static str) -> Failure {
    let code = if is_detector(model) { "detector.unavailable" } else { "embedder.unavailable" };
    Failure::new(FailureKind::Unavailable, code, "the model is shutting down").from_origin(origin(model))
}

/// More calls than the queue holds.
pub(crate) fn overloaded(model: &'static str) -> Failure {
    let code = if is_detector(model) { "detector.overloaded" } else { "embedder.overloaded" };
    let failure = Failure::limit(code, "the model has more calls waiting than it accepts; try again shortly");
    failure.retry_after(std::time::Duration::from_millis(250)).from_origin(origin(model))
}

/// A run that failed on every device.
pub(crate) fn failed(model: &'static str, cause: EngineError) -> Failure {
    let code = if is_detector(model) { "detector.failed" } else { "embedder.failed" };
    let mut failure = Failure::new(FailureKind::Other, code, "the model failed on this image");
    failure.retryable = matches!(cause, EngineError::Device { .. });
    failure.from_origin(origin(model)).caused_by(cause)
}

/// The deadline passed before the run began.
pub(crate) fn expired(model: &'static str) -> Failure {
    Failure::new(FailureKind::Timeout, "call.deadline", "the deadline passed while the image waited for the model")
        .from_origin(origin(model))
}

fn origin(model: &'static str) -> String {
    format!("{}:{model}", if is_detector(model) { "detector" } else { "embedder" })
}
