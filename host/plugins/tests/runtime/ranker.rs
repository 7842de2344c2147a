//! Rankers: what they are asked and answer, what they do wrong, and who is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use breakwater_core::{CallContext, Failure, FailureKind, Principal};
use breakwater_plugins::{MAX_CANDIDATES, PluginPackage, RankCandidate, RankRequest, Snapshot, World};
use breakwater_resilience::Trip;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::models::{Models, host};
use crate::support::{Host, context, guest, shipped_package};

const HEAD: &str = "version = \"1.0.0\"\nworld = \"breakwater:plugin/ranker-plugin@0.1.0\"\ncapabilities = [\"config\", \"embedder\"]\n\
                    models = [\"told\"]\n";

fn package(id: &str, more: &str) -> PluginPackage {
    let manifest = format!("id = \"{id}\"\n{HEAD}{more}");
    PluginPackage::from_parts(&manifest, guest("ranker-probe"), Vec::new()).unwrap()
}

async fn ranker_host() -> Host {
    let host = host(&Arc::new(Models::default()), |_| ()).await;
    host.catalogue.deploy(package("ranker", "")).await.unwrap();
    host
}

/// So many candidates, each less similar than the one before.
fn candidates<'a>(count: usize, attributes: &'a BTreeMap<String, String>) -> Vec<RankCandidate<'a>> {
    let one = |index: usize| RankCandidate {
        id: "id",
        title: "a title",
        category: "things",
        attributes,
        quality: 0.5,
        similarity: 1.0 - index as f32 / count as f32,
        created: index as u64,
    };
    (0..count).map(one).collect()
}

async fn rank_at(snapshot: &Snapshot, context: &CallContext, parameters: Value, count: usize) -> Result<Vec<(u32, f32)>, Failure> {
    let (attributes, weights) = ([("colour".to_owned(), "red".to_owned())].into(), [("shoes".to_owned(), 2.0)].into());
    let request = RankRequest { parameters: &parameters, category_weights: &weights, quality_weight: 0.25 };
    let ranker = snapshot.ranker(None).unwrap();
    let ranked = ranker.rank(context, &request, &candidates(count, &attributes)).await?;
    Ok(ranked.iter().map(|one| (one.index, one.score)).collect())
}

async fn rank(host: &Host, parameters: Value, count: usize) -> Result<Vec<(u32, f32)>, Failure> {
    rank_at(&host.snapshot(), &context(), parameters, count).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ranker_gets_the_candidates_and_the_request_as_they_are() {
    let host = ranker_host().await;
    let snapshot = host.snapshot();
    let ranker = snapshot.ranker(Some("ranker")).unwrap();
    assert_eq!((ranker.world(), ranker.ranker().unwrap().summary.as_str()), (World::Ranker, "One thing for tests."));
    // No parameters are an empty object.
    assert_eq!(rank(&host, Value::Null, 4).await.unwrap(), [(0, 1.0), (1, 0.75), (2, 0.5), (3, 0.25)]);
    // 2 of the id, 7 of the title, 6 of the category, 6 x 3 of the attribute, quality, similarity, age, 2 x 5 of the weight, a quarter.
    let sum = |similarity: f32, created: f32| 33.0 + 0.5 + similarity + created + 10.0 + 0.25;
    assert_eq!(rank(&host, json!({ "does": "sum" }), 2).await.unwrap(), [(1, sum(0.5, 1.0)), (0, sum(1.0, 0.0))]);
    assert_eq!(rank(&host, json!({ "does": "call" }), 1).await.unwrap(), [(0, 1.0)]);
    assert_eq!(rank(&host, json!({ "does": "text", "text": "shoes" }), 1).await.unwrap(), [(0, 1.0)]);
    assert!(rank(&host, Value::Null, 0).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_comes_by_falling_score_and_may_leave_candidates_out() {
    let host = ranker_host().await;
    let order = |ranked: Vec<(u32, f32)>| -> Vec<u32> { ranked.into_iter().map(|(index, _)| index).collect() };
    assert_eq!(order(rank(&host, json!({ "does": "reverse" }), 3).await.unwrap()), [2, 1, 0]);
    assert_eq!(order(rank(&host, json!({ "does": "equal" }), 3).await.unwrap()), [2, 1, 0], "as the guest had them");
    assert_eq!(order(rank(&host, json!({ "does": "first" }), 3).await.unwrap()), [0]);
    assert!(rank(&host, json!({ "does": "nothing" }), 3).await.unwrap().is_empty());
    let many = order(rank(&host, Value::Null, MAX_CANDIDATES).await.unwrap());
    assert_eq!((many.len(), many.first(), many.last()), (MAX_CANDIDATES, Some(&0), Some(&9999)));
    let failure = rank(&host, Value::Null, MAX_CANDIDATES + 1).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind), ("ranker.too-many-candidates", FailureKind::Limit));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ranking_that_breaks_a_rule_is_the_guests_fault() {
    let host = ranker_host().await;
    let misdeeds = [
        ("outside", "plugin.invalid-ranking", FailureKind::Rejected),
        ("twice", "plugin.invalid-ranking", FailureKind::Rejected),
        ("nan", "plugin.invalid-ranking", FailureKind::Rejected),
        ("infinite", "plugin.invalid-ranking", FailureKind::Rejected),
        ("more", "plugin.invalid-ranking", FailureKind::Rejected),
        ("trap", "plugin.trap", FailureKind::Internal),
        ("loop", "plugin.cpu-time", FailureKind::Limit),
        ("giant", "plugin.memory", FailureKind::Limit),
    ];
    for (number, (does, code, kind)) in misdeeds.into_iter().enumerate() {
        let failure = rank(&host, json!({ "does": does }), 3).await.unwrap_err();
        assert_eq!((&*failure.code, failure.kind), (code, kind), "{does}: {}", failure.chain());
        assert_eq!(failure.origin.as_deref(), Some("plugin:ranker"), "{does}");
        assert_eq!(host.catalogue.list()[0].generations[0].faults, number as u64 + 1, "{does}");
        assert!(rank(&host, Value::Null, 3).await.is_ok(), "after {does}");
    }
    for (does, code, kind) in [("refuse", "test.refused", FailureKind::InvalidRequest), ("fail", "test.failed", FailureKind::Unavailable)] {
        let failure = rank(&host, json!({ "does": does }), 3).await.unwrap_err();
        assert_eq!((&*failure.code, failure.kind), (code, kind));
    }
    assert_eq!(host.catalogue.list()[0].generations[0].faults, 8, "a failure that it returns is nobody's fault");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ranker_that_fails_often_is_left_alone() {
    let host = host(&Arc::new(Models::default()), |config| config.breaker.trip = Trip::ConsecutiveFailures { threshold: 2 }).await;
    host.catalogue.deploy(package("ranker", "")).await.unwrap();
    for _ in 0..2 {
        assert_eq!(rank(&host, json!({ "does": "twice" }), 3).await.unwrap_err().code, "plugin.invalid-ranking");
    }
    let failure = rank(&host, Value::Null, 3).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind), ("plugin.breaker-open", FailureKind::CircuitOpen));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_never_reaches_the_ranker() {
    let host = ranker_host().await;
    let failure = rank(&host, json!({ "dose": "nothing" }), 3).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind), ("ranker.parameters-invalid", FailureKind::InvalidRequest));
    let failure = rank(&host, json!({ "count": "three" }), 3).await.unwrap_err();
    assert_eq!(failure.detail.unwrap()["violations"][0]["pointer"], "/count");
    let late = CallContext::root(Principal::System, std::time::Duration::ZERO);
    let failure = rank_at(&host.snapshot(), &late, Value::Null, 3).await.unwrap_err();
    assert_eq!(failure.code, "call.deadline");
    let other = crate::outside::adapter("adapter", "1.0.0", &[]);
    host.catalogue.deploy(other).await.unwrap();
    let snapshot = host.snapshot();
    let adapter = snapshot.generation(&"adapter".parse().unwrap()).unwrap();
    let weights = BTreeMap::new();
    let request = RankRequest { parameters: &Value::Null, category_weights: &weights, quality_weight: 0.0 };
    assert_eq!(adapter.rank(&context(), &request, &[]).await.unwrap_err().code, "ranker.not-offered");
    assert!(adapter.ranker().is_none() && snapshot.ranker(Some("adapter")).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_rankers_the_operators_first_is_asked_and_any_by_name() {
    let order = vec!["c-ranker".parse().unwrap(), "b-ranker".parse().unwrap()];
    let host = host(&Arc::new(Models::default()), |config| config.order = order).await;
    assert!(host.snapshot().ranker(None).is_none());
    for id in ["a-ranker", "b-ranker", "c-ranker"] {
        host.catalogue.deploy(package(id, "")).await.unwrap();
    }
    let snapshot = host.snapshot();
    let ids: Vec<_> = snapshot.rankers().iter().map(|generation| generation.id().as_str()).collect();
    assert_eq!(ids, ["c-ranker", "b-ranker", "a-ranker"]);
    assert_eq!(snapshot.ranker(None).unwrap().id().as_str(), "c-ranker");
    assert_eq!(snapshot.ranker(Some("a-ranker")).unwrap().id().as_str(), "a-ranker");
    assert!(snapshot.ranker(Some("d-ranker")).is_none());
    // What it described is on record: another process need not ask.
    let again = host.restarted(|_| ()).await;
    assert_eq!(again.snapshot().rankers().len(), 3);
    assert_eq!(rank(&again, Value::Null, 1).await.unwrap(), [(0, 1.0)]);
    assert_eq!(again.catalogue.list()[0].generations[0].ranker.as_ref().unwrap().summary, "One thing for tests.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ranker_is_probed_before_it_serves() {
    let host = host(&Arc::new(Models::default()), |_| ()).await;
    let with = |fixture: &str| {
        let file = |name: &str, text: &str| (name.to_owned(), Bytes::from(text.to_owned()));
        let two = r#"[{ "id": "a", "similarity": 0.5 }, { "id": "b", "similarity": 0.25 }]"#;
        let files: BTreeMap<String, Bytes> = [
            ("component.wasm".to_owned(), guest("ranker-probe")),
            file("well.json", &format!(r#"{{ "candidates": {two} }}"#)),
            file("nan.json", &format!(r#"{{ "parameters": {{ "does": "nan" }}, "candidates": {two} }}"#)),
            file("fail.json", &format!(r#"{{ "parameters": {{ "does": "fail" }}, "candidates": {two} }}"#)),
            file("order.json", r#"[{ "index": 0, "score": 0.5 }, { "index": 1, "score": 0.25 }]"#),
            file("other.json", r#"[{ "index": 1, "score": 0.5 }, { "index": 0, "score": 0.25 }]"#),
        ]
        .into();
        PluginPackage::from_files(&format!("id = \"ranker\"\n{HEAD}[[fixtures]]\n{fixture}"), &files)
    };
    for (fixture, says) in [
        ("input = \"well.json\"\nexpect = \"other.json\"", "expected"),
        ("input = \"nan.json\"", "not finite"),
        ("input = \"well.json\"\nfails = \"test.failed\"", "it should have failed with test.failed"),
        ("input = \"fail.json\"\nfails = \"test.other\"", "test.failed"),
    ] {
        let error = host.catalogue.deploy(with(fixture).unwrap()).await.unwrap_err();
        assert_eq!(error.code(), "plugin.probe-failed", "{error}");
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert!(host.snapshot().ranker(None).is_none());
    }
    for wrong in ["input = \"well.json\"\nexpect = \"order.json\"\nfails = \"a.b\"", "input = \"order.json\"", "operation = \"a\""] {
        assert_eq!(with(wrong).unwrap_err().code(), "plugin.manifest-invalid", "{wrong}");
    }
    host.catalogue.deploy(with("input = \"well.json\"\nexpect = \"order.json\"").unwrap()).await.unwrap();
    host.catalogue.deploy(with("input = \"fail.json\"\nfails = \"test.failed\"").unwrap()).await.unwrap();
    assert_eq!(host.catalogue.list()[0].generations[0].calls, 0, "probes are no calls");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ranker_that_describes_itself_badly_is_refused() {
    let host = host(&Arc::new(Models::default()), |_| ()).await;
    for settings in ["summary = \" \"", "parameters = \"no\"", "parameters = '{\"type\": \"array\"}'"] {
        let error = host.catalogue.deploy(package("ranker", &format!("[config]\n{settings}\n"))).await.unwrap_err();
        assert_eq!(error.code(), "plugin.describe-invalid", "{settings}: {error}");
    }
    // One whose parameters have no default that it would accept cannot be tried out without a fixture.
    let needs = "[config]\nparameters = '{\"type\": \"object\", \"required\": [\"does\"]}'\n";
    host.catalogue.deploy(package("ranker", needs)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shipped_ranker_passes_its_probes() {
    let host = host(&Arc::new(Models::default()), |_| ()).await;
    let package = shipped_package("rank-weighted");
    assert!(!package.fixtures().is_empty());
    host.catalogue.deploy(package).await.unwrap();
    let ranked = rank_at(&host.snapshot(), &context(), Value::Null, 2).await.unwrap();
    // 0.75 of the similarity, and a quarter of the quality.
    assert_eq!(ranked, [(0, 0.75 + 0.125), (1, 0.375 + 0.125)]);
}
