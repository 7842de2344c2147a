//! Transformers for images and text: definitions, weights and fused kernels for the CPU.
//!
//! [`ClipConfig::read`] and [`ClipWeights::read`] say what a model is; [`VisionTower::new`] and [`TextTower::new`] pack what they need
//! of it, so that the files can be given back; their `run` gives an embedding per image or text.
//!
//! # What makes it fast
//!
//! - Weights are packed once, in panels of two registers of columns, in the order in which the kernels read them. Numbers of 16 bits
//!   stay so in memory and are widened panel by panel: half as many bytes come from memory when there are few rows to spread them
//!   over. The panel that comes next is fetched while this one is multiplied.
//! - Queries, keys and values are one product; biases, activations and additions belong to the product before them.
//! - Some images or texts at a time go through all layers, so many that what a layer computes stays in the caches.
//! - An embedding is read from one token: in the last layer only that token's query is asked and only its row goes on.
//! - A token of a text sees only those before it, so that nothing is computed for what stands behind a text's end, and texts of
//!   different lengths need no padding.
//! - Images and texts go side by side over the threads of a pool; threads that are left divide the columns of a layer and the heads.
//!   Each value is the same sum in the same order whoever computes it.

pub mod config;
mod encoder;
pub mod error;
mod kernel;
mod matrix;
mod parts;
mod text;
mod tower;
mod vision;
pub mod weights;

pub use config::ClipConfig;
pub use error::TransformerError;
pub use text::TextTower;
pub use tower::Options;
pub use vision::VisionTower;
pub use weights::ClipWeights;
