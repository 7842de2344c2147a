//! Workflows as requests and answers write them.

use breakwater_core::Failure;
use breakwater_operations::workflows::{Change, Problem as Found, Report, Stored, Workflow, WorkflowStatus};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::form::field_invalid;

/// What a workflow is to be. Everything that may be wrong with it is told at once, each with its JSON Pointer; docs/workflows.md says what
/// steps can do.
#[derive(ToSchema)]
#[schema(as = WorkflowDefinition)]
#[expect(dead_code, reason = "only its schema is used: definitions read themselves")]
pub(crate) struct DefinitionBody {
    /// What it is called by. Lower-case letters, digits, `-`, `_` and `.`, at most 128.
    #[schema(example = "document-sentiment")]
    name: String,
    /// For people.
    description: Option<String>,
    /// What is done: `{id, service, action, next}` each, or one of the other kinds of steps. The first is the entry; what a step puts out is
    /// what the next one gets.
    steps: Vec<Map<String, Value>>,
    /// JSON Schema (2020-12) of what an execution is started with.
    input_schema: Option<Value>,
    /// JMESPath expression for the result; the output of the last step when absent.
    output: Option<String>,
    /// How long an execution may take, in milliseconds; for ever when absent.
    timeout_ms: Option<u64>,
    /// Anything else; stored and returned.
    metadata: Option<Map<String, Value>>,
    /// Whether it may be started; only of a change.
    #[schema(value_type = Option<String>, example = "ACTIVE")]
    status: Option<String>,
}

/// A workflow.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workflow)]
pub(crate) struct WorkflowBody {
    /// Names it for ever.
    id: String,
    /// What it is called by.
    name: String,
    /// For people.
    description: String,
    /// What is done.
    #[schema(value_type = Vec<Map<String, Value>>)]
    steps: Value,
    /// What an execution is started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    input_schema: Option<Value>,
    /// Expression for the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    /// How long an execution may take, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    /// What was stored with it.
    metadata: Map<String, Value>,
    /// `ACTIVE`, `INACTIVE` or `ARCHIVED`.
    #[schema(example = "ACTIVE")]
    status: &'static str,
    /// Counts its changes, from 1.
    version: u32,
    /// What may keep it from being executed, such as services that are not registered yet. Only where it was just stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<FoundBody>>,
    /// When it was made, in milliseconds since 1970.
    created_at_ms: u64,
    /// When it was last changed, in milliseconds since 1970.
    updated_at_ms: u64,
}

/// Something that was found in a definition.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowProblem)]
pub(crate) struct FoundBody {
    /// Where: a JSON Pointer into the definition.
    #[schema(example = "/steps/0/next")]
    pointer: String,
    /// What kind of problem; stable.
    code: String,
    /// What is wrong, and what may have been meant.
    message: String,
}

/// What is wrong with a definition.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowReport)]
pub(crate) struct ReportBody {
    /// Whether it could be stored.
    valid: bool,
    /// Why it could not.
    errors: Vec<FoundBody>,
    /// What may keep it from being executed.
    warnings: Vec<FoundBody>,
}

impl From<Found> for FoundBody {
    fn from(found: Found) -> Self {
        Self { pointer: found.pointer, code: found.code.to_owned(), message: found.message }
    }
}

impl From<Report> for ReportBody {
    fn from(report: Report) -> Self {
        let valid = report.is_valid();
        let bodies = |found: Vec<Found>| found.into_iter().map(Into::into).collect();
        Self { valid, errors: bodies(report.errors), warnings: bodies(report.warnings) }
    }
}

impl From<Workflow> for WorkflowBody {
    fn from(workflow: Workflow) -> Self {
        let definition = workflow.definition;
        Self {
            id: workflow.id,
            name: definition.name,
            description: definition.description,
            // Steps always serialise.
            steps: serde_json::to_value(definition.steps).unwrap_or_default(),
            input_schema: definition.input_schema,
            output: definition.output,
            timeout_ms: definition.timeout_ms,
            metadata: definition.metadata,
            status: workflow.status.name(),
            version: workflow.version,
            warnings: None,
            created_at_ms: workflow.created_at_ms,
            updated_at_ms: workflow.updated_at_ms,
        }
    }
}

impl From<Stored> for WorkflowBody {
    fn from(stored: Stored) -> Self {
        let warnings = stored.warnings.into_iter().map(Into::into).collect();
        Self { warnings: Some(warnings), ..stored.workflow.into() }
    }
}

/// A status as it is written.
///
/// # Errors
/// `request.field-invalid`.
pub(crate) fn status(text: &str) -> Result<WorkflowStatus, Failure> {
    let found = WorkflowStatus::ALL.into_iter().find(|status| status.name() == text);
    found.ok_or_else(|| field_invalid("status", "is ACTIVE, INACTIVE or ARCHIVED"))
}

/// What is to become of a workflow.
///
/// # Errors
/// `request.field-invalid`.
pub(crate) fn change(mut fields: Map<String, Value>) -> Result<Change, Failure> {
    let wanted = match fields.remove("status") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(status(&text)?),
        Some(_) => return Err(field_invalid("status", "is ACTIVE, INACTIVE or ARCHIVED")),
    };
    Ok(Change { fields, status: wanted })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_is_what_was_sent_without_the_status() {
        let Value::Object(fields) = json!({ "status": "INACTIVE", "name": "x" }) else { panic!() };
        let change = change(fields).unwrap();
        assert_eq!((change.status, change.fields.len()), (Some(WorkflowStatus::Inactive), 1));
        let Value::Object(fields) = json!({ "status": "inactive" }) else { panic!() };
        assert_eq!(super::change(fields).unwrap_err().code, "request.field-invalid");
        assert_eq!(status("ARCHIVED").unwrap(), WorkflowStatus::Archived);
    }
}
