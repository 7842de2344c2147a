//! A remote image service in front of the host's own detectors: one line puts it there, and nothing is dropped when it fails.

use breakwater_tests::client::Client;
use breakwater_tests::external::ExternalService;
use breakwater_tests::service::{Launch, Service};
use serde_json::{Value, json};

use crate::support::{assert_problem, eventually, image_service, ok, start};

const ADAPTER: &str = "plugin:adapter-image-service@";

/// Short waits, so that a test of failures does not take minutes; everything else as it comes.
fn quick(base: &str) -> String {
    format!("[upstreams.image-service]\nendpoints = [\"{base}\"]\nretry_delay = \"10ms\"\ntimeout = \"2s\"\nhealth_interval = \"100ms\"\n")
}

fn with_picture(service: &Service) -> Value {
    std::fs::copy(breakwater_tests::external::folder().join("images/astronaut.png"), service.media_root().join("astronaut.png")).unwrap();
    json!({ "image_path": "/astronaut.png", "detection_types": ["face", "person"] })
}

async fn served_by(client: &Client, operation: &str, input: &Value) -> (String, bool) {
    let answer = ok(&client.call(operation, input).await.unwrap());
    (answer["served_by"].as_str().unwrap().to_owned(), answer["degraded"].as_bool().unwrap())
}

async fn misbehave(remote: &ExternalService, behaviour: &Value) {
    let answer = Client::new(remote.base()).post("/_control", behaviour).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.beginning());
}

#[tokio::test]
async fn one_line_puts_a_remote_service_first_and_its_end_is_not_noticed_but_for_the_answer_saying_so() {
    let Some(remote) = image_service(&[]) else { return };
    let (service, client) = start(Launch::with_plugins().unwrap().config(&quick(remote.base())));
    let input = with_picture(&service);
    let answer = ok(&client.call("detect-objects", &input).await.unwrap());
    assert!(answer["served_by"].as_str().unwrap().starts_with(ADAPTER), "{answer}");
    assert_eq!((&answer["degraded"], &answer["attempts"], &answer["upstream_attempts"]), (&json!(false), &json!(1), &json!(1)));

    // The friendly route is the same operation.
    let friendly = ok(&client.post("/v1/detect", &input).await.unwrap());
    assert!(friendly["served_by"].as_str().unwrap().starts_with(ADAPTER), "{friendly}");
    assert_eq!(friendly["detections"], answer["output"]["detections"]);

    remote.kill();
    let (by, degraded) = served_by(&client, "detect-objects", &input).await;
    assert!(by.starts_with("model:") && degraded, "{by}");
    let friendly = ok(&client.post("/v1/detect", &input).await.unwrap());
    let reason = friendly["degraded_reasons"][0]["code"].as_str().unwrap();
    let known = ["upstream.connection", "upstream.max-retries-exceeded", "upstream.circuit-open", "upstream.no-endpoint"];
    assert!(known.contains(&reason), "{friendly}");
}

#[tokio::test]
async fn the_variable_of_the_older_client_does_the_same_and_its_timeout_is_per_attempt() {
    let Some(remote) = image_service(&[]) else { return };
    let launch = Launch::with_plugins().unwrap();
    let launch = launch.environment("PYTHON_SERVICE_URL", remote.base()).environment("PYTHON_SERVICE_TIMEOUT", "300");
    let launch = launch.environment("PYTHON_SERVICE_RETRY_DELAY", "10").environment("PYTHON_SERVICE_MAX_RETRIES", "2");
    let (service, client) = start(launch);
    let input = with_picture(&service);
    assert!(served_by(&client, "detect-objects", &input).await.0.starts_with(ADAPTER));

    misbehave(&remote, &json!({ "latency_ms": 1000, "next": 2, "only": "detect" })).await;
    let answer = ok(&client.call("detect-objects", &input).await.unwrap());
    assert!(answer["served_by"].as_str().unwrap().starts_with(ADAPTER), "two attempts of 300 ms, then an answer: {answer}");
    assert_eq!(answer["upstream_attempts"], 3);
}

#[tokio::test]
async fn without_an_upstream_the_host_answers_first_and_undegraded() {
    let (service, client) = start(Launch::with_plugins().unwrap());
    let input = with_picture(&service);
    let (by, degraded) = served_by(&client, "detect-objects", &input).await;
    assert!(by.starts_with("model:") && !degraded, "{by}");
    let listed = ok(&client.get("/v1/operations/detect-objects").await.unwrap());
    let adapter = listed["providers"].as_array().unwrap().iter().find(|provider| provider["name"].as_str().unwrap().starts_with(ADAPTER));
    assert_eq!(adapter.unwrap()["available"], false, "{listed}");
}

#[tokio::test]
async fn a_crop_by_the_remote_service_is_a_picture_too() {
    let Some(remote) = image_service(&[]) else { return };
    let (service, client) = start(Launch::with_plugins().unwrap().config(&quick(remote.base())));
    with_picture(&service);
    let picture = bytes::Bytes::from(std::fs::read(service.media_root().join("astronaut.png")).unwrap());
    let answer = client.post_picture("/v1/crop", &picture, &[("target_aspect_ratio", &"4:6")], "image/*").await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.beginning());
    assert!(answer.header("x-breakwater-served-by").starts_with(ADAPTER), "{:?}", answer.headers);
    assert!(image::load_from_memory(&answer.body).is_ok());
}

#[tokio::test]
async fn whatever_the_remote_service_does_every_call_is_answered_in_time() {
    let Some(remote) = image_service(&[]) else { return };
    // A breaker that stays out of the way: each behaviour is to be met, not the open breaker after the first.
    let config = quick(remote.base()).replace("\"100ms\"", "\"1h\"") + "breaker_failures = 1000\nejection_failures = 0\nretries = 1\n";
    let (service, client) = start(Launch::with_plugins().unwrap().config(&config));
    let input = with_picture(&service);
    for mode in [
        "reset",
        "close",
        "half-close",
        "hang",
        "long-length",
        "html",
        "invalid-utf8",
        "invalid-json",
        "huge",
        "endless",
        "endless-head",
        "garbage",
    ] {
        misbehave(&remote, &json!({ "mode": mode, "only": "detect" })).await;
        let answer = ok(&client.call("detect-objects", &input).await.unwrap());
        let by = answer["served_by"].as_str().unwrap();
        assert!(by.starts_with("model:") || by.starts_with("cache:"), "{mode}: {answer}");
        assert_eq!(answer["degraded"], true, "{mode}");
        let code = answer["degraded_reasons"][0]["code"].as_str().unwrap();
        let known = ["upstream.", "plugin.output-invalid", "image-service.", "adapter."];
        assert!(known.iter().any(|prefix| code.starts_with(prefix)), "{mode}: {code}");
    }
    misbehave(&remote, &json!({})).await;
    assert!(served_by(&client, "detect-objects", &input).await.0.starts_with(ADAPTER));
}

#[tokio::test]
async fn process_image_answers_as_the_integration_example_and_with_503_when_it_cannot() {
    let (service, client) = start(Launch::with_plugins().unwrap());
    with_picture(&service);
    let body = json!({ "imagePath": "/astronaut.png", "aspectRatio": { "width": 4, "height": 6 } });
    let answer = ok(&client.post("/api/process-image", &body).await.unwrap());
    assert_eq!(answer["success"], true);
    assert!(!answer["detections"]["detections"].as_array().unwrap().is_empty(), "{answer}");
    let path = answer["result"]["output_path"].as_str().unwrap().trim_start_matches('/').to_owned();
    assert!(service.media_root().join(path).is_file());
    let missing = json!({ "imagePath": "/nowhere.png", "aspectRatio": { "width": 4, "height": 6 } });
    let answer = client.post("/api/process-image", &missing).await.unwrap();
    assert_eq!(answer.status, 404, "{}", answer.beginning());
    assert_eq!(answer.json().unwrap()["errorCode"], "media.not-found");
}

#[tokio::test]
async fn health_goes_down_and_comes_back_by_itself() {
    let Some(remote) = image_service(&[]) else { return };
    let port = remote.port().to_owned();
    let config = quick(remote.base()) + "health_unhealthy_interval = \"50ms\"\n";
    let (_service, client) = start(Launch::with_plugins().unwrap().config(&config));
    let is = |wanted: bool| {
        let client = client.clone();
        async move {
            let status = ok(&client.get("/v1/upstreams/image-service").await.unwrap());
            (status["healthy"] == wanted).then_some(())
        }
    };
    eventually("the service is healthy", || is(true)).await;
    remote.kill();
    eventually("its end is noticed", || is(false)).await;
    let _remote = ExternalService::image_service(&["--port", &port]).unwrap();
    eventually("it is healthy again", || is(true)).await;
}

#[tokio::test]
async fn an_operators_breaker_keeps_calls_away_until_it_is_reset() {
    let Some(remote) = image_service(&[]) else { return };
    let (service, client) = start(Launch::with_plugins().unwrap().config(&quick(remote.base())));
    let input = with_picture(&service);
    ok(&client.post("/v1/upstreams/image-service/breaker", &json!({ "action": "open" })).await.unwrap());
    let answer = ok(&client.call("detect-objects", &input).await.unwrap());
    assert_eq!(answer["degraded_reasons"][0]["code"], "upstream.circuit-open");
    ok(&client.post("/v1/upstreams/image-service/breaker", &json!({ "action": "reset" })).await.unwrap());
    assert!(served_by(&client, "detect-objects", &input).await.0.starts_with(ADAPTER));
    assert_problem(&client.post("/v1/upstreams/nobody/breaker", &json!({ "action": "reset" })).await.unwrap(), 404, "upstream.unknown");
    let wrong = client.post("/v1/upstreams/image-service/breaker", &json!({ "action": "explode" })).await.unwrap();
    assert_eq!(wrong.status, 400, "{}", wrong.beginning());
}

#[tokio::test]
async fn credentials_are_shown_to_the_service_and_to_nobody_else() {
    let Some(remote) = image_service(&["--api-key", "s3cret-of-the-test"]) else { return };
    let config = quick(remote.base()) + "api_key_env = \"IMAGE_KEY\"\n";
    let (service, client) = start(Launch::with_plugins().unwrap().config(&config).environment("IMAGE_KEY", "s3cret-of-the-test"));
    let input = with_picture(&service);
    assert!(served_by(&client, "detect-objects", &input).await.0.starts_with(ADAPTER));
    for path in ["/v1/upstreams", "/v1/status", "/v1/operations", "/v1/plugins", "/metrics"] {
        let answer = client.get(path).await.unwrap();
        assert!(!answer.beginning().contains("s3cret"), "{path}");
    }
    assert!(!service.log().contains("s3cret"));
}
