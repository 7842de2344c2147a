//! Answers that are kept: by key, by time, across processes, through the loss of a tier.

use breakwater_tests::client::Client;
use breakwater_tests::external::{ExternalService, RedisServer};
use breakwater_tests::service::Launch;
use serde_json::{Value, json};

use crate::support::{eventually, image_service, ok, start};

fn config(remote: &str, rest: &str) -> String {
    format!(
        "[upstreams.image-service]\nendpoints = [\"{remote}\"]\nretries = 0\nretry_delay = \"1ms\"\nhealth_interval = \"1h\"\n\
         breaker_failures = 100000\n{rest}"
    )
}

async fn call(client: &Client, subject: &str, path: &str) -> Value {
    let body = json!({ "input": { "image_path": path }, "subject": subject });
    ok(&client.post("/v1/operations/detect-objects", &body).await.unwrap())
}

async fn asked(remote: &ExternalService) -> u64 {
    let report = Client::new(remote.base()).get("/_control").await.unwrap().json().unwrap();
    report["total"].as_u64().unwrap_or_else(|| panic!("{report}"))
}

#[tokio::test]
async fn a_fresh_answer_is_given_again_and_only_to_whom_it_was_given() {
    let Some(remote) = image_service(&[]) else { return };
    let chain = "[chains.detect-objects]\nproviders = [\"adapter-image-service\"]\ncache_ttl = \"1h\"\n";
    let (_service, client) = start(Launch::with_plugins().unwrap().config(&config(remote.base(), chain)));
    let first = call(&client, "anna", "/a.jpg").await;
    let before = asked(&remote).await;
    let again = call(&client, "anna", "/a.jpg").await;
    assert_eq!(again["output"], first["output"]);
    assert!(again["served_by"].as_str().unwrap().starts_with("cache:"), "{again}");
    assert!(again["cached_age_ms"].is_number() && again["degraded"] == false, "{again}");
    assert_eq!(asked(&remote).await, before, "nobody was asked");
    assert!(call(&client, "berta", "/a.jpg").await["cached_age_ms"].is_null());
    assert!(call(&client, "anna", "/b.jpg").await["cached_age_ms"].is_null());
}

#[tokio::test]
async fn many_who_ask_the_same_are_one_call() {
    let Some(remote) = image_service(&[]) else { return };
    let chain = "[chains.detect-objects]\nproviders = [\"adapter-image-service\"]\ncache_ttl = \"1h\"\n";
    let (_service, client) = start(Launch::with_plugins().unwrap().config(&config(remote.base(), chain)));
    Client::new(remote.base()).post("/_control", &json!({ "latency_ms": 500 })).await.unwrap();
    let calls = (0..40).map(|_| call(&client, "anna", "/same.jpg"));
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| answer["output"] == answers[0]["output"]));
    let report = Client::new(remote.base()).get("/_control").await.unwrap().json().unwrap();
    assert_eq!(report["counts"]["/detect"], 1, "{report}");
    assert_eq!(answers.iter().filter(|answer| answer["degraded"] == true).count(), 0);
    let sent: u64 = answers.iter().map(|answer| answer["upstream_attempts"].as_u64().unwrap_or(0)).sum();
    assert!(sent <= 1, "{sent} attempts on the ledgers of the waiters");
}

#[tokio::test]
async fn a_stale_answer_is_better_than_none() {
    let Some(remote) = image_service(&[]) else { return };
    let chain = "[chains.detect-objects]\nproviders = [\"adapter-image-service\"]\ncache_ttl = \"50ms\"\nstale_if_error = \"1h\"\n";
    let (_service, client) = start(Launch::with_plugins().unwrap().config(&config(remote.base(), chain)));
    let first = call(&client, "anna", "/a.jpg").await;
    remote.kill();
    eventually("the answer is stale", || async {
        let answer = call(&client, "anna", "/a.jpg").await;
        assert_eq!(answer["output"], first["output"]);
        (answer["level"] == "stale" && answer["degraded"] == true).then_some(())
    })
    .await;
}

#[tokio::test]
async fn redis_is_shared_lost_and_found_again_without_anybody_failing() {
    let Some(mut redis) = RedisServer::start().unwrap() else {
        println!("NOT RUN: a Redis that is lost and found again (there is no redis-server)");
        return;
    };
    let Some(remote) = image_service(&[]) else { return };
    let rest = format!(
        "[chains.detect-objects]\nproviders = [\"adapter-image-service\"]\ncache_ttl = \"1h\"\n\
         [cache]\nredis_url = \"{}\"\nmemory = \"0B\"\n",
        redis.url()
    );
    let launch = || Launch::with_plugins().unwrap().config(&config(remote.base(), &rest));
    let ((_one, one), (_two, two)) = (start(launch()), start(launch()));
    let is_kept = |answer: &Value| answer["served_by"].as_str().unwrap().starts_with("cache:");
    assert!(!is_kept(&call(&one, "anna", "/a.jpg").await));
    eventually("the other process sees it", || async { is_kept(&call(&two, "anna", "/a.jpg").await).then_some(()) }).await;

    redis.kill();
    for _ in 0..20 {
        let answer = call(&one, "anna", "/a.jpg").await;
        assert_eq!(answer["degraded"], false, "without Redis the service is asked: {answer}");
    }
    let status = ok(&one.get("/v1/status").await.unwrap());
    assert!(status.to_string().contains("redis"), "{status}");

    redis.restart().unwrap();
    eventually("Redis is used again", || async {
        call(&one, "anna", "/c.jpg").await;
        is_kept(&call(&two, "anna", "/c.jpg").await).then_some(())
    })
    .await;
}
