//! Workflows and executions for people to read.

use serde_json::Value;

use crate::columns::aligned;
use crate::fields::{list, number, text};
use crate::times::{ago, clock};

/// The statuses of executions to which nothing more happens by itself.
const FINAL: [&str; 3] = ["COMPLETED", "FAILED", "CANCELLED"];
/// How much of a value is shown in a line.
const SHOWN: usize = 120;

/// All workflows, a line each.
pub(super) fn workflows(answer: &Value, now_ms: u64) -> String {
    let mut rows = vec![["workflow", "status", "version", "steps", "changed", "id", "description"].map(str::to_owned)];
    rows.extend(list(answer, "items").map(|workflow| {
        [
            text(workflow, "name").to_owned(),
            text(workflow, "status").to_owned(),
            number(workflow, "version").to_string(),
            list(workflow, "steps").count().to_string(),
            ago(now_ms, number(workflow, "updated_at_ms")),
            text(workflow, "id").to_owned(),
            text(workflow, "description").to_owned(),
        ]
    }));
    if rows.len() == 1 { "no workflows".to_owned() } else { aligned(&rows) }
}

/// Executions, a line each.
pub(super) fn executions(answer: &Value, now_ms: u64) -> String {
    let mut rows = vec![["execution", "workflow", "version", "status", "begun", "took", "at or why"].map(str::to_owned)];
    rows.extend(list(answer, "items").map(|execution| {
        [
            text(execution, "id").to_owned(),
            text(execution, "workflow_name").to_owned(),
            number(execution, "workflow_version").to_string(),
            text(execution, "status").to_owned(),
            ago(now_ms, number(execution, "created_at_ms")),
            took(execution).unwrap_or_else(|| "-".to_owned()),
            where_or_why(execution),
        ]
    }));
    if rows.len() == 1 {
        return "no executions".to_owned();
    }
    let (shown, total) = (rows.len() as u64 - 1, number(answer, "total"));
    let more = if total > shown { format!("\n{shown} of {total}; --limit shows more") } else { String::new() };
    aligned(&rows) + &more
}

/// Whether an execution has ended.
pub(super) fn is_final(execution: &Value) -> bool {
    FINAL.contains(&text(execution, "status"))
}

/// Whether it has ended without an output.
pub(super) fn is_lost(execution: &Value) -> bool {
    is_final(execution) && text(execution, "status") != "COMPLETED"
}

/// An execution in one line.
pub(super) fn title(execution: &Value, now_ms: u64) -> String {
    let mark = match text(execution, "status") {
        "COMPLETED" => '✓',
        "FAILED" | "CANCELLED" => '✗',
        _ => '·',
    };
    let took = took(execution).map(|took| format!(", took {took}")).unwrap_or_default();
    format!(
        "{mark} {} of {} (version {}) is {}; begun {}{took}",
        text(execution, "id"),
        text(execution, "workflow_name"),
        number(execution, "workflow_version"),
        text(execution, "status"),
        ago(now_ms, number(execution, "created_at_ms")),
    )
}

/// Everything about one execution, with what happened in it if that was asked for.
pub(super) fn one(execution: &Value, now_ms: u64) -> String {
    let mut parts = vec![title(execution, now_ms)];
    let why = where_or_why(execution);
    if !why.is_empty() {
        parts.push(why);
    }
    for field in ["input", "context", "output"] {
        parts.extend(execution.get(field).filter(|value| !value.is_null()).map(|value| format!("{field}: {}", shortened(value))));
    }
    if execution.get("history").is_some() {
        let mut rows = vec![["at (UTC)", "step", "what", "detail"].map(str::to_owned)];
        rows.extend(list(execution, "history").map(happened));
        parts.push(if rows.len() == 1 { "nothing happened yet".to_owned() } else { aligned(&rows) });
    }
    parts.join("\n")
}

/// How long it took, if it has ended.
fn took(execution: &Value) -> Option<String> {
    let ended = execution.get("completed_at_ms").and_then(Value::as_u64)?;
    let begun = execution.get("started_at_ms").and_then(Value::as_u64).unwrap_or_else(|| number(execution, "created_at_ms"));
    Some(format!("{:.3} s", ended.saturating_sub(begun) as f64 / 1000.0))
}

/// The steps it is at, or why it failed.
fn where_or_why(execution: &Value) -> String {
    if let Some(error) = execution.get("error").filter(|error| error.is_object()) {
        return because(error);
    }
    let steps: Vec<_> = list(execution, "current_steps").filter_map(Value::as_str).collect();
    if steps.is_empty() { String::new() } else { format!("at {}", steps.join(", ")) }
}

fn because(error: &Value) -> String {
    let step = error.get("step").and_then(Value::as_str).map(|step| format!("{step}: ")).unwrap_or_default();
    format!("{step}{} ({})", text(error, "message"), text(error, "code"))
}

/// An event as a line: what is known of it besides time, place and kind.
fn happened(event: &Value) -> [String; 4] {
    let mut details = Vec::new();
    details.extend(event.get("attempt").and_then(Value::as_u64).map(|attempt| format!("attempt {attempt}")));
    details.extend(event.get("error").map(because));
    for (field, word) in [("retry_at_ms", "again at"), ("due_at_ms", "until")] {
        details.extend(event.get(field).and_then(Value::as_u64).map(|at| format!("{word} {}", clock(at))));
    }
    details.extend(event.get("served_by").and_then(Value::as_str).map(|who| format!("by {who}")));
    details.extend(event.get("output").filter(|output| !output.is_null()).map(shortened));
    let path = text(event, "path");
    let step = if path.is_empty() { "-" } else { path };
    [clock(number(event, "at_ms")), step.to_owned(), text(event, "type").to_owned(), details.join(", ")]
}

/// A value in one line that is not too long.
fn shortened(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN).chain(['…']).collect() }
}

/// What applying a file did, and what may be wrong with it.
pub(super) fn applied(what: &str, workflow: &Value) -> String {
    let mut lines = vec![format!("{what} {} ({}), version {}", text(workflow, "name"), text(workflow, "id"), number(workflow, "version"))];
    lines.extend(found(workflow, "warnings", "warning"));
    lines.join("\n")
}

/// What applying a file would do, and everything that is wrong with it.
pub(super) fn report(name: &str, report: &Value) -> String {
    let is_valid = report.get("valid").and_then(Value::as_bool) == Some(true);
    let would = if is_valid { format!("would {} {name}", text(report, "would")) } else { format!("{name} does not make sense") };
    let mut lines = vec![would];
    lines.extend(found(report, "errors", "error"));
    lines.extend(found(report, "warnings", "warning"));
    lines.join("\n")
}

fn found<'a>(answer: &'a Value, field: &'a str, word: &'a str) -> impl Iterator<Item = String> + 'a {
    list(answer, field).map(move |problem| format!("  {word}: {}: {}", text(problem, "pointer"), text(problem, "message")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn squeezed(text: &str) -> Vec<String> {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    fn failed() -> Value {
        json!({
            "id": "e-1", "workflow_name": "documents", "workflow_version": 2, "status": "FAILED", "created_at_ms": 70_000, "started_at_ms": 70_100,
            "completed_at_ms": 71_350, "input": { "a": 1 }, "context": { "request_id": "r" },
            "error": { "code": "upstream.connection", "message": "it cannot be reached", "step": "extract-text" },
        })
    }

    #[test]
    fn every_workflow_and_every_execution_has_a_line() {
        let workflow = json!({
            "id": "1", "name": "documents", "status": "ACTIVE", "version": 2, "steps": [{}, {}], "updated_at_ms": 70_000, "description": "Reads",
        });
        assert_eq!(
            squeezed(&workflows(&json!({ "items": [workflow] }), 80_000)),
            ["workflow status version steps changed id description", "documents ACTIVE 2 2 10 s ago 1 Reads"]
        );
        let running = json!({
            "id": "e-2", "workflow_name": "documents", "workflow_version": 2, "status": "RUNNING", "created_at_ms": 79_000, "current_steps": ["a", "b/c"],
        });
        assert_eq!(
            squeezed(&executions(&json!({ "items": [running, failed()], "total": 7 }), 80_000)),
            [
                "execution workflow version status begun took at or why",
                "e-2 documents 2 RUNNING 1 s ago - at a, b/c",
                "e-1 documents 2 FAILED 10 s ago 1.250 s extract-text: it cannot be reached (upstream.connection)",
                "2 of 7; --limit shows more",
            ]
        );
        assert_eq!(workflows(&json!({ "items": [] }), 0), "no workflows");
        assert_eq!(executions(&json!({ "items": [], "total": 0 }), 0), "no executions");
    }

    #[test]
    fn one_is_shown_with_why_it_failed_and_what_happened() {
        let mut execution = failed();
        execution["history"] = json!([
            { "seq": 1, "at_ms": 70_100, "path": "extract-text", "type": "started", "attempt": 1 },
            { "seq": 2, "at_ms": 70_200, "path": "extract-text", "type": "attempt-failed", "retry_at_ms": 70_700,
              "error": { "code": "upstream.connection", "message": "no" } },
            { "seq": 3, "at_ms": 71_000, "path": "extract-text", "type": "completed", "output": { "text": "Hello" }, "served_by": "service:text" },
            { "seq": 4, "at_ms": 71_350, "path": "", "type": "failed" },
        ]);
        assert_eq!(
            squeezed(&one(&execution, 80_000)),
            [
                "✗ e-1 of documents (version 2) is FAILED; begun 10 s ago, took 1.250 s",
                "extract-text: it cannot be reached (upstream.connection)",
                r#"input: {"a":1}"#,
                r#"context: {"request_id":"r"}"#,
                "at (UTC) step what detail",
                "00:01:10.100 extract-text started attempt 1",
                "00:01:10.200 extract-text attempt-failed no (upstream.connection), again at 00:01:10.700",
                r#"00:01:11.000 extract-text completed by service:text, {"text":"Hello"}"#,
                "00:01:11.350 - failed",
            ]
        );
        assert!(is_lost(&execution) && is_final(&execution));
        let completed = json!({ "status": "COMPLETED", "output": "x".repeat(500) });
        assert!(is_final(&completed) && !is_lost(&completed) && one(&completed, 0).starts_with('✓'));
        assert!(one(&completed, 0).ends_with('…') && one(&completed, 0).len() < 300);
        assert!(!is_final(&json!({ "status": "PAUSED" })));
    }

    #[test]
    fn what_may_be_wrong_is_told() {
        let workflow = json!({
            "id": "1", "name": "documents", "version": 1,
            "warnings": [{ "pointer": "/steps/0/service", "code": "workflow.service-unknown", "message": "there is no service text" }],
        });
        let said = "created documents (1), version 1\n  warning: /steps/0/service: there is no service text";
        assert_eq!(applied("created", &workflow), said);
        let problem = json!({ "pointer": "/steps/0/next", "code": "workflow.step-unknown", "message": "there is no step b" });
        let wrong = json!({ "valid": false, "errors": [problem], "warnings": workflow["warnings"], "would": "change" });
        let said = "documents does not make sense\n  error: /steps/0/next: there is no step b\n  \
                    warning: /steps/0/service: there is no service text";
        assert_eq!(report("documents", &wrong), said);
        assert_eq!(report("documents", &json!({ "valid": true, "would": "leave" })), "would leave documents");
    }
}
