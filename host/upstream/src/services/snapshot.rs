//! The services as calls see them.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::check::DefinitionViolation;
use super::definition::ServiceDefinition;

/// What a compiler of schemas made of a service's actions. It alone knows the type.
pub type CompiledActions = Arc<dyn Any + Send + Sync>;

/// Knows about schemas, of which this crate knows nothing.
pub trait ActionCompiler: Send + Sync + 'static {
    /// Compiles the schemas of a service's actions. Called once for each version of a service, on a thread that may be kept busy.
    ///
    /// # Errors
    /// Everything that is wrong with the schemas, with pointers into the definition.
    fn compile(&self, definition: &ServiceDefinition) -> Result<CompiledActions, Vec<DefinitionViolation>>;
}

/// Takes every schema for good and compiles none, where actions are not called.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoActionCompiler;

impl ActionCompiler for NoActionCompiler {
    fn compile(&self, _: &ServiceDefinition) -> Result<CompiledActions, Vec<DefinitionViolation>> {
        Ok(Arc::new(()))
    }
}

/// One version of a service, with its schemas compiled.
#[derive(Clone)]
pub struct ServiceEntry {
    /// The service.
    pub definition: ServiceDefinition,
    /// Its actions; none when they cannot be compiled, which only happens to one that another release wrote.
    pub compiled: Option<CompiledActions>,
}

impl fmt::Debug for ServiceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceEntry")
            .field("definition", &self.definition)
            .field("is_compiled", &self.compiled.is_some())
            .finish_non_exhaustive()
    }
}

/// Every service at one moment. A change makes a new one.
#[derive(Debug, Clone, Default)]
pub struct ServiceSnapshot {
    pub(super) revision: u64,
    by_id: BTreeMap<String, Arc<ServiceEntry>>,
    ids: BTreeMap<String, String>,
}

impl ServiceSnapshot {
    /// No service, after so many changes.
    pub(super) fn at(revision: u64) -> Self {
        Self { revision, ..Self::default() }
    }

    /// The service of this id or, if there is none, of this name.
    #[must_use]
    pub fn find(&self, id_or_name: &str) -> Option<&Arc<ServiceEntry>> {
        self.by_id.get(id_or_name).or_else(|| self.named(id_or_name))
    }

    /// The service of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<ServiceEntry>> {
        self.by_id.get(self.ids.get(name)?)
    }

    /// Every service, the oldest first.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceEntry>> {
        self.by_id.values()
    }

    /// How many services there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn put(&mut self, entry: Arc<ServiceEntry>) {
        self.remove(&entry.definition.id);
        self.ids.insert(entry.definition.name.clone(), entry.definition.id.clone());
        self.by_id.insert(entry.definition.id.clone(), entry);
    }

    pub(super) fn remove(&mut self, id: &str) {
        if let Some(gone) = self.by_id.remove(id) {
            self.ids.remove(&gone.definition.name);
        }
    }
}
