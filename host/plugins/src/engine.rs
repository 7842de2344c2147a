//! The engine: how guests are compiled, pooled and interrupted.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use breakwater_core::Deadline;
use breakwater_resilience::{Bulkhead, BulkheadConfig, BulkheadError, BulkheadPermit};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::config::{GuestLimits, PoolConfig, RuntimeConfig};
use crate::error::PluginError;
use crate::ticker::Ticker;
use crate::world::World;

/// Places of the pool beyond those that calls may take: probes of a deployment, and instances not yet dropped.
const SPARE_PLACES: usize = 8;
/// A component from `wit-component` holds its module, a shim and a fix-up; adapters add a few.
const CORE_INSTANCES: usize = 8;
const TABLES: usize = 4;
const MEMORIES: usize = 2;
/// The least stack of a guest with a runtime of its own: interpreters recurse.
const LARGE_STACK: usize = 2 << 20;
/// Written pages of a linear memory that are written back between calls rather than given back, where the kernel tells which they are.
const RESIDENT_MEMORY: usize = 2 << 20;
/// The same of a table.
const RESIDENT_TABLE: usize = 128 << 10;
/// What host functions may use of a fiber's stack, beside the guest.
const HOST_STACK: usize = 512 << 10;

/// What decides about compiled code. The compiling process and the server must agree on it.
fn compile_config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .concurrency_support(false)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        // Results must not depend on which bits a machine gives a NaN: same input, same plan.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        // Guests are never unwound by the system's unwinder, and registering every generation with it is slow.
        .native_unwind_info(false);
    config
}

/// An engine that only compiles: no pool, no reservations.
pub(crate) fn compiling_engine() -> Result<Engine, PluginError> {
    Engine::new(&compile_config()).map_err(|error| PluginError::Setup(format!("the compiler: {error:#}")))
}

/// The engines that run guests: one for small ones, one for those that bring a language's runtime along.
pub(crate) struct Engines {
    small: Arc<PluginEngine>,
    large: Arc<PluginEngine>,
}

impl Engines {
    pub(crate) fn start(config: &RuntimeConfig) -> Result<Self, PluginError> {
        check(config)?;
        let strategy = InstanceAllocationStrategy::Pooling(pool(&config.pool, &config.limits));
        let small = PluginEngine::start(config, strategy, config.pool.stack_bytes, config.pool.max_concurrent)?;
        // A pool with places for the largest guest would reserve for each what few of them use; starting such a guest takes so much
        // longer than mapping its memory that the pool would save nothing.
        let stack = config.pool.stack_bytes.max(LARGE_STACK);
        let large = PluginEngine::start(config, InstanceAllocationStrategy::OnDemand, stack, config.wasi.max_concurrent)?;
        Ok(Self { small, large })
    }

    /// The engine that runs plugins of this world.
    pub(crate) fn of(&self, world: World) -> &Arc<PluginEngine> {
        match world {
            World::Crop | World::Adapter | World::Fallback | World::Ranker => &self.small,
            World::AdapterWasi => &self.large,
        }
    }

    /// How many guests run now.
    pub(crate) fn running(&self) -> usize {
        self.small.ticker.running() + self.large.ticker.running()
    }
}

/// An engine, its clock and its places.
pub(crate) struct PluginEngine {
    engine: Engine,
    ticker: Ticker,
    places: Bulkhead,
}

impl PluginEngine {
    fn start(
        config: &RuntimeConfig,
        strategy: InstanceAllocationStrategy,
        stack: usize,
        max_concurrent: usize,
    ) -> Result<Arc<Self>, PluginError> {
        let mut wasm = compile_config();
        wasm.max_wasm_stack(stack).async_stack_size(stack + HOST_STACK).memory_init_cow(true).allocation_strategy(strategy);
        let engine = Engine::new(&wasm).map_err(|error| PluginError::Setup(format!("the engine of guests: {error:#}")))?;
        let ticker = Ticker::start(engine.clone(), config.tick).map_err(|error| PluginError::Setup(format!("the ticker: {error}")))?;
        let places = Bulkhead::new(BulkheadConfig { max_concurrent, max_queue: config.pool.max_queue });
        Ok(Arc::new(Self { engine, ticker, places }))
    }

    pub(crate) fn wasm(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn ticker(&self) -> &Ticker {
        &self.ticker
    }

    /// Takes a place for a call. A nested call must not wait for what its parent holds: it takes a free place or fails.
    pub(crate) async fn place(&self, deadline: Deadline, nested: bool) -> Result<BulkheadPermit, BulkheadError> {
        if nested { self.places.try_acquire() } else { self.places.acquire(deadline).await }
    }
}

/// Names the engine's settings in file names: code compiled under one name runs under the same name only.
pub(crate) fn compatibility(engine: &Engine) -> String {
    // The standard hasher with its fixed keys: stable for one build of this program, and another build may compile anew.
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn check(config: &RuntimeConfig) -> Result<(), PluginError> {
    let PoolConfig { max_concurrent, max_concurrent_per_generation, stack_bytes, linear_memory_keep_resident, .. } = config.pool;
    let wrong = |what: &str| Err(PluginError::Setup(what.to_owned()));
    if !(1..=4096).contains(&max_concurrent) || max_concurrent_per_generation == 0 {
        return wrong("concurrent calls are 1 to 4096, over all plugins and of one generation");
    }
    if !((64 << 10)..=(8 << 20)).contains(&stack_bytes) {
        return wrong("a guest's stack is 64 KiB to 8 MiB");
    }
    if linear_memory_keep_resident > PoolConfig::MAX_KEEP_RESIDENT {
        return wrong("at most 64 KiB of a linear memory can be kept resident");
    }
    for limits in World::ALL.map(|world| config.limits_of(world)) {
        if limits.memory_bytes < 1 << 16 || limits.memory_bytes > 4 << 30 {
            return wrong("a guest's memory is 64 KiB to 4 GiB");
        }
        if config.tick.is_zero() || config.tick > limits.cpu || limits.cpu > limits.timeout {
            return wrong("a tick is more than nothing and at most the processor limit, which is at most the time limit");
        }
    }
    if !(1..=1024).contains(&config.wasi.max_concurrent) {
        return wrong("concurrent calls of plugins with a runtime of their own are 1 to 1024");
    }
    if config.kept_generations == 0 {
        return wrong("at least one generation per plugin is kept");
    }
    config.breaker.validate().map_err(|error| PluginError::Setup(format!("the breaker: {error}")))
}

fn pool(pool: &PoolConfig, limits: &GuestLimits) -> PoolingAllocationConfig {
    let count = |per_component: usize| u32::try_from((pool.max_concurrent + SPARE_PLACES) * per_component).unwrap_or(u32::MAX);
    let per_component = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    // Where the kernel says which pages a guest wrote (Linux 6.7), those alone are written back and stay mapped. Giving pages back would
    // stop every processor to forget them, and each would be faulted in again by the next call: together a third of a small call.
    let scans_pages = PoolingAllocationConfig::is_pagemap_scan_available();
    let mut config = PoolingAllocationConfig::new();
    config
        .total_component_instances(count(1))
        .total_core_instances(count(CORE_INSTANCES))
        .total_memories(count(MEMORIES))
        .total_tables(count(TABLES))
        // A destructor of a resource runs on a fiber of its own.
        .total_stacks(count(2))
        .max_core_instances_per_component(per_component(CORE_INSTANCES))
        .max_memories_per_component(per_component(MEMORIES))
        .max_tables_per_component(per_component(TABLES))
        .max_memory_size(limits.memory_bytes)
        .table_elements(limits.table_elements)
        .linear_memory_keep_resident(if scans_pages { RESIDENT_MEMORY } else { pool.linear_memory_keep_resident })
        .table_keep_resident(if scans_pages { RESIDENT_TABLE } else { 0 })
        .pagemap_scan(if scans_pages { Enabled::Yes } else { Enabled::No })
        // Slots stay with the code that used them last, so that its memory image need not be mapped anew.
        .max_unused_warm_slots(count(1));
    config
}
