//! Detectors and features of images: devices, models, networks, batching and memory of what was found.
//!
//! A call of [`Inference::detect`], [`Inference::embed_image`] or [`Inference::embed_text`] takes this path: the cache; the flight that others may have started for the same image
//! (`memory`, `flight`); a place in the model's bounded queue (`worker`); scaling on the CPU pool ([`frame`]); a batch on the device
//! in use ([`device`], [`engine`]); decoding and suppression on the pool ([`yunet`], [`nanodet`], [`suppression`]), or features
//! made comparable ([`embedding`]).
//!
//! A network is written once, as a [`graph::Graph`] with [`graph::weights::Weights`]; an [`engine::Engine`] computes it:
//! [`engine::convnet`] on the processor, [`engine::burn`] on a GPU. All work of the processor holds a permit of one CPU pool.

pub mod batch;
pub mod clip;
pub mod config;
pub mod device;
pub mod efficientnet_lite0;
pub mod embedder;
pub mod embedding;
pub mod engine;
pub mod error;
mod flight;
mod found;
pub mod frame;
mod memory;
mod metadata;
pub mod model;
pub mod nanodet;
mod quarantine;
mod self_test;
mod service;
pub mod statistics;
pub mod suppression;
pub mod tensor;
mod worker;
pub mod yunet;

pub use breakwater_convnet::{Isa, array, graph};

pub use config::{DevicePreference, InferenceConfig, ModelKind, ModelSource};
pub use device::{DeviceReport, Engines};
pub use embedder::{EmbedderInfo, LoadState, ModelState, Overlong, Priority};
pub use embedding::Embedding;
pub use engine::DeviceKind;
pub use error::{InferenceError, TensorError};
pub use metadata::ModelMetadata;
pub use model::ModelInfo;
pub use service::Inference;
pub use statistics::{InferenceStatistics, ModelStatistics};
pub use tensor::{DataType, Tensor, TensorData, TensorSpec};
