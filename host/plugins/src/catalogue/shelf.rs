//! The kept generations as this process knows them: what is on record, and what is loaded.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use breakwater_core::Digest;

use super::info::{GenerationInfo, GenerationState, PluginInfo};
use crate::generation::{Generation, Statistics};
use crate::plugin_id::PluginId;
use crate::records::GenerationRecord;
use crate::snapshot::Snapshot;

/// A kept generation.
struct Kept {
    record: Arc<GenerationRecord>,
    statistics: Arc<Statistics>,
    loaded: Weak<Generation>,
    loaded_at_ms: Option<u64>,
    problem: Option<String>,
}

/// Every kept generation, oldest first.
#[derive(Default)]
pub(super) struct Shelf(Mutex<Vec<Kept>>);

pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        // Changes are single pushes, removals and assignments, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps exactly these generations; what is known of those kept before stays.
    pub(super) fn keep(&self, records: &[GenerationRecord]) {
        let mut shelf = self.lock();
        let mut before: BTreeMap<Digest, Kept> = shelf.drain(..).map(|kept| (kept.record.digest, kept)).collect();
        let kept = records.iter().map(|record| {
            before.remove(&record.digest).unwrap_or_else(|| Kept {
                record: Arc::new(record.clone()),
                statistics: Arc::default(),
                loaded: Weak::new(),
                loaded_at_ms: None,
                problem: None,
            })
        });
        shelf.extend(kept);
    }

    /// The counters of a generation, new ones when it is not kept yet.
    pub(super) fn statistics(&self, digest: Digest) -> Arc<Statistics> {
        let shelf = self.lock();
        shelf.iter().find(|kept| kept.record.digest == digest).map(|kept| Arc::clone(&kept.statistics)).unwrap_or_default()
    }

    /// Notes that a generation was loaded.
    pub(super) fn loaded(&self, generation: &Arc<Generation>) {
        if let Some(kept) = self.lock().iter_mut().find(|kept| kept.record.digest == generation.digest()) {
            kept.loaded = Arc::downgrade(generation);
            kept.statistics = Arc::clone(generation.statistics());
            kept.loaded_at_ms = Some(now_ms());
            kept.problem = None;
        }
    }

    /// Notes why a generation could not be brought back.
    pub(super) fn failed(&self, digest: Digest, problem: String) {
        if let Some(kept) = self.lock().iter_mut().find(|kept| kept.record.digest == digest) {
            kept.problem = Some(problem);
        }
    }

    /// A generation that somebody still holds.
    pub(super) fn in_memory(&self, digest: Digest) -> Option<Arc<Generation>> {
        self.lock().iter().find(|kept| kept.record.digest == digest).and_then(|kept| kept.loaded.upgrade())
    }

    /// Whether a generation still serves calls, active or not.
    pub(super) fn is_in_use(&self, digest: Digest) -> bool {
        self.lock().iter().any(|kept| kept.record.digest == digest && kept.loaded.strong_count() > 0)
    }

    pub(super) fn list(&self, snapshot: &Snapshot) -> Vec<PluginInfo> {
        let mut plugins: BTreeMap<PluginId, PluginInfo> = BTreeMap::new();
        for kept in self.lock().iter() {
            let id = &kept.record.id;
            let active = snapshot.generation(id).map(|generation| generation.digest());
            let plugin = plugins.entry(id.clone()).or_insert_with(|| PluginInfo { id: id.clone(), active, generations: Vec::new() });
            plugin.generations.push(kept.info(active));
        }
        plugins.into_values().collect()
    }

    pub(super) fn info(&self, digest: Digest, snapshot: &Snapshot) -> Option<GenerationInfo> {
        let shelf = self.lock();
        let kept = shelf.iter().find(|kept| kept.record.digest == digest)?;
        Some(kept.info(snapshot.generation(&kept.record.id).map(|generation| generation.digest())))
    }
}

impl Kept {
    fn info(&self, active: Option<Digest>) -> GenerationInfo {
        let loaded = self.loaded.upgrade();
        let state = match (active == Some(self.record.digest), &loaded, &self.problem) {
            (true, ..) => GenerationState::Active,
            (false, _, Some(_)) => GenerationState::Unavailable,
            (false, Some(_), None) => GenerationState::Draining,
            (false, None, None) => GenerationState::Standby,
        };
        GenerationInfo {
            digest: self.record.digest,
            code_digest: self.record.code_digest,
            version: self.record.version.to_string(),
            world: self.record.world,
            state,
            strategies: self.record.strategies.clone(),
            operations: self.record.operations.clone(),
            levels: self.record.levels.clone(),
            ranker: self.record.ranker.clone(),
            capabilities: self.record.granted.clone(),
            reach: self.record.reach.clone(),
            breaker: loaded.map(|generation| generation.breaker_state().name()),
            calls: self.statistics.calls.load(Ordering::Relaxed),
            failures: self.statistics.failures.load(Ordering::Relaxed),
            faults: self.statistics.faults.load(Ordering::Relaxed),
            deployed_at_ms: self.record.deployed_at_ms,
            loaded_at_ms: self.loaded_at_ms,
            problem: self.problem.clone(),
        }
    }
}
