//! `breakwater service` and `breakwater workflow`, as a person types them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use breakwater_tests::artifacts::Artifacts;
use breakwater_tests::external::ExternalService;
use breakwater_tests::service::{Launch, Service};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::sidecar_service::{breakwater, free_port, said};
use crate::support::{eventually, start, text_service};

const DOCUMENT: &str = r#"{"document_url": "https://example.com/document.pdf"}"#;
const WORKFLOW: &str = r#"
name = "document-sentiment"
description = "Says how a document feels"
[[steps]]
id = "extract-text"
service = "texts"
action = "extract"
next = "analyze-sentiment"
[[steps]]
id = "analyze-sentiment"
service = "texts"
action = "analyze"
"#;

/// A service with nothing in it, a service in another process that it may call, and a folder to write files into.
struct Shell {
    service: Service,
    texts: ExternalService,
    folder: TempDir,
}

impl Shell {
    fn start() -> Option<Self> {
        let texts = text_service(&[])?;
        let (service, _client) = start(Launch::without_plugins());
        Some(Self { service, texts, folder: tempfile::tempdir().unwrap() })
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// The description of the service, and further fields of it.
    fn texts(&self, more: &Value) -> PathBuf {
        let schema = json!({ "type": "object", "properties": { "document_url": { "type": "string" } }, "required": ["document_url"] });
        let actions = json!([{ "name": "extract", "input_schema": schema }, { "name": "analyze", "effect": "read" }]);
        let mut service = json!({ "name": "texts", "endpoint": self.texts.base(), "actions": actions });
        service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.file("texts.json", &service.to_string())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let server = ["--server", self.service.base()];
        breakwater(self.folder.path(), &[arguments, &server[..]].concat())
    }

    #[track_caller]
    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
        said(&output)
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.succeeds(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// How an execution is, also when that is nothing good.
    fn status(&self, execution: &str) -> Value {
        serde_json::from_slice(&self.run(&["workflow", "status", execution, "--json"]).stdout).unwrap()
    }

    /// Keeps the workflow `waits`, which ends when it gets the signal `approved`.
    fn applies_waits(&self) {
        let waits = json!({ "name": "waits", "steps": [{ "id": "approval", "type": "signal", "signal": "approved" }] });
        self.applied("workflow", &self.file("waits.json", &waits.to_string()));
    }

    #[track_caller]
    fn applied(&self, what: &str, file: &Path) -> String {
        self.succeeds(&[what, "apply", file.to_str().unwrap()])
    }
}

/// The execution that a line says has started.
fn started(line: &str) -> Option<&str> {
    line.strip_prefix("execution ")?.strip_suffix(" started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn services_are_applied_shown_executed_and_deleted() {
    let Some(shell) = Shell::start() else { return };
    assert_eq!(shell.succeeds(&["service", "list"]).trim(), "no services");
    let file = shell.texts(&json!({}));
    assert!(shell.applied("service", &file).starts_with("created texts ("));
    assert!(shell.applied("service", &file).contains("unchanged texts (") && shell.applied("service", &file).contains("version 1"));
    let changed = shell.applied("service", &shell.texts(&json!({ "description": "Texts", "metadata": { "a": 1 } })));
    assert!(changed.starts_with("changed texts (") && changed.trim().ends_with("version 2"), "{changed}");
    shell.applied("service", &shell.texts(&json!({})));
    let service = shell.json(&["service", "show", "texts"]);
    assert_eq!((&service["description"], &service["metadata"]), (&json!(""), &json!({})), "what the file leaves out goes");

    let output: Value = serde_json::from_str(&shell.succeeds(&["service", "execute", "texts", "extract", "--input", DOCUMENT])).unwrap();
    assert!(output["text"].is_string(), "{output}");
    let input = shell.file("in.json", DOCUMENT);
    let again =
        shell.succeeds(&["service", "execute", "texts", "extract", "--input", &format!("@{}", input.display()), "--key", "order-7"]);
    assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), output);
    let refused = shell.fails(&["service", "execute", "texts", "extract", "--input", "{}"]);
    assert!(refused.contains("document_url"), "what is wrong is told with its place: {refused}");
    assert!(shell.fails(&["service", "execute", "texts", "translate"]).contains("service.action-unknown"));

    let shown = shell.succeeds(&["service", "show", "texts"]);
    for part in ["texts (", "is ACTIVE, version 3", "document_url", "analyze"] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    let list = shell.succeeds(&["service", "list"]);
    assert!(list.lines().nth(1).is_some_and(|line| line.starts_with("texts ") && line.contains("extract, analyze")), "{list}");
    assert_eq!(shell.succeeds(&["service", "list", "--status", "inactive"]).trim(), "no services");
    assert_eq!(shell.json(&["service", "list", "--status", "ACTIVE"])["total"], 1);

    let wrong =
        shell.file("wrong.json", r#"{"name": "wrong", "endpoint": "nowhere", "actions": [{"name": "a", "input_schema": {"type": 7}}]}"#);
    let refused = shell.fails(&["service", "apply", wrong.to_str().unwrap()]);
    assert!(refused.contains("service.invalid") && refused.contains("  /endpoint: "), "{refused}");
    assert!(shell.fails(&["service", "apply", "missing.json"]).contains("missing.json"));

    assert!(shell.succeeds(&["service", "delete", "texts"]).contains(service["id"].as_str().unwrap()));
    assert!(shell.fails(&["service", "show", "texts"]).contains("service.unknown"));
}

#[tokio::test]
async fn workflows_are_applied_and_executed() {
    let Some(shell) = Shell::start() else { return };
    let file = shell.file("documents.toml", WORKFLOW);
    let path = file.to_str().unwrap();
    let dry = shell.succeeds(&["workflow", "apply", path, "--dry-run"]);
    assert!(dry.starts_with("would create document-sentiment") && dry.contains("warning: /steps/0"), "{dry}");
    assert!(shell.fails(&["workflow", "apply", path, "--dry-run", "--strict"]).contains("error: /steps/0"));
    assert!(shell.fails(&["workflow", "apply", path, "--strict"]).contains("workflow.invalid"));
    assert_eq!(shell.succeeds(&["workflow", "list"]).trim(), "no workflows");
    let created = shell.applied("workflow", &file);
    assert!(created.starts_with("created document-sentiment (") && created.contains("  warning: /steps/0"), "{created}");

    shell.applied("service", &shell.texts(&json!({})));
    assert!(shell.applied("workflow", &file).starts_with("unchanged document-sentiment ("));
    assert!(shell.succeeds(&["workflow", "apply", path, "--dry-run", "--strict"]).starts_with("would leave document-sentiment"));
    shell.file("documents.toml", &WORKFLOW.replace("description = \"Says how a document feels\"\n", ""));
    let changed = shell.json(&["workflow", "apply", path]);
    assert_eq!((&changed["version"], &changed["description"]), (&json!(2), &json!("")), "what the file leaves out goes");

    let run = ["workflow", "run", "document-sentiment", "--input", DOCUMENT, "--context", r#"{"request_id": "req-123"}"#];
    let ran = shell.run(&run);
    let output: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&ran)));
    assert_eq!(text(&ran.stderr).lines().filter_map(started).count(), 1, "which execution it is, beside its output: {}", said(&ran));
    assert!(output["sentiment"].is_string() && output["score"].is_number(), "{output}");
    let keyed = [&run[..], &["--key", "order-7"]].concat();
    let (first, second) = (shell.json(&keyed), shell.json(&keyed));
    assert_eq!((&first["output"], &first), (&output, &second), "one key is one execution");
    let execution = first["execution_id"].as_str().unwrap();

    let status = shell.succeeds(&["workflow", "status", execution, "--history"]);
    for part in [&format!("✓ {execution} of document-sentiment (version 2) is COMPLETED"), "req-123", "extract-text", "completed"] {
        assert!(status.contains(part), "{part} in\n{status}");
    }
    let history = &shell.json(&["workflow", "status", execution, "--history"])["history"];
    assert!(history.as_array().is_some_and(|events| events.len() >= 4), "{history}");
    let listed = shell.json(&["workflow", "executions", "--workflow", "document-sentiment", "--status", "completed"]);
    assert_eq!((&listed["total"], listed["items"].as_array().unwrap().len()), (&json!(2), 2));
    let one = shell.succeeds(&["workflow", "executions", "--limit", "1"]);
    assert!(one.contains(execution) && one.trim().ends_with("1 of 2; --limit shows more"), "the newest first: {one}");

    let wrong =
        shell.file("wrong.json", &json!({ "name": "wrong", "steps": [{ "id": "a", "operation": "plan-crop", "next": "b" }] }).to_string());
    let refused = shell.fails(&["workflow", "apply", wrong.to_str().unwrap()]);
    assert!(refused.contains("workflow.invalid") && refused.matches("/steps/0/next: ").count() == 1, "{refused}");
}

#[tokio::test]
async fn an_execution_that_fails_says_why_and_goes_on_where_it_failed() {
    let Some(shell) = Shell::start() else { return };
    let nobody = format!("http://127.0.0.1:{}", free_port());
    shell.applied("service", &shell.texts(&json!({ "endpoint": nobody })));
    shell.applied(
        "workflow",
        &shell.file("documents.toml", &WORKFLOW.replace("action = \"extract\"", "action = \"extract\"\nretry = { max_retries = 0 }")),
    );
    let failed = shell.fails(&["workflow", "run", "document-sentiment", "--input", DOCUMENT]);
    let hint =
        failed.lines().find_map(|line| line.strip_prefix("`breakwater workflow status ")).unwrap_or_else(|| panic!("no hint: {failed}"));
    let execution = hint.split(' ').next().unwrap();
    let status = shell.fails(&["workflow", "status", execution]);
    assert!(status.contains("is FAILED") && status.contains("extract-text: "), "{status}");
    let shown = shell.succeeds(&["service", "show", "texts"]);
    assert!(shown.contains(": unhealthy, ") && shown.contains("(upstream."), "{shown}");

    shell.applied("service", &shell.texts(&json!({})));
    shell.succeeds(&["workflow", "retry", execution]);
    eventually("it is completed", || async { (shell.status(execution)["status"] == "COMPLETED").then_some(()) }).await;
    assert!(shell.succeeds(&["workflow", "status", execution]).contains("sentiment"));
}

#[tokio::test]
async fn an_execution_is_paused_resumed_signalled_and_cancelled() {
    let Some(shell) = Shell::start() else { return };
    shell.applies_waits();
    let begin = || shell.succeeds(&["workflow", "run", "waits", "--no-wait"]).trim().to_owned();
    let status = |execution: &str| shell.status(execution)["status"].as_str().unwrap().to_owned();
    let (first, second) = (begin(), begin());
    for (order, expected) in [("pause", "PAUSED"), ("resume", "RUNNING")] {
        shell.succeeds(&["workflow", order, &first]);
        eventually(expected, || async { (status(&first) == expected).then_some(()) }).await;
    }
    let sent = shell.succeeds(&["workflow", "signal", &first, "approved", r#"{"by": "ada"}"#]);
    assert_eq!(sent.trim(), format!("sent approved to {first}"));
    eventually("it is completed", || async { (status(&first) == "COMPLETED").then_some(()) }).await;
    assert!(shell.succeeds(&["workflow", "status", &first]).contains(r#"output: {"by":"ada"}"#));

    shell.succeeds(&["workflow", "cancel", &second]);
    eventually("it is cancelled", || async { (status(&second) == "CANCELLED").then_some(()) }).await;
    assert!(shell.fails(&["workflow", "status", &second]).contains("is CANCELLED"));
    assert!(shell.fails(&["workflow", "cancel", &first]).contains("execution.state"));
    assert!(shell.fails(&["workflow", "status", "nothing"]).contains("execution.unknown"));
}

#[tokio::test]
async fn an_execution_goes_on_when_nobody_waits_for_it_any_more() {
    let Some(shell) = Shell::start() else { return };
    shell.applies_waits();
    let mut command = Command::new(Artifacts::locate().unwrap().binary);
    command.current_dir(shell.folder.path()).args(["workflow", "run", "waits", "--server", shell.service.base()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let execution = started(&first).unwrap_or_else(|| panic!("no execution: {first}")).to_owned();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(130), ""), "{rest:?}");
    assert!(rest.join("\n").contains(&format!("`breakwater workflow status {execution}`")), "how to ask for it is told: {rest:?}");

    shell.succeeds(&["workflow", "signal", &execution, "approved"]);
    eventually("it is completed", || async { (shell.status(&execution)["status"] == "COMPLETED").then_some(()) }).await;
}
