//! How a cache is set up.

use std::fmt;
use std::time::Duration;

use breakwater_core::Failure;

/// How a cache is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// The most that the memory tier holds, in bytes, keys and bookkeeping included. 0 keeps nothing in memory. Default 64 MiB.
    pub memory_bytes: u64,
    /// The largest entry that is kept, in bytes; a larger one is not kept at all. 1 to [`Self::MAX_ENTRY_BYTES`]. Default 1 MiB.
    pub max_entry_bytes: usize,
    /// The second tier.
    pub redis: Option<RedisConfig>,
}

impl CacheConfig {
    /// The most that `max_entry_bytes` may be: 64 MiB.
    pub const MAX_ENTRY_BYTES: usize = 64 << 20;
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { memory_bytes: 64 << 20, max_entry_bytes: 1 << 20, redis: None }
    }
}

/// How Redis is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisConfig {
    /// `redis://[user[:password]@]host[:port][/database]`, or `unix:///path`. Without TLS: Redis belongs on a private network.
    pub url: String,
    /// What the name of every key begins with: 1 to 64 printable ASCII characters. Default `breakwater:cache:`.
    pub prefix: String,
    /// How long a lookup or a change waits for Redis at most: 1 ms to 10 s. Default 100 ms.
    pub timeout: Duration,
    /// How long to wait before looking again for a Redis that is away: 10 ms to 60 s. Default 1 s.
    pub probe_interval: Duration,
}

impl RedisConfig {
    /// The default for a Redis at `url`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: "breakwater:cache:".to_owned(),
            timeout: Duration::from_millis(100),
            probe_interval: Duration::from_secs(1),
        }
    }
}

/// Without the address, which may hold a password.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, prefix, timeout, probe_interval } = self;
        f.debug_struct("RedisConfig")
            .field("prefix", prefix)
            .field("timeout", timeout)
            .field("probe_interval", probe_interval)
            .finish_non_exhaustive()
    }
}

/// A configuration no cache can be set up with. Says which key is wrong and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cache: `{key}` {problem}")]
pub struct InvalidCacheConfig {
    /// The key, such as `redis.url`.
    pub key: &'static str,
    /// What is wrong with it. Never holds the value.
    pub problem: String,
}

impl InvalidCacheConfig {
    /// The stable code of this error.
    pub const CODE: &str = "cache.config-invalid";
}

impl From<InvalidCacheConfig> for Failure {
    fn from(error: InvalidCacheConfig) -> Self {
        Self::invalid(InvalidCacheConfig::CODE, error.to_string())
    }
}

impl CacheConfig {
    /// Checks ranges. The address is checked where the client is made.
    pub(crate) fn validate(&self) -> Result<(), InvalidCacheConfig> {
        let invalid = |key, problem: &str| Err(InvalidCacheConfig { key, problem: problem.to_owned() });
        if !(1..=Self::MAX_ENTRY_BYTES).contains(&self.max_entry_bytes) {
            return invalid("max_entry_bytes", "must be from 1 byte to 64 MiB");
        }
        let Some(redis) = &self.redis else { return Ok(()) };
        if !(1..=64).contains(&redis.prefix.len()) || !redis.prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            return invalid("redis.prefix", "must be 1 to 64 printable ASCII characters without spaces");
        }
        if !(Duration::from_millis(1)..=Duration::from_secs(10)).contains(&redis.timeout) {
            return invalid("redis.timeout", "must be from 1 ms to 10 s");
        }
        if !(Duration::from_millis(10)..=Duration::from_secs(60)).contains(&redis.probe_interval) {
            return invalid("redis.probe_interval", "must be from 10 ms to 60 s");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_holds_and_the_value_before_it_passes() {
        let base = || RedisConfig::new("redis://localhost");
        let with = |redis: RedisConfig| CacheConfig { redis: Some(redis), ..CacheConfig::default() };
        let entry = |max_entry_bytes| CacheConfig { max_entry_bytes, ..CacheConfig::default() };
        let timeout = |timeout| with(RedisConfig { timeout, ..base() });
        let probe = |probe_interval| with(RedisConfig { probe_interval, ..base() });
        let prefix = |prefix: &str| with(RedisConfig { prefix: prefix.into(), ..base() });
        let (ms, ns) = (Duration::from_millis, Duration::from_nanos(1));
        let cases = [
            (entry(1), entry(0), "max_entry_bytes"),
            (entry(64 << 20), entry((64 << 20) + 1), "max_entry_bytes"),
            (timeout(ms(1)), timeout(ms(1) - ns), "redis.timeout"),
            (timeout(ms(10_000)), timeout(ms(10_000) + ns), "redis.timeout"),
            (probe(ms(10)), probe(ms(10) - ns), "redis.probe_interval"),
            (probe(ms(60_000)), probe(ms(60_000) + ns), "redis.probe_interval"),
            (prefix("p"), prefix(""), "redis.prefix"),
            (prefix(&"p".repeat(64)), prefix(&"p".repeat(65)), "redis.prefix"),
            (with(base()), prefix("a b"), "redis.prefix"),
        ];
        for (passes, fails, key) in cases {
            assert_eq!(passes.validate(), Ok(()), "{key}");
            assert_eq!(fails.validate().unwrap_err().key, key);
        }
    }

    #[test]
    fn the_address_is_not_shown() {
        assert!(!format!("{:?}", RedisConfig::new("redis://user:secret@host")).contains("secret"));
    }
}
