//! The flags of a running service: read without a lock, changed by compare and set.

mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use breakwater_core::Caller;
use tokio::sync::Mutex;

use crate::definition::Flag;
use crate::error::FlagError;
use crate::evaluation::{Decision, Reason, evaluate};
use crate::records::{FlagRecords, FlagRecordsError, FlagState};
use crate::validation::{MAX_FLAGS, validate, validate_name};
use table::Table;
pub use table::{ListedFlag, Source};

/// Told what happens to flags, for logs and metrics. Called on the task that caused it.
pub trait FlagObserver: Send + Sync + 'static {
    /// This process stored or removed a flag; the change is of this revision of the records.
    fn changed(&self, name: &str, revision: u64) {
        let _ = (name, revision);
    }

    /// The changes of other processes were taken over, up to this revision of the records.
    fn refreshed(&self, revision: u64) {
        let _ = revision;
    }

    /// The records could not be read; the flags stay as they were last read.
    fn refresh_failed(&self, error: &FlagError) {
        let _ = error;
    }
}

struct Unobserved;

impl FlagObserver for Unobserved {}

/// The flags of a service.
///
/// Reading takes no lock and never waits. A change is stored before it is seen; it is seen by this process when the change returns and by
/// other processes on the same records when their task `flags-poll` (see [`Self::poll`]) next looks.
pub struct Flags {
    table: ArcSwap<Table>,
    records: Arc<dyn FlagRecords>,
    observer: Arc<dyn FlagObserver>,
    /// What is stored, as last read. Held while it is changed, so that changes of this process come one after the other.
    stored: Mutex<FlagState>,
    declared: Arc<BTreeMap<String, Flag>>,
}

impl Flags {
    /// Reads the stored flags. `declared` are the flags of the configuration, which stored ones of the same name replace.
    ///
    /// # Errors
    /// [`FlagError::Name`], [`FlagError::Invalid`] or [`FlagError::TooMany`] for the declared flags, [`FlagError::Records`] when the
    /// stored ones cannot be read.
    pub async fn open(records: Arc<dyn FlagRecords>, declared: BTreeMap<String, Flag>) -> Result<Arc<Self>, FlagError> {
        Self::open_observed(records, declared, Arc::new(Unobserved)).await
    }

    /// As [`Self::open`], with somebody who is told of every change.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_observed(
        records: Arc<dyn FlagRecords>,
        declared: BTreeMap<String, Flag>,
        observer: Arc<dyn FlagObserver>,
    ) -> Result<Arc<Self>, FlagError> {
        for (name, flag) in &declared {
            validate_name(name)?;
            validate(name, flag)?;
        }
        if declared.len() > MAX_FLAGS {
            return Err(FlagError::TooMany);
        }
        let declared = declared.into_iter().map(|(name, flag)| (name, Flag { version: 0, updated_at_ms: 0, ..flag })).collect();
        let stored = records.load().await.map_err(FlagError::Records)?;
        let declared = Arc::new(declared);
        let table = ArcSwap::from_pointee(Table::of(&declared, &stored));
        Ok(Arc::new(Self { table, records, observer, stored: Mutex::new(stored), declared }))
    }

    /// What a flag is for a caller, and why. Takes no lock; a name that nobody knows is off.
    #[must_use]
    pub fn evaluate(&self, name: &str, caller: &Caller) -> Decision {
        match self.table.load().get(name) {
            Some(listed) => evaluate(name, &listed.flag, caller),
            None => Decision { enabled: false, reason: Reason::Unknown },
        }
    }

    /// Whether a flag is on for a caller.
    #[must_use]
    pub fn enabled(&self, name: &str, caller: &Caller) -> bool {
        self.evaluate(name, caller).enabled
    }

    /// A flag, stored or declared.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<ListedFlag>> {
        self.table.load().get(name).cloned()
    }

    /// Every flag, by name. At most [`MAX_FLAGS`], unless several processes stored the last ones at the same time.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<ListedFlag>> {
        self.table.load().all().cloned().collect()
    }

    /// Stores a flag: a new one, or in the place of the one that is there. Its `version` and `updated_at_ms` are set here; what they were
    /// is not looked at.
    ///
    /// `expected` is the version the change was made from, 0 if no flag was stored; `None` replaces whatever is there.
    ///
    /// # Errors
    /// [`FlagError::Name`], [`FlagError::Invalid`], [`FlagError::TooMany`], [`FlagError::Conflict`] when the stored flag is of another
    /// version, [`FlagError::Records`].
    pub async fn put(&self, name: &str, flag: Flag, expected: Option<u64>) -> Result<Arc<ListedFlag>, FlagError> {
        validate_name(name)?;
        validate(name, &flag)?;
        let mut stored = self.stored.lock().await;
        let table = self.table.load();
        if table.get(name).is_none() && table.all().count() >= MAX_FLAGS {
            return Err(FlagError::TooMany);
        }
        let mut flag = Flag { updated_at_ms: now_ms(), ..flag };
        flag.version = match expected {
            Some(expected) => self.records.put(name, expected, &flag).await.map_err(|error| conflict(name, error))?,
            None => self.replace(name, &flag, &stored).await?,
        };
        let revision = flag.version;
        stored.flags.insert(name.to_owned(), flag.clone());
        self.publish(&mut stored, revision);
        self.observer.changed(name, revision);
        Ok(Arc::new(ListedFlag { name: name.to_owned(), source: Source::Stored, flag }))
    }

    /// Removes a stored flag; a declared one of that name is in force again. `expected` as for [`Self::put`].
    ///
    /// # Errors
    /// [`FlagError::NotFound`] for a flag nobody knows, [`FlagError::Declared`] for one that is only declared, [`FlagError::Conflict`],
    /// [`FlagError::Records`].
    pub async fn remove(&self, name: &str, expected: Option<u64>) -> Result<(), FlagError> {
        let mut stored = self.stored.lock().await;
        let mut version = match (expected, stored.flags.get(name)) {
            (Some(expected), _) => expected,
            (None, Some(flag)) => flag.version,
            (None, None) => 0,
        };
        for _ in 0..=REPLACE_ATTEMPTS {
            match self.records.remove(name, version).await {
                Ok(revision) => {
                    stored.flags.remove(name);
                    self.publish(&mut stored, revision);
                    self.observer.changed(name, revision);
                    return Ok(());
                }
                Err(FlagRecordsError::Conflict { found: 0, .. }) => return Err(self.absent(name)),
                Err(FlagRecordsError::Conflict { found, .. }) if expected.is_none() => version = found,
                Err(error) => return Err(conflict(name, error)),
            }
        }
        Err(FlagError::Conflict { name: name.to_owned(), expected: 0, found: version })
    }

    /// Takes over what other processes changed. Returns whether anything had changed.
    ///
    /// # Errors
    /// [`FlagError::Records`]; the flags stay as they were.
    pub async fn refresh(&self) -> Result<bool, FlagError> {
        let mut stored = self.stored.lock().await;
        if self.records.revision().await.map_err(FlagError::Records)? == stored.revision {
            return Ok(false);
        }
        let state = self.records.load().await.map_err(FlagError::Records)?;
        let revision = state.revision;
        *stored = state;
        self.table.store(Arc::new(Table::of(&self.declared, &stored)));
        self.observer.refreshed(revision);
        Ok(true)
    }

    /// The task `flags-poll`: takes over what other processes changed, every `interval`, and never ends. Whoever starts it drops it to
    /// stop it; nothing is lost by that. When the records cannot be read it tells the observer, leaves the flags as they are and goes on;
    /// the log hears of it once, and again when they can be read.
    pub async fn poll(&self, interval: Duration) {
        let mut failing = false;
        loop {
            tokio::time::sleep(interval).await;
            match self.refresh().await {
                Ok(_) if std::mem::take(&mut failing) => tracing::info!("the flags' records can be read again"),
                Ok(_) => {}
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "the flags' records cannot be read; the flags stay as they were");
                    }
                    self.observer.refresh_failed(&error);
                }
            }
        }
    }

    /// Stores over whatever version is there.
    async fn replace(&self, name: &str, flag: &Flag, stored: &FlagState) -> Result<u64, FlagError> {
        let mut version = stored.flags.get(name).map_or(0, |flag| flag.version);
        for _ in 0..=REPLACE_ATTEMPTS {
            match self.records.put(name, version, flag).await {
                Err(FlagRecordsError::Conflict { found, .. }) => version = found,
                other => return other.map_err(|error| conflict(name, error)),
            }
        }
        Err(FlagError::Conflict { name: name.to_owned(), expected: 0, found: version })
    }

    fn publish(&self, stored: &mut FlagState, revision: u64) {
        // When other processes made changes in between, the revision stays what it was, so that the next poll reads them.
        if revision == stored.revision + 1 {
            stored.revision = revision;
        }
        self.table.store(Arc::new(Table::of(&self.declared, stored)));
    }

    fn absent(&self, name: &str) -> FlagError {
        let name = name.chars().take(crate::validation::MAX_NAME_LENGTH).collect();
        if self.declared.contains_key(&name) { FlagError::Declared(name) } else { FlagError::NotFound(name) }
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flags").field("flags", &self.table.load().all().count()).finish_non_exhaustive()
    }
}

/// How often a change that does not care what was there tries again when another process comes in between.
const REPLACE_ATTEMPTS: u32 = 8;

fn conflict(name: &str, error: FlagRecordsError) -> FlagError {
    match error {
        FlagRecordsError::Conflict { expected, found } => FlagError::Conflict { name: name.to_owned(), expected, found },
        error => FlagError::Records(error),
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
