//! One test per kind of error: it is found, named, and told with what to do about it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use breakwater_tests::external::program;
use serde_json::{Value, json};

use crate::sidecar_service::{Host, Section, bare_python, flask_or_say, free_port, script, texts};
use crate::support::ok;

/// A server of another protocol.
const SPEAKS_SSH: &str = r#"
import os, socket
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    connection, _ = server.accept()
    connection.recv(4096)
    connection.sendall(b"SSH-2.0-OpenSSH\r\n")
    connection.close()
"#;

/// One that fails at once, so that its first error is its last.
fn once(name: &str) -> Section {
    Section::quick(name).set("auto_restart", false).set("script", script("flask_server.py"))
}

/// The error of a sidecar that has failed for good, after checking that it is whole and told everywhere.
async fn error_of(host: &Host, name: &str, kind: &str) -> Value {
    let status = host.failed(name).await;
    let error = status["last_error"].clone();
    assert_eq!(error["type"], kind, "{error}");
    assert_eq!((&status["ready"], &status["restarting"]), (&json!(false), &json!(false)));
    assert_eq!(status["instances"][0]["last_error"], error);
    let message = error["message"].as_str().unwrap();
    assert!(!message.is_empty() && error["at_ms"].is_u64(), "{error}");
    assert!(error["troubleshooting"].as_array().is_some_and(|steps| !steps.is_empty()), "{error}");
    let steps = steps(&error);
    for text in [message, kind, "Troubleshooting:"].into_iter().chain(steps.iter().map(|step| step.trim())) {
        host.logged(&[text]).await;
    }
    let told = texts(&host.logs(name).await, "host");
    assert!(told.iter().any(|line| line.contains(message)), "{message} in {told:?}");
    let refused = host.order(name, "start").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "sidecar.start-failed"), "{}", refused.beginning());
    let details = &refused.json().unwrap()["details"];
    assert_eq!((&details["error"]["type"], &details["status"]["name"]), (&json!(kind), &json!(name)), "{details}");
    error
}

fn steps(error: &Value) -> Vec<String> {
    error["troubleshooting"].as_array().unwrap().iter().map(|step| step.as_str().unwrap().to_owned()).collect()
}

fn has_step(error: &Value, text: &str) -> bool {
    steps(error).iter().any(|step| step.contains(text))
}

/// What was found wrong.
fn bad_probes(error: &Value) -> Vec<&Value> {
    error["probes"].as_array().unwrap().iter().filter(|probe| probe["ok"] == false).collect()
}

fn stderr(error: &Value) -> String {
    error["stderr"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

fn write_program(file: &Path, content: &str) {
    fs::write(file, content).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn python_not_found() {
    let host = Host::start(&[once("python").set("interpreter", "python-that-nobody-installed")]);
    let error = error_of(&host, "python", "PYTHON_NOT_FOUND").await;
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("Python executable not found") && message.contains("python-that-nobody-installed"), "{message}");
    assert!(has_step(&error, "Install Python 3.8+ from https://www.python.org/downloads/"), "{error}");
    assert_eq!(bad_probes(&error).len(), 1, "{error}");
}

#[tokio::test]
async fn an_old_python_is_none() {
    if program("python3").is_none() {
        println!("NOT RUN: an interpreter that is too old (there is no python3)");
        return;
    }
    let host = Host::start(&[once("python").set("minimum_version", "99.1.0")]);
    let error = error_of(&host, "python", "PYTHON_NOT_FOUND").await;
    assert!(error["message"].as_str().unwrap().contains("99.1.0"), "{error}");
}

#[tokio::test]
async fn script_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("api_server.py");
    let host = Host::start(&[once("script").set("script", &absent), once("program").without("script").set("command", ["no-such-server"])]);
    let error = error_of(&host, "script", "SCRIPT_NOT_FOUND").await;
    assert!(error["message"].as_str().unwrap().contains(absent.to_str().unwrap()), "{error}");
    let error = error_of(&host, "program", "SCRIPT_NOT_FOUND").await;
    assert!(error["message"].as_str().unwrap().contains("no-such-server"), "{error}");
}

#[tokio::test]
async fn dependency_error() {
    let folder = tempfile::tempdir().unwrap();
    let Some(bare) = bare_python(folder.path(), "a package that is missing") else { return };
    let probed = once("probed").set("virtualenv", &bare).set("imports", ["flask", "flask_cors"]);
    let read = once("read").set("virtualenv", &bare);
    let host = Host::start(&[probed, read]);
    let error = error_of(&host, "probed", "DEPENDENCY_ERROR").await;
    assert!(error["message"].as_str().unwrap().contains("No module named 'flask'"), "{error}");
    assert!(has_step(&error, "Install Python dependencies") && has_step(&error, "pip install"), "{error}");
    assert!(stderr(&error).contains("ModuleNotFoundError: No module named 'flask'"), "{error}");
    assert_eq!(bad_probes(&error).len(), 1, "{error}");
    let instance = &host.status("probed").await["instances"][0];
    assert!(instance["pid"].is_null(), "what cannot work is not started: {instance}");

    // Nobody said what it imports: its own words do.
    let error = error_of(&host, "read", "DEPENDENCY_ERROR").await;
    assert!(stderr(&error).contains("ModuleNotFoundError: No module named 'flask'"), "{error}");
}

#[tokio::test]
async fn a_package_of_node_that_is_missing_is_a_dependency_error_too() {
    if program("node").is_none() {
        println!("NOT RUN: a package of Node that is missing (there is no node)");
        return;
    }
    let node = once("node").set("script", script("node_server.mjs")).variable("NEEDS", "express-that-nobody-installed");
    let host = Host::start(&[node]);
    let error = error_of(&host, "node", "DEPENDENCY_ERROR").await;
    assert!(stderr(&error).contains("express-that-nobody-installed") && has_step(&error, "npm"), "{error}");
}

#[tokio::test]
async fn port_in_use() {
    let Some(flask) = flask_or_say("a port that is taken") else { return };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let of_flask = |name| once(name).set("virtualenv", &flask);
    let sections = [
        of_flask("probed").set("port", port),
        of_flask("read").variable("ALSO_BINDS", port),
        of_flask("handed").set("port", port).set("pass_socket", true).set("autostart", false),
    ];
    // The overlap of the first and the last is what configurations are refused for.
    let host = Host::start(&sections[..2]);
    let error = error_of(&host, "probed", "PORT_IN_USE").await;
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("Port {port} is already in use")), "{message}");
    assert!(message.contains(&format!("pid {}", std::process::id())), "who has it is said: {message}");
    assert!(has_step(&error, "Stop the process using this port"), "{error}");
    let error = error_of(&host, "read", "PORT_IN_USE").await;
    assert!(stderr(&error).contains("Address already in use"), "{error}");
    drop(host);
    let host = Host::start(&[sections[2].clone().set("autostart", true)]);
    error_of(&host, "handed", "PORT_IN_USE").await;
    drop(taken);
    assert_eq!(ok(&host.order("handed", "start").await)["ready"], true, "the port is free now");
}

#[tokio::test]
async fn process_spawn_error() {
    let folder = tempfile::tempdir().unwrap();
    let orphan = folder.path().join("server");
    write_program(&orphan, "#!/nonexistent/interpreter\n");
    let plain = folder.path().join("plain");
    fs::write(&plain, "text").unwrap();
    let absent = folder.path().join("absent");
    let command = |name, program: &Path| once(name).without("script").set("command", [program]);
    let host = Host::start(&[command("orphan", &orphan), once("plain").set("script", &plain), once("nowhere").set("working_dir", &absent)]);
    let error = error_of(&host, "orphan", "PROCESS_SPAWN_ERROR").await;
    assert!(error["message"].as_str().unwrap().contains("No such file or directory"), "{error}");
    let error = error_of(&host, "plain", "PROCESS_SPAWN_ERROR").await;
    assert!(error["message"].as_str().unwrap().contains("may not be executed"), "{error}");
    let error = error_of(&host, "nowhere", "PROCESS_SPAWN_ERROR").await;
    assert!(error["message"].as_str().unwrap().contains(absent.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn process_crash() {
    let Some(flask) = flask_or_say("a crash") else { return };
    let counter = tempfile::NamedTempFile::new().unwrap();
    let section = once("flask").set("virtualenv", &flask).variable("CRASH_STARTS", 100).variable("STARTS_FILE", counter.path().display());
    let host = Host::start(&[section]);
    let error = error_of(&host, "flask", "PROCESS_CRASH").await;
    assert!(error["message"].as_str().unwrap().contains("code 1") || error["message"].as_str().unwrap().contains("code: 1"), "{error}");
    assert!(stderr(&error).contains("RuntimeError: start 1 fails, as it was told to"), "{error}");
    assert!(has_step(&error, "breakwater sidecar logs flask"), "{error}");
}

#[tokio::test]
async fn health_check_timeout() {
    let Some(flask) = flask_or_say("a health check that is never passed") else { return };
    let few = |name| once(name).set("virtualenv", &flask).set("health_check_max_retries", 5);
    let sections = [
        few("silent").variable("NEVER_LISTENS", 1),
        few("failing").variable("HEALTH_STATUS", 500).set("health_check_interval", "600ms").set("health_check_max_interval", "5s"),
        few("late").variable("NEVER_LISTENS", 1).set("health_check_max_retries", 10_000).set("health_check_timeout", "700ms"),
    ];
    let host = Host::start(&sections);
    let error = error_of(&host, "silent", "HEALTH_CHECK_TIMEOUT").await;
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("5 attempts") && message.contains("health_check_max_retries") && message.contains("Connection refused"),
        "{message}"
    );
    let attempts: Vec<_> = texts(&host.logs("silent").await, "host").into_iter().filter(|line| line.contains("attempt ")).collect();
    for number in 1..=5 {
        assert!(
            attempts.iter().any(|line| line.contains(&format!("attempt {number}/5")) && line.contains("(Connection refused)")),
            "{attempts:?}"
        );
    }
    let error = error_of(&host, "failing", "HEALTH_CHECK_TIMEOUT").await;
    assert!(error["message"].as_str().unwrap().contains("HTTP 500"), "{error}");
    let error = error_of(&host, "late", "HEALTH_CHECK_TIMEOUT").await;
    assert!(error["message"].as_str().unwrap().contains("health_check_timeout"), "{error}");
}

#[tokio::test]
async fn network_error() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let section = Section::quick("far").without("port").set("external_url", &url).set("health_check_max_retries", 3);
    let host = Host::start(&[section]);
    let status = host.until("far", "its error", |status| status["last_error"].is_object()).await;
    let error = &status["last_error"];
    assert_eq!(error["type"], "NETWORK_ERROR", "{error}");
    assert!(has_step(error, &url), "{error}");
    host.logged(&["NETWORK_ERROR", &url]).await;
}

#[tokio::test]
async fn unknown_error_and_patterns_of_ones_own() {
    if program("python3").is_none() {
        println!("NOT RUN: patterns of standard error (there is no python3)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("licensed.py");
    fs::write(&file, "import sys\nprint('the licence of 2019 has expired', file=sys.stderr)\nsys.exit(4)\n").unwrap();
    let section = |name| once(name).set("script", &file);
    let mute = folder.path().join("mute.py");
    fs::write(&mute, SPEAKS_SSH).unwrap();
    let host = Host::start(&[
        once("foreign").set("script", &mute).set("health_check_max_retries", 20),
        section("unknown").raw("patterns", "{ 'licence of \\d+' = \"UNKNOWN_ERROR\" }"),
        section("known").raw("patterns", "{ 'expired$' = \"DEPENDENCY_ERROR\" }"),
        section("plain"),
    ]);
    let error = error_of(&host, "unknown", "UNKNOWN_ERROR").await;
    assert!(stderr(&error).contains("the licence of 2019 has expired"), "{error}");
    error_of(&host, "known", "DEPENDENCY_ERROR").await;
    error_of(&host, "plain", "PROCESS_CRASH").await;
    let error = error_of(&host, "foreign", "UNKNOWN_ERROR").await;
    assert!(error["message"].as_str().unwrap().contains("does not speak HTTP"), "{error}");
}
