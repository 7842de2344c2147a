//! `wasi:nn`: tensors through models that were granted.

use std::sync::Arc;
use std::time::Duration;

use breakwater_plugins::{Capability, Grants, PluginError};
use serde_json::{Value, json};

use crate::models::{ASKS, Models, ask, ask_within, host, model_host, package, tensor};

fn inputs(model: &str, inputs: Vec<Value>) -> Value {
    json!({ "model": model, "inputs": inputs })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tensors_go_through_a_model_and_back() {
    let models = Arc::new(Models::default());
    let host = model_host(&models, |_| ()).await;
    let answer = ask(&host, "compute", inputs("told", vec![tensor("x", &[2, 1], "fp16", &[1, 2, 3, 100]), tensor("z", &[], "u8", &[5])]));
    let output = json!({ "name": "y", "dimensions": [2, 1], "type": "TensorType::Fp16", "length": 4, "bytes": [2, 4, 6, 200] });
    assert_eq!(answer.await.unwrap(), json!({ "outputs": [output] }));
    assert_eq!(models.asked(), ["infer told x,z"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_told_in_the_standards_words() {
    let models = Arc::new(Models::default());
    let host = model_host(&models, |_| ()).await;
    let x = || tensor("x", &[1], "u8", &[1]);
    let many = (0..65).map(|number| tensor(&format!("x{number}"), &[1], "u8", &[1])).collect();
    for (input, error, data) in [
        (inputs("absent", vec![x()]), "NotFound", "embedder.unknown-model: "),
        (inputs("unnamed", vec![x()]), "Security", "embedder.not-granted: "),
        (inputs("told", vec![tensor("w", &[1], "u8", &[1])]), "InvalidArgument", "embedder.input-unknown: "),
        (inputs("told", vec![tensor("x", &[2, 2], "fp32", &[0; 15])]), "InvalidArgument", "has 15 bytes instead of 16"),
        (inputs("told", vec![tensor("x", &[2, 2], "fp32", &[0; 17])]), "InvalidArgument", "embedder.tensor-invalid: "),
        (inputs("told", vec![tensor("x", &[1; 9], "u8", &[0])]), "InvalidArgument", "9 dimensions; at most 8"),
        (inputs("told", vec![tensor("x", &[u32::MAX; 4], "i64", &[0])]), "InvalidArgument", "more than there is memory"),
        (inputs("told", vec![tensor(&"x".repeat(129), &[1], "u8", &[0])]), "InvalidArgument", "1 to 128 bytes"),
        (inputs("told", many), "InvalidArgument", "65 tensors at once"),
        (inputs("broken", vec![x()]), "RuntimeError", "internal: internal error"),
    ] {
        let told = ask(&host, "compute", input.clone()).await.unwrap();
        assert_eq!(told["error"], json!(format!("ErrorCode::{error}")), "{input}: {told}");
        assert!(told["data"].as_str().unwrap().contains(data), "{told}");
    }
    let reached: Vec<_> = models.asked();
    assert_eq!(reached, ["infer told w", "infer broken x"], "the rest never reached a model");
    let told = ask(&host, "load-bytes", json!({})).await.unwrap();
    assert_eq!(told["error"], json!("ErrorCode::UnsupportedOperation"));
    assert_eq!(host.catalogue.list()[0].generations[0].faults, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tensors_are_bounded_on_the_way_in_and_out() {
    let models = Arc::new(Models::default());
    let sized =
        |model: &str, length: u64| inputs(model, vec![json!({ "name": "x", "dimensions": [length], "type": "u8", "length": length })]);
    // One host call takes a mebibyte at most, all of them together what the operator says.
    let host = model_host(&models, |_| ()).await;
    assert!(ask(&host, "compute", sized("told", 1 << 19)).await.unwrap()["outputs"].is_array());
    assert_eq!(ask(&host, "compute", sized("told", 2 << 20)).await.unwrap_err().code, "plugin.host-bytes");
    let host = model_host(&models, |config| config.limits.host_bytes = 50_000).await;
    let answer = ask(&host, "compute", sized("told", 20_000)).await.unwrap();
    assert_eq!(answer["outputs"][0]["length"], json!(20_000));
    assert_eq!(ask(&host, "compute", sized("told", 30_000)).await.unwrap_err().code, "plugin.host-bytes", "in and out are added up");
    assert_eq!(host.catalogue.list()[0].generations[0].faults, 1);

    // What a model answers is held by the host, within what a call may hold; dropped, it counts no more.
    let host = model_host(&models, |config| config.adapters.blob_bytes = 8000).await;
    let mut often = sized("large", 1000);
    often["times"] = json!(20);
    assert_eq!(ask(&host, "compute-often", often).await.unwrap()["outputs"][0]["length"], json!(8000));
    let told = ask(&host, "compute", sized("large", 1001)).await.unwrap();
    assert_eq!(told["error"], json!("ErrorCode::TooLarge"));
    assert!(told["data"].as_str().unwrap().starts_with("plugin.blob-bytes: "), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_models_are_counted() {
    let models = Arc::new(Models::default());
    let host = model_host(&models, |config| config.limits.host_calls = 100).await;
    let times = |times: u64| json!({ "model": "told", "inputs": [tensor("x", &[1], "u8", &[1])], "times": times });
    assert!(ask(&host, "compute-often", times(10)).await.is_ok());
    assert_eq!(ask(&host, "compute-often", times(100)).await.unwrap_err().code, "plugin.host-calls");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_does_not_answer_is_a_timeout() {
    let models = Arc::new(Models::default());
    let host = model_host(&models, |_| ()).await;
    let input = inputs("slow", vec![tensor("x", &[1], "u8", &[1])]);
    let told = ask_within(&host, "compute", input, Duration::from_millis(500)).await.unwrap();
    assert_eq!(told["error"], json!("ErrorCode::Timeout"), "{told}");
    assert!(told["data"].as_str().unwrap().starts_with("call.deadline: "), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_granted_is_not_linked() {
    let models = Arc::new(Models::default());
    let grants = Grants { default: [Capability::Blobs, Capability::Imaging, Capability::Embedder].into(), ..Grants::default() };
    let strict = host(&models, |config| config.grants = grants).await;
    let error = strict.catalogue.deploy(package(ASKS)).await.unwrap_err();
    assert!(matches!(error, PluginError::CapabilityDenied { capability: Capability::Nn, .. }), "{error}");
    assert!(error.to_string().contains("the operator does not grant it to the plugin `models`"), "{error}");
    let unasked = host(&models, |_| ()).await;
    let error = unasked.catalogue.deploy(package(&ASKS.replace(", \"nn\"", ""))).await.unwrap_err();
    assert!(error.to_string().contains("add \"nn\" to `capabilities` in plugin.toml"), "{error}");
}
