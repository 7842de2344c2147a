//! The active generations at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use breakwater_core::Strategy;

use crate::error::PluginError;
use crate::generation::Generation;
use crate::plugin_id::PluginId;

/// An immutable view of the catalogue. A call captures one and keeps it, so it never meets two generations of one plugin.
#[derive(Debug, Default)]
pub struct Snapshot {
    revision: u64,
    generations: BTreeMap<PluginId, Arc<Generation>>,
    strategies: BTreeMap<String, Offered>,
}

#[derive(Debug)]
struct Offered {
    strategy: Strategy,
    generation: Arc<Generation>,
}

impl Snapshot {
    /// An empty snapshot.
    pub(crate) fn at(revision: u64) -> Self {
        Self { revision, ..Self::default() }
    }

    /// These generations with `newcomer` instead of its predecessor. A name that several offer goes to the plugin named earlier in
    /// `order`.
    ///
    /// # Errors
    /// [`PluginError::StrategyTaken`] when two offer one name and `order` does not name both.
    pub(crate) fn with(&self, revision: u64, newcomer: &Arc<Generation>, order: &[PluginId]) -> Result<Self, PluginError> {
        let mut generations = self.generations.clone();
        generations.insert(newcomer.id().clone(), Arc::clone(newcomer));
        let rank = |id: &PluginId| order.iter().position(|named| named == id);
        let mut strategies: BTreeMap<String, Offered> = BTreeMap::new();
        for generation in generations.values() {
            for strategy in generation.strategies() {
                if let Some(holder) = strategies.get(&strategy.name) {
                    let holder = holder.generation.id();
                    let (Some(held), Some(new)) = (rank(holder), rank(generation.id())) else {
                        let holder = if holder == newcomer.id() { generation.id() } else { holder };
                        return Err(PluginError::StrategyTaken { strategy: strategy.name.clone(), holder: holder.clone() });
                    };
                    if held < new {
                        continue;
                    }
                }
                let offered = Offered { strategy: strategy.clone(), generation: Arc::clone(generation) };
                strategies.insert(strategy.name.clone(), offered);
            }
        }
        Ok(Self { revision, generations, strategies })
    }

    /// Grows with every change of the catalogue.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Every strategy with the generation that serves it, by name.
    pub fn strategies(&self) -> impl Iterator<Item = (&Strategy, &Arc<Generation>)> {
        self.strategies.values().map(|offered| (&offered.strategy, &offered.generation))
    }

    /// A strategy by its name.
    #[must_use]
    pub fn strategy(&self, name: &str) -> Option<(&Strategy, &Arc<Generation>)> {
        self.strategies.get(name).map(|offered| (&offered.strategy, &offered.generation))
    }

    /// The active generation of each plugin.
    pub fn generations(&self) -> impl Iterator<Item = &Arc<Generation>> {
        self.generations.values()
    }

    /// The active generation of a plugin.
    #[must_use]
    pub fn generation(&self, id: &PluginId) -> Option<&Arc<Generation>> {
        self.generations.get(id)
    }
}
