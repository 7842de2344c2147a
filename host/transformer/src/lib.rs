//! Transformers for images and text: definitions, weights and fused kernels for the CPU.
//!
//! [`ClipConfig::read`] and [`ClipWeights::read`] say what a model is; `VisionTower::new(&config, &weights, options)` and
//! `TextTower::new(&config, &weights, options)` pack what they need of it, so that the files can be given back; their
//! `run(&self, planes: &[f32])` and `run(&self, texts: &[&[u32]])` give `dimension()` numbers per image or text, not normalised.

pub mod config;
pub mod error;
pub mod weights;

pub use config::ClipConfig;
pub use error::TransformerError;
pub use weights::ClipWeights;
