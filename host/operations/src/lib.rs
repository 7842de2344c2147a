//! The use cases: what a call of the service does, whoever carried it here.
//!
//! An [`operation`] takes an input, runs under the deadline of its context, and answers with where the answer came from. A
//! [`chain`] of providers is the only way an operation degrades: `plan-crop` asks a strategy plugin, then takes the centre;
//! `crop-image` composes `detect-objects` and `plan-crop`. A call captures one snapshot of the plugin catalogue at its root.

#![forbid(unsafe_code)]

pub mod actions;
pub mod batches;
mod caching;
pub mod chain;
pub mod chains;
pub mod crop;
pub mod detect;
pub mod detectors;
pub mod embed;
pub mod features;
mod invoke;
mod json;
pub mod listing;
pub mod management;
pub mod media;
pub mod models;
pub mod operation;
pub mod operations;
pub mod output_size;
pub mod plan;
pub mod process_batch;
pub mod process_image;
mod providers;
pub mod readiness;
pub mod search;
pub mod services;
pub mod sheet;
pub mod sidecars;
pub mod source;
pub mod strategies;
mod table;
#[cfg(test)]
mod testing;
mod typed;
pub mod workflows;

pub use actions::{ActionInfo, SchemaCompiler};
pub use batches::ProcessingOptions;
pub use breakwater_inference::{
    DataType, DeviceKind, DeviceReport, EmbedderInfo, LoadState, ModelMetadata, ModelState, Tensor, TensorData, TensorSpec,
};
pub use breakwater_plugins::{GenerationInfo, GenerationState, PluginInfo};
pub use breakwater_search::{Filter, Method, Product, Space, Vector};
pub use breakwater_vision::Format;
pub use chains::{Caching, ChainConfig, Chains};
pub use crop::{CropInput, CropOutput, CropTimings};
pub use detect::{DetectInput, DetectOutput, DetectTimings};
pub use detectors::{Detectors, ModelDetectors};
pub use embed::{EmbedInput, EmbedRequest, Embedded, Features};
pub use features::{Embedder, ModelEmbedder};
pub use listing::{OperationInfo, ProviderInfo};
pub use management::PackageParts;
pub use media::{MediaError, MediaRoot};
pub use models::Models;
pub use operation::{OPERATIONS, Operation, OperationEffect};
pub use operations::{Operations, OperationsConfig, Parts};
pub use output_size::WantedSize;
pub use plan::PluginIdentity;
pub use process_batch::{BatchImage, BatchItem, MAX_IMAGES as MAX_BATCH_IMAGES, ProcessBatchInput, ProcessBatchOutput};
pub use readiness::{CheckReport, CheckResult, NotReady, Readiness, ReadinessConfig};
pub use sheet::{
    GridLayout, MAX_IMAGES as MAX_SHEET_IMAGES, MissingCharacters, SheetContent, SheetDestination, SheetFile, SheetImage, SheetInput,
    SheetOutput, SheetSpec,
};
pub use source::ImageSource;
pub use strategies::StrategyInfo;
