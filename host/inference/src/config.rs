//! What an operator can choose.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::worker::Bounds;

/// Where networks should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DevicePreference {
    /// On a GPU if there is a usable one, else on the CPU.
    #[default]
    Auto,
    /// On a GPU; without a usable one the start fails.
    Gpu,
    /// On the CPU; no GPU is looked for.
    Cpu,
}

/// Text that names no preference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a device is auto, gpu or cpu; got {0:?}")]
pub struct UnknownDevice(String);

impl FromStr for DevicePreference {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "gpu" => Ok(Self::Gpu),
            "cpu" => Ok(Self::Cpu),
            _ => Err(UnknownDevice(text.chars().take(40).collect())),
        }
    }
}

/// What kind of model an operator adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// CLIP, in the form of Hugging Face.
    Clip,
}

/// An embedder that an operator adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSource {
    /// By which callers name it: 1 to 64 lower-case letters, digits, dots, dashes and underscores.
    pub id: Arc<str>,
    /// What it is.
    pub kind: ModelKind,
    /// The folder with its files, or the file of its weights, beside which the others are.
    pub path: PathBuf,
    /// Where it runs. On the device of all models (`auto`), on the CPU although there is a GPU (`cpu`), or nowhere but on a GPU: it is
    /// not loaded without one (`gpu`).
    pub device: DevicePreference,
    /// Licence of its weights, for people.
    pub licence: Option<String>,
}

/// How models run.
#[derive(Debug, Clone)]
pub struct InferenceConfig {
    /// Which kind of device.
    pub device: DevicePreference,
    /// Part of the name of the GPU to use, upper or lower case.
    pub adapter: Option<String>,
    /// Whether something that only imitates a GPU on the CPU may be used. Slow; for tests.
    pub allow_software: bool,
    /// The most images in one run.
    pub max_batch: usize,
    /// How long the first image of a batch waits for others that are on their way. Nothing waits when none is.
    pub max_delay: Duration,
    /// The most calls that one model prepares or has waiting; any more are refused at once.
    pub queue: usize,
    /// Images that each model works on side by side on the CPU, if the CPU pool has as many threads.
    pub threads: usize,
    /// Memory for remembered detections, in bytes.
    pub detection_cache_bytes: u64,
    /// A folder with other weights for the same networks; the ones built in otherwise.
    pub models_dir: Option<PathBuf>,
    /// Embedders beside the one that is built in. They are loaded in the background; one that cannot be loaded stops nothing.
    pub models: Vec<ModelSource>,
    /// Id of the embedder that serves calls which name none; the one that is built in otherwise.
    pub default_embedder: Option<Arc<str>>,
    /// The most images or texts in one run of an embedder.
    pub embedder_batch: usize,
    /// How long one inference may take from its first caller to its result, queue included. Callers keep their own deadlines;
    /// this is for the work they share.
    pub budget: Duration,
    /// How long a call may wait in a model's queue for its run; one that waits longer fails as overloaded.
    pub max_wait: Duration,
    /// How long an image or a text on which an embedder failed is not tried again.
    pub quarantine: Duration,
}

impl Default for InferenceConfig {
    fn default() -> Self {
        Self {
            device: DevicePreference::Auto,
            adapter: None,
            allow_software: false,
            max_batch: 8,
            max_delay: Duration::from_millis(2),
            queue: 256,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            detection_cache_bytes: 32 << 20,
            models_dir: None,
            models: Vec::new(),
            default_embedder: None,
            embedder_batch: 32,
            budget: Duration::from_secs(30),
            max_wait: Duration::from_secs(20),
            quarantine: Duration::from_secs(600),
        }
    }
}

/// A configuration that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be from {least} to {most}, got {found}")]
pub struct InvalidConfig {
    field: &'static str,
    least: usize,
    most: usize,
    found: usize,
}

impl InferenceConfig {
    /// Of an embedder's queue.
    pub(crate) fn embedder_bounds(&self) -> Bounds {
        Bounds { max_batch: self.embedder_batch, ..self.bounds() }
    }

    /// Of a detector's queue.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { capacity: self.queue, max_batch: self.max_batch, max_delay: self.max_delay, max_wait: self.max_wait }
    }

    /// Checks every number against its range.
    ///
    /// # Errors
    /// The first that is outside.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let ranges = [("max_batch", self.max_batch, 1, 64), ("queue", self.queue, 1, 65_536), ("threads", self.threads, 1, 1024)];
        let ranges = ranges.into_iter().chain([("embedder_batch", self.embedder_batch, 1, 256), ("models", self.models.len(), 0, 64)]);
        for (field, found, least, most) in ranges {
            if !(least..=most).contains(&found) {
                return Err(InvalidConfig { field, least, most, found });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_their_range_are_named() {
        assert_eq!(InferenceConfig::default().validate(), Ok(()));
        let wrong = [
            (InferenceConfig { max_batch: 0, ..Default::default() }, "max_batch"),
            (InferenceConfig { queue: 0, ..Default::default() }, "queue"),
            (InferenceConfig { threads: 1025, ..Default::default() }, "threads"),
            (InferenceConfig { embedder_batch: 257, ..Default::default() }, "embedder_batch"),
        ];
        for (config, field) in wrong {
            assert_eq!(config.validate().unwrap_err().field, field);
        }
    }

    #[test]
    fn devices_are_read_by_name() {
        assert_eq!(" GPU ".parse(), Ok(DevicePreference::Gpu));
        assert!("cuda".parse::<DevicePreference>().is_err());
    }
}
