//! A local process becomes an endpoint: started, ready, stopped, started again, in the right order.

use std::net::TcpStream;
use std::time::Duration;

use breakwater_tests::external::ExternalService;
use breakwater_tests::processes;
use rustix::process::Signal;
use serde_json::json;

use crate::sidecar_service::{Host, Section, flask_or_say, free_port, instances, last, pid, script, states, texts};
use crate::support::{assert_problem, eventually, ok};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_flask_server_becomes_an_endpoint_of_its_upstream() {
    let Some(flask) = flask_or_say("a Flask server as a sidecar") else { return };
    let host = Host::start(&[Section::flask("flask", &flask).set("imports", ["flask", "flask_cors"])]);
    let status = host.ready("flask").await;
    assert_eq!(
        (&status["name"], &status["upstream"], &status["runtime"], &status["external"]),
        (&json!("flask"), &json!("flask"), &json!("python"), &json!(false))
    );
    assert_eq!((&status["ready"], &status["restarting"], &status["restart_attempts"]), (&json!(true), &json!(false), &json!(0)));
    assert_eq!(status["max_restart_attempts"], 3);
    assert!(status.get("last_error").is_none(), "{status}");
    assert!(status["uptime_ms"].is_u64() && status["last_health_check_ms"].as_u64().unwrap() > 1_700_000_000_000, "{status}");
    let instance = &instances(&status)[0];
    assert_eq!((&instance["endpoint"], &instance["restarts"]), (&json!("flask/0"), &json!(0)));
    assert!(processes::runs(pid(&status, 0)));

    let upstream = ok(&host.client.get("/v1/upstreams/flask").await.unwrap());
    assert_eq!((&upstream["source"], &upstream["state"]), (&json!("sidecar"), &json!("up")), "{upstream}");
    assert_eq!((&upstream["endpoints"][0]["id"], &upstream["endpoints"][0]["healthy"]), (&json!("flask/0"), &json!(true)), "{upstream}");
    let list = ok(&host.client.get("/v1/sidecars").await.unwrap());
    assert_eq!(list["sidecars"].as_array().unwrap().len(), 1, "{list}");
    let whole = ok(&host.client.get("/v1/status").await.unwrap());
    assert_eq!(whole["sidecars"][0]["name"], "flask", "{whole}");
    let metrics = String::from_utf8(host.client.get("/metrics").await.unwrap().body.to_vec()).unwrap();
    assert!(metrics.lines().any(|line| line.contains("sidecar") && line.contains("sidecar=\"flask\"")), "{metrics}");
    assert!(texts(&host.logs("flask").await, "stdout").iter().any(|line| line.starts_with("serving on http://127.0.0.1:")));
}

#[tokio::test]
async fn the_health_route_of_the_process_bridge_answers_as_it_did() {
    let Some(flask) = flask_or_say("the health route of the process bridge") else { return };
    let none = Host::start(&[]);
    assert_problem(&none.client.get("/api/health/python").await.unwrap(), 404, "sidecar.unknown");
    drop(none);

    let host = Host::start(&[Section::flask("flask", &flask).set("autostart", false)]);
    let fields = ["healthy", "isReady", "isRestarting", "lastError", "lastHealthCheck", "restartAttempts", "uptime"];
    let health = async || {
        let health = ok(&host.client.get("/api/health/python").await.unwrap());
        let mut keys: Vec<_> = health.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        assert_eq!(keys, fields, "{health}");
        health
    };
    let before = health().await;
    assert_eq!(
        before,
        json!({ "healthy": false, "isReady": false, "isRestarting": false, "restartAttempts": 0, "lastError": null, "uptime": null,
                "lastHealthCheck": null })
    );
    assert_eq!(host.order("flask", "start").await.status, 200);
    let after = health().await;
    assert_eq!((&after["healthy"], &after["isReady"], &after["lastError"]), (&json!(true), &json!(true), &json!(null)));
    assert!(after["uptime"].is_u64() && after["lastHealthCheck"].is_u64(), "{after}");
}

#[tokio::test]
async fn one_is_stopped_started_and_restarted_as_told() {
    let Some(flask) = flask_or_say("orders to a sidecar") else { return };
    let host = Host::start(&[Section::flask("flask", &flask).set("instances", 2)]);
    let before = host.ready("flask").await;
    let pids = [pid(&before, 0), pid(&before, 1)];
    assert_ne!(instances(&before)[0]["url"], instances(&before)[1]["url"]);

    let stopped = ok(&host.order("flask", "stop").await);
    assert_eq!((states(&stopped), &stopped["ready"]), (vec!["stopped".to_owned(); 2], &json!(false)));
    assert!(stopped["uptime_ms"].is_null() && stopped["last_error"].is_null(), "{stopped}");
    assert!(pids.iter().all(|pid| !processes::runs(*pid)), "a stop waits for the processes");

    let started = ok(&host.order("flask", "start").await);
    assert_eq!(states(&started), ["ready", "ready"]);
    let again = ok(&host.order("flask", "start").await);
    assert_eq!([pid(&again, 0), pid(&again, 1)], [pid(&started, 0), pid(&started, 1)], "what runs is not started again");
    let restarted = ok(&host.order("flask", "restart").await);
    for instance in 0..2 {
        assert_ne!(pid(&restarted, instance), pid(&started, instance));
        assert!(!processes::runs(pid(&started, instance)));
    }
    assert_eq!(restarted["restart_attempts"], 0, "what was asked for is no failure");
    for order in ["start", "stop", "restart", "rolling-restart"] {
        assert_problem(&host.order("nobody", order).await, 404, "sidecar.unknown");
    }
    assert_problem(&host.client.get("/v1/sidecars/nobody").await.unwrap(), 404, "sidecar.unknown");
    assert_problem(&host.client.get("/v1/sidecars/nobody/logs").await.unwrap(), 404, "sidecar.unknown");
}

#[tokio::test]
async fn the_port_and_more_come_from_the_file_of_variables() {
    let Some(flask) = flask_or_say("a port in a .env file") else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    std::fs::write(folder.path().join(".env"), format!("# of the team\nFLASK_PORT={port}\nGREETING=\"from the file\"\nHOST=0.0.0.0\n"))
        .unwrap();
    let section = Section::flask("flask", &flask).without("port").set("working_dir", folder.path()).set("route_prefix", "/flask");
    let host = Host::start(&[section.set("strip_prefix", true)]);
    let status = host.ready("flask").await;
    assert_eq!(instances(&status)[0]["url"], format!("http://127.0.0.1:{port}"));
    let seen = host.get("/flask/echo/").await;
    let environment = &seen["environment"];
    assert_eq!((&environment["GREETING"], &environment["HOST"]), (&json!("from the file"), &json!("127.0.0.1")), "{seen}");
    assert_eq!((&environment["PORT"], &environment["FLASK_PORT"]), (&json!(port.to_string()), &json!(port.to_string())));
    assert_eq!(seen["folder"].as_str().unwrap(), folder.path().canonicalize().unwrap().to_str().unwrap());
}

#[tokio::test]
async fn a_port_that_is_handed_over_is_open_before_the_server_is() {
    let Some(flask) = flask_or_say("a port that is handed over") else { return };
    let port = free_port();
    let section = Section::flask("flask", &flask).set("port", port).set("pass_socket", true).variable("START_DELAY", 1.5);
    let host = Host::start(&[section.set("route_prefix", "/flask").set("strip_prefix", true)]);
    eventually("the port is open", async || TcpStream::connect(("127.0.0.1", port)).ok()).await;
    assert_eq!(host.status("flask").await["ready"], false, "it sleeps before it listens");
    let status = host.ready("flask").await;
    let seen = host.get("/flask/echo/").await;
    assert_eq!(seen["environment"]["LISTEN_FDS"], "1", "{seen}");
    assert_eq!(seen["environment"]["LISTEN_PID"], pid(&status, 0).to_string());
}

#[tokio::test]
async fn one_starts_when_what_it_depends_on_is_ready_and_ends_before_it() {
    let Some(flask) = flask_or_say("a sidecar that depends on another") else { return };
    let first = Section::flask("database", &flask).variable("START_DELAY", 1);
    let second = Section::flask("api", &flask).set("depends_on", ["database"]).variable("IGNORES_TERM", 1).set("shutdown_timeout", "500ms");
    let host = Host::start(&[second, first]);
    let waiting = host.until("api", "it waits", |status| states(status) == ["waiting"]).await;
    assert_eq!(waiting["ready"], false);
    let api = host.ready("api").await;
    let database = host.ready("database").await;
    assert!(last(&api, 0, "starting").unwrap() >= last(&database, 0, "ready").unwrap(), "{api}\n{database}");

    let (api, database) = (pid(&api, 0), pid(&database, 0));
    host.service.signal(Signal::TERM).unwrap();
    eventually("both are gone", async || {
        let is_there = processes::runs(database);
        assert!(is_there || !processes::runs(api), "the one that others depend on ends last");
        (!is_there).then_some(())
    })
    .await;
    assert!(host.service.wait(PATIENCE).unwrap().success());
}

#[tokio::test]
async fn one_that_somebody_else_runs_is_checked_and_not_started() {
    let Some(_) = breakwater_tests::external::program("node") else {
        println!("NOT RUN: an external sidecar (there is no node)");
        return;
    };
    let service = ExternalService::talent_service(&[]).unwrap();
    let section = Section::quick("talent").without("port").set("external_url", service.base()).set("route_prefix", "/talent");
    let host = Host::start(&[section.set("strip_prefix", true).set("live_failures", 2)]);
    let status = host.ready("talent").await;
    assert_eq!((&status["external"], &instances(&status)[0]["url"]), (&json!(true), &json!(service.base())));
    assert!(instances(&status)[0].get("pid").is_none(), "{status}");
    assert_eq!(host.get("/talent/health").await["status"], "healthy");
    for order in ["start", "stop", "restart", "rolling-restart"] {
        assert_problem(&host.order("talent", order).await, 400, "sidecar.external");
    }
    let port = service.port().to_owned();
    service.kill();
    let gone = host.until("talent", "its end is noticed", |status| status["ready"] == false).await;
    assert_eq!(gone["last_error"]["type"], "NETWORK_ERROR", "{gone}");
    let _back = ExternalService::talent_service(&["--port", &port]).unwrap();
    host.ready("talent").await;
}

#[tokio::test]
async fn none_starts_by_itself_that_should_not() {
    let section = Section::quick("later").set("script", script("flask_server.py")).set("autostart", false);
    let host = Host::start(&[section]);
    let status = host.status("later").await;
    assert_eq!((states(&status), &status["history"]), (vec!["stopped".to_owned()], &json!([])));
}
