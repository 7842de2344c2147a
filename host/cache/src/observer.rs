//! What a cache tells to logs and metrics.

use serde::Serialize;

use crate::cache::Put;
use crate::entry::{Freshness, Tier};

/// Told what happens in a cache. Called on the task that caused it, outside of every lock; it must not block.
pub trait CacheObserver: Send + Sync + 'static {
    /// A lookup ended: what was found where, or nothing.
    fn looked_up(&self, found: Option<(Tier, Freshness)>) {
        let _ = found;
    }

    /// An entry was offered and, unless it is [`Put::Kept`], refused.
    fn put(&self, outcome: Put) {
        let _ = outcome;
    }

    /// One request to Redis failed.
    fn redis_failed(&self, operation: RedisOperation, fault: RedisFault) {
        let _ = (operation, fault);
    }

    /// Redis went away or came back.
    fn redis_changed(&self, change: RedisChange) {
        let _ = change;
    }
}

pub(crate) struct Unobserved;

impl CacheObserver for Unobserved {}

/// What was asked of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RedisOperation {
    /// A lookup.
    Get,
    /// Keeping an entry.
    Put,
    /// Removing an entry.
    Remove,
    /// Looking whether it is back, or at the start whether it is there.
    Probe,
}

impl RedisOperation {
    /// As logs and metrics write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Remove => "remove",
            Self::Probe => "probe",
        }
    }
}

/// How Redis failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisFault {
    /// It could not be reached, or the connection broke.
    Connection,
    /// It did not answer in time.
    Timeout,
    /// It did not let us in.
    Authentication,
    /// It answered with an error: still loading, out of memory, read only.
    Refused,
    /// What it answered is no answer to the question.
    Protocol,
}

impl RedisFault {
    /// As logs and metrics write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Authentication => "authentication",
            Self::Refused => "refused",
            Self::Protocol => "protocol",
        }
    }
}

/// Redis went away or came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisChange {
    /// It failed several times in a row, or was not there at the start; memory goes on alone. Holds the last fault.
    Away(RedisFault),
    /// It answers again, or was there at the start.
    Back,
}
