//! The first tier: entries in this process, bounded by bytes.

use std::time::{Duration, Instant};

use moka::Expiry;
use moka::ops::compute::Op;
use moka::sync::Cache;
use serde::Serialize;

use crate::clock::Clock;
use crate::entry::CacheEntry;
use crate::key::CacheKey;

/// What an entry costs besides its own bytes: key, times, and the queues and tables that find and evict it. An estimate on the high
/// side, so that many tiny entries cannot take much more memory than was given.
const OVERHEAD: usize = 400;
/// Timers do not reach further; an entry that lives longer is dropped from memory by then.
const LONGEST_LIFE: Duration = Duration::from_secs(400 * 86_400);

/// How full the memory tier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct MemoryStatus {
    /// Entries, roughly: some may have just been evicted or expired.
    pub entries: u64,
    /// What they take, in bytes, roughly.
    pub bytes: u64,
    /// The most they may take, in bytes.
    pub capacity_bytes: u64,
}

pub(crate) struct MemoryTier {
    entries: Cache<CacheKey, CacheEntry>,
    capacity_bytes: u64,
}

struct ExpiresWithEntry(Clock);

impl ExpiresWithEntry {
    fn rest(&self, entry: &CacheEntry) -> Option<Duration> {
        Some(Duration::from_millis(entry.expires_at_ms().saturating_sub(self.0.now_ms())).min(LONGEST_LIFE))
    }
}

impl Expiry<CacheKey, CacheEntry> for ExpiresWithEntry {
    fn expire_after_create(&self, _key: &CacheKey, entry: &CacheEntry, _at: Instant) -> Option<Duration> {
        self.rest(entry)
    }

    fn expire_after_update(&self, _key: &CacheKey, entry: &CacheEntry, _at: Instant, _before: Option<Duration>) -> Option<Duration> {
        self.rest(entry)
    }
}

impl MemoryTier {
    pub(crate) fn new(capacity_bytes: u64, clock: Clock) -> Self {
        let weight = |_key: &CacheKey, entry: &CacheEntry| u32::try_from(entry.size().saturating_add(OVERHEAD)).unwrap_or(u32::MAX);
        let entries =
            Cache::builder().name("breakwater-cache").max_capacity(capacity_bytes).weigher(weight).expire_after(ExpiresWithEntry(clock));
        Self { entries: entries.build(), capacity_bytes }
    }

    pub(crate) fn get(&self, key: &CacheKey) -> Option<CacheEntry> {
        self.entries.get(key)
    }

    pub(crate) fn put(&self, key: CacheKey, entry: CacheEntry) {
        self.entries.insert(key, entry);
    }

    /// Keeps an entry that came from elsewhere, unless a newer one has come meanwhile.
    pub(crate) fn offer(&self, key: CacheKey, entry: CacheEntry) {
        self.entries.entry(key).and_compute_with(|found| match found {
            Some(found) if found.value().stored_at_ms > entry.stored_at_ms => Op::Nop,
            _ => Op::Put(entry),
        });
    }

    pub(crate) fn remove(&self, key: &CacheKey) {
        self.entries.invalidate(key);
    }

    pub(crate) fn status(&self) -> MemoryStatus {
        self.entries.run_pending_tasks();
        MemoryStatus { entries: self.entries.entry_count(), bytes: self.entries.weighted_size(), capacity_bytes: self.capacity_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Windows;

    fn key(n: usize) -> CacheKey {
        CacheKey::of([n.to_le_bytes().as_slice()])
    }

    fn entry(bytes: usize, stored_at_ms: u64) -> CacheEntry {
        let windows = Windows { fresh: Duration::from_secs(60), ..Windows::default() };
        CacheEntry::new(vec![0; bytes], "r", stored_at_ms, windows)
    }

    #[test]
    fn it_never_holds_more_than_it_was_given() {
        let memory = MemoryTier::new(1 << 20, Clock::of(|| 0));
        for n in 0..5_000 {
            memory.put(key(n), entry(n % 3_000, 0));
        }
        let status = memory.status();
        assert!(status.bytes <= 1 << 20, "{status:?}");
        assert!(status.bytes > 900_000 && status.entries > 300, "{status:?}");
        // Tiny entries are charged what they really take.
        for n in 0..10_000 {
            memory.put(key(n), entry(0, 0));
        }
        let status = memory.status();
        assert!(status.bytes <= 1 << 20 && status.entries <= (1 << 20) / 401, "{status:?}");
    }

    #[test]
    fn nothing_is_kept_in_no_memory() {
        let memory = MemoryTier::new(0, Clock::of(|| 0));
        memory.put(key(0), entry(1, 0));
        assert_eq!(memory.status(), MemoryStatus { entries: 0, bytes: 0, capacity_bytes: 0 });
        assert_eq!(memory.get(&key(0)), None);
    }

    #[test]
    fn an_older_entry_does_not_take_the_place_of_a_newer_one() {
        let memory = MemoryTier::new(1 << 20, Clock::of(|| 0));
        for (stored, expected) in [(5, 5), (3, 5), (7, 7), (7, 7)] {
            memory.offer(key(0), entry(1, stored));
            assert_eq!(memory.get(&key(0)).unwrap().stored_at_ms, expected);
        }
        memory.put(key(0), entry(1, 1));
        assert_eq!(memory.get(&key(0)).unwrap().stored_at_ms, 1);
    }

    #[test]
    fn an_expired_entry_leaves_the_memory() {
        let memory = MemoryTier::new(1 << 20, Clock::of(|| 60_000));
        memory.put(key(0), entry(1, 0));
        assert_eq!(memory.get(&key(0)), None);
        // Its memory is given back when the timers next turn, which takes about a second.
        let started = Instant::now();
        while memory.status().entries > 0 {
            assert!(started.elapsed() < Duration::from_secs(20));
            std::thread::yield_now();
        }
    }
}
