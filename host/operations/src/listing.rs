//! The operations there are, as operators and callers see them.

use breakwater_core::OperationSpec;

use crate::chains::Caching;
use crate::operations::Operations;
use crate::plan::PluginIdentity;
use crate::table::Live;

/// Who answers an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderInfo {
    /// `local`, `service:NAME`, `plugin:ID@VERSION` or `static`.
    pub name: String,
    /// The level it answers at; none for one that answers in full.
    pub level: Option<String>,
    /// Whether it is asked: an adapter is not while an upstream that it needs is not configured, and a service is not unless it is active.
    pub available: bool,
}

/// An operation and who answers it, in the order in which they are asked.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationInfo {
    /// What everyone agrees on.
    pub spec: OperationSpec,
    /// In the order in which they are asked.
    pub providers: Vec<ProviderInfo>,
    /// The longest a call may take.
    pub timeout: std::time::Duration,
    /// For how long answers are kept.
    pub caching: Caching,
    /// Whether the operation is switched on at all.
    pub enabled: bool,
    /// The flag that switches it per caller.
    pub flag: String,
}

impl Operations {
    /// Every operation, by name.
    #[must_use]
    pub fn operations(&self) -> Vec<OperationInfo> {
        let snapshot = self.current();
        snapshot.table.entries().map(|entry| self.info(entry)).collect()
    }

    fn info(&self, entry: &crate::table::Entry) -> OperationInfo {
        let provider = |name: String, level: Option<String>, available: bool| ProviderInfo { name, level, available };
        let live = entry.live.iter().map(|live| match live {
            Live::Local(_) => provider("local".to_owned(), None, true),
            Live::Service(action) => provider(format!("service:{}", action.service().name), None, self.is_available(live)),
            Live::Adapter { generation, .. } => provider(PluginIdentity::of(generation).served_by().label(), None, self.is_available(live)),
        });
        let fallbacks = entry
            .fallbacks
            .iter()
            .map(|(level, generation)| provider(PluginIdentity::of(generation).served_by().label(), Some(level.name.clone()), true));
        let configured = entry.static_answer.iter().map(|_| provider("static".to_owned(), Some("static".to_owned()), true));
        OperationInfo {
            spec: entry.spec().clone(),
            providers: live.chain(fallbacks).chain(configured).collect(),
            timeout: entry.timeout,
            caching: entry.caching,
            enabled: entry.enabled,
            flag: entry.flag.clone(),
        }
    }
}
