//! Fallbacks: levels, what they answer, and what they do wrong.

use std::sync::Arc;

use breakwater_core::{Failure, FailureKind};
use breakwater_plugins::{PluginPackage, World};
use breakwater_resilience::Trip;
use serde_json::json;

use crate::outside::{Does, Outside, adapter, attachment, host};
use crate::support::{Host, context, guest};

fn package(id: &str) -> PluginPackage {
    let world = "breakwater:plugin/fallback-plugin@0.1.0";
    let manifest = format!(
        "id = \"{id}\"\nversion = \"1.0.0\"\nworld = \"{world}\"\ncapabilities = [\"blobs\", \"feature-flags\"]\nflags = [\"granted\"]\n"
    );
    PluginPackage::from_parts(&manifest, guest("fallback-probe"), Vec::new()).unwrap()
}

async fn fallback_host() -> (Host, Arc<Outside>) {
    let outside = Outside::new(|_| Does::Never);
    let host = host(&outside, |config| config.breaker.trip = Trip::ConsecutiveFailures { threshold: u32::MAX }).await;
    host.catalogue.deploy(package("fallback")).await.unwrap();
    (host, outside)
}

fn cause() -> Failure {
    Failure::new(FailureKind::Unavailable, "upstream.connection", "nobody is there")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_are_asked_in_their_order_and_answer_or_pass() {
    let (host, outside) = fallback_host().await;
    host.catalogue.deploy(package("a-fallback")).await.unwrap();
    let snapshot = host.snapshot();
    let levels: Vec<_> =
        snapshot.fallbacks("echo").iter().map(|(level, generation)| format!("{} {}", generation.id(), level.name)).collect();
    assert_eq!(levels.len(), 12);
    assert_eq!(levels[..2], ["a-fallback passes", "a-fallback answers"]);
    assert_eq!(levels[6], "fallback passes");
    assert!(snapshot.fallbacks("other").is_empty());
    let generation = Arc::clone(snapshot.fallbacks("echo")[0].1);
    assert_eq!((generation.world(), generation.levels().len(), generation.operations().len()), (World::Fallback, 6, 0));

    outside.turn_on("granted");
    let (call, given) = (context(), [attachment("a/b", "c")]);
    let degrade = |level: &'static str| {
        let (generation, call, given) = (Arc::clone(&generation), call.clone(), given.clone());
        async move { generation.degrade(&call, "echo", level, &json!({ "n": 1 }), &given, &cause()).await }
    };
    assert_eq!(degrade("passes").await.unwrap(), None);
    let answer = degrade("answers").await.unwrap().unwrap();
    let expected = json!({
        "operation": "echo", "input": { "n": 1 }, "cause": "upstream.connection", "attachments": 1,
        "correlation_id": call.correlation_id.as_str(), "flag": true,
    });
    assert_eq!((answer.json, answer.attachments), (expected, given.to_vec()));
    let failure = degrade("fails").await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Unavailable, "upstream.connection"));
    let failure = degrade("absent").await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::NotFound, "fallback.not-offered"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fallback_that_answers_badly_is_at_fault() {
    let (host, _) = fallback_host().await;
    host.catalogue.deploy(adapter("probe", "1.0.0", &[("only", "echo")])).await.unwrap();
    let snapshot = host.snapshot();
    let schema = snapshot.operation("echo").unwrap();
    let generation = snapshot.fallbacks("echo")[0].1;
    for (number, (level, code)) in
        [("no-json", "plugin.output-invalid"), ("nothing", "plugin.output-invalid"), ("traps", "plugin.trap")].into_iter().enumerate()
    {
        let failure = generation.degrade_within(&context(), schema, level, &json!({}), &[], &cause()).await.unwrap_err();
        assert_eq!(&*failure.code, code, "{level}");
        let faults = host.catalogue.list().into_iter().find(|plugin| plugin.id.as_str() == "fallback").unwrap().generations[0].faults;
        assert_eq!(faults, number as u64 + 1);
    }
    // Without the schema, what is JSON passes, and the caller judges.
    let answer = generation.degrade(&context(), "echo", "nothing", &json!({}), &[], &cause()).await.unwrap();
    assert_eq!(answer.unwrap().json, json!(null));
    assert!(generation.degrade_within(&context(), schema, "answers", &json!({}), &[], &cause()).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_of_the_wrong_world_is_told_the_right_one() {
    let (host, _) = fallback_host().await;
    let manifest = "id = \"wrong\"\nversion = \"1.0.0\"\nworld = \"breakwater:plugin/adapter-plugin@0.1.0\"\ncapabilities = [\"blobs\"]";
    let wrong = PluginPackage::from_parts(manifest, guest("fallback-probe"), Vec::new()).unwrap();
    let error = host.catalogue.deploy(wrong).await.unwrap_err();
    assert_eq!(error.code(), "plugin.contract-mismatch");
    let text = error.to_string();
    assert!(text.contains("export breakwater:plugin/adapter@0.1.0"), "{text}");
    assert!(text.contains("say `world = \"breakwater:plugin/fallback-plugin@0.1.0\"` in plugin.toml"), "{text}");
    // And a fallback reaches no upstream.
    let manifest =
        "id = \"wrong\"\nversion = \"1.0.0\"\nworld = \"breakwater:plugin/fallback-plugin@0.1.0\"\ncapabilities = [\"upstream\"]";
    let wrong = PluginPackage::from_parts(manifest, guest("adapter-probe"), Vec::new()).unwrap();
    let text = host.catalogue.deploy(wrong).await.unwrap_err().to_string();
    assert!(text.contains("import breakwater:plugin/upstream@0.1.0"), "{text}");
}
