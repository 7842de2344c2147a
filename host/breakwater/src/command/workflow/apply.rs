//! `breakwater workflow apply`.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use breakwater_workflow::Definition;
use serde_json::{Map, Value};

use super::table;
use crate::cli::ApplyArguments;
use crate::document;
use crate::fields::text;
use crate::output;
use crate::server_client::Server;

/// What a file says of a workflow.
const FIELDS: [&str; 7] = ["name", "description", "steps", "input_schema", "output", "timeout_ms", "metadata"];

/// What is to be done with a workflow so that it is as its file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Create,
    Change,
    Nothing,
}

impl Wanted {
    fn of(document: &Map<String, Value>, existing: Option<&Value>) -> Self {
        match existing {
            None => Self::Create,
            Some(existing) if kept(existing).is_some_and(|kept| Some(kept) == meant(document)) => Self::Nothing,
            Some(_) => Self::Change,
        }
    }

    /// What was done, and what would be.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Create => ("created", "create"),
            Self::Change => ("changed", "change"),
            Self::Nothing => ("unchanged", "leave"),
        }
    }
}

pub(super) async fn run(arguments: &ApplyArguments) -> Result<ExitCode> {
    let document = document::read(&arguments.file)?;
    let named = || format!("{} names no workflow", arguments.file.display());
    let name = document.get("name").and_then(Value::as_str).with_context(named)?;
    let client = Server::at(&arguments.server.server)?;
    let existing = client.workflow_named(name).await?;
    let wanted = Wanted::of(&document, existing.as_ref());
    let (done, would) = wanted.words();
    if arguments.dry_run {
        let mut report = client.validate_workflow(&document, arguments.strict).await?;
        if let Some(fields) = report.as_object_mut() {
            fields.insert("would".to_owned(), would.into());
        }
        output::answer(arguments.server.json, &report, |report| table::report(name, report))?;
        let is_valid = report.get("valid").and_then(Value::as_bool) == Some(true);
        return Ok(if is_valid { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let workflow = match existing {
        Some(existing) if wanted == Wanted::Nothing => existing,
        Some(existing) => client.update_workflow(text(&existing, "id"), &whole(document), arguments.strict).await?,
        None => client.create_workflow(&document, arguments.strict).await?,
    };
    output::answer(arguments.server.json, &workflow, |workflow| table::applied(done, workflow))?;
    Ok(ExitCode::SUCCESS)
}

/// With every field, so that what the file leaves out goes.
fn whole(document: Map<String, Value>) -> Map<String, Value> {
    let absent = FIELDS.into_iter().filter(|name| !document.contains_key(*name)).map(|name| (name.to_owned(), Value::Null));
    let absent: Vec<_> = absent.collect();
    document.into_iter().chain(absent).collect()
}

/// What a file means, if it means anything.
fn meant(document: &Map<String, Value>) -> Option<Definition> {
    breakwater_workflow::validate::parse(&Value::Object(document.clone())).ok()
}

/// What a workflow is now.
fn kept(workflow: &Value) -> Option<Definition> {
    let fields = FIELDS.into_iter().filter_map(|name| Some((name.to_owned(), workflow.get(name)?.clone())));
    meant(&fields.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(document: &Value) -> Map<String, Value> {
        document.as_object().unwrap().clone()
    }

    #[test]
    fn a_file_that_says_what_is_there_already_changes_nothing() {
        let steps = json!([{ "id": "x", "service": "s", "action": "t", "next": null }]);
        let existing = json!({
            "id": "1", "name": "a", "description": "", "steps": steps, "metadata": {}, "status": "ACTIVE", "version": 4, "warnings": [],
        });
        let wanted = |document: Value| Wanted::of(&file(&document), Some(&existing));
        assert_eq!(wanted(json!({ "name": "a", "steps": [{ "id": "x", "service": "s", "action": "t" }] })), Wanted::Nothing);
        assert_eq!(wanted(json!({ "name": "a", "steps": steps, "description": "A" })), Wanted::Change);
        assert_eq!(wanted(json!({ "name": "a", "steps": steps, "timeout_ms": 5 })), Wanted::Change);
        assert_eq!(wanted(json!({ "name": "a", "stepps": steps })), Wanted::Change, "the service says what is wrong");
        assert_eq!(Wanted::of(&file(&existing), None), Wanted::Create);
        let described = json!({ "id": "1", "name": "a", "description": "A", "steps": steps, "metadata": {} });
        assert_eq!(Wanted::of(&file(&json!({ "name": "a", "steps": steps })), Some(&described)), Wanted::Change);
    }

    #[test]
    fn what_a_file_leaves_out_goes() {
        let sent = Value::Object(whole(file(&json!({ "name": "a", "steps": [], "status": "ACTIVE" }))));
        let expected = json!({
            "name": "a", "steps": [], "status": "ACTIVE", "description": null, "input_schema": null, "output": null, "timeout_ms": null,
            "metadata": null,
        });
        assert_eq!(sent, expected);
    }
}
