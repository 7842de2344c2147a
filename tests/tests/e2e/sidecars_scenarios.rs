//! The five scenarios of the process bridge, with its defaults, as a newcomer meets them: in the log and on the command line.

use std::net::TcpListener;

use breakwater_tests::service::Launch;
use serde_json::json;

use crate::sidecar_service::{Host, Section, bare_python, breakwater, flask_or_say, free_port, last, said, script};
use crate::support::{eventually, ok};

/// With the defaults of the process bridge, but for the port, which may be taken on this machine.
fn as_it_is(port: u16) -> Section {
    Section::bare("flask").set("script", script("flask_server.py")).set("port", port)
}

/// What `breakwater sidecar status flask` says.
fn status_text(host: &Host) -> String {
    said(&breakwater(host.service.home(), &["sidecar", "status", "flask", "--server", host.service.base()]))
}

#[tokio::test]
async fn scenario_1_python_is_not_installed() {
    let empty = tempfile::tempdir().unwrap();
    let launch = Launch::without_plugins().environment("PATH", empty.path().to_str().unwrap());
    let host = Host::launch(launch, &[as_it_is(free_port()).set("imports", ["flask", "flask_cors"])], "");
    let status = host.failed("flask").await;
    assert_eq!(status["last_error"]["type"], "PYTHON_NOT_FOUND");
    host.logged(&[
        "Python environment validation failed: Python executable not found",
        "PYTHON_NOT_FOUND",
        "Install Python 3.8+ from https://www.python.org/downloads/",
        "Ensure Python is added to your system PATH",
    ])
    .await;
    let text = status_text(&host);
    for line in [
        "✗ flask (python) is not ready",
        "Error type: PYTHON_NOT_FOUND",
        "Troubleshooting:",
        "  1. Install Python 3.8+",
        "What was looked at:",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert_eq!(status["restart_attempts"], 0, "starting again installs no Python");
    assert_eq!(host.client.get("/healthz").await.unwrap().status, 200, "the host goes on");
}

#[tokio::test]
async fn scenario_2_dependencies_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(bare) = bare_python(folder.path(), "scenario 2: dependencies are missing") else { return };
    let host = Host::start(&[as_it_is(free_port()).set("virtualenv", &bare).set("imports", ["flask", "flask_cors"])]);
    let status = host.failed("flask").await;
    assert_eq!(status["last_error"]["type"], "DEPENDENCY_ERROR");
    host.logged(&["Python dependencies not installed", "DEPENDENCY_ERROR", "Install Python dependencies"]).await;
    host.logged(&["ModuleNotFoundError: No module named 'flask'"]).await;
    let text = status_text(&host);
    for line in ["Error type: DEPENDENCY_ERROR", "pip install", "Recent errors:", "  ModuleNotFoundError: No module named 'flask'"] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn scenario_3_the_port_is_taken() {
    let Some(flask) = flask_or_say("scenario 3: the port is taken") else { return };
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    std::fs::write(folder.path().join(".env"), format!("FLASK_PORT={port}\n")).unwrap();
    let section = as_it_is(port).without("port").set("virtualenv", &flask).set("working_dir", folder.path());
    let host = Host::start(&[section.set("auto_restart", false)]);
    host.failed("flask").await;
    let message = format!("Port {port} is already in use");
    host.logged(&[&message, "PORT_IN_USE", "Stop the process using this port", "FLASK_PORT"]).await;
    let text = status_text(&host);
    assert!(text.contains("Error type: PORT_IN_USE") && text.contains("FLASK_PORT in"), "where the port comes from is said:\n{text}");
    drop(taken);
    let started = breakwater(host.service.home(), &["sidecar", "start", "flask", "--server", host.service.base()]);
    assert!(started.status.success(), "{}", said(&started));
    assert!(said(&started).contains(&format!("http://127.0.0.1:{port}")), "{}", said(&started));
}

#[tokio::test]
async fn scenario_4_it_crashes_while_it_starts_and_recovers() {
    let Some(flask) = flask_or_say("scenario 4: a crash while it starts") else { return };
    let counter = tempfile::NamedTempFile::new().unwrap();
    let section = as_it_is(free_port()).set("virtualenv", &flask).set("route_prefix", "/flask").set("strip_prefix", true);
    let section = section.variable("CRASH_STARTS", 1).variable("STARTS_FILE", counter.path().display());
    let host = Host::start(&[section]);
    let failed = host.until("flask", "it is about to be started again", |status| status["restarting"] == true).await;
    assert_eq!((&failed["ready"], &failed["restart_attempts"]), (&json!(false), &json!(1)));
    assert_eq!(failed["last_error"]["type"], "PROCESS_CRASH");
    let answer = host.client.get("/flask/work").await.unwrap();
    assert_eq!((answer.status, &answer.json().unwrap()["type"]), (503, &json!("PROCESS_CRASH")));
    let status = host.ready("flask").await;
    assert_eq!(status["last_error"]["type"], "PROCESS_CRASH", "it is still known why it was started again");
    assert_eq!(host.get("/flask/work").await["starts"], 2);
    host.logged(&["PROCESS_CRASH", "1/3", "2000"]).await;
    let waited = last(&status, 0, "starting").unwrap() - last(&status, 0, "failed").or(last(&status, 0, "restarting")).unwrap();
    assert!((2000..20_000).contains(&waited), "{waited} ms");
}

#[tokio::test]
async fn scenario_5_the_health_check_is_never_passed() {
    let Some(flask) = flask_or_say("scenario 5: a health check that is never passed") else { return };
    let section = as_it_is(free_port()).set("virtualenv", &flask).set("auto_restart", false);
    let host = Host::start(&[section.variable("NEVER_LISTENS", 1)]);
    let status = eventually("it gives up", async || {
        let status = host.status("flask").await;
        (status["last_error"].is_object()).then_some(status)
    })
    .await;
    let error = &status["last_error"];
    assert_eq!(error["type"], "HEALTH_CHECK_TIMEOUT");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("of 20") && message.contains("10.0 s") && message.contains("health_check_timeout"), "which limit: {message}");
    host.logged(&["attempt 1/20", "(Connection refused)", "attempt 5/20", "(Connection refused)", "HEALTH_CHECK_TIMEOUT"]).await;
    let took = error["at_ms"].as_u64().unwrap() - last(&status, 0, "starting").unwrap();
    assert!((9_000..20_000).contains(&took), "the ten seconds of healthCheckTimeout end it: {took} ms");
}

#[tokio::test]
async fn the_same_crash_again_and_again_ends_early_and_says_so() {
    let Some(flask) = flask_or_say("a crash loop") else { return };
    let counter = tempfile::NamedTempFile::new().unwrap();
    let section = Section::flask("flask", &flask).set("max_restart_attempts", 50).set("restart_delay", "10ms");
    let section = section.variable("CRASH_STARTS", 1000).variable("STARTS_FILE", counter.path().display());
    let host = Host::start(&[section]);
    host.failed("flask").await;
    let starts = std::fs::read_to_string(counter.path()).unwrap().lines().count();
    assert_eq!(starts, 3, "crash_loop_limit");
    host.logged(&["it failed 3 times in a row in the same way", "crash_loop_limit"]).await;

    // A person who asks for it gets a new beginning.
    std::fs::write(counter.path(), "start\n".repeat(1000)).unwrap();
    assert_eq!(ok(&host.order("flask", "start").await)["ready"], true);
}

#[tokio::test]
async fn it_is_given_up_after_the_last_attempt() {
    let Some(flask) = flask_or_say("giving up") else { return };
    let counter = tempfile::NamedTempFile::new().unwrap();
    let section = Section::flask("flask", &flask).set("max_restart_attempts", 2).set("restart_delay", "10ms").set("crash_loop_limit", 0);
    let section = section.variable("CRASH_STARTS", 1000).variable("STARTS_FILE", counter.path().display());
    let host = Host::start(&[section]);
    let status = host.failed("flask").await;
    assert_eq!(std::fs::read_to_string(counter.path()).unwrap().lines().count(), 3, "a start and two more");
    assert_eq!((&status["restarting"], &status["instances"][0]["restarts"]), (&json!(false), &json!(2)));
}
