//! The second tier: entries in Redis, while it is there.
//!
//! It is either **back**, and asked, or **away**, and not asked at all. It goes away after [`FAILURES`] failures in a row; only the
//! task `cache-redis-probe` can bring it back. Entries removed while it is away are remembered, so that they do not come back with it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, ErrorKind, FromRedisValue, RedisError};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::config::{InvalidCacheConfig, RedisConfig};
use crate::entry::CacheEntry;
use crate::envelope;
use crate::key::CacheKey;
use crate::observer::{CacheObserver, RedisChange, RedisFault, RedisOperation};

/// So many failures in a row, and Redis is away.
const FAILURES: u32 = 3;
/// How long making a connection may take. Only the start and the probe wait that long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an entry lives at most: Redis counts in a signed number, and nobody wants an older answer.
const LONGEST_LIFE_MS: u64 = 400 * 86_400_000;
/// The most removals that are remembered while Redis is away.
pub const MAX_PENDING_REMOVALS: usize = 4096;

/// How Redis is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct RedisStatus {
    /// Whether it is asked at all.
    pub available: bool,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Failures in a row since the last success.
    pub consecutive_failures: u32,
    /// The last fault, also if it is long ago.
    pub last_fault: Option<RedisFault>,
    /// Removals it has not been told of yet.
    pub pending_removals: usize,
}

/// A connection that worked when it was made, and what happened on it since.
struct Link {
    connection: ConnectionManager,
    failures: AtomicU32,
}

struct Shared {
    client: Client,
    config: RedisConfig,
    max_entry_bytes: usize,
    observer: Arc<dyn CacheObserver>,
    clock: Clock,
    /// Nothing while Redis is away.
    link: ArcSwapOption<Link>,
    health: Mutex<(u64, Option<RedisFault>)>,
    pending: Mutex<BTreeSet<CacheKey>>,
    wake: Notify,
}

/// Redis, or the memory of one that is away. Dropping it ends its task.
pub(crate) struct RedisTier {
    shared: Arc<Shared>,
    probe: JoinHandle<()>,
}

impl Drop for RedisTier {
    fn drop(&mut self) {
        self.probe.abort();
    }
}

impl RedisTier {
    /// Connects, waiting at most about a second; a Redis that is not there is away, not an error.
    pub(crate) async fn start(
        config: RedisConfig,
        max_entry_bytes: usize,
        observer: Arc<dyn CacheObserver>,
        clock: Clock,
    ) -> Result<Self, InvalidCacheConfig> {
        // The library's own message may repeat the address, which may hold a password.
        let client = Client::open(config.url.as_str()).map_err(|_| InvalidCacheConfig {
            key: "redis.url",
            problem: "must be `redis://[user[:password]@]host[:port][/database]` or `unix:///path`; there is no TLS".to_owned(),
        })?;
        let health = Mutex::new((clock.now_ms(), None));
        let shared = Arc::new(Shared {
            client,
            config,
            max_entry_bytes,
            observer,
            clock,
            link: ArcSwapOption::empty(),
            health,
            pending: Mutex::default(),
            wake: Notify::new(),
        });
        if let Err(fault) = shared.reconnect().await {
            shared.left(fault);
        }
        let probe = tokio::spawn(Arc::clone(&shared).probe());
        Ok(Self { shared, probe })
    }

    pub(crate) async fn get(&self, key: &CacheKey) -> Option<CacheEntry> {
        let shared = &self.shared;
        if shared.pending().contains(key) {
            return None;
        }
        // One byte more than the largest entry: whatever stands under the key, no more than this is read of it.
        let longest = shared.max_entry_bytes.saturating_add(envelope::MAX_OVERHEAD);
        let value: Bytes = shared.ask(RedisOperation::Get, redis::cmd("GETRANGE").arg(shared.name(key)).arg(0).arg(longest)).await?;
        envelope::open(key, &value).filter(|entry| entry.size() <= shared.max_entry_bytes)
    }

    /// Whether Redis has it now.
    pub(crate) async fn put(&self, key: &CacheKey, entry: &CacheEntry) -> bool {
        let shared = &self.shared;
        if shared.link.load().is_none() {
            return false;
        }
        let Ok(value) = envelope::seal(key, entry) else { return false };
        // A duration, not a point in time: the server's clock may differ from ours.
        let life = entry.expires_at_ms().saturating_sub(shared.clock.now_ms()).clamp(1, LONGEST_LIFE_MS);
        let kept: Option<()> = shared.ask(RedisOperation::Put, redis::cmd("PSETEX").arg(shared.name(key)).arg(life).arg(value)).await;
        if kept.is_some() {
            shared.pending().remove(key);
        }
        kept.is_some()
    }

    /// `Ok` if Redis has forgotten it, otherwise whether it will be told later.
    pub(crate) async fn remove(&self, key: &CacheKey) -> Result<(), bool> {
        let shared = &self.shared;
        let removed: Option<u64> = shared.ask(RedisOperation::Remove, redis::cmd("UNLINK").arg(shared.name(key))).await;
        if removed.is_some() {
            return Ok(());
        }
        let mut pending = shared.pending();
        let remembered = pending.contains(key) || (pending.len() < MAX_PENDING_REMOVALS && pending.insert(*key));
        drop(pending);
        shared.wake.notify_one();
        Err(remembered)
    }

    pub(crate) fn status(&self) -> RedisStatus {
        let shared = &self.shared;
        let link = shared.link.load();
        let (since_ms, last_fault) = *shared.health();
        RedisStatus {
            available: link.is_some(),
            since_ms,
            consecutive_failures: link.as_ref().map_or(FAILURES, |link| link.failures.load(Ordering::Relaxed)),
            last_fault,
            pending_removals: shared.pending().len(),
        }
    }
}

impl Shared {
    fn health(&self) -> MutexGuard<'_, (u64, Option<RedisFault>)> {
        // Plain values, assigned at once: a panic elsewhere leaves nothing half done.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, BTreeSet<CacheKey>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self, key: &CacheKey) -> String {
        format!("{}{key}", self.config.prefix)
    }

    /// One request, within the timeout. `None` when Redis is away, or when it failed.
    async fn ask<T: FromRedisValue>(&self, operation: RedisOperation, command: &Cmd) -> Option<T> {
        let link = self.link.load_full()?;
        match timeout(self.config.timeout, query(&link.connection, command)).await {
            Ok(Ok(value)) => {
                link.failures.store(0, Ordering::Relaxed);
                Some(value)
            }
            // It answers well, but somebody keeps something else under the name.
            Ok(Err(error)) if error.code() == Some("WRONGTYPE") => {
                link.failures.store(0, Ordering::Relaxed);
                None
            }
            Ok(Err(error)) => {
                tracing::debug!(operation = operation.name(), %error, "a request to the cache's Redis failed");
                self.failed(&link, operation, fault(&error));
                None
            }
            Err(_) => {
                self.failed(&link, operation, RedisFault::Timeout);
                None
            }
        }
    }

    fn failed(&self, link: &Arc<Link>, operation: RedisOperation, fault: RedisFault) {
        self.health().1 = Some(fault);
        self.observer.redis_failed(operation, fault);
        if link.failures.fetch_add(1, Ordering::Relaxed) + 1 < FAILURES {
            return;
        }
        // Of all who fail on this link only one takes it away, and nobody takes away a later one.
        let before = self.link.compare_and_swap(link, None);
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, link)) {
            self.left(fault);
            self.wake.notify_one();
        }
    }

    fn left(&self, fault: RedisFault) {
        *self.health() = (self.clock.now_ms(), Some(fault));
        tracing::warn!(fault = fault.name(), "the cache's Redis is away; memory goes on alone");
        self.observer.redis_changed(RedisChange::Away(fault));
    }

    /// The task `cache-redis-probe`: sleeps while all is well; looks for a Redis that is away, and tells it what was removed meanwhile,
    /// once per interval until that succeeds. It ends with the cache; what it had not yet told Redis then expires there.
    async fn probe(self: Arc<Self>) {
        loop {
            let idle = self.link.load().is_some() && self.pending().is_empty();
            if idle {
                self.wake.notified().await;
                continue;
            }
            tokio::time::sleep(self.config.probe_interval).await;
            if self.link.load().is_some() {
                self.tell_removals().await;
            } else if let Err(fault) = self.reconnect().await {
                self.health().1 = Some(fault);
                self.observer.redis_failed(RedisOperation::Probe, fault);
            }
        }
    }

    async fn tell_removals(&self) {
        let Some(link) = self.link.load_full() else { return };
        match timeout(CONNECT_TIMEOUT, self.forget(&link.connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.failed(&link, RedisOperation::Remove, fault(&error)),
            Err(_) => self.failed(&link, RedisOperation::Remove, RedisFault::Timeout),
        }
    }

    /// Makes a connection, sees that Redis answers on it, and only then lets others use it.
    async fn reconnect(&self) -> Result<(), RedisFault> {
        let connect = async {
            // A broken connection is made again once, by whoever meets it; trying for longer is the probe's work.
            let config = ConnectionManagerConfig::new()
                .set_number_of_retries(0)
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(None);
            let connection = ConnectionManager::new_with_config(self.client.clone(), config).await?;
            query::<String>(&connection, &redis::cmd("PING")).await?;
            self.forget(&connection).await?;
            Ok(connection)
        };
        let connection = timeout(CONNECT_TIMEOUT, connect).await.map_err(|_| RedisFault::Timeout)?.map_err(|error: RedisError| {
            tracing::debug!(%error, "the cache's Redis does not answer");
            fault(&error)
        })?;
        self.link.store(Some(Arc::new(Link { connection, failures: AtomicU32::new(0) })));
        self.health().0 = self.clock.now_ms();
        tracing::info!("the cache's Redis answers");
        self.observer.redis_changed(RedisChange::Back);
        Ok(())
    }

    /// Tells Redis of the removals it has missed.
    async fn forget(&self, connection: &ConnectionManager) -> Result<(), RedisError> {
        let keys = self.pending().clone();
        if keys.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = keys.iter().map(|key| self.name(key)).collect();
        query::<u64>(connection, redis::cmd("UNLINK").arg(names)).await?;
        self.pending().retain(|key| !keys.contains(key));
        Ok(())
    }
}

/// Asks, and asks again if the connection had broken: it may have done so long ago, unnoticed. Everything asked here may be repeated.
async fn query<T: FromRedisValue>(connection: &ConnectionManager, command: &Cmd) -> Result<T, RedisError> {
    let mut connection = connection.clone();
    match command.query_async(&mut connection).await {
        Err(error) if error.is_connection_dropped() => command.query_async(&mut connection).await,
        outcome => outcome,
    }
}

fn fault(error: &RedisError) -> RedisFault {
    match error.kind() {
        _ if error.is_timeout() => RedisFault::Timeout,
        ErrorKind::Io => RedisFault::Connection,
        ErrorKind::AuthenticationFailed => RedisFault::Authentication,
        _ if matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM")) => RedisFault::Authentication,
        ErrorKind::Server(_) | ErrorKind::Extension => RedisFault::Refused,
        _ => RedisFault::Protocol,
    }
}
