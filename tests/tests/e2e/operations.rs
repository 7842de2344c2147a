//! Operations by name: what there are, what they take, how they are switched.

use breakwater_tests::service::Launch;
use serde_json::json;

use crate::support::{assert_problem, client, eventually, ok, shared, start};

#[tokio::test]
async fn every_operation_is_listed_with_its_schemas_and_providers() {
    let listed = ok(&client().get("/v1/operations?per_page=200").await.unwrap());
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|operation| operation["name"].as_str().unwrap()).collect();
    for name in [
        "calculate-analytics",
        "compose-sheet",
        "crop-image",
        "detect-objects",
        "extract-features",
        "find-matching-jobs",
        "generate-resume",
        "plan-crop",
        "process-batch",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert_eq!(listed["total"], names.len());
    let one = ok(&client().get("/v1/operations/detect-objects").await.unwrap());
    assert_eq!((&one["effect"], &one["input_schema"]["type"]), (&json!("read"), &json!("object")));
}

#[tokio::test]
async fn what_does_not_fit_the_schema_is_named_by_its_place() {
    let answer = client().call("detect-objects", &json!({ "image_path": "/a.jpg", "detection_types": ["face", "cat"] })).await.unwrap();
    assert_problem(&answer, 400, "operation.input-invalid");
    assert_eq!(answer.json().unwrap()["violations"][0]["pointer"], "/detection_types/1");
    let answer = client().call("detect-objects", &json!({ "image_paht": "/a.jpg" })).await.unwrap();
    assert_problem(&answer, 400, "operation.input-invalid");
    assert_problem(&client().call("detect-object", &json!({})).await.unwrap(), 404, "operation.unknown");
    assert!(client().call("detect-object", &json!({})).await.unwrap().beginning().contains("detect-objects"));
    let answer = client().post("/v1/operations/detect-objects", &json!({ "inptu": {} })).await.unwrap();
    assert_problem(&answer, 400, "request.unknown-field");
}

#[tokio::test]
async fn a_picture_travels_as_an_attachment() {
    let picture = std::fs::read(breakwater_tests::external::folder().join("images/astronaut.png")).unwrap();
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &picture);
    let attachments = json!([{ "media_type": "image/png", "data": data }]);
    let body = json!({ "input": { "detection_types": ["face"] }, "attachments": attachments });
    let answer = ok(&client().post("/v1/operations/detect-objects", &body).await.unwrap());
    assert_eq!(answer["output"]["image"], json!({ "width": 512, "height": 512 }));
    assert_eq!(answer["output"]["detections"][0]["kind"], "face");

    let body = json!({ "input": { "target_aspect_ratio": "1:1", "crop_strategy": "center", "store": false }, "attachments": attachments });
    let answer = ok(&client().post("/v1/operations/crop-image", &body).await.unwrap());
    let bytes = answer["attachments"][0]["data"].as_str().unwrap();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, bytes).unwrap();
    assert_eq!(image::load_from_memory(&bytes).unwrap().width(), 512);

    let body = json!({ "input": { "target_aspect_ratio": { "width": 4, "height": 6 } }, "attachments": attachments });
    let answer = ok(&client().post("/v1/operations/plan-crop", &body).await.unwrap());
    assert_eq!(answer["output"]["crop"]["height"], 512, "{answer}");
}

#[tokio::test]
async fn features_say_which_pictures_look_alike() {
    let folder = breakwater_tests::external::folder().join("images");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let mirrored = image::load_from_memory(&read("astronaut.png")).unwrap().fliph();
    let mut encoded = std::io::Cursor::new(Vec::new());
    mirrored.write_to(&mut encoded, image::ImageFormat::Png).unwrap();
    let features = async |picture: &[u8]| {
        let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, picture);
        let body = json!({ "attachments": [{ "media_type": "image/png", "data": data }] });
        ok(&client().post("/v1/operations/extract-features", &body).await.unwrap())
    };
    let numbers = |answer: &serde_json::Value| -> Vec<f64> {
        answer["output"]["embedding"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    let cosine = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();

    let answer = features(&read("astronaut.png")).await;
    let output = &answer["output"];
    assert_eq!((&output["dimension"], &output["model"], &output["normalized"]), (&json!(1280), &json!("efficientnet-lite0"), &json!(true)));
    let astronaut = numbers(&answer);
    assert_eq!(astronaut.len(), 1280);
    assert!((cosine(&astronaut, &astronaut) - 1.0).abs() < 1e-5);
    let again = features(&read("astronaut.png")).await;
    assert_eq!((&again["served_by"], numbers(&again)), (&json!("cache:efficientnet-lite0"), astronaut.clone()));

    let same = cosine(&astronaut, &numbers(&features(encoded.get_ref()).await));
    let other = cosine(&astronaut, &numbers(&features(&read("coffee.png")).await));
    println!("mirrored {same}, another {other}");
    assert!(same > 0.8 && other < 0.5, "{same}, {other}");

    let answer = client().call("extract-features", &json!({ "image_path": "/nowhere.png" })).await.unwrap();
    assert_problem(&answer, 404, "media.not-found");
    assert_problem(&client().call("extract-features", &json!({})).await.unwrap(), 400, "operation.image-missing");
}

#[tokio::test]
async fn correlation_and_trace_go_in_and_come_out() {
    let client = client();
    let request = client.request(reqwest::Method::POST, "/v1/operations/detect-objects");
    let request = request.header("x-correlation-id", "order-42").json(&json!({ "input": { "image_path": "/nowhere.png" } }));
    let answer = client.send(request).await.unwrap();
    assert_problem(&answer, 404, "media.not-found");
    assert_eq!(answer.header("x-correlation-id"), "order-42");
    assert!(shared().log().contains("order-42"));
}

#[tokio::test]
async fn a_flag_switches_an_operation_to_its_fallback_while_it_runs() {
    let (_service, client) = start(Launch::with_plugins().unwrap());
    let picture = std::fs::read(breakwater_tests::external::folder().join("images/astronaut.png")).unwrap();
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &picture);
    let body = |subject: &str| json!({ "input": {}, "subject": subject, "attachments": [{ "media_type": "image/png", "data": data }] });
    let call = async |subject: &str| ok(&client.post("/v1/operations/detect-objects", &body(subject)).await.unwrap());
    assert_eq!(call("anna").await["degraded"], false);

    ok(&client.put("/v1/flags/detect-objects", &json!({ "enabled": false })).await.unwrap());
    let answer = call("anna").await;
    assert_eq!((&answer["degraded"], &answer["level"]), (&json!(true), &json!("whole-image")), "{answer}");
    assert_eq!(answer["degraded_reasons"][0]["code"], "operation.disabled");

    let rules =
        json!({ "enabled": true, "rollout": 0, "rules": [{ "when": [{ "on": "subject", "is": { "one_of": ["anna"] } }], "then": "on" }] });
    ok(&client.put("/v1/flags/detect-objects", &rules).await.unwrap());
    assert_eq!(call("anna").await["degraded"], false, "targeted");
    assert_eq!(call("berta").await["level"], "whole-image", "not targeted");
    assert_eq!(client.delete("/v1/flags/detect-objects").await.unwrap().status / 100, 2);
    assert_eq!(call("berta").await["degraded"], false);
    assert_eq!(client.get("/v1/flags/nobody").await.unwrap().status, 404);
}

#[tokio::test]
async fn the_configured_answer_comes_last_and_disabled_operations_go_to_it() {
    let config = "[chains.detect-objects]\nenabled = false\nproviders = [\"local\", \"static\"]\n\
                  static_answer = '{\"detections\":[],\"image\":{\"width\":1,\"height\":1}}'\n";
    let (_service, client) = start(Launch::with_plugins().unwrap().config(config));
    let answer = ok(&client.call("detect-objects", &json!({ "image_path": "/any.png" })).await.unwrap());
    assert_eq!((&answer["level"], &answer["served_by"]), (&json!("static"), &json!("host:static")));
}

#[tokio::test]
async fn services_register_beat_and_are_found_and_survive_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let (service, client) = start(Launch::without_plugins().at(home.path()));
    let body =
        json!({ "name": "image-service", "url": "http://127.0.0.1:9", "capabilities": ["detect"], "tags": ["gpu"], "version": "1.0" });
    let made = client.post("/v1/registry/services", &body).await.unwrap();
    assert!([200, 201].contains(&made.status), "{}", made.beginning());
    let id = made.json().unwrap()["id"].as_str().unwrap().to_owned();
    let beat = json!({ "healthy": true, "response_ms": 12 });
    assert_eq!(client.post(&format!("/v1/registry/services/{id}/heartbeat"), &beat).await.unwrap().status, 200);
    let found = ok(&client.get("/v1/registry/services?capability=detect&tag=gpu").await.unwrap());
    assert_eq!(found["total"], 1, "{found}");
    assert_eq!(ok(&client.get("/v1/registry/services?capability=fly").await.unwrap())["total"], 0);
    drop(service);

    let (_service, client) = start(Launch::without_plugins().at(home.path()));
    assert_eq!(ok(&client.get(&format!("/v1/registry/services/{id}")).await.unwrap())["name"], "image-service");
    assert_eq!(client.delete(&format!("/v1/registry/services/{id}")).await.unwrap().status / 100, 2);
    assert_eq!(client.get(&format!("/v1/registry/services/{id}")).await.unwrap().status, 404);
}

#[tokio::test]
async fn what_happened_is_in_the_metrics() {
    let (_service, client) = start(Launch::with_plugins().unwrap());
    let _answered = client.call("generate-resume", &json!({})).await.unwrap();
    eventually("the call is counted", || async {
        let text = client.get("/metrics").await.unwrap();
        String::from_utf8_lossy(&text.body).contains("operation=\"generate-resume\"").then_some(())
    })
    .await;
}
