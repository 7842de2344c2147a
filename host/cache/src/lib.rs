//! Answers kept for later: in memory, then in Redis; and single flight, so that many who ask at once cause one call.
//!
//! - [`Cache`]: bytes under keys. An entry says until when it is fresh and how much longer it may be served stale.
//! - [`SingleFlight`]: the work for a key runs once, in a task of its own, for everybody who waits for it.
//!
//! Redis being away costs nothing but its hits: after a few failures in a row nobody asks it any more, the memory goes on alone, and
//! the task `cache-redis-probe` looks for it in the background until it is back.
//!
//! The two together, as a read uses them. Whoever starts a flight looks again first: the entry may have come in between.
//!
//! ```
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! # use breakwater_cache::{Cache, CacheConfig, CacheEntry, CacheKey, Clock, FlightConfig, FlightError, Freshness, SingleFlight, Windows};
//! # use breakwater_core::Deadline;
//! # use bytes::Bytes;
//! # async fn call_the_provider() -> Bytes { Bytes::from_static(b"answer") }
//! async fn answer(cache: Arc<Cache>, flights: &SingleFlight<Bytes>, input: &str, deadline: Deadline) -> Result<Bytes, FlightError> {
//!     let revision = "chain-7";
//!     let key = CacheKey::of([b"summarise", input.as_bytes()]);
//!     let fresh = move |cache: Arc<Cache>| async move {
//!         let found = cache.get(&key).await?;
//!         (found.under(revision) == Some(Freshness::Fresh)).then_some(found.entry.bytes)
//!     };
//!     if let Some(bytes) = fresh(cache.clone()).await {
//!         return Ok(bytes);
//!     }
//!     let work = move || async move {
//!         if let Some(bytes) = fresh(cache.clone()).await {
//!             return bytes;
//!         }
//!         let bytes = call_the_provider().await;
//!         let windows = Windows { fresh: Duration::from_secs(60), ..Windows::default() };
//!         cache.put(&key, CacheEntry::new(bytes.clone(), revision, cache.now_ms(), windows)).await;
//!         bytes
//!     };
//!     Ok(flights.run(key, deadline, work).await?.value)
//! }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # let cache = Cache::start(CacheConfig::default()).await.unwrap();
//! # let flights = SingleFlight::new(FlightConfig::default());
//! # assert_eq!(answer(cache, &flights, "text", Deadline::after(Duration::from_secs(5))).await.unwrap(), "answer");
//! # });
//! ```

#![forbid(unsafe_code)]

mod cache;
mod clock;
mod config;
mod entry;
mod envelope;
mod key;
mod memory;
mod observer;
mod redis_tier;
mod single_flight;

pub use cache::{Cache, CacheStatus, Put, Removed};
pub use clock::Clock;
pub use config::{CacheConfig, InvalidCacheConfig, RedisConfig};
pub use entry::{CacheEntry, Freshness, Lookup, Tier, Windows};
pub use key::CacheKey;
pub use memory::MemoryStatus;
pub use observer::{CacheObserver, RedisChange, RedisFault, RedisOperation};
pub use redis_tier::{MAX_PENDING_REMOVALS, RedisStatus};
pub use single_flight::{FlightConfig, FlightError, Landed, SingleFlight};
