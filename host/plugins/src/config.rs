//! Settings of the runtime.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::Digest;
use breakwater_resilience::BreakerConfig;
use breakwater_resilience::breaker::Change;
use serde::{Deserialize, Serialize};

use crate::capability::Grants;
use crate::compile::Compiler;
use crate::plugin_id::PluginId;
use crate::reach::ReachGrants;
use crate::usage::GuestCall;
use crate::world::World;

const MIB: usize = 1 << 20;

/// What one call of a guest may use. A manifest can only tighten these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestLimits {
    /// Bytes of all linear memories together. `plugin.memory`
    pub memory_bytes: usize,
    /// Elements of each table. `plugin.table`
    pub table_elements: usize,
    /// Time the guest's own code may run, waiting in the host not counted; resolution is [`RuntimeConfig::tick`]. `plugin.cpu-time`
    pub cpu: Duration,
    /// Time from the start of the call to its end. `plugin.timeout`
    pub timeout: Duration,
    /// Calls of capability functions. `plugin.host-calls`
    pub host_calls: u32,
    /// Bytes that one host call may take from the guest, and that a guest may return. `plugin.host-bytes`, `plugin.output-too-large`
    pub host_call_bytes: usize,
    /// Bytes that all host calls together may pass in either direction. `plugin.host-bytes`
    pub host_bytes: u64,
}

impl Default for GuestLimits {
    /// 64 MiB, 10 000 elements, 500 ms of processor, 5 s, 1000 host calls of at most 1 MiB, 32 MiB in total.
    fn default() -> Self {
        Self {
            memory_bytes: 64 * MIB,
            table_elements: 10_000,
            cpu: Duration::from_millis(500),
            timeout: Duration::from_secs(5),
            host_calls: 1000,
            host_call_bytes: MIB,
            host_bytes: 32 * MIB as u64,
        }
    }
}

/// How many guests may run at once and what is reserved for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// Calls of guests at once, over all plugins. The instance pool has a few places more, for deployments.
    pub max_concurrent: usize,
    /// Calls of one generation at once, so that a slow plugin cannot starve the others.
    pub max_concurrent_per_generation: usize,
    /// Calls that may wait for a place, over all plugins; more are refused with `plugin.overloaded`.
    pub max_queue: usize,
    /// Bytes of a guest's stack of WebAssembly frames. `plugin.stack`
    pub stack_bytes: usize,
    /// Bytes of each linear memory that are zeroed instead of given back between calls. At most [`PoolConfig::MAX_KEEP_RESIDENT`].
    pub linear_memory_keep_resident: usize,
}

impl PoolConfig {
    /// More than this kept resident costs more time per call than it saves.
    pub const MAX_KEEP_RESIDENT: usize = 64 << 10;
}

impl Default for PoolConfig {
    /// 64 calls at once, 48 of one generation, 256 waiting, 512 KiB of stack, nothing kept resident.
    fn default() -> Self {
        Self {
            max_concurrent: 64,
            max_concurrent_per_generation: 48,
            max_queue: 256,
            stack_bytes: 512 << 10,
            linear_memory_keep_resident: 0,
        }
    }
}

/// What compiling one component may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Size of the component, in bytes.
    pub component_bytes: usize,
    /// Address space of the compiling process, in bytes.
    pub memory_bytes: u64,
    /// Time until the compiling process is ended.
    pub timeout: Duration,
}

/// What calls of adapters may use beyond [`GuestLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdapterLimits {
    /// Time from the start of a call to its end, instead of [`GuestLimits::timeout`]: services take longer than computations, and the
    /// chain's own deadline comes first.
    pub timeout: Duration,
    /// Bytes of answers that one call may hold as blobs at once. `plugin.blob-bytes`
    pub blob_bytes: u64,
}

impl Default for AdapterLimits {
    /// 120 s, 256 MiB.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(120), blob_bytes: 256 * MIB as u64 }
    }
}

/// What guests of the world `adapter-wasi-plugin` may use: they bring a language's runtime along. They have an engine of their own, so
/// that the places of small guests stay small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WasiLimits {
    /// Bytes of all linear memories of one call together.
    pub memory_bytes: usize,
    /// Elements of each table of one call.
    pub table_elements: usize,
    /// Time the guest's own code may run in one call, the start of its runtime included.
    pub cpu: Duration,
    /// Calls of host functions in one call.
    pub host_calls: u32,
    /// Calls at once, over all plugins of this world.
    pub max_concurrent: usize,
}

impl Default for WasiLimits {
    /// 256 MiB, 100 000 elements, 5 s of processor, 10 000 host calls, 16 calls at once.
    fn default() -> Self {
        Self { memory_bytes: 256 * MIB, table_elements: 100_000, cpu: Duration::from_secs(5), host_calls: 10_000, max_concurrent: 16 }
    }
}

impl Default for CompileLimits {
    /// 32 MiB, 4 GiB, 60 s.
    fn default() -> Self {
        Self { component_bytes: 32 * MIB, memory_bytes: 4 << 30, timeout: Duration::from_secs(60) }
    }
}

type OnBreakerChange = dyn Fn(&PluginId, Change) + Send + Sync;

/// Is told whenever the breaker of a plugin's generation changes its state. By default nobody is.
#[derive(Clone, Default)]
pub struct BreakerObserver(Option<Arc<OnBreakerChange>>);

impl BreakerObserver {
    /// Tells `observer`, on the thread whose call caused the change.
    #[must_use]
    pub fn new(observer: impl Fn(&PluginId, Change) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    pub(crate) fn changed(&self, id: &PluginId, change: Change) {
        if let Some(observer) = &self.0 {
            observer(id, change);
        }
    }
}

impl fmt::Debug for BreakerObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BreakerObserver").field(&self.0.is_some()).finish()
    }
}

type OnGuestCall = dyn Fn(&GuestCall<'_>) + Send + Sync;

/// Is told of every guest call that has ended, those of probes and descriptions excepted. By default nobody is.
#[derive(Clone, Default)]
pub struct CallObserver(Option<Arc<OnGuestCall>>);

impl CallObserver {
    /// Tells `observer`, on the thread that ends the call.
    #[must_use]
    pub fn new(observer: impl Fn(&GuestCall<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    pub(crate) fn ended(&self, call: &GuestCall<'_>) {
        if let Some(observer) = &self.0 {
            observer(call);
        }
    }
}

impl fmt::Debug for CallObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallObserver").field(&self.0.is_some()).finish()
    }
}

/// The catalogue went back to an earlier generation by itself, because the active one did too much wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// The plugin.
    pub plugin: PluginId,
    /// The generation that was active.
    pub from: Digest,
    /// The one that is active now.
    pub to: Digest,
}

type OnRollback = dyn Fn(&Rollback) + Send + Sync;

/// Is told whenever the catalogue goes back by itself. By default nobody is.
#[derive(Clone, Default)]
pub struct RollbackObserver(Option<Arc<OnRollback>>);

impl RollbackObserver {
    /// Tells `observer` once the earlier generation serves.
    #[must_use]
    pub fn new(observer: impl Fn(&Rollback) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    pub(crate) fn went_back(&self, rollback: &Rollback) {
        if let Some(observer) = &self.0 {
            observer(rollback);
        }
    }
}

impl fmt::Debug for RollbackObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RollbackObserver").field(&self.0.is_some()).finish()
    }
}

/// Settings of the runtime, fixed when the catalogue opens.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// Of each call.
    pub limits: GuestLimits,
    /// Of all calls together.
    pub pool: PoolConfig,
    /// How often guests are interrupted so that others run, and the unit in which their processor time is counted.
    pub tick: Duration,
    /// Where components are compiled.
    pub compiler: Compiler,
    /// Of compiling.
    pub compile_limits: CompileLimits,
    /// Private folder of compiled components; made with mode 0700 when absent.
    pub cache_dir: PathBuf,
    /// Of adapters.
    pub adapters: AdapterLimits,
    /// Of adapters with a runtime of their own.
    pub wasi: WasiLimits,
    /// What plugins may have.
    pub grants: Grants,
    /// Which upstreams, hosts and flags they may name.
    pub reach: ReachGrants,
    /// Who wins when several plugins offer one strategy: the one named earlier. Plugins not named may not share names. Of several adapters
    /// of one operation those named come first, in this order, then the others by id; likewise fallbacks.
    pub order: Vec<PluginId>,
    /// Generations kept per plugin, the active one included; at least 1.
    pub kept_generations: usize,
    /// Of each generation's breaker.
    pub breaker: BreakerConfig,
    /// Who hears of breakers that open and close.
    pub breaker_observer: BreakerObserver,
    /// Who hears of the catalogue going back by itself.
    pub rollback_observer: RollbackObserver,
    /// Who hears of guest calls.
    pub call_observer: CallObserver,
    /// Of images that guests open.
    pub image_limits: breakwater_vision::Limits,
}

impl RuntimeConfig {
    /// Defaults with a folder for compiled components and a compiler.
    #[must_use]
    pub fn new(cache_dir: PathBuf, compiler: Compiler) -> Self {
        Self {
            limits: GuestLimits::default(),
            pool: PoolConfig::default(),
            tick: Duration::from_millis(1),
            compiler,
            compile_limits: CompileLimits::default(),
            cache_dir,
            adapters: AdapterLimits::default(),
            wasi: WasiLimits::default(),
            grants: Grants::default(),
            reach: ReachGrants::default(),
            order: Vec::new(),
            kept_generations: 10,
            breaker: BreakerConfig::default(),
            breaker_observer: BreakerObserver::default(),
            rollback_observer: RollbackObserver::default(),
            call_observer: CallObserver::default(),
            image_limits: breakwater_vision::Limits::default(),
        }
    }

    /// What one call of a plugin of this world may use, before its manifest tightens it.
    #[must_use]
    pub fn limits_of(&self, world: World) -> GuestLimits {
        match world {
            World::Crop | World::Fallback | World::Ranker => self.limits,
            World::Adapter => GuestLimits { timeout: self.adapters.timeout, ..self.limits },
            World::AdapterWasi => GuestLimits {
                memory_bytes: self.wasi.memory_bytes,
                table_elements: self.wasi.table_elements,
                cpu: self.wasi.cpu,
                timeout: self.adapters.timeout,
                host_calls: self.wasi.host_calls,
                ..self.limits
            },
        }
    }
}
