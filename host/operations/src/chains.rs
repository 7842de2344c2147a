//! How the operator wants each operation to be answered.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// The word for the host's own code in a list of providers.
pub const LOCAL: &str = "local";
/// The word for the service whose action an operation is.
pub const SERVICE: &str = "service";
/// The word for every level of every fallback plugin, in their order.
pub const FALLBACKS: &str = "fallbacks";
/// The word for the configured answer.
pub const STATIC: &str = "static";

/// For how long answers of an operation are kept. Only answers of reads are, and only those that are not degraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caching {
    /// How long an answer is as good as a new one; none keeps nothing.
    pub ttl: Option<Duration>,
    /// How long after that it is still given, while a new one is fetched in the background.
    pub stale_while_revalidate: Duration,
    /// How long after `ttl` it may still be given when every provider that answers in full has failed.
    pub stale_if_error: Duration,
}

/// One operation's chain. The default asks every adapter whose upstreams are configured, then the host's own code, then the fallbacks.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainConfig {
    /// [`LOCAL`], [`SERVICE`], [`FALLBACKS`], [`STATIC`] and ids of plugins, in order; none means the default. Whatever the order, those that
    /// answer in full are asked before fallbacks, and the configured answer comes last.
    pub providers: Option<Vec<String>>,
    /// The longest a call may take; none means the operation's own.
    pub timeout: Option<Duration>,
    /// The longest one provider may take; none means as long as the call.
    pub provider_timeout: Option<Duration>,
    /// Whether providers that answer in full are asked at all; off, the call goes to the fallbacks.
    pub enabled: bool,
    /// The flag that decides the same per caller; none means the flag named like the operation. A flag that does not exist changes
    /// nothing.
    pub flag: Option<String>,
    /// For how long answers are kept.
    pub caching: Caching,
    /// The answer when nobody else has one.
    pub static_answer: Option<Value>,
}

impl Default for ChainConfig {
    fn default() -> Self {
        Self {
            providers: None,
            timeout: None,
            provider_timeout: None,
            enabled: true,
            flag: None,
            caching: Caching::default(),
            static_answer: None,
        }
    }
}

/// The chains by the name of their operation.
pub type Chains = BTreeMap<String, ChainConfig>;
