//! What the guide shows is tried out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Host, is_clean};
use crate::expression::{Expression, Scope};
use crate::validate::{parse, validate};

fn guide() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/workflows.md")).unwrap()
}

/// The blocks of a language.
fn blocks(guide: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    guide.split(&fence).skip(1).map(|rest| rest.split("\n```").next().unwrap().to_owned()).collect()
}

fn json_blocks() -> Vec<Value> {
    let blocks = blocks(&guide(), "json");
    blocks.iter().map(|block| serde_json::from_str(block).unwrap_or_else(|error| panic!("{error}: {block}"))).collect()
}

/// Every service, action, operation and workflow that a document calls, taking and giving anything.
fn host_for(document: &Value) -> Host {
    fn visit(value: &Value, host: &mut Host) {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        if let (Some(service), Some(action)) = (text("service"), text("action")) {
            host.services.push(service.to_owned());
            host.operations.insert(format!("{service}.{action}"), (json!({}), json!({})));
        }
        if let Some(operation) = text("operation") {
            host.operations.insert(operation.to_owned(), (json!({}), json!({})));
        }
        if let Some(workflow) = text("workflow") {
            let other = json!({"name": workflow, "steps": [{"id": "x"}]});
            host.workflows.insert(workflow.to_owned(), super::definition(other));
        }
        match value {
            Value::Object(fields) => fields.values().for_each(|field| visit(field, host)),
            Value::Array(items) => items.iter().for_each(|item| visit(item, host)),
            _ => {}
        }
    }
    let mut host = Host::default();
    visit(document, &mut host);
    host
}

#[test]
fn every_definition_and_step_of_the_guide_is_valid() {
    let (mut definitions, mut types) = (0, BTreeSet::new());
    for block in json_blocks() {
        let document = match (block.get("steps").is_some_and(Value::is_array), block.get("id")) {
            (true, None) => block,
            (_, Some(_)) => json!({"name": "example", "steps": [block]}),
            _ => continue,
        };
        definitions += 1;
        let definition = parse(&document).unwrap_or_else(|problems| panic!("{document}: {problems:#?}"));
        types.extend(definition.steps.iter().map(|step| step.kind.name()));
        let report = validate(&definition, &host_for(&document), true);
        assert!(is_clean(&report), "{document}: {report:#?}");
    }
    assert!(definitions >= 14, "{definitions}");
    assert_eq!(types.into_iter().collect::<Vec<_>>(), ["action", "choice", "map", "parallel", "signal", "timer", "workflow"]);
}

#[test]
fn every_expression_of_the_guide_gives_what_it_says() {
    let blocks_of_json = json_blocks();
    let data = blocks_of_json.iter().find(|block| block.get("previous").is_some()).unwrap();
    let context: BTreeMap<String, Value> = serde_json::from_value(data["context"].clone()).unwrap();
    let mut scope = Scope::new(&data["input"], &context).with_previous(&data["previous"]);
    for (id, output) in data["steps"].as_object().unwrap() {
        scope = scope.with_step(id, output);
    }
    let lines: Vec<String> =
        blocks(&guide(), "text").iter().flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(lines.len() >= 10, "{lines:?}");
    for line in lines {
        let (text, expected) = line.split_once(" -> ").unwrap_or_else(|| panic!("{line}"));
        let expected: Value = serde_json::from_str(expected).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(Expression::parse(text.trim()).unwrap().evaluate(&scope).unwrap(), expected, "{line}");
    }
}

#[test]
fn every_code_of_a_problem_is_in_the_guide_and_the_other_way_round() {
    let areas = ["field", "definition", "step", "branch", "next", "expression", "action", "service", "operation", "subworkflow", "schema"];
    let is_code = |text: &&str| {
        let (area, reason) = text.split_once('.').unwrap_or_default();
        areas.contains(&area) && !reason.is_empty() && reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    let mut in_sources = BTreeSet::new();
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/validate")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() && name != "tests" {
                folders.push(path);
            } else if path.is_file() && name != "tests.rs" {
                let source = fs::read_to_string(path).unwrap();
                in_sources.extend(source.split('"').filter(is_code).map(str::to_owned));
            }
        }
    }
    let guide = guide();
    let table = guide.split("| code | what is wrong |").nth(1).unwrap().split("\n\n").next().unwrap();
    let rows = table.lines().filter_map(|row| row.split(" | ").next());
    let in_guide: BTreeSet<String> = rows.flat_map(|row| row.split('`')).filter(is_code).map(str::to_owned).collect();
    assert_eq!(in_sources, in_guide);
    assert!(in_sources.len() > 25);
}

#[test]
fn the_limits_of_the_guide_are_those_of_the_code() {
    use crate::validate::{MAX_BRANCHES, MAX_CHOICES, MAX_NESTING, MAX_STEPS};
    let guide = guide();
    for limit in [
        format!("1 MiB of JSON, {MAX_STEPS} steps in all, {MAX_NESTING} deep; {MAX_BRANCHES} branches and {MAX_CHOICES} choices of a step"),
        format!(
            "{} bytes, {} levels; its result {} MiB and {} levels",
            Expression::MAX_BYTES,
            Expression::MAX_NESTING,
            Expression::MAX_RESULT >> 20,
            Expression::MAX_RESULT_DEPTH
        ),
        format!("| retries of a step | {},", crate::retry::StepRetry::MAX_RETRIES),
    ] {
        assert!(guide.contains(&limit), "{limit}");
    }
}
