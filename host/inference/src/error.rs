//! Why models could not be started, and the failures of their calls.

use std::path::PathBuf;
use std::sync::Arc;

use breakwater_core::{Failure, FailureKind};

use crate::config::InvalidConfig;
use crate::engine::EngineError;
use crate::graph::weights::WeightsError;

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
    /// A file that describes a model says something that is not understood.
    #[error("{path} describes no model that can be used")]
    Unusable {
        /// The file; empty when there is none and the defaults do not fit.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Two models have one id, or an id that is none.
    #[error("{id:?} is no id of a model, or it is taken: 1 to 64 lower-case letters, digits, dots, dashes and underscores")]
    Id {
        /// The id.
        id: String,
    },
    /// The embedder that should be the default is not configured.
    #[error("the default embedder is {id:?}, which is not configured")]
    NoDefault {
        /// Its id.
        id: String,
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

impl InferenceError {
    /// What callers may see of it: no path.
    pub(crate) fn for_callers(&self) -> String {
        match self {
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => "a file of the model is missing".to_owned(),
            Self::Read { .. } => "a file of the model could not be read".to_owned(),
            Self::TooLarge { limit, .. } => format!("a file of the model has more than {limit} bytes"),
            Self::Unusable { source, .. } => format!("a file of the model describes none that can be used: {source}"),
            other => other.to_string(),
        }
    }
}

/// An error and what caused it, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Why a model did not take an input that it could have taken with other numbers, if that is why a call failed.
pub(crate) fn refusal(failure: &Failure) -> Option<String> {
    let cause = std::error::Error::source(failure)?.downcast_ref::<EngineError>()?;
    matches!(cause, EngineError::Input(_) | EngineError::Refused { .. }).then(|| with_causes(cause))
}

impl From<InferenceError> for Failure {
    fn from(error: InferenceError) -> Self {
        Failure::new(FailureKind::Unavailable, "detector.unavailable", "the detectors could not be started").caused_by(error)
    }
}

/// A model as its failures name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    detector: bool,
    pub(crate) id: Arc<str>,
}

impl Name {
    pub(crate) fn detector(id: impl Into<Arc<str>>) -> Self {
        Self { detector: true, id: id.into() }
    }

    pub(crate) fn embedder(id: impl Into<Arc<str>>) -> Self {
        Self { detector: false, id: id.into() }
    }

    fn code(&self, detector: &'static str, embedder: &'static str) -> &'static str {
        if self.detector { detector } else { embedder }
    }

    pub(crate) fn origin(&self) -> String {
        format!("{}:{}", self.code("detector", "embedder"), self.id)
    }
}

/// No model of this id is configured.
pub(crate) fn unknown_model(id: &str) -> Failure {
    let id: String = id.chars().filter(|letter| !letter.is_control()).take(80).collect();
    Failure::new(
        FailureKind::NotFound,
        "embedder.unknown-model",
        format!("there is no model {id:?}; the list of models names those there are"),
    )
}

/// The models are not running, or no longer.
pub(crate) fn unavailable(model: &Name) -> Failure {
    let code = model.code("detector.unavailable", "embedder.unavailable");
    Failure::new(FailureKind::Unavailable, code, "the model is shutting down").from_origin(model.origin())
}

/// More calls than the queue holds.
pub(crate) fn overloaded(model: &Name) -> Failure {
    let code = model.code("detector.overloaded", "embedder.overloaded");
    let failure = Failure::limit(code, "the model has more calls waiting than it accepts; try again shortly");
    failure.retry_after(std::time::Duration::from_millis(250)).from_origin(model.origin())
}

/// A run that failed on every device.
pub(crate) fn failed(model: &Name, cause: EngineError) -> Failure {
    let code = model.code("detector.failed", "embedder.failed");
    let mut failure = Failure::new(FailureKind::Other, code, "the model failed on this input");
    failure.retryable = matches!(cause, EngineError::Device { .. });
    failure.from_origin(model.origin()).caused_by(cause)
}

/// The deadline passed before the run began.
pub(crate) fn expired(model: &Name) -> Failure {
    Failure::new(FailureKind::Timeout, "call.deadline", "the deadline passed while the input waited for the model")
        .from_origin(model.origin())
}

/// A tensor that is none, or not one that a model takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// It has more dimensions than any tensor here.
    #[error("tensor {tensor:?} has {found} dimensions, more than {}", crate::tensor::MAX_RANK)]
    Rank {
        /// Which.
        tensor: String,
        /// How many.
        found: usize,
    },
    /// Its elements do not fit its shape.
    #[error("tensor {tensor:?} of shape {shape:?} has {found} elements")]
    Elements {
        /// Which.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// How many there are.
        found: usize,
    },
    /// It is larger than all tensors of a call may be.
    #[error("the tensors have {found} bytes, more than {}", crate::tensor::MAX_TENSOR_BYTES)]
    TooLarge {
        /// How many bytes.
        found: usize,
    },
    /// Its bytes end within an element.
    #[error("the bytes of tensor {tensor:?} are not whole elements of {}", data_type.name())]
    Malformed {
        /// Which.
        tensor: String,
        /// What it should hold.
        data_type: crate::tensor::DataType,
    },
    /// The model takes no tensor of this name, or not together with the others.
    #[error("the model takes one of {known}; got {}", if found.is_empty() { "none".to_owned() } else { format!("{found:?}") })]
    Inputs {
        /// What it takes.
        known: String,
        /// What it got.
        found: Vec<String>,
    },
    /// It holds another type than the model takes.
    #[error("tensor {tensor:?} holds {}; the model takes {expected}", found.name())]
    Type {
        /// Which.
        tensor: String,
        /// What it holds.
        found: crate::tensor::DataType,
        /// What the model takes.
        expected: &'static str,
    },
    /// It has another shape than the model takes.
    #[error("tensor {tensor:?} has shape {found:?}; the model takes {expected}")]
    Shape {
        /// Which.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// What the model takes.
        expected: String,
    },
    /// It holds values that the model does not take.
    #[error("tensor {tensor:?}: {what}")]
    Value {
        /// Which.
        tensor: String,
        /// Which value, and why not.
        what: String,
    },
}

impl From<TensorError> for Failure {
    fn from(error: TensorError) -> Self {
        let message = error.to_string();
        let failure = match error {
            TensorError::Rank { .. } | TensorError::Elements { .. } | TensorError::Shape { .. } => {
                Failure::invalid("tensor.shape", message)
            }
            TensorError::TooLarge { .. } => Failure::limit("tensor.too-large", message),
            TensorError::Malformed { .. } => Failure::invalid("tensor.malformed", message),
            TensorError::Inputs { .. } => Failure::invalid("tensor.unknown-input", message),
            TensorError::Type { .. } => Failure::invalid("tensor.type", message),
            TensorError::Value { .. } => Failure::invalid("tensor.refused", message),
        };
        failure.caused_by(error)
    }
}
