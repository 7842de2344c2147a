//! The tiers as one cache.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde::Serialize;

use crate::clock::Clock;
use crate::config::{CacheConfig, InvalidCacheConfig};
use crate::entry::{CacheEntry, Freshness, Lookup, Tier};
use crate::key::CacheKey;
use crate::memory::{MemoryStatus, MemoryTier};
use crate::observer::{CacheObserver, Unobserved};
use crate::redis_tier::{RedisStatus, RedisTier};

/// What became of an entry that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Put {
    /// It is kept: in memory, and in Redis if that is there. Memory may still prefer entries that are asked for more often.
    Kept,
    /// It is larger than an entry may be, or its revision is longer than one may be.
    TooLarge,
    /// It is of no use any more.
    Expired,
}

impl Put {
    /// As logs and metrics write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::TooLarge => "too-large",
            Self::Expired => "expired",
        }
    }
}

/// How far a removal got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Removed {
    /// The entry is in no tier. The memory of other processes keeps theirs until it expires.
    Everywhere,
    /// Redis is away and will be told when it is back, before anybody asks it; this process does not see the entry again.
    Pending,
    /// Redis is away and too many removals wait already: it may come back with the entry.
    MemoryOnly,
}

/// What a cache holds and how it is doing. Counts are since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct CacheStatus {
    /// The first tier.
    pub memory: MemoryStatus,
    /// The second tier, if one is configured.
    pub redis: Option<RedisStatus>,
    /// Lookups that found an entry, stale ones included.
    pub hits: u64,
    /// Lookups that found nothing.
    pub misses: u64,
    /// Entries that were kept.
    pub kept: u64,
    /// Entries that were too large or had expired.
    pub refused: u64,
}

#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    kept: AtomicU64,
    refused: AtomicU64,
    removals: AtomicU64,
}

/// A cache of memory and, if configured, Redis.
///
/// Nothing here fails: what cannot be kept is not kept, what cannot be found is a miss. With Redis, a call waits for it at most as long
/// as [`crate::RedisConfig::timeout`] says, and not at all while it is away.
pub struct Cache {
    memory: MemoryTier,
    redis: Option<RedisTier>,
    max_entry_bytes: usize,
    clock: Clock,
    observer: Arc<dyn CacheObserver>,
    counts: Counts,
}

impl Cache {
    /// Sets the cache up. Waits about a second at most for Redis to answer; one that does not is looked for in the background, by the task
    /// `cache-redis-probe`, which ends with the cache.
    ///
    /// # Errors
    /// [`InvalidCacheConfig`] when a value is out of range or the address of Redis is none.
    pub async fn start(config: CacheConfig) -> Result<Arc<Self>, InvalidCacheConfig> {
        Self::start_observed(config, Arc::new(Unobserved), Clock::system()).await
    }

    /// As [`Self::start`], with somebody who is told what happens, and a clock of one's own.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_observed(
        config: CacheConfig,
        observer: Arc<dyn CacheObserver>,
        clock: Clock,
    ) -> Result<Arc<Self>, InvalidCacheConfig> {
        config.validate()?;
        let CacheConfig { memory_bytes, max_entry_bytes, redis } = config;
        let redis = match redis {
            Some(redis) => Some(RedisTier::start(redis, max_entry_bytes, Arc::clone(&observer), clock.clone()).await?),
            None => None,
        };
        let memory = MemoryTier::new(memory_bytes, clock.clone());
        Ok(Arc::new(Self { memory, redis, max_entry_bytes, clock, observer, counts: Counts::default() }))
    }

    /// The time by the cache's clock, in milliseconds since 1970: what [`CacheEntry::new`] wants.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Looks in memory, and in Redis unless memory has a fresh entry. Of two, the one that was made later wins.
    ///
    /// A revision is not looked at: see [`Lookup::under`].
    pub async fn get(&self, key: &CacheKey) -> Option<Lookup> {
        let found = self.find(key).await;
        let counter = if found.is_some() { &self.counts.hits } else { &self.counts.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        self.observer.looked_up(found.as_ref().map(|found| (found.tier, found.freshness)));
        found
    }

    async fn find(&self, key: &CacheKey) -> Option<Lookup> {
        let near = self.memory.get(key).and_then(|entry| Lookup::of(entry, Tier::Memory, self.now_ms()));
        let Some(redis) = self.redis.as_ref().filter(|_| near.as_ref().is_none_or(|near| near.freshness != Freshness::Fresh)) else {
            return near;
        };
        let removals = self.counts.removals.load(Ordering::Acquire);
        let far = redis.get(key).await.and_then(|entry| Lookup::of(entry, Tier::Redis, self.now_ms()));
        let Some(far) = far.filter(|far| near.as_ref().is_none_or(|near| far.entry.stored_at_ms > near.entry.stored_at_ms)) else {
            return near;
        };
        // What was read before a removal must not outlive it in memory.
        if self.counts.removals.load(Ordering::Acquire) == removals {
            self.memory.offer(*key, far.entry.clone());
        }
        Some(far)
    }

    /// Keeps an entry in every tier, over whatever is there.
    pub async fn put(&self, key: &CacheKey, entry: CacheEntry) -> Put {
        let outcome = self.keep(key, entry).await;
        let counter = if outcome == Put::Kept { &self.counts.kept } else { &self.counts.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        self.observer.put(outcome);
        outcome
    }

    async fn keep(&self, key: &CacheKey, entry: CacheEntry) -> Put {
        if entry.size() > self.max_entry_bytes || entry.revision.len() > CacheEntry::MAX_REVISION_LENGTH {
            return Put::TooLarge;
        }
        if entry.expires_at_ms() <= self.now_ms() {
            return Put::Expired;
        }
        // A copy, because the bytes given may be a small part of a large buffer, all of which would stay without being counted.
        let entry = CacheEntry { bytes: Bytes::copy_from_slice(&entry.bytes), ..entry };
        self.memory.put(*key, entry.clone());
        if let Some(redis) = &self.redis {
            redis.put(key, &entry).await;
        }
        Put::Kept
    }

    /// Removes an entry from every tier.
    pub async fn remove(&self, key: &CacheKey) -> Removed {
        self.counts.removals.fetch_add(1, Ordering::AcqRel);
        self.memory.remove(key);
        let told = match &self.redis {
            Some(redis) => redis.remove(key).await,
            None => Ok(()),
        };
        // Somebody may have read the entry from Redis just before it was gone there.
        self.counts.removals.fetch_add(1, Ordering::AcqRel);
        self.memory.remove(key);
        match told {
            Ok(()) => Removed::Everywhere,
            Err(true) => Removed::Pending,
            Err(false) => Removed::MemoryOnly,
        }
    }

    /// What the cache holds and how it is doing.
    #[must_use]
    pub fn status(&self) -> CacheStatus {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheStatus {
            memory: self.memory.status(),
            redis: self.redis.as_ref().map(RedisTier::status),
            hits: count(&self.counts.hits),
            misses: count(&self.counts.misses),
            kept: count(&self.counts.kept),
            refused: count(&self.counts.refused),
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("redis", &self.redis.is_some()).finish_non_exhaustive()
    }
}
