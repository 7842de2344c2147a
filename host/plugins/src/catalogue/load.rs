//! From a component's bytes to a guest that can be called.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use breakwater_core::Digest;
use breakwater_resilience::{Breaker, Bulkhead, BulkheadConfig, State};
use bytes::Bytes;

use super::Catalogue;
use super::rollback::went_wrong;
use crate::bindings::AdapterWasiPluginPre;
use crate::bindings::crop::CropPluginPre;
use crate::bindings::fallback::FallbackPluginPre;
use crate::bindings::ranker::RankerPluginPre;
use crate::call::{Exports, Guest};
use crate::capability::{Capability, Grants};
use crate::compile::on_thread;
use crate::contract::{self, Surface};
use crate::error::PluginError;
use crate::generation::{Generation, Offers};
use crate::linker::linker;
use crate::plugin_id::PluginId;
use crate::records::GenerationRecord;
use crate::state::PluginScope;
use crate::world::World;

impl Catalogue {
    /// A kept generation, from its record and its component.
    pub(super) async fn load(&self, record: &GenerationRecord) -> Result<Arc<Generation>, PluginError> {
        if let Some(generation) = self.shelf.in_memory(record.digest) {
            return Ok(generation);
        }
        let wasm = self.records.component(record.code_digest).await?;
        let wasm = wasm.ok_or_else(|| PluginError::NotFound(format!("the component {} is not on record", record.code_digest.short())))?;
        if Digest::of(&wasm) != record.code_digest {
            return Err(PluginError::ComponentInvalid("the component on record is damaged".to_owned()));
        }
        let guest = self.guest(record, &wasm).await?;
        let offers = Offers::recorded(record)?;
        let generation = self.assemble(record.clone(), guest, offers);
        self.shelf.loaded(&generation);
        Ok(generation)
    }

    /// Checks, compiles and links a component with what the record was granted and the operator still grants.
    pub(super) async fn guest(&self, record: &GenerationRecord, wasm: &Bytes) -> Result<Guest, PluginError> {
        let bytes = wasm.clone();
        let world = record.world;
        let surface = on_thread("plugin-loader", move || contract::read(world, &bytes)).await??;
        if !surface.mismatches.is_empty() {
            return Err(PluginError::ContractMismatch { contract: world.name(), mismatches: surface.mismatches });
        }
        let granted = self.config.grants.effective(&record.id, &record.granted);
        check_capabilities(&surface, &granted, &record.id, &self.config.grants)?;
        let engine = self.engines.of(world);
        let component = self.cache.load(engine.wasm(), record.code_digest, wasm).await?;
        let link = || -> wasmtime::Result<Exports> {
            let pre = linker(engine.wasm(), world, &granted)?.instantiate_pre(&component)?;
            Ok(match world {
                World::Crop => Exports::Crop(CropPluginPre::new(pre)?),
                World::Adapter | World::AdapterWasi => Exports::Adapter(AdapterWasiPluginPre::new(pre)?),
                World::Fallback => Exports::Fallback(FallbackPluginPre::new(pre)?),
                World::Ranker => Exports::Ranker(RankerPluginPre::new(pre)?),
            })
        };
        let exports = link().map_err(|error| PluginError::ComponentInvalid(format!("it cannot be linked: {error:#}")))?;
        let scope = PluginScope {
            id: record.id.clone(),
            label: format!("plugin:{}", record.id),
            config: record.config.clone(),
            reach: self.config.reach.effective(&record.id, &record.reach),
            limits: record.limits.tighten(&self.config.limits_of(world)),
            services: Arc::clone(&self.services),
            ticks: Arc::clone(engine.ticker().ticks()),
        };
        Ok(Guest { engine: Arc::clone(engine), scope: Arc::new(scope), exports })
    }

    pub(super) fn assemble(&self, record: GenerationRecord, guest: Guest, offers: Offers) -> Arc<Generation> {
        let places = Bulkhead::new(BulkheadConfig {
            max_concurrent: self.config.pool.max_concurrent_per_generation,
            max_queue: self.config.pool.max_queue,
        });
        let (observer, id, digest) = (self.config.breaker_observer.clone(), record.id.clone(), record.digest);
        let catalogue = Weak::clone(&self.this);
        let breaker = Breaker::observed(self.config.breaker, move |change| {
            observer.changed(&id, change);
            if change.to == State::Open {
                went_wrong(&catalogue, &id, digest);
            }
        });
        let (statistics, watcher) = (self.shelf.statistics(digest), self.config.call_observer.clone());
        Arc::new(Generation::new(Arc::new(record), guest, offers, places, breaker, statistics, watcher))
    }
}

/// Refuses a component that imports what it is not granted, and says who has to do what.
fn check_capabilities(surface: &Surface, granted: &BTreeSet<Capability>, id: &PluginId, grants: &Grants) -> Result<(), PluginError> {
    let mut needed = surface.imports.iter().filter_map(|item| item.capability.map(|capability| (item, capability)));
    let denied = needed.find(|(_, capability)| !granted.contains(capability) && *capability != Capability::Logging);
    let Some((item, capability)) = denied else { return Ok(()) };
    let missing = if grants.of(id).contains(&capability) {
        format!("add \"{capability}\" to `capabilities` in plugin.toml")
    } else {
        format!("the operator does not grant it to the plugin `{id}`")
    };
    Err(PluginError::CapabilityDenied { capability, import: item.interface.clone(), missing })
}
