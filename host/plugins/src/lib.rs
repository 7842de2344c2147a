//! The WebAssembly plugin runtime.
//!
//! A plugin is a component with a manifest ([`PluginPackage`]). Deployed, it becomes a [`Generation`]: code, configuration and grants
//! frozen under one digest. The [`Catalogue`] keeps generations and publishes immutable [`Snapshot`]s of the active ones; a call
//! captures one snapshot and is served by it to its end, so a swap never mixes generations and never cuts a call.
//!
//! A guest runs in a fresh instance per call, on a fiber, under limits of memory, tables, stack, processor time, wall time and host
//! calls ([`GuestLimits`]). It sees only the capabilities that its manifest asks for and the operator grants. What it does wrong costs
//! that one call.

mod adapter;
mod bindings;
mod call;
mod capabilities;
pub mod capability;
pub mod catalogue;
pub mod compile;
pub mod compiled;
pub mod config;
mod contract;
mod convert;
mod engine;
pub mod error;
pub mod generation;
pub mod inspect;
mod level;
mod limiter;
mod linker;
pub mod manifest;
pub mod package;
mod plugin_id;
mod ports;
mod probe;
mod ranking;
mod reach;
pub mod records;
mod schema;
mod services;
pub mod snapshot;
mod state;
mod strategy;
mod ticker;
mod trap;
mod usage;
pub mod watch;
mod world;

pub use capability::{Capability, Grants};
pub use catalogue::{Catalogue, GenerationInfo, GenerationState, PluginInfo};
pub use compile::{Compiler, compile_component_main};
pub use config::{
    AdapterLimits, BreakerObserver, CallObserver, CompileLimits, GuestLimits, PoolConfig, Rollback, RollbackObserver, RuntimeConfig,
    WasiLimits,
};
pub use error::PluginError;
pub use generation::Generation;
pub use inspect::{Inspection, inspect};
pub use level::FallbackLevel;
pub use manifest::Manifest;
pub use package::{CallFixture, Exchange, Expectation, Fixture, FixtureCandidate, PlanFixture, PluginPackage, RankFixture, Target};
pub use plugin_id::{InvalidPluginId, PluginId};
pub use ports::{
    BoxFuture, CpuPool, Detect, ElementType, Embed, FlagReader, Infer, ModelDescription, ModelTensor, ModelVector, NoModels, Outbound,
    Ports,
};
pub use ranking::{MAX_CANDIDATES, RankCandidate, RankRequest, Ranked, RankerInfo};
pub use reach::{Names, Reach, ReachGrant, ReachGrants};
pub use records::{CatalogueRecords, CatalogueState, GenerationRecord, MemoryRecords, RecordsError};
pub use schema::{
    MAX_APPLIED, MAX_ENUM, MAX_NESTED, MAX_PATTERN, MAX_PATTERNS, MAX_REFERENCES, MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH, OperationSchema,
    SchemaViolation, schema_violations,
};
pub use snapshot::Snapshot;
pub use usage::{CallUsage, GuestCall};
pub use world::World;
