//! Storing definitions: checked as a whole, every problem told, and each change a new version.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use breakwater_core::{Failure, FailureKind, keyed_id};
use breakwater_plugins::schema_violations;
use breakwater_workflow::admission::told_at;
use breakwater_workflow::records::is_of_the_host;
use breakwater_workflow::validate::{self, Known, Problem, Reading, Report};
use breakwater_workflow::{Definition, Part, Range, RecordsError, StepOperation, StepRunner as _, Workflow, WorkflowStatus};
use serde_json::{Map, Value, json};

use super::{OperationSteps, Start, Started, Workflows};

/// The longest id or name that is looked up, in bytes.
const MAX_ID: usize = 128;
/// Workflows that are looked at to see whether they start each other in a ring.
const MAX_RELATED: usize = 256;

/// A workflow that was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The workflow.
    pub workflow: Workflow,
    /// What may keep it from being executed.
    pub warnings: Vec<Problem>,
}

/// What is to become of a workflow. What is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Change {
    /// Fields of the definition's document; one that is `null` goes.
    pub fields: Map<String, Value>,
    /// Whether it may be started.
    pub status: Option<WorkflowStatus>,
}

impl Workflows {
    /// Adds a workflow. With `strict`, services that are not registered are errors. One that was added under the same
    /// idempotency key is given as it is now, so that whoever was not answered may ask again.
    ///
    /// # Errors
    /// `workflow.invalid` (invalid request) with every violation and its JSON Pointer, `workflow.name-taken` (invalid request; also when the
    /// key was used for another definition), `workflow.store` (unavailable).
    pub async fn create(&self, document: &Value, strict: bool, key: Option<&str>) -> Result<Stored, Failure> {
        let (definition, warnings) = self.checked(document, strict).await?;
        let now = now_ms();
        let name = definition.name.clone();
        let id = keyed_id::new_id(&name, key);
        let workflow = Workflow { id, version: 1, status: WorkflowStatus::Active, definition, created_at_ms: now, updated_at_ms: now };
        match self.records().put_workflow(&workflow).await {
            Ok(()) => return Ok(Stored { workflow, warnings }),
            Err(RecordsError::Conflict) => {}
            Err(error) => return Err(stored(error)),
        }
        let Some(key) = key else { return Err(name_taken(&name)) };
        let known = self.records().workflow(&name, None).await.map_err(stored)?;
        let is_the_same = |known: &Workflow| {
            keyed_id::is_under_key(&known.id, &name, key) && (known.version > 1 || known.definition == workflow.definition)
        };
        known.filter(is_the_same).map(|workflow| Stored { workflow, warnings }).ok_or_else(|| name_taken(&name))
    }

    /// Changes a workflow: its next version. Executions that run keep theirs.
    ///
    /// # Errors
    /// `workflow.unknown` (not found), otherwise as [`Self::create`]; `workflow.conflict` (invalid request): it was changed meanwhile.
    pub async fn update(&self, id: &str, change: Change, strict: bool) -> Result<Stored, Failure> {
        let before = self.get(id, None).await?;
        let mut document =
            serde_json::to_value(&before.definition).map_err(|error| Failure::internal("a definition is no JSON").caused_by(error))?;
        if let Value::Object(fields) = &mut document {
            for (name, value) in change.fields {
                if value.is_null() { drop(fields.remove(&name)) } else { drop(fields.insert(name, value)) }
            }
        }
        let (definition, warnings) = self.checked(&document, strict).await?;
        let name = definition.name.clone();
        let is_renamed = name != before.definition.name;
        let status = change.status.unwrap_or(before.status);
        let workflow = Workflow { version: before.version + 1, status, definition, updated_at_ms: now_ms(), ..before };
        self.records().put_workflow(&workflow).await.map_err(|error| match error {
            RecordsError::Conflict if is_renamed => name_taken(&name),
            error => stored(error),
        })?;
        Ok(Stored { workflow, warnings })
    }

    /// Says what is wrong with a document, without storing it.
    ///
    /// # Errors
    /// `workflow.store` (unavailable). What is wrong with the document is in the report.
    pub async fn validate(&self, document: &Value, strict: bool) -> Result<Report, Failure> {
        Ok(self.looked_at(document, strict).await?.1)
    }

    /// A workflow by its id or name: the latest version, or one of them.
    ///
    /// # Errors
    /// `workflow.unknown` (not found), `workflow.store` (unavailable).
    pub async fn get(&self, id: &str, version: Option<u32>) -> Result<Workflow, Failure> {
        self.require_of_users(id)?;
        let found = self.records().workflow(id, version).await.map_err(stored)?;
        if let Some(found) = found.filter(|workflow| !is_of_the_host(&workflow.definition.name)) {
            return Ok(found);
        }
        match version {
            // Not the workflow is missing then, but one of its versions.
            Some(version) if self.records().workflow(id, None).await.map_err(stored)?.is_some() => Err(unknown_version(id, version)),
            _ => Err(unknown(id)),
        }
    }

    /// Refuses the id of a workflow of the host's own, and what can be the id or name of none.
    ///
    /// # Errors
    /// `workflow.unknown` (not found).
    fn require_of_users(&self, id: &str) -> Result<(), Failure> {
        let is_none = id.len() > MAX_ID || id.chars().any(char::is_control);
        if is_none || is_of_the_host(id) { Err(unknown(id)) } else { Ok(()) }
    }

    /// The id of a workflow that is named by its id or its name. What there is none of, or no longer, is taken for an id: its executions may
    /// still be there.
    ///
    /// # Errors
    /// `workflow.unknown` (not found) for one of the host's own, `workflow.store` (unavailable).
    pub async fn id_of(&self, id: &str) -> Result<String, Failure> {
        self.require_of_users(id)?;
        let known = self.records().workflow(id, None).await.map_err(stored)?;
        Ok(known.map_or_else(|| id.to_owned(), |workflow| workflow.id))
    }

    /// Starts a workflow, but for those of the host's own.
    ///
    /// # Errors
    /// As [`super::Executor::start`].
    pub async fn start(&self, start: Start) -> Result<Started, Failure> {
        self.require_of_users(&start.workflow)?;
        self.executor().start(start).await
    }

    /// The latest version of each workflow, the newest first.
    ///
    /// # Errors
    /// `workflow.store` (unavailable).
    pub async fn list(&self, status: Option<WorkflowStatus>, range: Range) -> Result<Part<Workflow>, Failure> {
        self.records().workflows(status, range).await.map_err(stored)
    }

    /// Forgets a workflow; executions that run go on. Gives its id.
    ///
    /// # Errors
    /// `workflow.unknown` (not found), `workflow.store` (unavailable).
    pub async fn remove(&self, id: &str) -> Result<String, Failure> {
        let workflow = self.get(id, None).await?;
        if self.records().remove_workflow(&workflow.id).await.map_err(stored)? { Ok(workflow.id) } else { Err(unknown(id)) }
    }

    async fn checked(&self, document: &Value, strict: bool) -> Result<(Definition, Vec<Problem>), Failure> {
        match self.looked_at(document, strict).await? {
            (Some(definition), report) if report.is_valid() => Ok((definition, report.warnings)),
            (_, report) => Err(invalid(&report.errors)),
        }
    }

    /// The definition, as far as the document is one, and everything that is wrong with it.
    async fn looked_at(&self, document: &Value, strict: bool) -> Result<(Option<Definition>, Report), Failure> {
        let Reading { definition, problems } = validate::read(document);
        let report = match &definition {
            Some(definition) => validate::validate(definition, &self.known(definition).await?, strict).besides(problems),
            None => Report { errors: problems, warnings: Vec::new() },
        };
        Ok((definition, report))
    }

    /// What the host knows, with the workflows that the definition starts and those that they start.
    async fn known(&self, definition: &Definition) -> Result<HostKnown, Failure> {
        let mut workflows = HashMap::new();
        let mut waiting: Vec<String> = validate::started_workflows(definition).into_iter().collect();
        while let Some(id) = waiting.pop() {
            if workflows.contains_key(&id) || workflows.len() >= MAX_RELATED {
                continue;
            }
            if let Some(workflow) = self.records().workflow(&id, None).await.map_err(stored)? {
                waiting.extend(validate::started_workflows(&workflow.definition));
                workflows.insert(id, Arc::new(workflow.definition));
            }
        }
        Ok(HostKnown { steps: OperationSteps(Arc::clone(self.operations())), workflows })
    }
}

struct HostKnown {
    steps: OperationSteps,
    workflows: HashMap<String, Arc<Definition>>,
}

impl Known for HostKnown {
    fn operation(&self, name: &str) -> Option<StepOperation> {
        self.steps.operation(name)
    }

    fn operations(&self) -> Vec<String> {
        let snapshot = self.steps.0.current();
        snapshot.table.entries().map(|entry| entry.spec().name.clone()).collect()
    }

    fn has_service(&self, name: &str) -> bool {
        self.steps.has_service(name)
    }

    fn workflow(&self, id: &str) -> Option<Arc<Definition>> {
        self.workflows.get(id).cloned()
    }

    fn schema_problem(&self, schema: &Value) -> Option<String> {
        schema_violations(schema).into_iter().next().map(|violation| format!("{}: {}", violation.pointer, violation.message))
    }
}

fn invalid(problems: &[Problem]) -> Failure {
    let violations: Vec<Value> =
        problems.iter().map(|problem| json!({ "pointer": problem.pointer, "code": problem.code, "message": problem.message })).collect();
    let first = problems.first().map(|first| told_at(&first.pointer, &first.message)).unwrap_or_default();
    let more = if problems.len() > 1 { format!(" ({} problems)", problems.len()) } else { String::new() };
    Failure::invalid("workflow.invalid", format!("the workflow does not make sense{more}: {first}"))
        .with_detail(json!({ "violations": violations }))
}

fn name_taken(name: &str) -> Failure {
    Failure::invalid("workflow.name-taken", format!("another workflow is called `{name}`; update that one, or choose another name"))
}

fn unknown(id: &str) -> Failure {
    let id: String = id.chars().take(128).collect();
    let detail = json!({ "resource_type": "workflow", "resource_id": id });
    Failure::new(FailureKind::NotFound, "workflow.unknown", format!("there is no workflow `{id}`")).with_detail(detail)
}

fn unknown_version(id: &str, version: u32) -> Failure {
    let id: String = id.chars().take(128).collect();
    let detail = json!({ "resource_type": "workflow version", "resource_id": format!("{id}?version={version}") });
    let message = format!("the workflow `{id}` has no version {version}");
    Failure::new(FailureKind::NotFound, "workflow.unknown", message).with_detail(detail)
}

pub(crate) fn stored(error: RecordsError) -> Failure {
    match error {
        RecordsError::Conflict => {
            Failure::invalid("workflow.conflict", "the workflow was changed meanwhile; read it again and repeat the change")
        }
        error => Failure::new(FailureKind::Unavailable, "workflow.store", "the records of workflows cannot be used at the moment")
            .caused_by(error),
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
