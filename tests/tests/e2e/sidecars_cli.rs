//! `breakwater sidecar`, as a person types it.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use breakwater_tests::artifacts::Artifacts;
use serde_json::Value;

use crate::sidecar_service::{Host, Section, bare_python, breakwater, file, flask_or_say, free_port, pid, said};
use crate::support::eventually;

#[tokio::test]
async fn sidecars_are_listed_shown_and_steered() {
    let Some(flask) = flask_or_say("the command line of sidecars") else { return };
    let folder = tempfile::tempdir().unwrap();
    let broken = Section::quick("broken").set("script", folder.path().join("absent.py"));
    let host = Host::start(&[Section::flask("flask", &flask).set("instances", 2), broken]);
    let before = host.ready("flask").await;
    host.failed("broken").await;
    let run = |arguments: &[&str]| {
        let arguments: Vec<_> = ["sidecar"].iter().chain(arguments).chain(&["--server", host.service.base()]).copied().collect();
        breakwater(folder.path(), &arguments)
    };
    let list = said(&run(&["list"]));
    let row = |name: &str| list.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in\n{list}")).to_owned();
    assert_eq!(list.lines().count(), 4, "a head and a line an instance:\n{list}");
    assert!(row("flask/0").contains("ready") && row("flask/0").contains(&pid(&before, 0).to_string()), "{list}");
    assert!(row("flask/1").contains(&pid(&before, 1).to_string()), "{list}");
    assert!(row("broken/0").contains("failed") && row("broken/0").contains("SCRIPT_NOT_FOUND"), "{list}");
    let json: Value = serde_json::from_slice(&run(&["list", "--json"]).stdout).unwrap();
    assert_eq!(json["sidecars"].as_array().unwrap().len(), 2);

    let shown = run(&["status", "flask"]);
    assert!(shown.status.success() && said(&shown).starts_with("✓ flask (python) is ready"), "{}", said(&shown));
    let shown = run(&["status", "broken"]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(said(&shown).contains("Error type: SCRIPT_NOT_FOUND") && said(&shown).contains("  1. "), "{}", said(&shown));

    let rolled = run(&["restart", "flask", "--rolling"]);
    assert!(rolled.status.success(), "{}", said(&rolled));
    let after = host.status("flask").await;
    assert_ne!(pid(&after, 0), pid(&before, 0));
    assert!(said(&run(&["stop", "flask"])).contains("stopped"));
    assert_eq!(host.status("flask").await["ready"], false);
    assert!(said(&run(&["start", "flask"])).contains("ready"));
    assert!(said(&run(&["restart", "flask"])).contains("ready"));
    let refused = run(&["start", "broken"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("Troubleshooting:") && said(&refused).contains("sidecar.start-failed"), "{}", said(&refused));
    let unknown = run(&["status", "nobody"]);
    assert!(unknown.status.code() == Some(1) && said(&unknown).contains("sidecar.unknown"), "{}", said(&unknown));

    let whole = said(&breakwater(folder.path(), &["status", "--server", host.service.base()]));
    assert!(whole.lines().any(|line| line.starts_with("broken")) && whole.lines().any(|line| line.starts_with("flask")), "{whole}");
}

#[tokio::test]
async fn logs_are_printed_and_followed() {
    let Some(flask) = flask_or_say("following logs") else { return };
    let section = Section::flask("flask", &flask).set("route_prefix", "/flask").set("strip_prefix", true);
    let host = Host::start(&[section.variable("SAYS", "hello from the start")]);
    host.ready("flask").await;
    let printed = said(&breakwater(host.service.home(), &["sidecar", "logs", "flask", "--server", host.service.base()]));
    let line = printed.lines().find(|line| line.ends_with("hello from the start")).unwrap_or_else(|| panic!("{printed}"));
    assert!(line.contains(" 0 stderr "), "{line}");
    let json = breakwater(host.service.home(), &["sidecar", "logs", "flask", "--json", "--lines", "1", "--server", host.service.base()]);
    assert!(serde_json::from_slice::<Value>(&json.stdout).unwrap()["line"].is_string());

    let mut command = Command::new(Artifacts::locate().unwrap().binary);
    command.args(["sidecar", "logs", "flask", "--follow", "--lines", "0", "--server", host.service.base()]);
    let mut following = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let reading = std::thread::spawn(move || {
        let found = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("GET /status/418")));
        (found, lines)
    });
    eventually("the line is printed", async || {
        let _teapot = host.client.get("/flask/status/418").await.unwrap();
        reading.is_finished().then_some(())
    })
    .await;
    let (found, rest) = reading.join().unwrap();
    assert!(found.is_some());
    // It ends when the service does.
    drop(host);
    drop(rest.last());
    following.wait().unwrap();
}

#[tokio::test]
async fn the_doctor_says_what_is_wrong_without_a_service() {
    let Some(flask) = flask_or_say("the doctor of sidecars") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(bare) = bare_python(folder.path(), "the doctor of sidecars") else { return };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let sections = [
        Section::flask("well", &flask).set("imports", ["flask", "flask_cors"]),
        Section::flask("ill", &bare).set("imports", ["flask", "flask_cors"]).set("port", port),
    ];
    let config = folder.path().join("breakwater.toml");
    std::fs::write(&config, file(&sections)).unwrap();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let doctor = |name: &str, more: &[&str]| {
        let arguments: Vec<_> = ["sidecar", "doctor", name, "--config", config.to_str().unwrap(), "--server", &nobody].into();
        breakwater(folder.path(), &[arguments.as_slice(), more].concat())
    };
    let well = doctor("well", &[]);
    assert!(well.status.success(), "{}", said(&well));
    let text = said(&well);
    for found in
        ["  ✓ Python executable: ", "  ✓ Python version: Python 3.", "  ✓ imports flask, flask_cors: available", "No word from a service"]
    {
        assert!(text.contains(found), "{found} in\n{text}");
    }
    let ill = doctor("ill", &[]);
    let text = said(&ill);
    assert_eq!(ill.status.code(), Some(1), "{text}");
    for found in [
        "  ✗ imports flask, flask_cors: ",
        &format!("  ✗ port {port}: "),
        "Error type: DEPENDENCY_ERROR",
        "Troubleshooting:",
        "pip install",
    ] {
        assert!(text.contains(found), "everything that is wrong is said at once: {found} in\n{text}");
    }
    let json: Value = serde_json::from_slice(&doctor("ill", &["--json"]).stdout).unwrap();
    assert_eq!((&json["ok"], &json["error"]["type"]), (&Value::from(false), &Value::from("DEPENDENCY_ERROR")));
    let unknown = doctor("nobody", &[]);
    assert!(unknown.status.code() == Some(1) && said(&unknown).contains("ill, well"), "{}", said(&unknown));
}

#[tokio::test]
async fn the_doctor_asks_a_service_that_runs() {
    let Some(flask) = flask_or_say("the doctor beside a service") else { return };
    let host = Host::start(&[
        Section::flask("flask", &flask).set("port", free_port()),
        Section::flask("crashes", &flask).variable("STARTS_FILE", "/dev/null/x").set("auto_restart", false),
    ]);
    host.ready("flask").await;
    host.failed("crashes").await;
    let config = host.service.home().join("breakwater.toml");
    let doctor = |name: &str| {
        breakwater(host.service.home(), &["sidecar", "doctor", name, "--config", config.to_str().unwrap(), "--server", host.service.base()])
    };
    let running = doctor("flask");
    assert!(running.status.success(), "the port is its own: {}", said(&running));
    let text = said(&running);
    assert!(text.contains("✓ flask (python) is ready") && text.contains("the sidecar itself, which the service runs"), "{text}");
    let crashed = doctor("crashes");
    let text = said(&crashed);
    assert_eq!(crashed.status.code(), Some(1), "nothing is wrong here, but the service knows more:\n{text}");
    assert!(text.contains("Error type: PROCESS_CRASH") && text.contains("NotADirectoryError"), "{text}");
}
