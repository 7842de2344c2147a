//! Redis goes away and comes back.

use std::pin::pin;
use std::time::{Duration, Instant};

use breakwater_cache::{CacheConfig, MAX_PENDING_REMOVALS, RedisChange, RedisConfig, RedisFault, RedisOperation, Removed, Tier};
use futures_util::poll;

use crate::redis_server::{RedisServer, free_port};
use crate::support::{NOW, available, entry, eventually, key, look, redis, start, with};

#[tokio::test]
async fn killed_and_restarted_it_degrades_to_memory_and_recovers_by_itself() {
    let Some(mut server) = RedisServer::start() else { return };
    let (cache, seen, _) = start(with(redis(server.url()))).await;
    let (other, ..) = start(with(redis(server.url()))).await;
    cache.put(&key("a"), entry("one", NOW)).await;
    server.kill();
    // Misses in memory ask Redis until it has failed three times.
    for n in 0..10 {
        assert_eq!(look(&cache, &format!("miss {n}")).await, None);
    }
    assert!(!available(&cache));
    assert_eq!(seen.call_faults(), 3, "{:?}", seen.faults);
    // Memory goes on alone.
    assert_eq!(look(&cache, "a").await, Some(("one".into(), Tier::Memory)));
    cache.put(&key("b"), entry("two", NOW)).await;
    assert_eq!(look(&cache, "b").await, Some(("two".into(), Tier::Memory)));
    assert_eq!(seen.call_faults(), 3);
    server.restart();
    eventually("Redis is back", async || available(&cache)).await;
    cache.put(&key("c"), entry("three", NOW)).await;
    eventually("the other process is back too", async || {
        other.remove(&key("x")).await;
        available(&other) && look(&other, "c").await.is_some()
    })
    .await;
    assert_eq!(*seen.changes.lock().unwrap(), [RedisChange::Back, RedisChange::Away(RedisFault::Connection), RedisChange::Back]);
    let status = cache.status().redis.unwrap();
    assert_eq!((status.consecutive_failures, status.last_fault), (0, Some(RedisFault::Connection)));
}

#[tokio::test]
async fn a_restart_that_nobody_notices_costs_nothing() {
    let Some(mut server) = RedisServer::start() else { return };
    let (cache, seen, _) = start(with(redis(server.url()))).await;
    for _ in 0..3 {
        server.kill();
        server.restart();
        // The connection had broken meanwhile; it is made again within the same lookup.
        assert_eq!(look(&cache, "a").await, None);
    }
    assert!(available(&cache));
    assert_eq!((seen.call_faults(), seen.changes.lock().unwrap().len()), (0, 1));
}

#[tokio::test]
async fn while_it_hangs_a_few_calls_wait_for_the_timeout_and_the_others_not_at_all() {
    let Some(server) = RedisServer::start() else { return };
    let timeout = Duration::from_millis(200);
    let (cache, seen, _) = start(with(RedisConfig { timeout, ..redis(server.url()) })).await;
    server.freeze();
    let started = Instant::now();
    let mut lookups = 0;
    while available(&cache) {
        assert_eq!(look(&cache, "a").await, None);
        lookups += 1;
    }
    assert_eq!(lookups, 3);
    assert!(started.elapsed() >= timeout * 3);
    for n in 0..1_000 {
        assert_eq!(look(&cache, &n.to_string()).await, None);
    }
    let faults = seen.faults.lock().unwrap().clone();
    let calls: Vec<_> = faults.iter().filter(|(operation, _)| *operation != RedisOperation::Probe).collect();
    assert_eq!(calls, [&(RedisOperation::Get, RedisFault::Timeout); 3]);
    server.thaw();
    eventually("Redis is back", async || available(&cache)).await;
}

#[tokio::test]
async fn calls_that_hang_together_are_one_change_of_state() {
    let Some(server) = RedisServer::start() else { return };
    let (cache, seen, _) = start(with(RedisConfig { timeout: Duration::from_millis(200), ..redis(server.url()) })).await;
    server.freeze();
    let lookups = (0..200).map(|n| {
        let cache = cache.clone();
        async move { look(&cache, &n.to_string()).await }
    });
    assert!(futures_util::future::join_all(lookups).await.iter().all(Option::is_none));
    assert_eq!(*seen.changes.lock().unwrap(), [RedisChange::Back, RedisChange::Away(RedisFault::Timeout)]);
    server.thaw();
    eventually("Redis is back", async || available(&cache)).await;
    assert_eq!(seen.changes.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn what_was_removed_while_it_was_away_does_not_come_back_with_it() {
    let Some(server) = RedisServer::start() else { return };
    let (cache, ..) = start(with(RedisConfig { timeout: Duration::from_millis(200), ..redis(server.url()) })).await;
    let (other, ..) = start(with(redis(server.url()))).await;
    for name in ["removed", "kept"] {
        cache.put(&key(name), entry(name, NOW)).await;
    }
    server.freeze();
    while available(&cache) {
        look(&cache, "miss").await;
    }
    assert_eq!(cache.remove(&key("removed")).await, Removed::Pending);
    assert_eq!(cache.remove(&key("removed")).await, Removed::Pending);
    assert_eq!(cache.status().redis.unwrap().pending_removals, 1);
    server.thaw();
    eventually("Redis is back", async || available(&cache)).await;
    assert_eq!(cache.status().redis.unwrap().pending_removals, 0);
    assert_eq!(look(&cache, "removed").await, None);
    assert_eq!(look(&other, "removed").await, None);
    assert_eq!(look(&other, "kept").await, Some(("kept".into(), Tier::Redis)));
}

#[tokio::test]
async fn a_removal_that_failed_is_told_later_and_hides_the_entry_until_then() {
    let Some(server) = RedisServer::start() else { return };
    let (cache, ..) = start(with(RedisConfig { probe_interval: Duration::from_secs(1), ..redis(server.url()) })).await;
    let (other, ..) = start(with(redis(server.url()))).await;
    let allow = |rule: &str| {
        let mut client = ::redis::Client::open(server.url()).unwrap().get_connection().unwrap();
        let _: () = ::redis::cmd("ACL").arg("SETUSER").arg("default").arg(rule).query(&mut client).unwrap();
    };
    other.put(&key("a"), entry("one", NOW)).await;
    allow("-unlink");
    assert_eq!(cache.remove(&key("a")).await, Removed::Pending);
    // Redis still has it, and is asked for other entries.
    assert_eq!((look(&cache, "a").await, available(&cache)), (None, true));
    // Keeping an entry under the key makes the removal pointless.
    assert_eq!(cache.remove(&key("b")).await, Removed::Pending);
    cache.put(&key("b"), entry("two", NOW)).await;
    assert_eq!(cache.status().redis.unwrap().pending_removals, 1);
    allow("+unlink");
    eventually("Redis was told", async || cache.status().redis.unwrap().pending_removals == 0 && available(&cache)).await;
    assert_eq!(look(&cache, "a").await, None);
    assert_eq!(look(&other, "b").await, Some(("two".into(), Tier::Redis)));
}

#[tokio::test]
async fn what_was_read_before_a_removal_does_not_stay_in_memory_after_it() {
    let Some(server) = RedisServer::start() else { return };
    let (cache, ..) = start(with(redis(server.url()))).await;
    let (other, ..) = start(with(redis(server.url()))).await;
    other.put(&key("a"), entry("one", NOW)).await;
    server.freeze();
    let wanted = key("a");
    let (mut lookup, mut removal) = (pin!(cache.get(&wanted)), pin!(cache.remove(&wanted)));
    assert!(poll!(&mut lookup).is_pending() && poll!(&mut removal).is_pending());
    server.thaw();
    assert_eq!(removal.await, Removed::Everywhere);
    // Redis answered this one first, with the entry it still had.
    assert_eq!(lookup.await.unwrap().tier, Tier::Redis);
    assert_eq!(look(&cache, "a").await, None);
}

#[tokio::test]
async fn so_many_removals_are_remembered_and_no_more() {
    let nobody = format!("redis://127.0.0.1:{}", free_port());
    let (cache, ..) = start(with(RedisConfig { probe_interval: Duration::from_secs(60), ..redis(nobody) })).await;
    for n in 0..MAX_PENDING_REMOVALS {
        assert_eq!(cache.remove(&key(&n.to_string())).await, Removed::Pending);
    }
    assert_eq!(cache.remove(&key("over")).await, Removed::MemoryOnly);
    assert_eq!(cache.remove(&key("0")).await, Removed::Pending);
    assert_eq!(cache.status().redis.unwrap().pending_removals, 4096);
}

#[tokio::test]
async fn a_redis_that_is_not_there_at_the_start_is_found_when_it_comes() {
    let Some(mut server) = RedisServer::start() else { return };
    server.kill();
    let (cache, seen, _) = start(with(redis(server.url()))).await;
    assert_eq!(*seen.changes.lock().unwrap(), [RedisChange::Away(RedisFault::Connection)]);
    cache.put(&key("a"), entry("one", NOW)).await;
    assert_eq!(look(&cache, "a").await, Some(("one".into(), Tier::Memory)));
    eventually("it was looked for", async || seen.faults.lock().unwrap().len() >= 3).await;
    server.restart();
    eventually("Redis is there", async || available(&cache)).await;
    assert_eq!(seen.call_faults(), 0);
    assert_eq!(*seen.changes.lock().unwrap(), [RedisChange::Away(RedisFault::Connection), RedisChange::Back]);
}

#[tokio::test]
async fn a_wrong_password_is_told_apart_and_the_right_one_works() {
    let Some(server) = RedisServer::start_with(&["--requirepass", "right"]) else { return };
    let at = |password: &str| format!("redis://{password}127.0.0.1:{}", server.port);
    for password in ["", ":wrong@"] {
        let (cache, seen, _) = start(with(redis(at(password)))).await;
        assert_eq!(*seen.changes.lock().unwrap(), [RedisChange::Away(RedisFault::Authentication)], "{password:?}");
        assert_eq!(look(&cache, "a").await, None);
    }
    let (cache, ..) = start(with(redis(at(":right@")))).await;
    assert!(available(&cache));
}

#[tokio::test]
async fn a_full_redis_refuses_entries_and_goes_on_answering() {
    let Some(server) = RedisServer::start_with(&["--maxmemory", "1"]) else { return };
    let (cache, seen, _) = start(with(redis(server.url()))).await;
    for n in 0..10 {
        assert_eq!(look(&cache, &n.to_string()).await, None);
        cache.put(&key(&n.to_string()), entry("one", NOW)).await;
        assert_eq!(look(&cache, &n.to_string()).await, Some(("one".into(), Tier::Memory)));
    }
    assert_eq!(*seen.faults.lock().unwrap(), [(RedisOperation::Put, RedisFault::Refused); 10]);
    assert!(available(&cache));
}

#[tokio::test]
async fn without_memory_redis_alone_is_a_cache() {
    let Some(server) = RedisServer::start() else { return };
    let (cache, ..) = start(CacheConfig { memory_bytes: 0, ..with(redis(server.url())) }).await;
    cache.put(&key("a"), entry("one", NOW)).await;
    for _ in 0..2 {
        assert_eq!(look(&cache, "a").await, Some(("one".into(), Tier::Redis)));
    }
}

#[tokio::test]
async fn the_probe_ends_with_the_cache() {
    let nobody = format!("redis://127.0.0.1:{}", free_port());
    let (cache, seen, _) = start(with(redis(nobody))).await;
    eventually("it was looked for", async || !seen.faults.lock().unwrap().is_empty()).await;
    drop(cache);
    eventually("nobody holds the observer any more", async || std::sync::Arc::strong_count(&seen) == 1).await;
}
