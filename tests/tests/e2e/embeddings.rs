//! Features over the protocols that clients know: OpenAI's embeddings and the Open Inference Protocol, with a CLIP model that an operator names.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use breakwater_tests::artifacts::root;
use breakwater_tests::photographs::Photograph;
use breakwater_tests::service::Launch;
use bytes::Bytes;
use half::f16;
use reqwest::Method;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};

use crate::search::{form, send};
use crate::support::{assert_problem, eventually, ok, start};

/// Tokens of CLIP's vocabulary.
const VOCABULARY: usize = 49_408;

/// A row for each of them.
const TOKENS: &str = "text_model.embeddings.token_embedding.weight";

/// The small model of the tests, with as many tokens as real texts have.
fn model_into(folder: &Path) {
    let source = root().join("tests/models/clip-tiny");
    let mut config: Value = serde_json::from_slice(&std::fs::read(source.join("config.json")).unwrap()).unwrap();
    config["text_config"]["vocab_size"] = VOCABULARY.into();
    let bytes = std::fs::read(source.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let width = tensors.tensor(TOKENS).unwrap().shape()[1];
    let grown: Vec<u8> = (0..VOCABULARY * width).flat_map(|index| f16::from_f32((index as f32 * 0.37).sin() * 0.1).to_le_bytes()).collect();
    let kept = tensors.tensors().into_iter().filter(|(name, _)| name != TOKENS);
    let mut views: Vec<(String, TensorView<'_>)> = kept.collect();
    views.push((TOKENS.to_owned(), TensorView::new(Dtype::F16, vec![VOCABULARY, width], &grown).unwrap()));
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    std::fs::write(folder.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
}

fn cosine(a: &Value, b: &Value) -> f64 {
    let pairs = a.as_array().unwrap().iter().zip(b.as_array().unwrap());
    pairs.map(|(a, b)| a.as_f64().unwrap() * b.as_f64().unwrap()).sum()
}

#[tokio::test]
async fn a_clip_model_is_loaded_asked_searched_unloaded_and_loaded_again() {
    let home = tempfile::tempdir().unwrap();
    // Where models are looked for by default.
    model_into(&home.path().join("data/models/clip-tiny"));
    let config = "[models.clip-tiny]\n[search]\nmodels = [\"clip-tiny\"]\n";
    let (_service, client) = start(Launch::with_plugins().unwrap().at(home.path()).config(config));
    eventually("the model is loaded", || async { (client.get("/v2/models/clip-tiny/ready").await.unwrap().status == 200).then_some(()) })
        .await;
    let models = ok(&client.get("/v1/models").await.unwrap()).to_string();
    assert!(models.contains("clip-tiny") && models.contains("efficientnet-lite0"), "{models}");

    // Pictures and texts in one space; the same text twice gives the same vector.
    let texts = ok(&client
        .post("/v1/embeddings", &json!({ "model": "clip-tiny", "input": ["a red dress", "ein Hund", "a red dress"] }))
        .await
        .unwrap());
    let data = texts["data"].as_array().unwrap();
    assert_eq!((data.len(), &texts["object"], &data[1]["index"]), (3, &json!("list"), &json!(1)));
    assert_eq!(data[0]["embedding"], data[2]["embedding"]);
    assert!((cosine(&data[0]["embedding"], &data[0]["embedding"]) - 1.0).abs() < 1e-4);
    assert!(cosine(&data[0]["embedding"], &data[1]["embedding"]) < 0.9999);
    // <|startoftext|> a red dress <|endoftext|> is five tokens, "ein hund" at least four.
    assert!(texts["usage"]["prompt_tokens"].as_u64().unwrap() >= 14, "{}", texts["usage"]);

    let coffee = Photograph::shipped("coffee.png").unwrap().bytes;
    let url = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(&coffee));
    let pictures = json!({ "model": "clip-tiny", "input": [{ "image_url": { "url": url } }], "encoding_format": "base64" });
    let pictures = ok(&client.post("/v1/embeddings", &pictures).await.unwrap());
    let packed = BASE64_STANDARD.decode(pictures["data"][0]["embedding"].as_str().unwrap()).unwrap();
    assert_eq!(packed.len(), data[0]["embedding"].as_array().unwrap().len() * 4);

    // Too long a text is refused with its number of tokens, before anything is computed.
    let long = client.post("/v1/embeddings", &json!({ "model": "clip-tiny", "input": "word ".repeat(10_000) })).await.unwrap();
    assert_problem(&long, 422, "embedder.text-too-long");

    // A picture is found by a text, since both are in one space.
    assert_eq!(send(&client, Method::PUT, "/v1/products/coffee", form("image", &coffee, &[])).await.status, 201);
    let found =
        ok(&client.post("/v1/search", &json!({ "text": "a cup of coffee", "model": "clip-tiny", "min_similarity": -1.0 })).await.unwrap());
    assert_eq!((&found["items"][0]["product"]["id"], &found["model"]), (&json!("coffee"), &json!("clip-tiny")), "{found}");

    let repository = |action: &'static str| {
        let client = client.clone();
        async move { client.post(&format!("/v2/repository/models/clip-tiny/{action}"), &json!({})).await.unwrap().status }
    };
    let default = client.post("/v2/repository/models/efficientnet-lite0/unload", &json!({})).await.unwrap();
    assert_eq!(default.status, 409, "the model that serves by default stays: {}", default.beginning());
    assert_eq!(repository("unload").await, 200);
    assert_ne!(client.get("/v2/models/clip-tiny/ready").await.unwrap().status, 200);
    let unloaded = client.post("/v1/embeddings", &json!({ "model": "clip-tiny", "input": "a" })).await.unwrap();
    assert_eq!(unloaded.status, 503, "{}", unloaded.beginning());
    assert_eq!(repository("load").await, 200);
    assert_eq!(client.get("/v2/models/clip-tiny/ready").await.unwrap().status, 200);
    let again = ok(&client.post("/v1/embeddings", &json!({ "model": "clip-tiny", "input": ["a red dress"] })).await.unwrap());
    assert_eq!(again["data"][0]["embedding"], data[0]["embedding"]);
}

#[tokio::test]
async fn tensors_go_in_and_come_out_as_json_and_as_bytes() {
    let (_service, client) = start(Launch::with_plugins().unwrap());
    assert_eq!(client.get("/v2/health/ready").await.unwrap().status, 200);
    let metadata = ok(&client.get("/v2/models/efficientnet-lite0").await.unwrap());
    assert_eq!(metadata["name"], "efficientnet-lite0");
    let input = metadata["inputs"].as_array().unwrap().iter().find(|input| input["datatype"] == "FP32").unwrap()["name"].clone();

    let values: Vec<f32> = (0..3 * 224 * 224).map(|index| ((index % 97) as f32 / 97.0) - 0.5).collect();
    let request = json!({ "id": "7", "inputs": [{ "name": input, "shape": [1, 3, 224, 224], "datatype": "FP32", "data": values }] });
    let answer = ok(&client.post("/v2/models/efficientnet-lite0/infer", &request).await.unwrap());
    let output = &answer["outputs"][0];
    assert_eq!((&answer["id"], &output["shape"], &output["datatype"]), (&json!("7"), &json!([1, 1280]), &json!("FP32")));
    let expected: Vec<f32> = output["data"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect();
    assert!(expected.iter().any(|value| *value > 0.0) && expected.len() == 1280);

    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let head = json!({
        "inputs": [{ "name": input, "shape": [1, 3, 224, 224], "datatype": "FP32", "parameters": { "binary_data_size": raw.len() } }],
        "parameters": { "binary_data_output": true },
    });
    let head = head.to_string();
    let body: Bytes = [head.as_bytes(), &raw].concat().into();
    let request = client
        .request(Method::POST, "/v2/models/efficientnet-lite0/infer")
        .header("inference-header-content-length", head.len())
        .body(body);
    let answer = client.send(request).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.beginning());
    let length: usize = answer.header("inference-header-content-length").parse().unwrap();
    let packed: Vec<f32> = answer.body[length..].chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    assert_eq!(packed, expected);

    for (request, status) in [
        (json!({ "inputs": [{ "name": input, "shape": [1, 3, 224, 223], "datatype": "FP32", "data": values }] }), 400),
        (json!({ "inputs": [{ "name": "nothing", "shape": [1], "datatype": "FP32", "data": [1.0] }] }), 400),
        (json!({ "inputs": [] }), 400),
    ] {
        let answer = client.post("/v2/models/efficientnet-lite0/infer", &request).await.unwrap();
        assert_eq!(answer.status, status, "{}", answer.beginning());
        assert!(answer.json().unwrap()["error"].is_string(), "{}", answer.beginning());
    }
    assert_eq!(client.post("/v2/models/nobody/infer", &json!({ "inputs": [] })).await.unwrap().status, 404);
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call_and_others_not() {
    let config = "[cors]\nallowed_origins = [\"https://shop.example\"]\n";
    let (_service, client) = start(Launch::without_plugins().config(config));
    let preflight = |origin: &'static str| {
        let request = client.request(Method::OPTIONS, "/v1/search").header("origin", origin);
        client.send(request.header("access-control-request-method", "POST").header("access-control-request-headers", "content-type"))
    };
    let allowed = preflight("https://shop.example").await.unwrap();
    assert_eq!(allowed.header("access-control-allow-origin"), "https://shop.example");
    assert!(allowed.header("access-control-allow-methods").contains("POST"));
    assert_eq!(preflight("https://evil.example").await.unwrap().header("access-control-allow-origin"), "");
}
