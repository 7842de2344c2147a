//! Start, restart, reload and stop.

use std::time::Duration;

use breakwater_tests::client::{Client, Field};
use breakwater_tests::forged;
use breakwater_tests::service::Launch;
use rustix::process::Signal;

use crate::support::{deploy, eventually, guest, manifest, ok, start};

const PATIENCE: Duration = Duration::from_secs(40);

async fn version(client: &Client) -> serde_json::Value {
    let picture = forged::plain_png(60, 40).unwrap();
    ok(&client.crop(&picture, &[("target_aspect_ratio", &"1:1"), ("crop_strategy", &"versioned")]).await.unwrap())["plugin"].clone()
}

#[tokio::test]
async fn one_line_says_where_it_listens_and_then_it_answers() {
    let (service, client) = start(Launch::without_plugins());
    assert!(service.announcement().contains(service.base()), "{}", service.announcement());
    assert_eq!(client.get("/healthz").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_restart_serves_the_generation_that_was_active() {
    let home = tempfile::tempdir().unwrap();
    let launch = || Launch::with_plugins().unwrap().at(home.path());
    let (service, client) = start(launch());
    deploy(&client, &manifest("versioned", "1.0.0", ""), &guest("answers-v1")).await;
    deploy(&client, &manifest("versioned", "2.0.0", ""), &guest("answers-v2")).await;
    ok(&client.post("/v1/plugins/versioned/rollback", &serde_json::json!({})).await.unwrap());
    let before = version(&client).await;
    assert_eq!(before["version"], "1.0.0");
    assert!(service.stop(PATIENCE).unwrap().success());

    let (service, client) = start(launch());
    assert_eq!(version(&client).await, before);
    // Killed without a word, it comes up the same.
    service.signal(Signal::KILL).unwrap();
    service.wait(PATIENCE).unwrap();
    let (_service, client) = start(launch());
    assert_eq!(version(&client).await, before);
    let list = ok(&client.get("/v1/plugins").await.unwrap());
    let versioned = list["plugins"].as_array().unwrap().iter().find(|plugin| plugin["id"] == "versioned").unwrap();
    assert_eq!(versioned["generations"].as_array().unwrap().len(), 2, "both generations are kept: {versioned}");
}

#[tokio::test]
async fn a_signal_to_stop_lets_the_calls_in_flight_finish() {
    let (service, client) = start(Launch::with_plugins().unwrap().config("[plugins]\ncpu_time = \"20s\"\ntimeout = \"20s\"\n"));
    let limits = "[limits]\ncpu_ms = 20000\ntimeout_ms = 20000\n";
    let deployed = deploy(&client, &manifest("misbehaving", "1.0.0", limits), &guest("misbehaving")).await;
    assert_eq!(deployed.status, 201, "{}", deployed.beginning());
    let calls = async || {
        let list = client.get("/v1/plugins").await.unwrap().json().unwrap();
        let plugins = list["plugins"].as_array().unwrap().clone();
        plugins.iter().find(|plugin| plugin["id"] == "misbehaving").map(|plugin| plugin["generations"][0]["calls"].as_u64().unwrap())
    };
    let before = calls().await.unwrap();
    let slow = tokio::spawn({
        let client = client.clone();
        async move {
            let picture = forged::plain_png(60, 40).unwrap();
            let parameters = "{\"steps\":1500}";
            let fields: [Field<'_>; 3] =
                [("target_aspect_ratio", &"1:1"), ("crop_strategy", &"slow"), ("strategy_parameters", &parameters)];
            client.crop(&picture, &fields).await
        }
    });
    eventually("the slow call has begun", async || (calls().await? > before).then_some(())).await;
    service.signal(Signal::TERM).unwrap();
    let answer = slow.await.unwrap().unwrap();
    assert_eq!(ok(&answer)["degraded"], false, "{}", answer.beginning());
    assert!(service.wait(PATIENCE).unwrap().success());
}

#[tokio::test]
async fn a_stopped_service_takes_no_new_calls() {
    let (service, client) = start(Launch::without_plugins());
    assert!(service.stop(PATIENCE).unwrap().success());
    assert!(client.get("/healthz").await.is_err());
}

#[tokio::test]
async fn a_reload_takes_the_new_configuration_and_refuses_a_wrong_one() {
    let (service, client) = start(Launch::without_plugins().config("[telemetry]\nlog_filter = \"info\"\n"));
    let file = service.home().join("breakwater.toml");
    std::fs::write(&file, "[telemetry]\nlog_filter = \"debug\"\n").unwrap();
    service.signal(Signal::HUP).unwrap();
    eventually("the reload is logged", async || service.log().contains("reload").then_some(())).await;
    std::fs::write(&file, "[telemetry]\nlog_fliter = \"debug\"\n").unwrap();
    service.signal(Signal::HUP).unwrap();
    eventually("the wrong key is named", async || service.log().contains("log_fliter").then_some(())).await;
    assert_eq!(client.get("/healthz").await.unwrap().status, 200);
}
