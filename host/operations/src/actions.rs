//! Services that somebody defined, and their actions as operations of the name `service.action`: each with a chain, a flag, a cache, a
//! breaker and a trace like any other.

mod compiled;
mod health;
mod provider;

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{CallContext, Failure, FailureKind, OperationSpec, Outcome, Payload};
use serde_json::{Value, json};

pub use breakwater_upstream::{ActionDefinition, ServiceDefinition, ServiceDraft, ServiceEntry, ServicePatch, ServiceStatus};

pub use compiled::SchemaCompiler;
pub(crate) use compiled::{Action, actions, digest as schema_digest};
pub use health::{DefinedServiceHealth, HealthWord};

use crate::operation::OperationEffect;
use crate::operations::Operations;

/// How long an action may take when nothing is said: what the service integration client waits for.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest part of a name that is repeated to whoever gave it.
const MAX_NAME: usize = 128;

/// What a caller of an action may rely on.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionInfo {
    /// The operation that it is.
    pub operation: String,
    /// Whether its service is called.
    pub status: ServiceStatus,
    /// JSON Schema of the input.
    pub input_schema: Value,
    /// JSON Schema of the output.
    pub output_schema: Value,
    /// What it does to the world.
    pub effect: OperationEffect,
    /// Whether it may be sent twice without harm, though it is no read.
    pub idempotent: bool,
    /// The longest it may take.
    pub timeout: Duration,
}

/// The operation that an action of a service is.
#[must_use]
pub fn operation_name(service: &str, action: &str) -> String {
    format!("{service}.{action}")
}

impl Operations {
    /// The services that were defined, the oldest first; with a status, only those that have it.
    #[must_use]
    pub fn defined_services(&self, status: Option<ServiceStatus>) -> Vec<Arc<ServiceEntry>> {
        let services = self.parts().services.snapshot();
        let fits = |entry: &&Arc<ServiceEntry>| status.is_none_or(|status| entry.definition.status == status);
        services.services().filter(fits).cloned().collect()
    }

    /// A service by its id or, if there is none, by its name.
    ///
    /// # Errors
    /// `service.unknown` (not found).
    pub fn defined_service(&self, id_or_name: &str) -> Result<Arc<ServiceEntry>, Failure> {
        self.parts().services.get(id_or_name)
    }

    /// Defines a service. Its actions can be called when this returns. One that was defined under the same idempotency key is given as it is
    /// now, so that whoever was not answered may ask again.
    ///
    /// # Errors
    /// `service.invalid` (invalid request) with every violation, `service.name-taken` (invalid request), `service.too-large`,
    /// `service.full` (limit), `service.store` (unavailable).
    pub async fn define_service(&self, draft: ServiceDraft, key: Option<Arc<str>>) -> Result<Arc<ServiceEntry>, Failure> {
        let define = |this: Arc<Self>| async move {
            let services = &this.parts().services;
            match key {
                Some(key) => services.create_once(draft, &key).await,
                None => services.create(draft).await,
            }
        };
        self.to_its_end(define).await
    }

    /// Changes what is given of a service.
    ///
    /// # Errors
    /// As [`Self::define_service`]; `service.unknown` (not found), `service.conflict` (invalid request).
    pub async fn change_service(&self, id_or_name: &str, patch: ServicePatch) -> Result<Arc<ServiceEntry>, Failure> {
        let id = id_or_name.to_owned();
        self.to_its_end(|this| async move { this.parts().services.update(&id, patch).await }).await
    }

    /// Takes a service out. Calls that run go on.
    ///
    /// # Errors
    /// `service.unknown` (not found), `service.store` (unavailable).
    pub async fn remove_service(&self, id_or_name: &str) -> Result<Arc<ServiceEntry>, Failure> {
        let id = id_or_name.to_owned();
        self.to_its_end(|this| async move { this.parts().services.remove(&id).await }).await
    }

    /// What a caller of an action may rely on; nothing when there is no such action.
    #[must_use]
    pub fn service_action(&self, service: &str, action: &str) -> Option<ActionInfo> {
        let entry = self.defined_service(service).ok()?;
        let operation = operation_name(&entry.definition.name, action);
        let snapshot = self.current();
        let found = snapshot.table.get(&operation).ok()?;
        entry.definition.action(action)?;
        let OperationSpec { input_schema, output_schema, effect, idempotent, .. } = found.spec().clone();
        let status = entry.definition.status;
        Some(ActionInfo { operation, status, input_schema, output_schema, effect, idempotent, timeout: found.timeout })
    }

    /// What everyone agrees on about an operation; nothing when there is no such operation.
    #[must_use]
    pub fn operation_spec(&self, name: &str) -> Option<OperationSpec> {
        self.current().table.get(name).ok().map(|entry| entry.spec().clone())
    }

    /// Calls an action of a service.
    ///
    /// # Errors
    /// - `service.unknown`, `service.action-unknown` (not found)
    /// - `service.inactive` (invalid request): the service is kept and not called
    /// - `operation.input-invalid` (invalid request), `service.answer-invalid`, `service.output-invalid` (rejected)
    /// - whatever else [`Self::invoke`] fails with; the detail of what the service did wrong holds its `service_name`
    pub async fn execute_action(
        &self,
        context: &CallContext,
        service: &str,
        action: &str,
        input: Value,
    ) -> Result<Outcome<Payload>, Failure> {
        let entry = self.defined_service(service)?;
        let definition = &entry.definition;
        if definition.action(action).is_none() {
            return Err(unknown_action(definition, action));
        }
        if definition.status != ServiceStatus::Active {
            return Err(inactive(definition));
        }
        self.invoke(context, &operation_name(&definition.name, action), Payload::json(input)).await
    }
}

fn unknown_action(service: &ServiceDefinition, action: &str) -> Failure {
    let action: String = action.chars().take(MAX_NAME).collect();
    let known: Vec<&str> = service.actions.iter().map(|action| action.name.as_str()).collect();
    let message = format!("the service `{}` has no action `{action}`", service.name);
    let detail = json!({ "resource_type": "action", "resource_id": operation_name(&service.name, &action), "known": known });
    Failure::new(FailureKind::NotFound, "service.action-unknown", message).with_detail(detail)
}

/// Why an action is not called.
pub(crate) fn inactive(service: &ServiceDefinition) -> Failure {
    let message = format!("the service `{}` is {} and is not called", service.name, service.status);
    let detail = json!({ "service_name": service.name, "status": service.status.name() });
    Failure::invalid("service.inactive", message).with_detail(detail)
}
