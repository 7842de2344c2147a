//! What a call answers, and where the answer came from.

use std::time::Duration;

use serde::Serialize;

use crate::digest::Digest;
use crate::failure::Failure;

/// Who gave an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum ServedBy {
    /// Code of the host, such as the centre crop.
    Host {
        /// Name of the provider, such as `center`.
        name: String,
    },
    /// A generation of a plugin.
    Plugin {
        /// The plugin's id, such as `crop-people`.
        id: String,
        /// Its version.
        version: String,
        /// Digest of the component.
        digest: Digest,
    },
    /// A model.
    Model {
        /// Such as `yunet`.
        name: String,
        /// Where it ran, such as `cpu (convnet avx512)`.
        device: String,
    },
    /// A registered service that did the action itself.
    Service {
        /// Its name, such as `text-extraction`.
        name: String,
    },
    /// A cache entry.
    Cache {
        /// Who had given the answer first.
        name: String,
    },
}

impl ServedBy {
    /// Short text for headers and tables, such as `plugin:crop-people@0.1.0`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Host { name } => format!("host:{name}"),
            Self::Plugin { id, version, .. } => format!("plugin:{id}@{version}"),
            Self::Model { name, device } => format!("model:{name} on {device}"),
            Self::Service { name } => format!("service:{name}"),
            Self::Cache { name } => format!("cache:{name}"),
        }
    }
}

/// Why an answer is degraded: what failed before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Which provider failed.
    pub provider: String,
    /// The failure's stable code.
    pub code: String,
    /// The failure's message.
    pub message: String,
}

impl Reason {
    /// Why `provider` did not answer. The message of a defect stays in the log.
    #[must_use]
    pub fn of(provider: impl Into<String>, failure: &Failure) -> Self {
        let internal = failure.kind == crate::failure::FailureKind::Internal;
        let message = if internal { "internal error".to_owned() } else { failure.message.clone() };
        Self { provider: provider.into(), code: failure.code.clone().into_owned(), message }
    }
}

/// An answer with its history.
#[derive(Debug, Clone)]
pub struct Outcome<T> {
    /// The answer.
    pub value: T,
    /// Who gave it.
    pub served_by: ServedBy,
    /// What failed before it was given; empty when the first provider answered.
    pub reasons: Vec<Reason>,
    /// How many providers were tried, this one included.
    pub attempts: u32,
    /// The level of a fallback that answered, such as `basic-template`; `stale` for a cache entry past its time, `static` for the
    /// configured answer. None for a provider that answers in full.
    pub level: Option<String>,
    /// How old the answer is, when it came from a cache.
    pub cached_age: Option<Duration>,
    /// How long it took.
    pub elapsed: Duration,
}

impl<T> Outcome<T> {
    /// An answer that its first provider gave at once.
    #[must_use]
    pub fn new(value: T, served_by: ServedBy) -> Self {
        Self { value, served_by, reasons: Vec::new(), attempts: 1, level: None, cached_age: None, elapsed: Duration::ZERO }
    }

    /// The same history with another value.
    #[must_use]
    pub fn map<U>(self, turn: impl FnOnce(T) -> U) -> Outcome<U> {
        let Self { value, served_by, reasons, attempts, level, cached_age, elapsed } = self;
        Outcome { value: turn(value), served_by, reasons, attempts, level, cached_age, elapsed }
    }

    /// Whether another than the first provider answered, or one at a lower level.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        !self.reasons.is_empty() || self.level.is_some()
    }
}
