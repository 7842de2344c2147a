//! `embedder`: vectors of images and texts, by models that were granted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use breakwater_core::FailureKind;
use breakwater_plugins::{Capability, Grants, Names, PluginError, ReachGrant, ReachGrants};
use serde_json::json;

use crate::models::{ASKS, Models, ask, ask_within, host, model_host, package, revision};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_gets_vectors_of_images_and_texts() {
    let models = Arc::new(Models::default());
    let host = model_host(&models, |_| ()).await;
    let revision = revision().to_string();
    let known = ask(&host, "describe-model", json!({ "model": "told" })).await.unwrap();
    assert_eq!(known, json!({ "model": "told", "revision": revision, "dimension": 2, "does": [true, true], "tokens": 77 }));
    let known = ask(&host, "describe-model", json!({ "model": "images" })).await.unwrap();
    assert_eq!((&known["does"], &known["tokens"]), (&json!([true, false]), &json!(null)));
    let values = |vector: serde_json::Value| -> Vec<f64> {
        assert_eq!((&vector["model"], &vector["revision"]), (&json!("told"), &json!(revision)));
        vector["values"].as_array().unwrap().iter().map(|value| (value.as_f64().unwrap() * 10.0).round() / 10.0).collect()
    };
    assert_eq!(values(ask(&host, "embed-image", json!({})).await.unwrap()), [0.6, 0.8]);
    assert_eq!(values(ask(&host, "embed-text", json!({ "text": "Grüße" })).await.unwrap()), [1.0, 0.0]);
    assert_eq!(models.asked(), ["image told 96x64", "text told 7"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_is_not_there_cannot_do_it_or_broke_is_told_apart() {
    let models = Arc::new(Models::default());
    let host = model_host(&models, |_| ()).await;
    for (operation, model, code, kind) in [
        ("describe-model", "absent", "embedder.unknown-model", FailureKind::NotFound),
        ("embed-image", "absent", "embedder.unknown-model", FailureKind::NotFound),
        ("describe-model", "unnamed", "embedder.not-granted", FailureKind::Denied),
        ("embed-image", "unnamed", "embedder.not-granted", FailureKind::Denied),
        ("embed-text", "", "embedder.not-granted", FailureKind::Denied),
        ("embed-text", "images", "embedder.no-text", FailureKind::InvalidRequest),
        ("embed-image", "broken", "internal", FailureKind::Internal),
    ] {
        let failure = ask(&host, operation, json!({ "model": model, "text": "a" })).await.unwrap_err();
        assert_eq!((&*failure.code, failure.kind), (code, kind), "{operation} {model}");
        assert!(!failure.chain().contains("/srv"), "{}", failure.chain());
    }
    assert_eq!(host.catalogue.list()[0].generations[0].faults, 0, "none of it is the plugin's fault");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_is_bounded_and_counts() {
    let models = Arc::new(Models::default());
    let host = model_host(&models, |config| config.limits.host_bytes = 100_000).await;
    let text = |length: u64| json!({ "text": "x", "times": length });
    assert!(ask(&host, "embed-text", text(64 << 10)).await.is_ok());
    let failure = ask(&host, "embed-text", text((64 << 10) + 1)).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind), ("embedder.text-too-long", FailureKind::Limit));
    assert_eq!(models.asked(), ["text told 65536"]);
    let host = model_host(&models, |config| config.limits.host_bytes = 1000).await;
    assert_eq!(ask(&host, "embed-text", text(1000)).await.unwrap_err().code, "plugin.host-bytes");
    assert_eq!(models.asked().len(), 2, "the answer was too much, not the question");
    assert_eq!(ask(&host, "embed-text", text(1001)).await.unwrap_err().code, "plugin.host-bytes");
    assert_eq!(models.asked().len(), 2, "the question was too much");
    assert_eq!(host.catalogue.list()[0].generations[0].faults, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_does_not_answer_leaves_time_to_say_so() {
    let models = Arc::new(Models::default());
    let host = model_host(&models, |_| ()).await;
    for operation in ["embed-image", "embed-text"] {
        let started = Instant::now();
        let failure = ask_within(&host, operation, json!({ "model": "slow", "text": "a" }), Duration::from_millis(500)).await.unwrap_err();
        assert_eq!((&*failure.code, failure.kind), ("call.deadline", FailureKind::Timeout), "{operation}");
        assert_eq!(failure.origin.as_deref(), Some("plugin:models"), "the guest itself said so");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    assert_eq!(host.catalogue.list()[0].generations[0].faults, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_granted_is_not_linked_and_the_operator_may_take_models_away() {
    let models = Arc::new(Models::default());
    let bare = host(&models, |_| ()).await;
    let without = ASKS.replace(", \"embedder\", \"nn\"", "");
    let error = bare.catalogue.deploy(package(&without)).await.unwrap_err();
    assert!(matches!(error, PluginError::CapabilityDenied { capability: Capability::Embedder | Capability::Nn, .. }), "{error}");
    let grants = Grants { default: [Capability::Blobs, Capability::Imaging, Capability::Nn].into(), ..Grants::default() };
    let strict = host(&models, |config| config.grants = grants).await;
    let error = strict.catalogue.deploy(package(ASKS)).await.unwrap_err();
    assert!(matches!(error, PluginError::CapabilityDenied { capability: Capability::Embedder, .. }), "{error}");

    let only = ReachGrant { models: Names::Only(["images".to_owned(), "other".to_owned()].into()), ..ReachGrant::default() };
    let host = model_host(&models, |config| config.reach = ReachGrants { default: only, ..ReachGrants::default() }).await;
    assert_eq!(host.catalogue.list()[0].generations[0].reach.models, ["images".to_owned()].into());
    assert!(ask(&host, "embed-image", json!({ "model": "images" })).await.is_ok());
    for model in ["told", "other"] {
        assert_eq!(ask(&host, "embed-image", json!({ "model": model })).await.unwrap_err().code, "embedder.not-granted", "{model}");
    }
}
