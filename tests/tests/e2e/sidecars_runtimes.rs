//! The same supervisor with a server for Node and with a compiled binary.

use breakwater_tests::artifacts::Artifacts;
use breakwater_tests::external::program;
use breakwater_tests::processes;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::sidecar_service::{Host, Section, free_port, instances, pid, script};
use crate::support::ok;

/// What holds for every sidecar, whatever it is written in: it becomes ready, answers, is started again after a crash, and ends.
async fn lives_as_any_other(section: Section, runtime: &str) {
    let host = Host::start(&[section.set("route_prefix", "/it").set("strip_prefix", true)]);
    let before = host.ready("it").await;
    assert_eq!(before["runtime"], runtime);
    assert_eq!(host.get("/it/work").await["pid"], pid(&before, 0));
    kill_process(Pid::from_raw(pid(&before, 0).try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    let killed = host.until("it", "it is ready again", |status| status["ready"] == true && instances(status)[0]["restarts"] == 1).await;
    assert!(host.post("/it/crash").await.status >= 500);
    let crashed = host.until("it", "it is ready again", |status| status["ready"] == true && instances(status)[0]["restarts"] == 2).await;
    assert_eq!((&killed["last_error"]["type"], &crashed["last_error"]["type"]), (&json!("PROCESS_CRASH"), &json!("PROCESS_CRASH")));
    assert_eq!(host.get("/it/work").await["pid"], pid(&crashed, 0));
    let rolled = ok(&host.order("it", "rolling-restart").await);
    assert_ne!(pid(&rolled, 0), pid(&crashed, 0));
    ok(&host.order("it", "stop").await);
    assert!([before, killed, crashed, rolled].iter().all(|status| !processes::runs(pid(status, 0))));
}

fn node(what: &str) -> Option<Section> {
    if program("node").is_none() {
        println!("NOT RUN: {what} (there is no node)");
        return None;
    }
    Some(Section::quick("it").set("script", script("node_server.mjs")).set("minimum_version", "18.0.0"))
}

fn bare(port: u16) -> Section {
    let binary = Artifacts::locate().unwrap().binary.with_file_name("bare_server");
    assert!(binary.is_file(), "{} is not built: run `cargo build --workspace --bins`", binary.display());
    Section::quick("it").raw("command", &format!("[{:?}, \"--host\", \"{{host}}\", \"--port\", \"{{port}}\"]", binary)).set("port", port)
}

#[tokio::test]
async fn a_node_server_lives_as_any_other() {
    let Some(section) = node("a Node server as a sidecar") else { return };
    lives_as_any_other(section, "node").await;
}

#[tokio::test]
async fn a_node_server_takes_a_port_that_is_handed_over_and_says_when_it_is_ready() {
    let Some(section) = node("a Node server that is handed a port") else { return };
    let port = free_port();
    let section = section.set("port", port).set("pass_socket", true).set("readiness", "line").set("ready_line", "^ready to serve$");
    lives_as_any_other(section, "node").await;
}

#[tokio::test]
async fn a_compiled_server_lives_as_any_other() {
    lives_as_any_other(bare(0), "binary").await;
    lives_as_any_other(bare(free_port()).set("readiness", "tcp"), "binary").await;
}
