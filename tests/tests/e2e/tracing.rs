//! One call followed from the caller to the service, and its spans to a collector.

use breakwater_tests::client::Client;
use breakwater_tests::service::Launch;
use breakwater_tests::upstream::FakeUpstream;
use serde_json::json;

use crate::support::{eventually, image_service, ok, start};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn spans_of_the_whole_path_reach_a_collector_and_the_trace_reaches_the_service() {
    let Some(remote) = image_service(&[]) else { return };
    let collector = FakeUpstream::start("{}").await.unwrap();
    let config = format!(
        "[upstreams.image-service]\nendpoints = [\"{}\"]\nhealth_interval = \"1h\"\n[telemetry]\notlp_endpoint = \"{}\"\n",
        remote.base(),
        collector.base()
    );
    let (_service, client) = start(Launch::with_plugins().unwrap().config(&config));
    let request = client.request(reqwest::Method::POST, "/v1/operations/detect-objects");
    let request = request.header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let answer = client.send(request.json(&json!({ "input": { "image_path": "/a.jpg" } }))).await.unwrap();
    assert!(ok(&answer)["served_by"].as_str().unwrap().starts_with("plugin:adapter-image-service@"));

    let report = Client::new(remote.base()).get("/_control").await.unwrap();
    assert!(report.beginning().contains("total"));
    assert!(String::from_utf8_lossy(&report.body).contains(&format!("00-{TRACE}-")), "the service is told the caller's trace");

    let seen = eventually("the spans are exported", || async {
        let seen = collector.seen();
        seen.iter().any(|request| request.contains("upstream attempt")).then_some(seen)
    })
    .await;
    assert!(seen.iter().all(|request| request.starts_with("POST /v1/traces HTTP/1.1")), "{seen:?}");
    let all = seen.concat();
    for name in ["operation", "provider", "guest call", "upstream attempt", "detect-objects", "adapter-image-service", "service.name"] {
        assert!(all.contains(name), "{name} is in no span");
    }
}

#[tokio::test]
async fn a_caller_without_a_trace_still_gives_the_service_one() {
    let Some(remote) = image_service(&[]) else { return };
    let config = format!("[upstreams.image-service]\nendpoints = [\"{}\"]\nhealth_interval = \"1h\"\n", remote.base());
    let (_service, client) = start(Launch::with_plugins().unwrap().config(&config));
    let request = client.request(reqwest::Method::POST, "/v1/operations/detect-objects").header("x-correlation-id", "order-7");
    ok(&client.send(request.json(&json!({ "input": { "image_path": "/a.jpg" } }))).await.unwrap());
    let report = Client::new(remote.base()).get("/_control").await.unwrap();
    let report = String::from_utf8_lossy(&report.body).into_owned();
    assert!(report.contains("order-7") && report.contains("traceparent") && report.contains("x-request-deadline-ms"), "{report}");
}
