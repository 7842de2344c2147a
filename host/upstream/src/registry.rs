//! Which services there are, as they say themselves: they register, send heartbeats and deregister, and everybody else finds them by name,
//! capability or tag.

mod entry;
mod records;
mod selection;
mod statistics;
mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use breakwater_core::{Failure, FailureKind};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use entry::{Heartbeat, Registration, Service};
pub use records::{MemoryRecords, RegistryRecords, RegistryRecordsError, ServiceRecord};
pub use selection::Selection;
pub use statistics::{ServiceMetrics, ServiceStatistics};

use entry::check;
pub(crate) use entry::{is_name, unix_ms};
use table::Table;

/// How often a heartbeat that changes nothing is written to the records. A restart gives every entry its whole TTL again, so that nothing
/// depends on the last one.
const WRITE_INTERVAL: Duration = Duration::from_secs(60);

/// How often services are looked for that are gone: a TTL ends at most this late.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How long to wait after the records refused to let one go.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RegistryChange {
    /// It is new.
    Registered,
    /// It registered again, with what it says now.
    Updated,
    /// A heartbeat says that it is well again.
    Healthy,
    /// A heartbeat says that it is not well.
    Unhealthy,
    /// It was taken out.
    Deregistered,
    /// It sent no heartbeat within its TTL and was taken out.
    Expired,
}

impl RegistryChange {
    /// As logs and metrics write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Updated => "updated",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Deregistered => "deregistered",
            Self::Expired => "expired",
        }
    }
}

type Hook = Box<dyn Fn(RegistryChange, &Service) + Send + Sync>;

/// The registry. What it answers is what was written to the records before.
pub struct Registry {
    records: Arc<dyn RegistryRecords>,
    table: Table,
    /// The base URLs of the services that were defined rather than registered, by name.
    defined: RwLock<BTreeMap<String, String>>,
    /// One writer at a time, so that the records and the table change in the same order.
    writer: Mutex<()>,
    hook: OnceLock<Hook>,
}

impl Registry {
    /// The most services that can be registered.
    pub const MAX_SERVICES: usize = 10_000;

    /// Reads what was registered before the restart. Every entry with a TTL has its whole TTL to send a heartbeat.
    ///
    /// # Errors
    /// `registry.store` when the records cannot be read.
    pub async fn open(records: Arc<dyn RegistryRecords>) -> Result<Self, Failure> {
        let found = records.load().await.map_err(stored)?;
        let table = Table::default();
        for record in found.into_iter().take(Self::MAX_SERVICES) {
            table.put(record);
        }
        Ok(Self { records, table, defined: RwLock::default(), writer: Mutex::default(), hook: OnceLock::new() })
    }

    /// Calls `hook` after each change, once the registry answers with it. Set once, by whoever follows it.
    pub(crate) fn on_change(&self, hook: impl Fn(RegistryChange, &Service) + Send + Sync + 'static) {
        let _ = self.hook.set(Box::new(hook));
    }

    /// Adds a service, or replaces the one of the same id.
    ///
    /// # Errors
    /// - `registry.invalid` (invalid request): a field cannot be meant; violations with JSON Pointers are in the detail
    /// - `registry.full` (limit): there are [`Self::MAX_SERVICES`] already
    /// - `registry.store` (unavailable): it could not be written and is not registered
    pub async fn register(&self, registration: Registration) -> Result<Service, Failure> {
        check(&registration)?;
        let _writing = self.writer.lock().await;
        let before = registration.id.as_deref().and_then(|id| self.table.record(id));
        if before.is_none() && self.table.len() >= Self::MAX_SERVICES {
            let message = format!("at most {} services can be registered", Self::MAX_SERVICES);
            return Err(Failure::limit("registry.full", message));
        }
        let change = if before.is_some() { RegistryChange::Updated } else { RegistryChange::Registered };
        let record = ServiceRecord::new(registration, before.as_ref(), unix_ms());
        self.records.put(&record).await.map_err(stored)?;
        let service = self.table.put(record);
        // A service that took another name is gone under the old one.
        if let Some(before) = before.filter(|before| before.name != service.name) {
            self.tell(RegistryChange::Deregistered, &Service { name: before.name, ..service.clone() });
        }
        self.tell(change, &service);
        Ok(service)
    }

    /// A service says that it is there, how it is, and how long its answers take.
    ///
    /// # Errors
    /// `registry.unknown` (not found): it is not registered, or not any more, and should register; `registry.invalid`, `registry.store`
    /// as [`Self::register`].
    pub async fn heartbeat(&self, id: &str, heartbeat: Heartbeat) -> Result<Service, Failure> {
        heartbeat.check()?;
        let _writing = self.writer.lock().await;
        let mut record = self.table.record(id).ok_or_else(|| unknown(id))?;
        let now = unix_ms();
        let changed = heartbeat.healthy != record.healthy;
        record.healthy = heartbeat.healthy;
        record.response_ms = heartbeat.response_ms.or(record.response_ms);
        record.heartbeat_at_ms = now;
        if changed || Duration::from_millis(now.saturating_sub(record.written_at_ms)) >= WRITE_INTERVAL {
            record.written_at_ms = now;
            self.records.put(&record).await.map_err(stored)?;
        }
        let service = self.table.put(record);
        if changed {
            self.tell(if heartbeat.healthy { RegistryChange::Healthy } else { RegistryChange::Unhealthy }, &service);
        }
        Ok(service)
    }

    /// Takes a service out.
    ///
    /// # Errors
    /// `registry.unknown` (not found), `registry.store` (unavailable; it is still registered).
    pub async fn deregister(&self, id: &str) -> Result<Service, Failure> {
        let _writing = self.writer.lock().await;
        self.take_out(id, RegistryChange::Deregistered).await
    }

    async fn take_out(&self, id: &str, change: RegistryChange) -> Result<Service, Failure> {
        self.table.record(id).ok_or_else(|| unknown(id))?;
        self.records.remove(id).await.map_err(stored)?;
        let service = self.table.remove(id).ok_or_else(|| unknown(id))?;
        self.tell(change, &service);
        Ok(service)
    }

    /// One service.
    ///
    /// # Errors
    /// `registry.unknown` (not found).
    pub fn get(&self, id: &str) -> Result<Service, Failure> {
        self.table.get(id).ok_or_else(|| unknown(id))
    }

    /// Every service that fits, by id. An empty selection fits all.
    #[must_use]
    pub fn list(&self, selection: &Selection) -> Vec<Service> {
        self.table.list(selection)
    }

    /// The services that fit and say that they are well, by id.
    #[must_use]
    pub fn discover(&self, selection: &Selection) -> Vec<Service> {
        let mut found = self.list(selection);
        found.retain(|service| service.healthy);
        found
    }

    /// How many services are registered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The base URL of the service that was defined under this name.
    pub(crate) fn defined(&self, name: &str) -> Option<String> {
        self.defined.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Takes the services that are defined now, by name with their base URLs. Gives what was there before.
    pub(crate) fn define(&self, services: BTreeMap<String, String>) -> BTreeMap<String, String> {
        std::mem::replace(&mut *self.defined.write().unwrap_or_else(PoisonError::into_inner), services)
    }

    pub(crate) fn statistics(&self, id: &str) -> Option<Arc<ServiceStatistics>> {
        self.table.statistics(id)
    }

    /// Takes services out that sent no heartbeat within their TTL, as the background task `registry-expiry`, until `stop`. An entry that
    /// cannot be removed from the records stays and is tried again.
    pub(crate) async fn expire(&self, stop: CancellationToken) {
        let mut wait = LOOK_INTERVAL;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = LOOK_INTERVAL;
            for id in self.table.expired(Instant::now()) {
                let _writing = self.writer.lock().await;
                // It may have sent a heartbeat while we waited.
                if self.table.is_expired(&id, Instant::now())
                    && let Err(failure) = self.take_out(&id, RegistryChange::Expired).await
                {
                    tracing::warn!(target: "registry", service = id, error = failure.chain(), "a service that is gone could not be taken out");
                    wait = RETRY_INTERVAL;
                }
            }
        }
    }

    fn tell(&self, change: RegistryChange, service: &Service) {
        tracing::debug!(target: "registry", service = service.id, name = service.name, change = change.name(), "the registry changed");
        if let Some(hook) = self.hook.get() {
            hook(change, service);
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("services", &self.len()).finish_non_exhaustive()
    }
}

fn unknown(id: &str) -> Failure {
    let id: String = id.chars().take(Registration::MAX_NAME).collect();
    Failure::new(FailureKind::NotFound, "registry.unknown", format!("no service `{id}` is registered"))
}

fn stored(error: RegistryRecordsError) -> Failure {
    Failure::new(FailureKind::Unavailable, "registry.store", "the registry's records could not be read or written").caused_by(error)
}

#[cfg(test)]
mod tests;
