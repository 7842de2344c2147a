//! What must survive a restart.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};

use breakwater_core::BoxFuture;

use super::definition::ServiceDefinition;

/// Every service at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServiceCatalogueState {
    /// Counts the changes of all services; 0 before the first.
    pub revision: u64,
    /// The services, by id.
    pub services: Vec<ServiceDefinition>,
}

/// Why the records could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ServiceCatalogueRecordsError {
    /// Another change came first.
    #[error("the service has version {found}, not {expected}")]
    Conflict {
        /// The version that the change was made from.
        expected: u64,
        /// The version that is there; 0 for a service that is not.
        found: u64,
    },
    /// Another service has the name.
    #[error("another service is called so")]
    NameTaken,
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] Box<dyn Error + Send + Sync>),
    /// What is stored is not what was written.
    #[error("a record is damaged: {0}")]
    Corrupt(String),
}

/// What answers of the records are.
type Answer<'a, T> = BoxFuture<'a, Result<T, ServiceCatalogueRecordsError>>;

/// Keeps the definitions of services. Several processes may share them. A write that was answered survives a crash.
pub trait ServiceCatalogueRecords: Send + Sync + 'static {
    /// How many changes there have been.
    fn revision(&self) -> Answer<'_, u64>;

    /// Every service, and how many changes there have been, at one moment.
    fn load(&self) -> Answer<'_, ServiceCatalogueState>;

    /// Adds a service, or replaces the one of its id, if that has the version `expected` (0: there is none) and no other service has the
    /// name. Gives the new revision.
    fn put<'a>(&'a self, definition: &'a ServiceDefinition, expected: u64) -> Answer<'a, u64>;

    /// Removes a service, if it has the version `expected`. Gives the new revision.
    fn remove<'a>(&'a self, id: &'a str, expected: u64) -> Answer<'a, u64>;
}

/// Records that end with the process, for tests and for services that keep nothing.
#[derive(Debug, Default)]
pub struct MemoryServiceCatalogueRecords {
    state: Mutex<(u64, BTreeMap<String, ServiceDefinition>)>,
}

impl MemoryServiceCatalogueRecords {
    fn with<T>(&self, work: impl FnOnce(&mut u64, &mut BTreeMap<String, ServiceDefinition>) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (revision, services) = &mut *state;
        work(revision, services)
    }
}

/// Whether a change may be made of what has the version `found`.
fn compare(expected: u64, found: Option<&ServiceDefinition>) -> Result<(), ServiceCatalogueRecordsError> {
    let found = found.map_or(0, |found| found.version);
    if found == expected { Ok(()) } else { Err(ServiceCatalogueRecordsError::Conflict { expected, found }) }
}

impl ServiceCatalogueRecords for MemoryServiceCatalogueRecords {
    fn revision(&self) -> Answer<'_, u64> {
        Box::pin(async { Ok(self.with(|revision, _| *revision)) })
    }

    fn load(&self) -> Answer<'_, ServiceCatalogueState> {
        let load = |revision: &mut u64, services: &mut BTreeMap<String, ServiceDefinition>| ServiceCatalogueState {
            revision: *revision,
            services: services.values().cloned().collect(),
        };
        Box::pin(async move { Ok(self.with(load)) })
    }

    fn put<'a>(&'a self, definition: &'a ServiceDefinition, expected: u64) -> Answer<'a, u64> {
        Box::pin(async move {
            self.with(|revision, services| {
                compare(expected, services.get(&definition.id))?;
                if services.values().any(|other| other.name == definition.name && other.id != definition.id) {
                    return Err(ServiceCatalogueRecordsError::NameTaken);
                }
                services.insert(definition.id.clone(), definition.clone());
                *revision += 1;
                Ok(*revision)
            })
        })
    }

    fn remove<'a>(&'a self, id: &'a str, expected: u64) -> Answer<'a, u64> {
        Box::pin(async move {
            self.with(|revision, services| {
                compare(expected, services.get(id))?;
                if services.remove(id).is_none() {
                    return Err(ServiceCatalogueRecordsError::Conflict { expected, found: 0 });
                }
                *revision += 1;
                Ok(*revision)
            })
        })
    }
}
