//! A route prefix that is passed through, and what a sidecar wrote as a stream.

use std::time::Duration;

use breakwater_tests::external::program;
use reqwest::Method;
use serde_json::{Value, json};

use crate::sidecar_service::{Host, Section, flask_or_say, script};
use crate::support::{eventually, ok};

#[tokio::test]
async fn requests_below_the_prefix_are_passed_through_as_they_are() {
    let Some(flask) = flask_or_say("a route prefix") else { return };
    let host = Host::start(&[
        Section::flask("flask", &flask).set("route_prefix", "/api/deepfake").set("strip_prefix", true),
        Section::flask("kept", &flask).set("route_prefix", "/echo"),
    ]);
    host.ready("flask").await;
    host.ready("kept").await;
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let request = host.client.request(method.clone(), "/api/deepfake/echo/a%20b/c?x=1&y=%2F&x=2");
        let request = request.header("x-of-mine", "7").header("connection", "close, x-hop").header("x-hop", "no").body("some text");
        let answer = host.client.send(request).await.unwrap();
        let seen = ok(&answer);
        assert_eq!(answer.header("x-echo"), "flask");
        assert_eq!((&seen["method"], &seen["path"], &seen["body"]), (&json!(method.as_str()), &json!("a b/c"), &json!("some text")));
        assert!(seen["full_path"].as_str().unwrap().ends_with("?x=1&y=%2F&x=2"), "{seen}");
        let headers = &seen["headers"];
        assert_eq!((&headers["x-of-mine"], &headers["x-hop"]), (&json!("7"), &Value::Null), "{seen}");
        assert_eq!(headers["x-correlation-id"], answer.header("x-correlation-id"), "{seen}");
        assert!(headers["traceparent"].is_string() && headers["x-request-deadline-ms"].is_string(), "{seen}");
    }
    assert_eq!(host.get("/echo/kept").await["path"], "kept", "the prefix is not taken off unless it should be");
    let odd = host.client.get("/api/deepfake/status/418").await.unwrap();
    assert_eq!((odd.status, &odd.json().unwrap()["error"]), (418, &json!("as it was asked for")), "its own errors are its own");
    assert_eq!(host.client.get("/api/deepfake/nowhere").await.unwrap().status, 404);
    assert_eq!(host.client.get("/api/deepfakes/health").await.unwrap().code(), "http.no-such-route", "a prefix ends at a slash");
    let large = "x".repeat(3 << 20);
    let answer = host.client.send(host.client.request(Method::POST, "/api/deepfake/echo/").body(large)).await.unwrap();
    assert_eq!(ok(&answer)["bytes"], 3 << 20);
}

#[tokio::test]
async fn an_answer_that_comes_in_pieces_is_passed_on_piece_by_piece() {
    let Some(flask) = flask_or_say("an answer in pieces") else { return };
    let host = Host::start(&[Section::flask("flask", &flask).set("route_prefix", "/flask").set("strip_prefix", true)]);
    host.ready("flask").await;
    let mut response = host.client.request(Method::GET, "/flask/stream?pieces=3&ms=700").send().await.unwrap();
    let started = std::time::Instant::now();
    let first = response.chunk().await.unwrap().unwrap();
    assert_eq!(first, "piece 0\n");
    assert!(started.elapsed() < Duration::from_millis(600), "it does not wait for the rest: {:?}", started.elapsed());
    let mut rest = String::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        rest += std::str::from_utf8(&chunk).unwrap();
    }
    assert_eq!(rest, "piece 1\npiece 2\n");
}

#[tokio::test]
async fn when_it_cannot_answer_the_body_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let broken = Section::quick("flask").set("script", folder.path().join("absent.py")).set("route_prefix", "/api/deepfake");
    let stopped = Section::quick("later").set("script", script("flask_server.py")).set("autostart", false).set("route_prefix", "/later");
    let host = Host::start(&[broken, stopped]);
    let status = host.failed("flask").await;
    let answer = host.client.get("/api/deepfake/analyse").await.unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (503, "application/json"), "{}", answer.beginning());
    let body = answer.json().unwrap();
    assert_eq!((&body["error"], &body["type"]), (&json!("flask service unavailable"), &json!("SCRIPT_NOT_FOUND")));
    assert_eq!(body["message"], status["last_error"]["message"]);
    let inner = &body["status"];
    assert_eq!((&inner["isReady"], &inner["isRestarting"], &inner["restartAttempts"]), (&json!(false), &json!(false), &json!(0)));
    assert_eq!((&inner["lastError"]["type"], &inner["uptime"]), (&json!("SCRIPT_NOT_FOUND"), &json!(null)), "{inner}");
    assert!(inner.as_object().unwrap().contains_key("lastHealthCheck"), "{inner}");

    let body = host.client.get("/later").await.unwrap().json().unwrap();
    assert_eq!((&body["type"], &body["message"]), (&json!("UNKNOWN"), &json!("Service is starting or encountered an error")));
}

#[tokio::test]
async fn what_it_wrote_and_what_was_found_here_is_for_this_machine_alone() {
    let folder = tempfile::tempdir().unwrap();
    let broken = Section::quick("python").set("script", folder.path().join("absent.py"));
    let host = Host::start(&[broken]);
    let whole = host.failed("python").await["last_error"].clone();
    assert!(!whole["probes"].as_array().unwrap().is_empty() && !whole["troubleshooting"].as_array().unwrap().is_empty(), "{whole}");
    assert_eq!(host.get("/api/health/python").await["lastError"]["probes"], whole["probes"]);

    let by_a_proxy =
        async |path: &str| host.client.send(host.client.request(Method::GET, path).header("x-forwarded-for", "1.2.3.4")).await.unwrap();
    let refused = by_a_proxy("/v1/sidecars/python/logs").await;
    assert_eq!((refused.status, refused.code()), (403, "http.management-denied".into()));
    let one = ok(&by_a_proxy("/v1/sidecars/python").await);
    let all = ok(&by_a_proxy("/v1/sidecars").await);
    for error in [&one["last_error"], &one["instances"][0]["last_error"], &all["sidecars"][0]["last_error"]] {
        assert_eq!((&error["type"], &error["message"], &error["at_ms"]), (&whole["type"], &whole["message"], &whole["at_ms"]));
        assert_eq!([&error["probes"], &error["troubleshooting"], &error["stderr"]], [&json!([]); 3], "{error}");
    }
    let health = ok(&by_a_proxy("/api/health/python").await);
    assert_eq!(health["lastError"], json!({ "type": whole["type"], "message": whole["message"], "at": whole["at_ms"] }));
}

#[tokio::test]
async fn lines_are_streamed_as_they_come() {
    if program("python3").is_none() {
        println!("NOT RUN: a stream of log lines (there is no python3)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (file, sign) = (folder.path().join("talks.py"), folder.path().join("sign"));
    let text = format!(
        "import os, sys, time\nfor n in range(300):\n    print('line', n)\nwhile not os.path.exists({sign:?}):\n    time.sleep(0.02)\n\
         print('now', file=sys.stderr)\ntime.sleep(3600)\n"
    );
    std::fs::write(&file, text).unwrap();
    let host = Host::start(&[Section::quick("talks").set("script", &file).set("readiness", "line").set("ready_line", "^line 299$")]);
    host.ready("talks").await;
    let lines = async |query: &str| {
        let answer = host.client.get(&format!("/v1/sidecars/talks/logs{query}")).await.unwrap();
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(lines("").await.len(), 200, "the default");
    let all = lines("?lines=1000").await;
    let of_stdout: Vec<_> = all.iter().filter(|line| line["stream"] == "stdout").collect();
    assert_eq!(of_stdout.len(), 300);
    assert_eq!((&of_stdout[7]["line"], &of_stdout[7]["instance"]), (&json!("line 7"), &json!(0)));
    assert!(of_stdout.is_sorted_by_key(|line| line["at_ms"].as_u64().unwrap()));
    assert_eq!(lines("?lines=0").await.len(), 0);
    for bad in ["?lines=many", "?lines=-1", "?follow=perhaps"] {
        let answer = host.client.get(&format!("/v1/sidecars/talks/logs{bad}")).await.unwrap();
        assert_eq!(answer.status, 400, "{bad}: {}", answer.beginning());
    }

    let path = "/v1/sidecars/talks/logs?follow=true&lines=0";
    let mut plain = host.client.request(Method::GET, path).send().await.unwrap();
    let mut events = host.client.request(Method::GET, path).header("accept", "text/event-stream").send().await.unwrap();
    assert_eq!(plain.headers()["content-type"], "application/x-ndjson");
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    std::fs::write(&sign, "").unwrap();
    let line: Value = serde_json::from_slice(&until(&mut plain, "\n").await).unwrap();
    assert_eq!((&line["line"], &line["stream"]), (&json!("now"), &json!("stderr")));
    let event = String::from_utf8(until(&mut events, "\n\n").await).unwrap();
    let data = event.lines().find_map(|line| line.strip_prefix("data:")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(data).unwrap()["line"], "now");

    // A stream does not hold up the end of the service.
    assert!(host.service.stop(Duration::from_secs(20)).unwrap().success());
}

/// Reads until this text about a line that is waited for has come.
async fn until(response: &mut reqwest::Response, end: &str) -> Vec<u8> {
    let mut read = Vec::new();
    let reading = async {
        loop {
            let chunk = response.chunk().await.unwrap().unwrap();
            read.extend_from_slice(&chunk);
            let text = String::from_utf8_lossy(&read);
            if text.contains("now") && text.ends_with(end) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.unwrap();
    read
}

#[tokio::test]
async fn the_longer_prefix_counts_and_the_hosts_own_routes_come_first() {
    let Some(flask) = flask_or_say("two prefixes") else { return };
    let host = Host::start(&[
        Section::flask("whole", &flask).set("route_prefix", "/api").set("strip_prefix", true),
        Section::flask("part", &flask).set("route_prefix", "/api/part").set("strip_prefix", true),
    ]);
    let (whole, part) = (host.ready("whole").await, host.ready("part").await);
    assert_eq!(host.get("/api/work").await["pid"], whole["instances"][0]["pid"]);
    assert_eq!(host.get("/api/part/work").await["pid"], part["instances"][0]["pid"]);
    assert_eq!(host.get("/api/health/python").await["healthy"], true, "Breakwater's own");
    eventually("what the host answers itself", async || (host.client.get("/healthz").await.ok()?.status == 200).then_some(())).await;
}
