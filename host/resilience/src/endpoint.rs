//! The places a call can go to, and what is known about each.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::ejection::Record;
use crate::latency::{Latency, PeakEwma};
use crate::pipeline::{EndpointStatus, LastError};

/// A place that calls can go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSpec<E> {
    /// Its name, unique within a pipeline. What is known about a name stays when endpoints are set anew.
    pub id: String,
    /// Its share of the calls; 0 takes none.
    pub weight: u32,
    /// What an attempt is given.
    pub endpoint: E,
}

/// What is known about an endpoint.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) healthy: AtomicBool,
    pub(crate) pending: AtomicU32,
    pub(crate) latency: Latency,
    pub(crate) ewma: PeakEwma,
    pub(crate) record: Record,
    last_error: Mutex<Option<LastError>>,
}

impl Stats {
    fn new(now: u64) -> Self {
        Self {
            healthy: AtomicBool::new(true),
            pending: AtomicU32::new(0),
            latency: Latency::default(),
            ewma: PeakEwma::new(now),
            record: Record::default(),
            last_error: Mutex::new(None),
        }
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    pub(crate) fn set_last_error(&self, error: LastError) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// An endpoint of one set.
#[derive(Debug)]
pub(crate) struct Endpoint<E> {
    pub(crate) id: Arc<str>,
    pub(crate) weight: u32,
    pub(crate) value: E,
    pub(crate) stats: Arc<Stats>,
}

impl<E> Endpoint<E> {
    /// Whether balancing may choose it when nothing better is known.
    pub(crate) fn takes_calls(&self) -> bool {
        self.weight > 0 && self.stats.is_healthy()
    }

    pub(crate) fn status(&self, clock: &Clock) -> EndpointStatus {
        let stats = &self.stats;
        let now = clock.now();
        let quantiles = stats.latency.quantiles([0.5, 0.9, 0.99]);
        EndpointStatus {
            id: self.id.to_string(),
            weight: self.weight,
            healthy: stats.is_healthy(),
            ejected_until: stats.record.ejected_until(now).map(|until| clock.instant(until)),
            ejections: stats.record.times(),
            consecutive_failures: stats.record.consecutive(),
            pending: stats.pending.load(Ordering::Relaxed),
            ewma: std::time::Duration::from_nanos(stats.ewma.read(now) as u64),
            p50: quantiles.map(|[p50, ..]| p50),
            p90: quantiles.map(|[_, p90, _]| p90),
            p99: quantiles.map(|[.., p99]| p99),
            last_error: stats.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// All endpoints of a pipeline at one time.
#[derive(Debug)]
pub(crate) struct EndpointSet<E> {
    pub(crate) endpoints: Vec<Arc<Endpoint<E>>>,
    /// What each endpoint is owed by smooth weighted round robin.
    pub(crate) credits: Mutex<Vec<i64>>,
}

impl<E> EndpointSet<E> {
    pub(crate) fn empty() -> Self {
        Self { endpoints: Vec::new(), credits: Mutex::default() }
    }

    /// The set that follows `before`. Of two specifications with one name, the first counts.
    pub(crate) fn following(before: &Self, specs: Vec<EndpointSpec<E>>, now: u64) -> Self {
        let mut endpoints: Vec<Arc<Endpoint<E>>> = Vec::with_capacity(specs.len());
        for spec in specs {
            if endpoints.iter().any(|endpoint| *endpoint.id == *spec.id) {
                continue;
            }
            let known = before.get(&spec.id).map(|endpoint| (Arc::clone(&endpoint.id), Arc::clone(&endpoint.stats)));
            let (id, stats) = known.unwrap_or_else(|| (Arc::from(spec.id), Arc::new(Stats::new(now))));
            endpoints.push(Arc::new(Endpoint { id, weight: spec.weight, value: spec.endpoint, stats }));
        }
        let credits = Mutex::new(vec![0; endpoints.len()]);
        Self { endpoints, credits }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Arc<Endpoint<E>>> {
        self.endpoints.iter().find(|endpoint| *endpoint.id == *id)
    }
}
