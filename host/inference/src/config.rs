//! What an operator can choose.

use std::path::PathBuf;
use std::str::FromStr;
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

/// How detectors run.
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
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { capacity: self.queue, max_batch: self.max_batch, max_delay: self.max_delay, max_wait: self.max_wait }
    }

    /// Checks every number against its range.
    ///
    /// # Errors
    /// The first that is outside.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let ranges = [("max_batch", self.max_batch, 1, 64), ("queue", self.queue, 1, 65_536), ("threads", self.threads, 1, 1024)];
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
