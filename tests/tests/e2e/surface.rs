//! Health, metrics, the API's description, and how calls are named.

use breakwater_tests::artifacts::{Artifacts, root};
use breakwater_tests::photographs::Photograph;
use reqwest::Method;
use serde_json::json;

use crate::support::{assert_problem, client, eventually, ok};

#[tokio::test]
async fn the_process_is_healthy_and_becomes_ready_with_a_golden_inference() {
    let client = client();
    assert_eq!(ok(&client.get("/healthz").await.unwrap())["status"], "ok");
    let ready = eventually("readiness", async || {
        let answer = client.get("/readyz").await.unwrap();
        (answer.status == 200).then(|| answer.json().unwrap())
    })
    .await;
    assert_eq!(ready["ready"], true);
    assert!(!ready["device"]["reason"].as_str().unwrap().is_empty(), "{ready}");
    assert!(ready["age_ms"].is_u64(), "{ready}");
    let checks = ready["checks"].as_array().unwrap();
    for name in ["inference", "plugins"] {
        let check = checks.iter().find(|check| check["name"] == name).unwrap();
        assert!(check["ok"] == true && check["milliseconds"].as_f64().unwrap() > 0.0, "{check}");
    }
}

#[tokio::test]
async fn metrics_count_what_was_asked() {
    let client = client();
    let photograph = Photograph::shipped("coffee.png").unwrap();
    let count = async || {
        let text = String::from_utf8(client.get("/metrics").await.unwrap().body.to_vec()).unwrap();
        let lines = text.lines().filter(|line| line.contains("route=\"/v1/crop\"") && line.contains("_total"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    let before = count().await;
    ok(&client.crop(&photograph.bytes, &[("target_aspect_ratio", &"1:1"), ("crop_strategy", &"center")]).await.unwrap());
    assert!(count().await > before);
}

#[tokio::test]
async fn the_description_names_every_route() {
    let client = client();
    let description = ok(&client.get("/openapi.json").await.unwrap());
    assert!(description["openapi"].as_str().unwrap().starts_with("3."));
    let paths = description["paths"].as_object().unwrap();
    for path in [
        "/v1/detect",
        "/v1/crop",
        "/v1/strategies",
        "/v1/plugins",
        "/v1/plugins/{id}/activate",
        "/v1/plugins/{id}/rollback",
        "/v1/plugins/{id}/generations/{digest}",
        "/healthz",
        "/readyz",
        "/metrics",
    ] {
        assert!(paths.contains_key(path), "{path} is not described");
    }
}

#[test]
fn the_committed_description_is_the_one_that_is_served() {
    let served = std::process::Command::new(Artifacts::locate().unwrap().binary).arg("openapi").output().unwrap().stdout;
    let served: serde_json::Value = serde_json::from_slice(&served).unwrap();
    let committed = std::fs::read(root().join("docs/openapi.json")).unwrap_or_default();
    let committed: serde_json::Value = serde_json::from_slice(&committed).unwrap_or_default();
    assert!(served == committed, "docs/openapi.json is out of date: run `cargo xtask openapi`");
}

#[tokio::test]
async fn every_strategy_is_listed_with_its_schema() {
    let list = ok(&client().get("/v1/strategies").await.unwrap());
    let strategies = list["strategies"].as_array().unwrap();
    let names: Vec<_> = strategies.iter().map(|strategy| strategy["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["attention", "center", "center_faces", "entropy", "portrait", "subjects", "thirds"]);
    for strategy in strategies {
        assert_eq!(strategy["parameters"]["type"], "object", "{strategy}");
        assert!(!strategy["summary"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_call_keeps_the_name_its_client_gave_it() {
    let client = client();
    let named = client.request(Method::GET, "/v1/strategies").header("x-correlation-id", "order-42");
    assert_eq!(client.send(named).await.unwrap().header("x-correlation-id"), "order-42");
    let (one, two) = (client.get("/healthz").await.unwrap(), client.get("/healthz").await.unwrap());
    assert!(!one.header("x-correlation-id").is_empty());
    assert_ne!(one.header("x-correlation-id"), two.header("x-correlation-id"));
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let client = client();
    assert_problem(&client.get("/v2/nothing").await.unwrap(), 404, "http.no-such-route");
    assert_problem(&client.get("/v1/crop").await.unwrap(), 405, "http.method-not-allowed");
    assert_problem(&client.post("/v1/crop", &json!([])).await.unwrap(), 400, "request.json-invalid");
    let text = client.request(Method::POST, "/v1/detect").header("content-type", "text/plain").body("hello");
    assert_problem(&client.send(text).await.unwrap(), 415, "http.unsupported-media-type");
}
