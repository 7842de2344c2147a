//! The AI service in front, its fallbacks behind, flags and caches around: the second client's promises over HTTP.

use breakwater_tests::client::Client;
use breakwater_tests::external::ExternalService;
use breakwater_tests::service::Launch;
use serde_json::{Value, json};

use crate::support::{assert_problem, eventually, ok, start, talent_service};

fn config(remote: &str, rest: &str) -> String {
    format!(
        "[upstreams.talent-service]\nendpoints = [\"{remote}\"]\nretry_delay = \"10ms\"\ntimeout = \"1s\"\nhealth_interval = \"1h\"\n\
         breaker_reset = \"200ms\"\n{rest}"
    )
}

fn profile() -> Value {
    json!({ "name": "Ada Lovelace", "title": "Engineer", "skills": ["Rust", "SQL"],
        "experience": [{ "title": "Engineer", "company": "Analytical", "startDate": "2019-01", "endDate": "2024-01" }] })
}

fn inputs() -> [(&'static str, Value, &'static str); 3] {
    let postings = json!([{ "id": "a", "title": "Rust engineer", "requiredSkills": ["Rust"] }, { "id": "b", "title": "Cook", "requiredSkills": ["Soup"] }]);
    let applications = json!([{ "status": "applied", "appliedAt": "2026-01-02" }, { "status": "offer", "appliedAt": "2026-01-03" }]);
    [
        ("generate-resume", json!({ "userProfile": profile(), "asOf": "2026-01-01" }), "basic-template"),
        ("find-matching-jobs", json!({ "userProfile": profile(), "jobPostings": postings, "asOf": "2026-01-01" }), "rule-based"),
        ("calculate-analytics", json!({ "applications": applications }), "basic"),
    ]
}

async fn switch(remote: &ExternalService, behaviour: &Value) {
    assert_eq!(Client::new(remote.base()).post("/_control", behaviour).await.unwrap().status, 200);
}

#[tokio::test]
async fn the_service_answers_and_without_it_every_operation_is_answered_at_its_level() {
    let Some(remote) = talent_service(&[]) else { return };
    let (_service, client) = start(Launch::with_plugins().unwrap().config(&config(remote.base(), "")));
    for (operation, input, _) in inputs() {
        let answer = ok(&client.call(operation, &input).await.unwrap());
        assert!(answer["served_by"].as_str().unwrap().starts_with("plugin:adapter-talent@"), "{answer}");
        assert_eq!((&answer["degraded"], &answer["level"]), (&json!(false), &Value::Null), "{answer}");
    }
    remote.kill();
    for (operation, input, level) in inputs() {
        let answer = ok(&client.call(operation, &input).await.unwrap());
        assert!(answer["served_by"].as_str().unwrap().starts_with("plugin:fallback-talent@"), "{answer}");
        assert_eq!(answer["degraded"], true);
        assert!(answer["level"].as_str().unwrap().starts_with(level), "{answer}");
    }
    let matches = ok(&client.call("find-matching-jobs", &inputs()[1].1).await.unwrap());
    let scores: Vec<f64> = matches["output"]["matches"].as_array().unwrap().iter().map(|job| job["score"].as_f64().unwrap()).collect();
    assert_eq!(matches["output"]["matches"][0]["jobId"], "a", "the skills fit: {matches}");
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
}

#[tokio::test]
async fn unconfigured_the_fallbacks_answer_at_once() {
    let (_service, client) = start(Launch::with_plugins().unwrap());
    let (operation, input, level) = &inputs()[0];
    let answer = ok(&client.call(operation, input).await.unwrap());
    assert!(answer["level"].as_str().unwrap().starts_with(level), "{answer}");
    assert_eq!(answer["degraded_reasons"][0]["code"], "operation.no-provider");
    let text = answer["output"]["resume"]["content"].as_str().unwrap();
    assert!(text.contains("Ada Lovelace") && text.contains("Rust"), "{text}");
}

#[tokio::test]
async fn five_failures_open_the_breaker_and_a_probe_closes_it() {
    let Some(remote) = talent_service(&[]) else { return };
    let rest = "retries = 0\nejection_failures = 0\n";
    let (_service, client) = start(Launch::with_plugins().unwrap().config(&config(remote.base(), rest)));
    let (operation, input, _) = &inputs()[0];
    switch(&remote, &json!({ "status": 500, "only": "generate-resume" })).await;
    for number in 1..=5 {
        let answer = ok(&client.call(operation, input).await.unwrap());
        assert_ne!(answer["degraded_reasons"][0]["code"], "upstream.circuit-open", "call {number}");
    }
    let answer = ok(&client.call(operation, input).await.unwrap());
    assert_eq!(answer["degraded_reasons"][0]["code"], "upstream.circuit-open", "{answer}");
    switch(&remote, &json!({})).await;
    eventually("a probe closes the breaker", || async {
        (ok(&client.call(operation, input).await.unwrap())["degraded"] == false).then_some(())
    })
    .await;
    let text = String::from_utf8_lossy(&client.get("/metrics").await.unwrap().body).into_owned();
    assert!(text.contains("breaker=\"upstream:talent-service\",to=\"open\""), "{text}");
}

#[tokio::test]
async fn what_the_service_calls_wrong_is_told_and_not_degraded() {
    let Some(remote) = talent_service(&[]) else { return };
    let (_service, client) = start(Launch::with_plugins().unwrap().config(&config(remote.base(), "")));
    switch(&remote, &json!({ "status": 422 })).await;
    let answer = client.call("generate-resume", &inputs()[0].1).await.unwrap();
    assert_problem(&answer, 400, "upstream.status");
    let problem = answer.json().unwrap();
    assert_eq!(problem["error_code"], "upstream.status", "{problem}");
    assert!(problem["status_code"].is_number(), "{problem}");
}

#[tokio::test]
async fn a_swap_under_load_loses_no_call() {
    let Some(remote) = talent_service(&[]) else { return };
    let rest = "max_connections = 100\n";
    let (_service, client) = start(Launch::with_plugins().unwrap().config(&config(remote.base(), rest)));
    switch(&remote, &json!({ "latency_ms": 200 })).await;
    let (operation, input, _) = &inputs()[0];
    let folder = breakwater_tests::artifacts::Artifacts::locate().unwrap().plugins.join("adapter-talent");
    let manifest = std::fs::read_to_string(folder.join("plugin.toml")).unwrap();
    let manifest: String = manifest.split("[[fixtures]]").next().unwrap().replace("version = \"0.1.0\"", "version = \"0.1.1\"");
    let name = manifest.lines().find_map(|line| line.strip_prefix("component = ")).unwrap().trim_matches('"').to_owned();
    let component = bytes::Bytes::from(std::fs::read(folder.join(name)).unwrap());

    let calls = async {
        let mut versions = std::collections::BTreeSet::new();
        for _ in 0..12 {
            let batch = (0..10).map(|_| client.call(operation, input));
            for answer in futures_util::future::join_all(batch).await {
                let answer = ok(&answer.unwrap());
                assert_eq!(answer["degraded"], false, "{answer}");
                versions.insert(answer["served_by"].as_str().unwrap().to_owned());
            }
        }
        versions
    };
    let (versions, deployed) = tokio::join!(calls, crate::support::deploy(&client, &manifest, &component));
    assert!([200, 201].contains(&deployed.status), "{}", deployed.beginning());
    assert_eq!(versions.len(), 2, "both generations served: {versions:?}");
}
