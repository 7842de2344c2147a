//! Whether a definition can be meant, but for its schemas.

use std::collections::BTreeSet;

use breakwater_core::Failure;
use serde::Serialize;
use serde_json::{Value, json};

use super::definition::{ActionDefinition, ServiceDefinition};
use crate::endpoint::Endpoint;
use crate::registry::{Registration, is_name};

/// The most actions of a service.
pub const MAX_ACTIONS: usize = 256;
/// The longest name of an action, in bytes.
pub const MAX_ACTION_NAME: usize = 128;
/// The longest description, in bytes.
pub const MAX_DESCRIPTION: usize = 4096;
/// The largest definition, as JSON, in bytes.
pub const MAX_DEFINITION: usize = 256 * 1024;
/// The largest metadata, as JSON, in bytes.
pub const MAX_METADATA: usize = 64 * 1024;
/// The longest that an action may be given, in milliseconds.
pub const MAX_TIMEOUT_MS: u64 = 600_000;
/// The most violations that are listed.
const MAX_VIOLATIONS: usize = 100;

/// What is wrong at one place of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DefinitionViolation {
    /// A JSON Pointer into the definition, such as `/actions/0/name`.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

/// Refuses a definition that is larger than may be kept, before anybody looks into it.
pub(crate) fn check_size(definition: &ServiceDefinition) -> Result<(), Failure> {
    if json_length(definition) <= MAX_DEFINITION {
        return Ok(());
    }
    let message = format!("the definition of a service has at most {MAX_DEFINITION} bytes of JSON");
    Err(Failure::limit("service.too-large", message).with_detail(json!({ "max_bytes": MAX_DEFINITION })))
}

/// Everything that is wrong with a definition, but for its schemas.
pub(crate) fn violations(definition: &ServiceDefinition) -> Vec<DefinitionViolation> {
    let mut found = Vec::new();
    let mut require = |holds: bool, pointer: String, message: &str| {
        if !holds {
            found.push(DefinitionViolation { pointer, message: message.to_owned() });
        }
    };
    require(is_name(&definition.name), "/name".to_owned(), "is 1 to 128 lower-case letters, digits, `-`, `_` and `.`");
    require(definition.description.len() <= MAX_DESCRIPTION, "/description".to_owned(), "has at most 4096 bytes");
    let endpoint = Endpoint::new("", &definition.endpoint).map_err(|error| error.to_string());
    require(endpoint.is_ok(), "/endpoint".to_owned(), endpoint.as_ref().err().map_or("", String::as_str));
    require(definition.endpoint.len() <= Registration::MAX_TEXT, "/endpoint".to_owned(), "has at most 1024 bytes");
    require(json_length(&definition.metadata) <= MAX_METADATA, "/metadata".to_owned(), "has at most 65536 bytes of JSON");
    require(definition.actions.len() <= MAX_ACTIONS, "/actions".to_owned(), "are at most 256");
    let mut names = BTreeSet::new();
    for (index, action) in definition.actions.iter().take(MAX_ACTIONS).enumerate() {
        let at = |field: &str| format!("/actions/{index}/{field}");
        require(is_action_name(action), at("name"), "is 1 to 128 letters, digits, `-` and `_`");
        require(names.insert(&action.name), at("name"), "is the name of another action");
        require(action.description.len() <= MAX_DESCRIPTION, at("description"), "has at most 4096 bytes");
        let timeout_fits = action.timeout_ms.is_none_or(|timeout| (1..=MAX_TIMEOUT_MS).contains(&timeout));
        require(timeout_fits, at("timeout_ms"), "is from 1 to 600000");
    }
    found
}

/// The refusal of a definition, with everything that is wrong about it.
pub(crate) fn invalid(mut violations: Vec<DefinitionViolation>) -> Failure {
    let more = violations.len().saturating_sub(MAX_VIOLATIONS);
    violations.truncate(MAX_VIOLATIONS);
    let mut detail = json!({ "violations": violations });
    if let (Value::Object(fields), true) = (&mut detail, more > 0) {
        fields.insert("more_violations".to_owned(), more.into());
    }
    Failure::invalid("service.invalid", "the service cannot be meant as it is defined; `violations` says where").with_detail(detail)
}

/// It becomes a segment of a path, and what follows the last dot of an operation's name.
fn is_action_name(action: &ActionDefinition) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_ACTION_NAME).contains(&action.name.len()) && action.name.bytes().all(allowed)
}

fn json_length(value: &impl Serialize) -> usize {
    // Strings, numbers and maps with text as names always serialise.
    serde_json::to_vec(value).map_or(usize::MAX, |text| text.len())
}
