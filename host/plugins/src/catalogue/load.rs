//! From a component's bytes to a guest that can be called.

use std::collections::BTreeSet;
use std::sync::Arc;

use breakwater_core::Digest;
use breakwater_resilience::{Breaker, Bulkhead, BulkheadConfig};
use bytes::Bytes;

use super::Catalogue;
use crate::bindings::CropPluginPre;
use crate::call::Guest;
use crate::capability::{Capability, Grants};
use crate::compile::on_thread;
use crate::contract::{self, Surface, WORLD};
use crate::error::PluginError;
use crate::generation::Generation;
use crate::linker::linker;
use crate::plugin_id::PluginId;
use crate::records::GenerationRecord;
use crate::state::PluginScope;
use crate::strategy::Offer;

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
        let offers = record.strategies.iter().cloned().map(Offer::of).collect::<Result<Vec<_>, _>>()?;
        let generation = self.assemble(record.clone(), guest, offers);
        self.shelf.loaded(&generation);
        Ok(generation)
    }

    /// Checks, compiles and links a component with what the record was granted and the operator still grants.
    pub(super) async fn guest(&self, record: &GenerationRecord, wasm: &Bytes) -> Result<Guest, PluginError> {
        let bytes = wasm.clone();
        let surface = on_thread("plugin-loader", move || contract::read(&bytes)).await??;
        if !surface.mismatches.is_empty() {
            return Err(PluginError::ContractMismatch { contract: WORLD, mismatches: surface.mismatches });
        }
        let granted = self.config.grants.effective(&record.id, &record.granted);
        check_capabilities(&surface, &granted, &record.id, &self.config.grants)?;
        let engine = self.engine.wasm();
        let component = self.cache.load(engine, record.code_digest, wasm).await?;
        let link = || CropPluginPre::new(linker(engine, &granted)?.instantiate_pre(&component)?);
        let pre = link().map_err(|error| PluginError::ComponentInvalid(format!("it cannot be linked: {error:#}")))?;
        let scope = PluginScope {
            id: record.id.clone(),
            label: format!("plugin:{}", record.id),
            config: record.config.clone(),
            limits: record.limits.tighten(&self.config.limits),
            services: Arc::clone(&self.services),
            ticks: Arc::clone(self.engine.ticker().ticks()),
        };
        Ok(Guest { engine: Arc::clone(&self.engine), scope: Arc::new(scope), pre })
    }

    pub(super) fn assemble(&self, record: GenerationRecord, guest: Guest, offers: Vec<Offer>) -> Arc<Generation> {
        let places = Bulkhead::new(BulkheadConfig {
            max_concurrent: self.config.pool.max_concurrent_per_generation,
            max_queue: self.config.pool.max_queue,
        });
        let (observer, id) = (self.config.breaker_observer.clone(), record.id.clone());
        let breaker = Breaker::observed(self.config.breaker, move |change| observer.changed(&id, change));
        let digest = record.digest;
        Arc::new(Generation::new(Arc::new(record), guest, offers, places, breaker, self.shelf.statistics(digest)))
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
