//! What is kept, and for how long it is good.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

/// For how long an answer may be served. An answer is fresh at first; both stale windows begin when it stops being fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Windows {
    /// Served as it is.
    pub fresh: Duration,
    /// Served while somebody fetches a new one.
    pub stale_while_revalidate: Duration,
    /// Served when a new one cannot be had.
    pub stale_if_error: Duration,
}

/// A kept answer. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// The answer, in whatever form its owner gives it.
    pub bytes: Bytes,
    /// When it was made.
    pub stored_at_ms: u64,
    /// Before this time it is served as it is.
    pub fresh_until_ms: u64,
    /// Before this time it is served while somebody fetches a new one.
    pub revalidate_until_ms: u64,
    /// Before this time it is served when a new one cannot be had.
    pub stale_until_ms: u64,
    /// Of what made the answer. At most [`CacheEntry::MAX_REVISION_LENGTH`] bytes.
    pub revision: String,
}

impl CacheEntry {
    /// The longest revision, in bytes.
    pub const MAX_REVISION_LENGTH: usize = 128;

    /// An answer made at `now_ms`.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>, revision: impl Into<String>, now_ms: u64, windows: Windows) -> Self {
        let after = |start: u64, window: Duration| start.saturating_add(u64::try_from(window.as_millis()).unwrap_or(u64::MAX));
        let fresh_until_ms = after(now_ms, windows.fresh);
        Self {
            bytes: bytes.into(),
            stored_at_ms: now_ms,
            fresh_until_ms,
            revalidate_until_ms: after(fresh_until_ms, windows.stale_while_revalidate),
            stale_until_ms: after(fresh_until_ms, windows.stale_if_error),
            revision: revision.into(),
        }
    }

    /// From this time on it is of no use.
    #[must_use]
    pub fn expires_at_ms(&self) -> u64 {
        self.fresh_until_ms.max(self.revalidate_until_ms).max(self.stale_until_ms)
    }

    /// What it is good for at `now_ms`; `None` when it has expired.
    #[must_use]
    pub fn freshness(&self, now_ms: u64) -> Option<Freshness> {
        if now_ms < self.fresh_until_ms {
            Some(Freshness::Fresh)
        } else if now_ms < self.revalidate_until_ms {
            Some(Freshness::Revalidate)
        } else {
            (now_ms < self.stale_until_ms).then_some(Freshness::IfError)
        }
    }

    /// What the size limit counts, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len().saturating_add(self.revision.len())
    }
}

/// What an entry is good for, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// To be served as it is.
    Fresh,
    /// To be served while a new one is fetched in the background; also good if that fails.
    Revalidate,
    /// To be served only if a new one cannot be had.
    IfError,
}

impl Freshness {
    /// As logs and metrics write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Revalidate => "revalidate",
            Self::IfError => "if-error",
        }
    }
}

/// Where an entry was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// In this process.
    Memory,
    /// In Redis.
    Redis,
}

impl Tier {
    /// As logs and metrics write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
        }
    }
}

/// An entry that was found, and what it is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The entry.
    pub entry: CacheEntry,
    /// What its age allows, whatever its revision.
    pub freshness: Freshness,
    /// How long ago the answer was made; zero for one from the future of another machine's clock.
    pub age: Duration,
    /// Where it was found.
    pub tier: Tier,
}

impl Lookup {
    pub(crate) fn of(entry: CacheEntry, tier: Tier, now_ms: u64) -> Option<Self> {
        let freshness = entry.freshness(now_ms)?;
        let age = Duration::from_millis(now_ms.saturating_sub(entry.stored_at_ms));
        Some(Self { entry, freshness, age, tier })
    }

    /// What the entry is good for to somebody at `revision`.
    ///
    /// An answer that another revision made is never served in the place of a new one. It may be served when a new one cannot be had,
    /// if it was given a window for that.
    #[must_use]
    pub fn under(&self, revision: &str) -> Option<Freshness> {
        if self.entry.revision == revision {
            return Some(self.freshness);
        }
        let has_window = self.entry.stale_until_ms > self.entry.fresh_until_ms;
        let within = self.entry.stored_at_ms.saturating_add(millis(self.age)) < self.entry.stale_until_ms;
        (has_window && within).then_some(Freshness::IfError)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(fresh: u64, revalidate: u64, error: u64) -> CacheEntry {
        let windows = Windows {
            fresh: Duration::from_millis(fresh),
            stale_while_revalidate: Duration::from_millis(revalidate),
            stale_if_error: Duration::from_millis(error),
        };
        CacheEntry::new(Bytes::from_static(b"x"), "r1", 1_000, windows)
    }

    #[test]
    fn an_entry_is_fresh_then_stale_then_gone() {
        use Freshness::{Fresh, IfError, Revalidate};
        let cases = [
            (entry(10, 5, 20), vec![(999, Some(Fresh)), (1_009, Some(Fresh)), (1_010, Some(Revalidate)), (1_014, Some(Revalidate))]),
            (entry(10, 5, 20), vec![(1_015, Some(IfError)), (1_029, Some(IfError)), (1_030, None), (u64::MAX, None)]),
            // Being served while revalidating may last longer than being served in place of an error.
            (entry(10, 20, 5), vec![(1_010, Some(Revalidate)), (1_029, Some(Revalidate)), (1_030, None)]),
            (entry(10, 0, 0), vec![(1_009, Some(Fresh)), (1_010, None)]),
            (entry(0, 0, 5), vec![(1_000, Some(IfError)), (1_004, Some(IfError)), (1_005, None)]),
            (entry(0, 0, 0), vec![(1_000, None)]),
            (entry(u64::MAX, u64::MAX, u64::MAX), vec![(u64::MAX - 1, Some(Fresh))]),
        ];
        for (entry, times) in cases {
            for (now, expected) in times {
                assert_eq!(entry.freshness(now), expected, "{entry:?} at {now}");
                assert_eq!(now < entry.expires_at_ms(), expected.is_some(), "{entry:?} at {now}");
            }
        }
    }

    #[test]
    fn another_revision_makes_an_entry_good_for_errors_only() {
        let found = |entry: CacheEntry, now| Lookup::of(entry, Tier::Memory, now).unwrap();
        let fresh = found(entry(10, 5, 20), 1_003);
        assert_eq!(
            (fresh.age, fresh.under("r1"), fresh.under("r2")),
            (Duration::from_millis(3), Some(Freshness::Fresh), Some(Freshness::IfError))
        );
        let stale = found(entry(10, 30, 20), 1_029);
        assert_eq!((stale.under("r1"), stale.under("r2")), (Some(Freshness::Revalidate), Some(Freshness::IfError)));
        assert_eq!(found(entry(10, 30, 20), 1_030).under("r2"), None);
        assert_eq!(found(entry(10, 30, 0), 1_003).under("r2"), None);
        // Made by a machine whose clock is ahead.
        assert_eq!(found(entry(10, 5, 20), 900).age, Duration::ZERO);
    }
}
