//! What must survive a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::{Mutex, PoisonError};

use breakwater_core::BoxFuture;
use serde::{Deserialize, Serialize};

use super::entry::Registration;

/// An entry as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// Names this instance.
    pub id: String,
    /// What it is called by.
    pub name: String,
    /// Its base URL.
    pub url: String,
    /// Its version.
    pub version: String,
    /// What it can do.
    pub capabilities: BTreeSet<String>,
    /// What else it is found by.
    pub tags: BTreeSet<String>,
    /// Its share of the calls.
    pub weight: u32,
    /// How long it stays without a heartbeat, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// Anything else.
    pub metadata: BTreeMap<String, String>,
    /// What it said last of how it is.
    pub healthy: bool,
    /// What it said last of how long its answers take, in milliseconds.
    pub response_ms: Option<f64>,
    /// When it registered first, in milliseconds since 1970.
    pub registered_at_ms: u64,
    /// When it last registered or sent a heartbeat, in milliseconds since 1970.
    pub heartbeat_at_ms: u64,
    /// When this record was last written, in milliseconds since 1970.
    pub written_at_ms: u64,
}

impl ServiceRecord {
    /// The record of a registration that comes at `now_ms`. One that replaces another keeps its date.
    pub(crate) fn new(registration: Registration, before: Option<&Self>, now_ms: u64) -> Self {
        let Registration { id, name, url, version, capabilities, tags, weight, ttl_ms, metadata } = registration;
        let id = id.unwrap_or_else(|| format!("{name}-{:016x}", fastrand::u64(..)));
        Self {
            id,
            name,
            url,
            version,
            capabilities,
            tags,
            weight,
            ttl_ms,
            metadata,
            healthy: true,
            response_ms: None,
            registered_at_ms: before.map_or(now_ms, |before| before.registered_at_ms),
            heartbeat_at_ms: now_ms,
            written_at_ms: now_ms,
        }
    }
}

/// Why the records could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryRecordsError {
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] Box<dyn Error + Send + Sync>),
    /// What is stored is not what was written.
    #[error("a record is damaged: {0}")]
    Corrupt(String),
}

/// Keeps the registry's entries. A write that was answered survives a crash.
pub trait RegistryRecords: Send + Sync + 'static {
    /// Every record, by id.
    fn load(&self) -> BoxFuture<'_, Result<Vec<ServiceRecord>, RegistryRecordsError>>;

    /// Adds a record, or replaces the one of the same id.
    fn put<'a>(&'a self, record: &'a ServiceRecord) -> BoxFuture<'a, Result<(), RegistryRecordsError>>;

    /// Removes a record, if there is one.
    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), RegistryRecordsError>>;
}

/// Records that end with the process, for tests and for services that keep nothing.
#[derive(Debug, Default)]
pub struct MemoryRecords {
    records: Mutex<BTreeMap<String, ServiceRecord>>,
}

impl MemoryRecords {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, ServiceRecord>) -> T) -> T {
        work(&mut self.records.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl RegistryRecords for MemoryRecords {
    fn load(&self) -> BoxFuture<'_, Result<Vec<ServiceRecord>, RegistryRecordsError>> {
        Box::pin(async { Ok(self.with(|records| records.values().cloned().collect())) })
    }

    fn put<'a>(&'a self, record: &'a ServiceRecord) -> BoxFuture<'a, Result<(), RegistryRecordsError>> {
        Box::pin(async {
            self.with(|records| records.insert(record.id.clone(), record.clone()));
            Ok(())
        })
    }

    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), RegistryRecordsError>> {
        Box::pin(async {
            self.with(|records| records.remove(id));
            Ok(())
        })
    }
}
