//! Services with actions, as somebody defines them: what they are called, where they are, what they take and answer.
//!
//! The registry ([`crate::Registry`]) knows instances, which come and go as they say themselves; the catalogue knows services, which are
//! there until somebody changes them. The endpoint of an active service is an endpoint of the upstream of its name, so that calls of its
//! actions have a breaker, a budget and a health like any other ([`crate::Upstreams::follow_services`]).

mod check;
mod definition;
mod records;
mod snapshot;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use breakwater_core::{Failure, FailureKind, keyed_id};
use serde_json::json;
use tokio::sync::Mutex;

pub use check::{
    DefinitionViolation, MAX_ACTION_NAME, MAX_ACTIONS, MAX_DEFINITION, MAX_DESCRIPTION, MAX_METADATA,
    MAX_TIMEOUT_MS as MAX_ACTION_TIMEOUT_MS,
};
pub use definition::{ActionDefinition, InvalidServiceStatus, ServiceDefinition, ServiceDraft, ServicePatch, ServiceStatus};
pub use records::{MemoryServiceCatalogueRecords, ServiceCatalogueRecords, ServiceCatalogueRecordsError, ServiceCatalogueState};
pub use snapshot::{ActionCompiler, CompiledActions, NoActionCompiler, ServiceEntry, ServiceSnapshot};

use crate::registry::{Registration, unix_ms};

/// How often a change that does not say which version it was made from is tried again when another process comes in between.
const ATTEMPTS: u32 = 8;

type Hook = Box<dyn Fn(&ServiceSnapshot) + Send + Sync>;

/// The services that somebody defined. What it answers is what was written to the records before.
///
/// Reading takes no lock and never waits. A change is seen by this process when it returns, and by other processes on the same records when
/// they look next ([`Self::poll`]).
pub struct ServiceCatalogue {
    current: ArcSwap<ServiceSnapshot>,
    records: Arc<dyn ServiceCatalogueRecords>,
    compiler: Arc<dyn ActionCompiler>,
    /// One writer at a time, so that the records and the snapshot change in the same order.
    writer: Mutex<()>,
    hook: OnceLock<Hook>,
}

impl ServiceCatalogue {
    /// The most services.
    pub const MAX_SERVICES: usize = 1000;

    /// Reads what was defined before the restart.
    ///
    /// # Errors
    /// `service.store` (unavailable) when the records cannot be read.
    pub async fn open(records: Arc<dyn ServiceCatalogueRecords>, compiler: Arc<dyn ActionCompiler>) -> Result<Arc<Self>, Failure> {
        let this = Self { current: ArcSwap::default(), records, compiler, writer: Mutex::default(), hook: OnceLock::new() };
        let writing = this.writer.lock().await;
        this.read().await?;
        drop(writing);
        Ok(Arc::new(this))
    }

    /// Calls `hook` now, and after each change once the catalogue answers with it. Set once, by whoever follows it.
    pub(crate) fn on_change(&self, hook: impl Fn(&ServiceSnapshot) + Send + Sync + 'static) {
        hook(&self.current.load());
        let _ = self.hook.set(Box::new(hook));
    }

    /// Every service now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<ServiceSnapshot> {
        self.current.load_full()
    }

    /// The service of this id or, if there is none, of this name.
    ///
    /// # Errors
    /// `service.unknown` (not found); the detail holds `resource_type` and `resource_id`.
    pub fn get(&self, id_or_name: &str) -> Result<Arc<ServiceEntry>, Failure> {
        self.current.load().find(id_or_name).cloned().ok_or_else(|| unknown(id_or_name))
    }

    /// Defines a service.
    ///
    /// # Errors
    /// - `service.invalid` (invalid request) with everything that is wrong under `violations` in the detail
    /// - `service.too-large`, `service.full` (limit)
    /// - `service.name-taken` (invalid request): another service is called so
    /// - `service.store` (unavailable): it could not be written and is not there
    pub async fn create(&self, draft: ServiceDraft) -> Result<Arc<ServiceEntry>, Failure> {
        self.add(draft, None).await
    }

    async fn add(&self, draft: ServiceDraft, key: Option<&str>) -> Result<Arc<ServiceEntry>, Failure> {
        let now = unix_ms();
        let ServiceDraft { name, description, endpoint, actions, metadata, status } = draft;
        let id = keyed_id::new_id(&name, key);
        let definition = ServiceDefinition {
            id,
            name,
            description,
            endpoint,
            actions,
            metadata,
            status,
            version: 1,
            created_at_ms: now,
            updated_at_ms: now,
        };
        let _writing = self.writer.lock().await;
        let entry = self.checked(definition).await?;
        if self.current.load().len() >= Self::MAX_SERVICES {
            let message = format!("at most {} services can be defined", Self::MAX_SERVICES);
            return Err(Failure::limit("service.full", message).with_detail(json!({ "max_services": Self::MAX_SERVICES })));
        }
        let revision = self.records.put(&entry.definition, 0).await.map_err(|error| match error {
            // Its id is made of name, key and time: within the same millisecond, both are taken.
            ServiceCatalogueRecordsError::Conflict { .. } => refused(&entry.definition, ServiceCatalogueRecordsError::NameTaken),
            error => refused(&entry.definition, error),
        })?;
        self.publish(revision, |snapshot| snapshot.put(Arc::clone(&entry)));
        Ok(entry)
    }

    /// Defines a service, or gives the one that was defined under the same idempotency key, as it is now: whoever was not answered may ask
    /// again.
    ///
    /// # Errors
    /// As [`Self::create`]; `service.name-taken` also when the key was used for another definition.
    pub async fn create_once(&self, draft: ServiceDraft, key: &str) -> Result<Arc<ServiceEntry>, Failure> {
        let refused = match self.add(draft.clone(), Some(key)).await {
            Err(failure) if ["service.name-taken", "service.full"].contains(&&*failure.code) => failure,
            result => return result,
        };
        // It may have been defined in another process.
        self.refresh().await?;
        let known = self.current.load().named(&draft.name).cloned();
        known.filter(|known| known.definition.was_made_of(&draft, key)).ok_or(refused)
    }

    /// Changes what is given of a service.
    ///
    /// # Errors
    /// As [`Self::create`]; `service.unknown` (not found), `service.conflict` (invalid request) when the service is not of the version that
    /// the change says it was made from.
    pub async fn update(&self, id_or_name: &str, patch: ServicePatch) -> Result<Arc<ServiceEntry>, Failure> {
        let _writing = self.writer.lock().await;
        let id = self.get(id_or_name)?.definition.id.clone();
        for _ in 0..ATTEMPTS {
            let before = self.get(&id)?;
            let version = before.definition.version;
            let definition = patch.clone().applied_to(&before.definition, unix_ms());
            if let Some(expected) = patch.version.filter(|expected| *expected != version) {
                return Err(conflict(&definition, expected, version));
            }
            let entry = self.checked(definition).await?;
            match self.records.put(&entry.definition, version).await {
                Ok(revision) => {
                    self.publish(revision, |snapshot| snapshot.put(Arc::clone(&entry)));
                    return Ok(entry);
                }
                // Another process changed it, or took it out.
                Err(ServiceCatalogueRecordsError::Conflict { .. }) => self.read().await?,
                Err(error) => return Err(refused(&entry.definition, error)),
            }
        }
        let before = self.get(&id)?;
        Err(conflict(&before.definition, before.definition.version, before.definition.version))
    }

    /// Takes a service out.
    ///
    /// # Errors
    /// `service.unknown` (not found), `service.store` (unavailable; it is still there).
    pub async fn remove(&self, id_or_name: &str) -> Result<Arc<ServiceEntry>, Failure> {
        let _writing = self.writer.lock().await;
        let id = self.get(id_or_name)?.definition.id.clone();
        for _ in 0..ATTEMPTS {
            let entry = self.get(&id)?;
            match self.records.remove(&id, entry.definition.version).await {
                Ok(revision) => {
                    self.publish(revision, |snapshot| snapshot.remove(&id));
                    return Ok(entry);
                }
                Err(ServiceCatalogueRecordsError::Conflict { .. }) => self.read().await?,
                Err(error) => return Err(refused(&entry.definition, error)),
            }
        }
        let before = self.get(&id)?;
        Err(conflict(&before.definition, before.definition.version, before.definition.version))
    }

    /// Takes over what other processes changed. Says whether anything had changed.
    ///
    /// # Errors
    /// `service.store` (unavailable); the services stay as they were.
    pub async fn refresh(&self) -> Result<bool, Failure> {
        let _writing = self.writer.lock().await;
        if self.records.revision().await.map_err(stored)? == self.current.load().revision {
            return Ok(false);
        }
        self.read().await?;
        Ok(true)
    }

    /// The task `services-poll`: takes over what other processes changed, every `interval`, and never ends. Whoever starts it drops it to
    /// stop it; nothing is lost by that. When the records cannot be read it leaves the services as they are and goes on; the log hears of it
    /// once, and again when they can be read.
    pub async fn poll(&self, interval: Duration) {
        let mut failing = false;
        loop {
            tokio::time::sleep(interval).await;
            match self.refresh().await {
                Ok(_) if std::mem::take(&mut failing) => tracing::info!("the records of services can be read again"),
                Ok(_) => {}
                Err(failure) if !std::mem::replace(&mut failing, true) => {
                    tracing::warn!(error = failure.chain(), "the records of services cannot be read; the services stay as they were");
                }
                Err(_) => {}
            }
        }
    }

    /// Reads everything anew. What stayed keeps its compiled schemas. The writer's lock is held.
    async fn read(&self) -> Result<(), Failure> {
        let state = self.records.load().await.map_err(stored)?;
        let before = self.current.load_full();
        let mut snapshot = ServiceSnapshot::at(state.revision);
        for definition in state.services {
            let kept = before.find(&definition.id).filter(|kept| kept.definition == definition);
            let entry = match kept {
                Some(kept) => Arc::clone(kept),
                None => Arc::new(self.read_one(definition).await?),
            };
            snapshot.put(entry);
        }
        self.show(snapshot);
        Ok(())
    }

    /// One service of the records. What cannot be used does not take the others along.
    async fn read_one(&self, definition: ServiceDefinition) -> Result<ServiceEntry, Failure> {
        let (definition, compiled) = self.compiled(definition).await?;
        if let Err(violations) = &compiled {
            tracing::error!(service = definition.name, ?violations, "the actions of a stored service cannot be used");
        }
        Ok(ServiceEntry { definition, compiled: compiled.ok() })
    }

    /// The entry of a definition that can be meant.
    async fn checked(&self, definition: ServiceDefinition) -> Result<Arc<ServiceEntry>, Failure> {
        check::check_size(&definition)?;
        let mut violations = check::violations(&definition);
        let (definition, compiled) = self.compiled(definition).await?;
        match compiled {
            Ok(compiled) if violations.is_empty() => Ok(Arc::new(ServiceEntry { definition, compiled: Some(compiled) })),
            compiled => {
                violations.extend(compiled.err().unwrap_or_default());
                Err(check::invalid(violations))
            }
        }
    }

    async fn compiled(
        &self,
        definition: ServiceDefinition,
    ) -> Result<(ServiceDefinition, Result<CompiledActions, Vec<DefinitionViolation>>), Failure> {
        let compiler = Arc::clone(&self.compiler);
        #[expect(clippy::disallowed_methods, reason = "milliseconds, and one at a time: whoever changes services holds their lock")]
        let compiling = tokio::task::spawn_blocking(move || {
            let compiled = compiler.compile(&definition);
            (definition, compiled)
        });
        compiling.await.map_err(|error| Failure::internal("the schemas of a service could not be compiled").caused_by(error))
    }

    /// Shows a change that was written.
    fn publish(&self, revision: u64, change: impl FnOnce(&mut ServiceSnapshot)) {
        let mut snapshot = ServiceSnapshot::clone(&self.current.load());
        // When other processes made changes in between, the revision stays what it was, so that the next poll reads them.
        if revision == snapshot.revision + 1 {
            snapshot.revision = revision;
        }
        change(&mut snapshot);
        self.show(snapshot);
    }

    fn show(&self, snapshot: ServiceSnapshot) {
        let snapshot = Arc::new(snapshot);
        self.current.store(Arc::clone(&snapshot));
        if let Some(hook) = self.hook.get() {
            hook(&snapshot);
        }
    }
}

impl fmt::Debug for ServiceCatalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceCatalogue").field("services", &self.current.load().len()).finish_non_exhaustive()
    }
}

fn unknown(id_or_name: &str) -> Failure {
    let id: String = id_or_name.chars().take(Registration::MAX_NAME).collect();
    let detail = json!({ "resource_type": "service", "resource_id": id });
    Failure::new(FailureKind::NotFound, "service.unknown", format!("there is no service `{id}`")).with_detail(detail)
}

fn conflict(definition: &ServiceDefinition, expected: u64, found: u64) -> Failure {
    let message = format!("the service `{}` was changed meanwhile; read it again", definition.name);
    Failure::invalid("service.conflict", message).with_detail(json!({ "expected": expected, "found": found }))
}

fn refused(definition: &ServiceDefinition, error: ServiceCatalogueRecordsError) -> Failure {
    match error {
        ServiceCatalogueRecordsError::Conflict { expected, found } => conflict(definition, expected, found),
        ServiceCatalogueRecordsError::NameTaken => {
            let message = format!("another service is called `{}`", definition.name);
            let detail = json!({ "violations": [{ "pointer": "/name", "message": "is the name of another service" }] });
            Failure::invalid("service.name-taken", message).with_detail(detail)
        }
        error => stored(error),
    }
}

fn stored(error: ServiceCatalogueRecordsError) -> Failure {
    Failure::new(FailureKind::Unavailable, "service.store", "the records of services could not be read or written").caused_by(error)
}

#[cfg(test)]
mod tests;
