//! Hostile guests over HTTP: each costs its own call a little, which is then answered by the centre crop, and nobody else anything.

use breakwater_tests::client::Client;
use breakwater_tests::forged;
use breakwater_tests::service::Launch;
use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::Value;

use crate::support::{Area, assert_problem, crop_of, deploy, guest, manifest, ok, start};

const LIMITS: &str = "[limits]\nmemory_mib = 200\ncpu_ms = 300\ntimeout_ms = 2000\nhost_calls = 200\n";

/// What each way to misbehave is called in the answer.
const MISDEEDS: [(&str, &str); 15] = [
    ("endless_loop", "plugin.cpu-time"),
    ("memory_bomb", "plugin.memory"),
    ("deep_recursion", "plugin.stack"),
    ("trap", "plugin.trap"),
    ("panic", "plugin.trap"),
    ("host_call_flood", "plugin.host-calls"),
    ("giant_output", "plugin.output-too-large"),
    ("giant_string", "plugin.output-too-large"),
    ("too_many_terms", "plugin.invalid-plan"),
    ("outside", "plugin.invalid-plan"),
    ("overflowing", "plugin.invalid-plan"),
    ("empty", "plugin.invalid-plan"),
    ("wrong_ratio", "plugin.invalid-plan"),
    ("nan_score", "plugin.invalid-plan"),
    ("infinite_term", "plugin.invalid-plan"),
];

async fn crop(client: &Client, picture: &Bytes, strategy: &str) -> Value {
    ok(&client.crop(picture, &[("target_aspect_ratio", &"1:1"), ("crop_strategy", &strategy), ("output_format", &"png")]).await.unwrap())
}

#[tokio::test]
async fn every_misdeed_degrades_its_own_call_and_no_other() {
    // The breaker has its own test; here every misdeed is to be seen.
    let launch = Launch::with_plugins().unwrap().config("[plugins]\nbreaker_failures = 1000\nmemory = \"256MiB\"\n");
    let (service, client) = start(launch);
    let deployed = deploy(&client, &manifest("misbehaving", "1.0.0", LIMITS), &guest("misbehaving")).await;
    assert_eq!(deployed.status, 201, "{}", deployed.beginning());
    let picture = forged::plain_png(600, 400).unwrap();
    let centre = Area { x: 100.0, y: 0.0, width: 400.0, height: 400.0 };

    let misdeeds = join_all(MISDEEDS.map(|(strategy, code)| {
        let (client, picture) = (client.clone(), picture.clone());
        async move { (strategy, code, crop(&client, &picture, strategy).await) }
    }));
    let others = join_all((0..30).map(|index| {
        let (client, picture) = (client.clone(), picture.clone());
        async move { crop(&client, &picture, if index % 2 == 0 { "well" } else { "thirds" }).await }
    }));
    let (misdeeds, others) = tokio::join!(misdeeds, others);
    for (strategy, code, answer) in misdeeds {
        assert_eq!((answer["degraded"].as_bool(), answer["served_by"].as_str()), (Some(true), Some("host:center")), "{strategy}: {answer}");
        assert_eq!(answer["degraded_reasons"][0]["code"], code, "{strategy}: {answer}");
        assert!(answer["degraded_reasons"][0]["provider"].as_str().unwrap().contains("misbehaving"), "{strategy}: {answer}");
        assert_eq!(crop_of(&answer), centre, "{strategy}");
        assert!(!answer.to_string().contains("wasm backtrace"), "{answer}");
    }
    for answer in others {
        assert_eq!(answer["degraded"], false, "{answer}");
    }
    assert!(!service.log().contains("panicked at host"), "{}", service.log());
}

#[tokio::test]
async fn what_a_guest_calls_invalid_is_the_callers_fault() {
    let (_service, client) = start(Launch::with_plugins().unwrap());
    deploy(&client, &manifest("misbehaving", "1.0.0", LIMITS), &guest("misbehaving")).await;
    let picture = forged::plain_png(60, 40).unwrap();
    let answer = client.crop(&picture, &[("target_aspect_ratio", &"1:1"), ("crop_strategy", &"refuses")]).await.unwrap();
    assert_problem(&answer, 400, "test.refused");
}

#[tokio::test]
async fn a_plugin_that_keeps_failing_is_left_alone_for_a_while() {
    let launch = Launch::with_plugins().unwrap().config("[plugins]\nbreaker_failures = 3\nbreaker_reset = \"1h\"\n");
    let (_service, client) = start(launch);
    deploy(&client, &manifest("misbehaving", "1.0.0", LIMITS), &guest("misbehaving")).await;
    let picture = forged::plain_png(60, 40).unwrap();
    let mut codes = Vec::new();
    for _ in 0..5 {
        codes.push(crop(&client, &picture, "trap").await["degraded_reasons"][0]["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(codes, ["plugin.trap", "plugin.trap", "plugin.trap", "plugin.breaker-open", "plugin.breaker-open"]);
    assert_eq!(crop(&client, &picture, "center").await["degraded"], false);
    // A mended version is tried at once.
    let mended = deploy(&client, &manifest("misbehaving", "1.0.1", LIMITS), &guest("misbehaving")).await;
    assert_eq!(mended.status, 201, "{}", mended.beginning());
    assert_eq!(crop(&client, &picture, "well").await["degraded"], false);
}

#[tokio::test]
async fn no_call_sees_the_memory_of_another() {
    let (_service, client) = start(Launch::with_plugins().unwrap());
    deploy(&client, &manifest("misbehaving", "1.0.0", LIMITS), &guest("misbehaving")).await;
    let picture = forged::plain_png(60, 40).unwrap();
    for _ in 0..5 {
        let answer = crop(&client, &picture, "dirty").await;
        let reasons = answer["reasons"].as_array().unwrap();
        let touched = reasons.iter().find(|term| term["name"] == "touched_before").unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(touched["value"], 0.0);
    }
}
