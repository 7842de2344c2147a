//! Counts for metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What one model did since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ModelStatistics {
    /// Batches computed, retries of single images included.
    pub runs: u64,
    /// Batches taken from the queue.
    pub batches: u64,
    /// Images and texts in them.
    pub images: u64,
    /// Batches by how many they held: at most 1, 2, 4 and so on, as [`BATCH_SIZES`] says; the last place holds all larger ones.
    pub batch_sizes: [u64; BATCH_SIZES.len() + 1],
    /// Inputs put into quarantine.
    pub quarantined: u64,
    /// Calls refused because their input was in quarantine.
    pub quarantine_hits: u64,
    /// Times the model was loaded.
    pub loads: u64,
    /// Images for which the model failed.
    pub failures: u64,
    /// Calls answered from memory.
    pub cache_hits: u64,
    /// Calls that joined an inference already under way.
    pub joined: u64,
    /// Calls that started an inference.
    pub cache_misses: u64,
    /// Calls refused because the queue was full.
    pub rejected: u64,
    /// Images whose deadline passed in the queue, or whose callers had gone.
    pub abandoned: u64,
    /// Images being prepared or waiting now.
    pub queue_depth: u64,
    /// Microseconds spent computing.
    pub busy_micros: u64,
}

/// Upper bounds of [`ModelStatistics::batch_sizes`].
pub const BATCH_SIZES: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// What every model did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InferenceStatistics {
    /// By name of the model.
    pub models: Vec<(Arc<str>, ModelStatistics)>,
    /// Detections remembered now.
    pub cache_entries: u64,
    /// Their size in bytes.
    pub cache_bytes: u64,
    /// Times a device was lost.
    pub devices_lost: u64,
    /// Bytes of weights of CLIP models in the processor's memory now.
    pub clip_bytes: u64,
    /// Images and texts in quarantine now.
    pub in_quarantine: u64,
}

/// The counters behind [`ModelStatistics`]. Each stands for itself, so relaxed ordering is enough.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) runs: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) images: AtomicU64,
    pub(crate) batch_sizes: [AtomicU64; BATCH_SIZES.len() + 1],
    pub(crate) quarantined: AtomicU64,
    pub(crate) quarantine_hits: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) cache_hits: AtomicU64,
    pub(crate) joined: AtomicU64,
    pub(crate) cache_misses: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) abandoned: AtomicU64,
    pub(crate) busy_micros: AtomicU64,
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Counters {
    /// Counts a batch of so many images or texts.
    pub(crate) fn batch(&self, images: u64) {
        add(&self.batches, 1);
        add(&self.images, images);
        let place = BATCH_SIZES.iter().position(|most| images <= *most).unwrap_or(BATCH_SIZES.len());
        self.batch_sizes.iter().skip(place).take(1).for_each(|count| add(count, 1));
    }

    pub(crate) fn read(&self, queue_depth: usize) -> ModelStatistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ModelStatistics {
            runs: read(&self.runs),
            batches: read(&self.batches),
            images: read(&self.images),
            batch_sizes: self.batch_sizes.each_ref().map(read),
            quarantined: read(&self.quarantined),
            quarantine_hits: read(&self.quarantine_hits),
            loads: read(&self.loads),
            failures: read(&self.failures),
            cache_hits: read(&self.cache_hits),
            joined: read(&self.joined),
            cache_misses: read(&self.cache_misses),
            rejected: read(&self.rejected),
            abandoned: read(&self.abandoned),
            queue_depth: queue_depth as u64,
            busy_micros: read(&self.busy_micros),
        }
    }
}
