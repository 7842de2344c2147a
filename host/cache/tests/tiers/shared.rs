//! Two processes that share a Redis.

use std::time::Duration;

use breakwater_cache::{CacheConfig, CacheEntry, CacheKey, Freshness, Put, RedisChange, RedisConfig, Removed, Tier, Windows};
use redis::Commands;

use crate::redis_server::RedisServer;
use crate::support::{NOW, available, entry, key, look, redis as config, start, with};

fn name(key: &CacheKey) -> String {
    format!("breakwater:cache:{key}")
}

fn client(server: &RedisServer) -> redis::Connection {
    redis::Client::open(server.url()).unwrap().get_connection().unwrap()
}

#[tokio::test]
async fn what_one_process_keeps_another_finds() {
    let Some(server) = RedisServer::start() else { return };
    let (one, seen, _) = start(with(config(server.url()))).await;
    let (other, _, clock) = start(with(config(server.url()))).await;
    assert_eq!(*seen.changes.lock().unwrap(), [RedisChange::Back]);
    let kept = CacheEntry { revision: "«r»\n\"1\"".into(), ..entry("one", NOW) };
    one.put(&key("a"), kept.clone()).await;
    let found = other.get(&key("a")).await.unwrap();
    assert_eq!((found.tier, &found.entry), (Tier::Redis, &kept));
    // From then on it is in the other's memory as well.
    assert_eq!(look(&other, "a").await, Some(("one".into(), Tier::Memory)));
    clock.set(NOW + 200_000);
    assert_eq!(other.get(&key("a")).await.unwrap().freshness, Freshness::IfError);
    clock.set(NOW + 360_000);
    assert_eq!(other.get(&key("a")).await, None);
    assert_eq!(look(&other, "b").await, None);
}

#[tokio::test]
async fn redis_forgets_an_entry_when_it_is_of_no_use_any_more() {
    let Some(server) = RedisServer::start() else { return };
    let (cache, ..) = start(with(config(server.url()))).await;
    cache.put(&key("a"), entry("one", NOW - 10_000)).await;
    // Fresh for 60 s and good for errors for 300 s more, 10 s of which have passed.
    let rest: i64 = client(&server).pttl(name(&key("a"))).unwrap();
    assert!((320_000..=350_000).contains(&rest), "{rest}");
    let forever = Windows { fresh: Duration::MAX, ..Windows::default() };
    assert_eq!(cache.put(&key("b"), CacheEntry::new("x", "r", NOW, forever)).await, Put::Kept);
    let rest: i64 = client(&server).pttl(name(&key("b"))).unwrap();
    assert!(rest > 399 * 86_400_000, "{rest}");
}

#[tokio::test]
async fn a_newer_entry_in_redis_takes_the_place_of_a_stale_one_in_memory() {
    let Some(server) = RedisServer::start() else { return };
    let (one, _, clock_one) = start(with(config(server.url()))).await;
    let (other, _, clock_other) = start(with(config(server.url()))).await;
    one.put(&key("a"), entry("old", NOW)).await;
    assert_eq!(look(&other, "a").await, Some(("old".into(), Tier::Redis)));
    clock_one.set(NOW + 61_000);
    clock_other.set(NOW + 61_000);
    // Nobody has a newer one: memory's is as good.
    assert_eq!(look(&one, "a").await, Some(("old".into(), Tier::Memory)));
    other.put(&key("a"), entry("new", NOW + 61_000)).await;
    assert_eq!(look(&one, "a").await, Some(("new".into(), Tier::Redis)));
    assert_eq!(look(&one, "a").await, Some(("new".into(), Tier::Memory)));
}

#[tokio::test]
async fn what_cannot_be_read_is_a_miss_and_no_fault() {
    let Some(server) = RedisServer::start() else { return };
    let (writer, ..) = start(with(config(server.url()))).await;
    let (cache, seen, _) = start(with(config(server.url()))).await;
    let mut client = client(&server);
    writer.put(&key("a"), entry("one", NOW)).await;
    writer.put(&key("other"), entry("of another", NOW)).await;
    let whole: Vec<u8> = client.get(name(&key("a"))).unwrap();
    let other: Vec<u8> = client.get(name(&key("other"))).unwrap();
    let changed = |at: usize, to: u8| {
        let mut bytes = whole.clone();
        bytes[at] = to;
        bytes
    };
    let damaged = [
        changed(0, 2),
        changed(0, 0),
        changed(1, whole[1] ^ 1),
        changed(whole.len() - 1, b'x'),
        whole[..whole.len() - 1].to_vec(),
        [whole.as_slice(), b"x"].concat(),
        Vec::new(),
        b"{}".to_vec(),
        vec![1; 50_000_000],
        other,
    ];
    for value in damaged {
        let _: () = client.set(name(&key("a")), &value).unwrap();
        assert_eq!(look(&cache, "a").await, None, "{} bytes", value.len());
    }
    let _: () = client.del(name(&key("a"))).unwrap();
    let _: () = client.rpush(name(&key("a")), "a list").unwrap();
    assert_eq!(look(&cache, "a").await, None);
    let _: () = client.set(name(&key("a")), whole).unwrap();
    assert_eq!(look(&cache, "a").await, Some(("one".into(), Tier::Redis)));
    assert!(available(&cache));
    assert_eq!(seen.call_faults(), 0);
}

#[tokio::test]
async fn the_largest_entry_goes_through_redis_and_a_larger_one_to_no_tier() {
    let Some(server) = RedisServer::start() else { return };
    let (one, ..) = start(with(config(server.url()))).await;
    let (other, ..) = start(with(config(server.url()))).await;
    // Sizes count the revision, which has two bytes; 10 000 is the limit of these caches.
    let largest = "x".repeat(9_998);
    assert_eq!(one.put(&key("a"), entry(&largest, NOW)).await, Put::Kept);
    assert_eq!(look(&other, "a").await, Some((largest, Tier::Redis)));
    assert_eq!(one.put(&key("b"), entry(&"x".repeat(9_999), NOW)).await, Put::TooLarge);
    assert!(!client(&server).exists::<_, bool>(name(&key("b"))).unwrap());
    // One that a process with a higher limit kept.
    let (generous, ..) = start(CacheConfig { max_entry_bytes: 20_000, ..with(config(server.url())) }).await;
    assert_eq!(generous.put(&key("b"), entry(&"x".repeat(9_999), NOW)).await, Put::Kept);
    assert_eq!(look(&other, "b").await, None);
}

#[tokio::test]
async fn a_removal_reaches_redis_and_prefixes_keep_caches_apart() {
    let Some(server) = RedisServer::start() else { return };
    let (one, ..) = start(with(config(server.url()))).await;
    let (late, ..) = start(with(config(server.url()))).await;
    let (apart, ..) = start(with(RedisConfig { prefix: "else:".into(), ..config(server.url()) })).await;
    one.put(&key("a"), entry("one", NOW)).await;
    assert_eq!(look(&apart, "a").await, None);
    assert_eq!(one.remove(&key("a")).await, Removed::Everywhere);
    assert_eq!(look(&one, "a").await, None);
    assert_eq!(look(&late, "a").await, None);
}
