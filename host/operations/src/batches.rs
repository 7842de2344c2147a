//! Many images with the same work for each: what is done with them, and batches that survive a crash.

mod options;

pub(crate) use options::OptionsJson;
pub use options::ProcessingOptions;
