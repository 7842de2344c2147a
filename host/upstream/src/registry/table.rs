//! The entries as calls see them: read often, written seldom.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::entry::Service;
use super::records::ServiceRecord;
use super::selection::Selection;
use super::statistics::ServiceStatistics;

struct Row {
    record: ServiceRecord,
    statistics: Arc<ServiceStatistics>,
    /// When it is gone, on a clock that nobody sets.
    expires: Option<Instant>,
}

impl Row {
    fn service(&self) -> Service {
        let record = self.record.clone();
        Service {
            id: record.id,
            name: record.name,
            url: record.url,
            version: record.version,
            capabilities: record.capabilities,
            tags: record.tags,
            weight: record.weight,
            ttl_ms: record.ttl_ms,
            metadata: record.metadata,
            healthy: record.healthy,
            response_ms: record.response_ms,
            registered_at_ms: record.registered_at_ms,
            heartbeat_at_ms: record.heartbeat_at_ms,
            metrics: self.statistics.metrics(),
        }
    }
}

/// Entries by id.
#[derive(Default)]
pub(super) struct Table(RwLock<BTreeMap<String, Row>>);

impl Table {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Row>> {
        // Rows are whole before they are put in, so that nothing can be seen half done.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an entry in, from now on with its whole TTL; what was counted under its id goes on.
    pub(super) fn put(&self, record: ServiceRecord) -> Service {
        let mut rows = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let statistics = rows.get(&record.id).map(|row| Arc::clone(&row.statistics)).unwrap_or_default();
        let expires = record.ttl_ms.and_then(|ttl| Instant::now().checked_add(Duration::from_millis(ttl)));
        let row = Row { statistics, expires, record };
        let service = row.service();
        rows.insert(row.record.id.clone(), row);
        service
    }

    pub(super) fn remove(&self, id: &str) -> Option<Service> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id).map(|row| row.service())
    }

    pub(super) fn record(&self, id: &str) -> Option<ServiceRecord> {
        self.read().get(id).map(|row| row.record.clone())
    }

    pub(super) fn get(&self, id: &str) -> Option<Service> {
        self.read().get(id).map(Row::service)
    }

    pub(super) fn list(&self, selection: &Selection) -> Vec<Service> {
        self.read().values().filter(|row| selection.fits(&row.record)).map(Row::service).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.read().len()
    }

    pub(super) fn statistics(&self, id: &str) -> Option<Arc<ServiceStatistics>> {
        self.read().get(id).map(|row| Arc::clone(&row.statistics))
    }

    pub(super) fn expired(&self, now: Instant) -> Vec<String> {
        self.read().iter().filter(|(_, row)| row.expires.is_some_and(|at| at <= now)).map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn is_expired(&self, id: &str, now: Instant) -> bool {
        self.read().get(id).and_then(|row| row.expires).is_some_and(|at| at <= now)
    }
}
