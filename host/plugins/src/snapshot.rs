//! The active generations at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use breakwater_core::{OperationSpec, Strategy};

use crate::error::PluginError;
use crate::generation::Generation;
use crate::level::FallbackLevel;
use crate::plugin_id::PluginId;
use crate::schema::OperationSchema;

/// An immutable view of the catalogue. A call captures one and keeps it, so it never meets two generations of one plugin.
#[derive(Debug, Default)]
pub struct Snapshot {
    revision: u64,
    generations: BTreeMap<PluginId, Arc<Generation>>,
    strategies: BTreeMap<String, Offered>,
    operations: BTreeMap<String, Provided>,
    fallbacks: BTreeMap<String, Vec<(FallbackLevel, Arc<Generation>)>>,
    /// In the operator's order.
    rankers: Vec<Arc<Generation>>,
}

/// An operation and who does it, in the operator's order.
#[derive(Debug)]
struct Provided {
    /// That of the first provider.
    schema: Arc<OperationSchema>,
    providers: Vec<Arc<Generation>>,
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

    /// These generations with `newcomer` instead of its predecessor. A strategy that several offer goes to the plugin named earlier in
    /// `order`; an operation that several offer is done by all of them, and the first one's schemas are the operation's.
    ///
    /// # Errors
    /// [`PluginError::StrategyTaken`] when two offer one strategy and `order` does not name both; [`PluginError::OperationConflict`]
    /// when two offer one operation with different effects.
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
        let mut ordered: Vec<_> = generations.values().collect();
        // Those without a rank come last, by id: the sort is stable and the map is in order.
        ordered.sort_by_key(|generation| rank(generation.id()).unwrap_or(usize::MAX));
        let operations = operations(&ordered, newcomer)?;
        let fallbacks = fallbacks(&ordered);
        let rankers = ordered.iter().filter(|generation| generation.ranker().is_some()).map(|generation| Arc::clone(generation)).collect();
        Ok(Self { revision, generations, strategies, operations, fallbacks, rankers })
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

    /// Every operation that an adapter offers, by name: as its first provider describes it.
    pub fn operations(&self) -> impl Iterator<Item = &OperationSpec> {
        self.operations.values().map(|provided| provided.schema.spec())
    }

    /// An operation with its compiled schemas, as its first provider describes it.
    #[must_use]
    pub fn operation(&self, name: &str) -> Option<&Arc<OperationSchema>> {
        self.operations.get(name).map(|provided| &provided.schema)
    }

    /// The adapters that do an operation: those in the operator's order first, then the others by id.
    #[must_use]
    pub fn adapters(&self, operation: &str) -> Vec<&Arc<Generation>> {
        self.operations.get(operation).map(|provided| provided.providers.iter().collect()).unwrap_or_default()
    }

    /// The levels at which fallbacks answer an operation: each plugin's in its own order, the plugins as in [`Self::adapters`].
    #[must_use]
    pub fn fallbacks(&self, operation: &str) -> Vec<(&FallbackLevel, &Arc<Generation>)> {
        let levels = self.fallbacks.get(operation).map(Vec::as_slice).unwrap_or_default();
        levels.iter().map(|(level, generation)| (level, generation)).collect()
    }

    /// The rankers: those in the operator's order first, then the others by id. A ranker's name is its plugin's id.
    #[must_use]
    pub fn rankers(&self) -> &[Arc<Generation>] {
        &self.rankers
    }

    /// The ranker of this name; without one, the first of [`Self::rankers`].
    #[must_use]
    pub fn ranker(&self, name: Option<&str>) -> Option<&Arc<Generation>> {
        let mut rankers = self.rankers.iter();
        match name {
            Some(name) => rankers.find(|generation| generation.id().as_str() == name),
            None => rankers.next(),
        }
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

fn operations(ordered: &[&Arc<Generation>], newcomer: &Arc<Generation>) -> Result<BTreeMap<String, Provided>, PluginError> {
    let mut operations: BTreeMap<String, Provided> = BTreeMap::new();
    for &generation in ordered {
        for schema in generation.schemas() {
            let spec = schema.spec();
            let Some(provided) = operations.get_mut(&spec.name) else {
                let provided = Provided { schema: Arc::clone(schema), providers: vec![Arc::clone(generation)] };
                operations.insert(spec.name.clone(), provided);
                continue;
            };
            let (first, holder) = (provided.schema.spec(), provided.providers.first().map(|first| first.id().clone()));
            if first.effect != spec.effect {
                // Named from the newcomer's side, whichever of the two comes first.
                let is_first = holder.as_ref() == Some(newcomer.id());
                let (offered, held) = if is_first { (first.effect, spec.effect) } else { (spec.effect, first.effect) };
                let holder = holder.filter(|_| !is_first).unwrap_or_else(|| generation.id().clone());
                let (offered, held) = (offered.name(), held.name());
                return Err(PluginError::OperationConflict { operation: spec.name.clone(), offered, holder, held });
            }
            provided.providers.push(Arc::clone(generation));
        }
    }
    Ok(operations)
}

fn fallbacks(ordered: &[&Arc<Generation>]) -> BTreeMap<String, Vec<(FallbackLevel, Arc<Generation>)>> {
    let mut fallbacks: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for &generation in ordered {
        for level in generation.levels() {
            fallbacks.entry(level.operation.clone()).or_default().push((level.clone(), Arc::clone(generation)));
        }
    }
    fallbacks
}
