//! Many ask for one answer at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use breakwater_cache::{Cache, CacheConfig, FlightConfig, FlightError, Freshness, SingleFlight};
use breakwater_core::Deadline;
use bytes::Bytes;

use crate::redis_server::RedisServer;
use crate::support::{NOW, entry, key, redis, start, with};

#[derive(Clone)]
struct Service {
    cache: Arc<Cache>,
    flights: Arc<SingleFlight<Bytes>>,
    calls: Arc<AtomicUsize>,
}

impl Service {
    async fn fresh(&self) -> Option<Bytes> {
        let found = self.cache.get(&key("answer")).await?;
        (found.under("r1") == Some(Freshness::Fresh)).then_some(found.entry.bytes)
    }

    async fn answer(&self) -> Result<Bytes, FlightError> {
        if let Some(bytes) = self.fresh().await {
            return Ok(bytes);
        }
        let service = self.clone();
        let work = move || async move {
            if let Some(bytes) = service.fresh().await {
                return bytes;
            }
            service.calls.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            let made = entry("made", NOW);
            service.cache.put(&key("answer"), made.clone()).await;
            made.bytes
        };
        Ok(self.flights.run(key("answer"), Deadline::after(Duration::from_secs(30)), work).await?.value)
    }
}

async fn storm(config: CacheConfig) {
    let (cache, ..) = start(config).await;
    let service = Service { cache, flights: Arc::new(SingleFlight::new(FlightConfig::default())), calls: Arc::default() };
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let service = service.clone();
        callers.spawn(async move { service.answer().await });
    }
    assert!(callers.join_all().await.iter().all(|answer| answer.as_deref() == Ok(b"made")));
    assert_eq!(service.calls.load(Ordering::SeqCst), 1);
    assert_eq!(service.flights.in_flight(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_at_once_are_one_call() {
    storm(CacheConfig::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_at_once_are_one_call_with_redis_in_the_way() {
    let Some(server) = RedisServer::start() else { return };
    storm(with(redis(server.url()))).await;
}
