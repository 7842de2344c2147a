//! A service that was defined, as clients write and see it.

use std::sync::Arc;

use breakwater_operations::actions::{ActionDefinition, ServiceDefinition, ServiceDraft, ServiceEntry, ServicePatch};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::json::Known;

/// A service that is to be made.
#[derive(ToSchema)]
#[schema(as = ServiceRequest)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used: drafts read themselves")]
pub(crate) struct ServiceRequestBody {
    /// What it is called by; no two services share one. Lower-case letters, digits, `-`, `_` and `.`, at most 128.
    name: String,
    /// For people. At most 4096 bytes.
    description: Option<String>,
    /// Its base URL, http or https, without user name, query or fragment.
    endpoint: String,
    /// What it does. At most 256.
    actions: Option<Vec<ActionBody>>,
    /// Anything else, never interpreted. At most 64 KiB of JSON.
    metadata: Option<Map<String, Value>>,
    /// `ACTIVE`, `INACTIVE` or `ARCHIVED`; `ACTIVE` when absent.
    status: Option<String>,
}

impl Known for ServiceDraft {
    const FIELDS: &'static [&'static str] = &["name", "description", "endpoint", "actions", "metadata", "status"];
}

/// What is to be changed of a service. What is not given stays.
#[derive(ToSchema)]
#[schema(as = ServiceChange)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used: patches read themselves")]
pub(crate) struct ServiceChangeBody {
    /// Another name.
    name: Option<String>,
    /// Another description.
    description: Option<String>,
    /// Another base URL.
    endpoint: Option<String>,
    /// Other actions, in the place of all there are.
    actions: Option<Vec<ActionBody>>,
    /// Other metadata, in the place of all there is.
    metadata: Option<Map<String, Value>>,
    /// `ACTIVE`, `INACTIVE` or `ARCHIVED`.
    status: Option<String>,
    /// The version that the change was made from; given, a service of another version is not changed.
    version: Option<u64>,
}

impl Known for ServicePatch {
    const FIELDS: &'static [&'static str] = &["name", "description", "endpoint", "actions", "metadata", "status", "version"];
}

/// Something a service does, by `POST {endpoint}/{name}` with the input as JSON.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Action)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionBody {
    /// What it is called by within its service: letters, digits, `-` and `_`, at most 128.
    name: String,
    /// For people. At most 4096 bytes.
    #[schema(required = false)]
    description: String,
    /// JSON Schema (2020-12) of what it takes; absent, it takes anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    input_schema: Option<Value>,
    /// JSON Schema (2020-12) of what it answers; absent, any JSON will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<Value>,
    /// What it does to the world: `read`, `create`, `update` or `delete`; `create` when absent.
    #[schema(required = false, value_type = String, example = "create")]
    effect: &'static str,
    /// Whether it may be sent twice without harm, though it is no read; not, when absent.
    #[schema(required = false)]
    idempotent: bool,
    /// The longest it may take, retries included, in milliseconds; 30 000 when absent.
    #[schema(minimum = 1, maximum = 600_000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
}

impl From<ActionDefinition> for ActionBody {
    fn from(action: ActionDefinition) -> Self {
        let ActionDefinition { name, description, input_schema, output_schema, effect, idempotent, timeout_ms } = action;
        Self { name, description, input_schema, output_schema, effect: effect.name(), idempotent, timeout_ms }
    }
}

/// A service that was defined.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DefinedService)]
pub(crate) struct ServiceBody {
    /// Names it for ever.
    id: String,
    /// What it is called by.
    name: String,
    /// For people.
    description: String,
    /// Its base URL.
    endpoint: String,
    /// What it does.
    actions: Vec<ActionBody>,
    /// Anything else.
    metadata: Map<String, Value>,
    /// `ACTIVE`, `INACTIVE` or `ARCHIVED`; only an active one is called.
    status: &'static str,
    /// 1 at first, and one more with every change.
    version: u64,
    /// When it was made, in milliseconds since 1970.
    created_at_ms: u64,
    /// When it was changed last, in milliseconds since 1970.
    updated_at_ms: u64,
}

impl From<Arc<ServiceEntry>> for ServiceBody {
    fn from(entry: Arc<ServiceEntry>) -> Self {
        let service: ServiceDefinition = entry.definition.clone();
        Self {
            id: service.id,
            name: service.name,
            description: service.description,
            endpoint: service.endpoint,
            actions: service.actions.into_iter().map(ActionBody::from).collect(),
            metadata: service.metadata,
            status: service.status.name(),
            version: service.version,
            created_at_ms: service.created_at_ms,
            updated_at_ms: service.updated_at_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use breakwater_operations::actions::ServiceStatus;
    use serde_json::json;

    use super::*;
    use crate::json;

    #[test]
    fn nothing_of_a_service_is_lost() {
        let draft: ServiceDraft = json::read(
            br#"{"name":"text","endpoint":"http://a","actions":[{"name":"x","input_schema":true,"effect":"read","timeout_ms":5}],"metadata":{"a":1}}"#,
        )
        .unwrap();
        let definition = ServiceDefinition {
            id: "1".into(),
            name: draft.name,
            description: "d".into(),
            endpoint: draft.endpoint,
            actions: draft.actions,
            metadata: draft.metadata,
            status: ServiceStatus::Inactive,
            version: 3,
            created_at_ms: 4,
            updated_at_ms: 5,
        };
        let expected = serde_json::to_value(&definition).unwrap();
        let body = serde_json::to_value(ServiceBody::from(Arc::new(ServiceEntry { definition, compiled: None }))).unwrap();
        assert_eq!(body, expected);
        assert_eq!((&body["status"], &body["actions"][0]["effect"]), (&json!("INACTIVE"), &json!("read")));
    }

    #[test]
    fn what_is_written_is_read_as_it_is_described() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        for (schema, fields) in [("ServiceRequest", ServiceDraft::FIELDS), ("ServiceChange", ServicePatch::FIELDS)] {
            let described = document["components"]["schemas"][schema]["properties"].as_object().unwrap();
            assert_eq!(described.keys().map(String::as_str).collect::<BTreeSet<_>>(), fields.iter().copied().collect(), "{schema}");
        }
        assert_eq!(json::read::<ServicePatch>(br#"{"stauts":"ACTIVE"}"#).unwrap_err().code, "request.unknown-field");
        let failure = json::read::<ServiceDraft>(br#"{"name":"a","endpoint":"b","actions":[{"name":"x","effect":"reads"}]}"#).unwrap_err();
        assert_eq!(failure.detail.unwrap()["violations"][0]["pointer"], "/actions/0/effect");
    }
}
