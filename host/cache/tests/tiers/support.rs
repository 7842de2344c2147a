//! What the tests share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use breakwater_cache::{
    Cache, CacheConfig, CacheEntry, CacheKey, CacheObserver, Clock, Freshness, Put, RedisChange, RedisConfig, RedisFault, RedisOperation,
    Tier, Windows,
};

/// Remembers what a cache told.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) changes: Mutex<Vec<RedisChange>>,
    pub(crate) faults: Mutex<Vec<(RedisOperation, RedisFault)>>,
    pub(crate) lookups: Mutex<Vec<Option<(Tier, Freshness)>>>,
    pub(crate) puts: Mutex<Vec<Put>>,
}

impl CacheObserver for Seen {
    fn looked_up(&self, found: Option<(Tier, Freshness)>) {
        self.lookups.lock().unwrap().push(found);
    }

    fn put(&self, outcome: Put) {
        self.puts.lock().unwrap().push(outcome);
    }

    fn redis_failed(&self, operation: RedisOperation, fault: RedisFault) {
        self.faults.lock().unwrap().push((operation, fault));
    }

    fn redis_changed(&self, change: RedisChange) {
        self.changes.lock().unwrap().push(change);
    }
}

impl Seen {
    /// Faults of calls; those of the probe come at any time.
    pub(crate) fn call_faults(&self) -> usize {
        self.faults.lock().unwrap().iter().filter(|(operation, _)| *operation != RedisOperation::Probe).count()
    }
}

/// A clock that a test sets.
#[derive(Clone)]
pub(crate) struct SetClock(Arc<AtomicU64>);

impl SetClock {
    pub(crate) fn at(now_ms: u64) -> Self {
        Self(Arc::new(AtomicU64::new(now_ms)))
    }

    pub(crate) fn set(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let now = self.0.clone();
        Clock::of(move || now.load(Ordering::SeqCst))
    }
}

pub(crate) const NOW: u64 = 1_760_000_000_000;

pub(crate) fn key(text: &str) -> CacheKey {
    CacheKey::of([text.as_bytes()])
}

/// Fresh for a minute, then stale for two, then good for errors for three more.
pub(crate) fn entry(text: &str, now_ms: u64) -> CacheEntry {
    let windows = Windows {
        fresh: Duration::from_secs(60),
        stale_while_revalidate: Duration::from_secs(120),
        stale_if_error: Duration::from_secs(300),
    };
    CacheEntry::new(text.as_bytes().to_vec(), "r1", now_ms, windows)
}

/// Patient, so that a busy machine is not taken for a Redis that is away; quick to look for one that is.
pub(crate) fn redis(url: String) -> RedisConfig {
    RedisConfig { timeout: Duration::from_secs(5), probe_interval: Duration::from_millis(20), ..RedisConfig::new(url) }
}

pub(crate) fn with(redis: RedisConfig) -> CacheConfig {
    CacheConfig { memory_bytes: 1 << 20, max_entry_bytes: 10_000, redis: Some(redis) }
}

pub(crate) async fn start(config: CacheConfig) -> (Arc<Cache>, Arc<Seen>, SetClock) {
    let (seen, clock) = (Arc::new(Seen::default()), SetClock::at(NOW));
    let cache = Cache::start_observed(config, seen.clone(), clock.clock()).await.unwrap();
    (cache, seen, clock)
}

/// Text of the entry and where it was found.
pub(crate) async fn look(cache: &Cache, name: &str) -> Option<(String, Tier)> {
    let found = cache.get(&key(name)).await?;
    Some((String::from_utf8(found.entry.bytes.to_vec()).unwrap(), found.tier))
}

pub(crate) fn available(cache: &Cache) -> bool {
    cache.status().redis.unwrap().available
}

/// Looks until it is so.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < Duration::from_secs(30), "still not: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
