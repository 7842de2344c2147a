//! Without Redis.

use std::time::Duration;

use breakwater_cache::{Cache, CacheConfig, CacheEntry, Freshness, Put, RedisConfig, Removed, Tier, Windows};
use breakwater_core::Failure;
use bytes::Bytes;

use crate::support::{NOW, entry, key, look, start};

#[tokio::test]
async fn an_entry_is_served_fresh_then_stale_then_not_at_all() {
    let (cache, seen, clock) = start(CacheConfig::default()).await;
    assert_eq!(cache.put(&key("a"), entry("one", NOW)).await, Put::Kept);
    let mut found = Vec::new();
    for seconds in [0, 59, 60, 179, 180, 359, 360] {
        clock.set(NOW + seconds * 1_000);
        found.push(cache.get(&key("a")).await.map(|found| (found.age.as_secs(), found.freshness)));
    }
    use Freshness::{Fresh, IfError, Revalidate};
    let expected = [(0, Fresh), (59, Fresh), (60, Revalidate), (179, Revalidate), (180, IfError), (359, IfError)];
    assert_eq!(found, expected.map(Some).into_iter().chain([None]).collect::<Vec<_>>());
    let status = cache.status();
    assert_eq!((status.hits, status.misses, status.kept, status.refused), (6, 1, 1, 0));
    assert_eq!(status.redis, None);
    assert_eq!(
        seen.lookups.lock().unwrap()[2..],
        [
            Some((Tier::Memory, Revalidate)),
            Some((Tier::Memory, Revalidate)),
            Some((Tier::Memory, IfError)),
            Some((Tier::Memory, IfError)),
            None
        ]
    );
}

#[tokio::test]
async fn what_is_too_large_or_useless_is_not_kept() {
    let (cache, seen, clock) = start(CacheConfig { max_entry_bytes: 100, ..CacheConfig::default() }).await;
    let windows = Windows { fresh: Duration::from_secs(1), ..Windows::default() };
    let sized = |bytes: usize, revision: usize| CacheEntry::new(vec![7; bytes], "r".repeat(revision), NOW, windows);
    assert_eq!(cache.put(&key("fits"), sized(99, 1)).await, Put::Kept);
    assert_eq!(cache.put(&key("over"), sized(100, 1)).await, Put::TooLarge);
    assert_eq!(cache.put(&key("useless"), CacheEntry::new("x", "r", NOW, Windows::default())).await, Put::Expired);
    clock.set(NOW + 1_000);
    assert_eq!(cache.put(&key("late"), sized(1, 1)).await, Put::Expired);
    assert_eq!(*seen.puts.lock().unwrap(), [Put::Kept, Put::TooLarge, Put::Expired, Put::Expired]);
    assert_eq!((cache.status().kept, cache.status().refused, cache.status().memory.entries), (1, 3, 1));
    let (cache, ..) = start(CacheConfig::default()).await;
    assert_eq!(cache.put(&key("longest"), sized(1, 128)).await, Put::Kept);
    assert_eq!(cache.put(&key("longer"), sized(1, 129)).await, Put::TooLarge);
}

#[tokio::test]
async fn a_small_part_of_a_large_buffer_does_not_keep_the_buffer() {
    let (cache, ..) = start(CacheConfig::default()).await;
    let buffer = Bytes::from(vec![7; 1 << 20]);
    let windows = Windows { fresh: Duration::from_secs(1), ..Windows::default() };
    cache.put(&key("a"), CacheEntry::new(buffer.slice(..10), "r", NOW, windows)).await;
    assert!(buffer.is_unique());
}

#[tokio::test]
async fn a_removed_entry_is_gone_and_a_later_one_replaces_an_earlier() {
    let (cache, ..) = start(CacheConfig::default()).await;
    cache.put(&key("a"), entry("one", NOW)).await;
    cache.put(&key("a"), entry("two", NOW)).await;
    assert_eq!(look(&cache, "a").await, Some(("two".into(), Tier::Memory)));
    assert_eq!(cache.remove(&key("a")).await, Removed::Everywhere);
    assert_eq!(look(&cache, "a").await, None);
    assert_eq!(cache.remove(&key("a")).await, Removed::Everywhere);
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused_without_showing_the_address() {
    for url in ["", "localhost", "http://user:secret@host", "rediss://user:secret@host", "redis://host:notaport"] {
        let config = CacheConfig { redis: Some(RedisConfig::new(url)), ..CacheConfig::default() };
        let failure = Failure::from(Cache::start(config).await.unwrap_err());
        assert_eq!(failure.code, "cache.config-invalid", "{url}");
        assert!(failure.to_string().contains("redis.url") && !failure.chain().contains("secret"), "{failure}");
    }
}
