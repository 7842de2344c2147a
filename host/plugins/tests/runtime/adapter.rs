//! Adapters: what they are asked and answer, and what they do wrong.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Caller, Effect, FailureKind, OperationEffect};
use breakwater_plugins::{Capability, Grants, World};
use breakwater_resilience::{State, Trip};
use serde_json::json;

use crate::outside::{Does, Outside, adapter, adapter_host, adapter_with, attachment, host, invoke, invoke_with};
use crate::support::context;

fn answering() -> Arc<Outside> {
    Outside::new(|_| Does::text("good"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_answers_with_what_it_was_given_and_what_it_knows_of_the_call() {
    let host = adapter_host(&answering(), |_| ()).await;
    let snapshot = host.snapshot();
    let generation = Arc::clone(snapshot.adapters("echo")[0]);
    assert_eq!((generation.world(), generation.operations().len()), (World::Adapter, 18));
    assert_eq!(generation.upstreams(), &["other".to_owned(), "service".to_owned()].into());
    let mut call = context();
    call.caller = Arc::new(Caller { subject: Some("ann".to_owned()), tenant: Some("acme".to_owned()), ..Caller::default() });
    call.labels = vec![("project_id".to_owned(), "7".to_owned())].into();
    call.idempotency_key = Some("key-1".into());
    let given = [attachment("image/jpeg", "jpeg bytes"), attachment("text/plain", "text")];
    let answer = generation.invoke(&call, "echo", &json!({ "a": [1] }), &given).await.unwrap();
    assert_eq!(answer.attachments, given, "attachments are given back as they were");
    let json = answer.json;
    assert_eq!(json["input"], json!({ "a": [1] }));
    assert_eq!(json["attachments"], json!(["image/jpeg 10", "text/plain 4"]));
    assert_eq!(json["correlation_id"], json!(call.correlation_id.as_str()));
    assert_eq!((&json["subject"], &json["tenant"], &json["key"]), (&json!("ann"), &json!("acme"), &json!("key-1")));
    assert_eq!(json["labels"], json!([["project_id", "7"]]));
    let trace: breakwater_core::TraceContext = json["traceparent"].as_str().unwrap().parse().unwrap();
    assert_eq!(trace.trace_id(), call.trace.trace_id());
    assert_ne!(trace.span_id(), call.trace.span_id(), "the guest's call is a span of its own");
    let remaining = json["remaining_ms"].as_u64().unwrap();
    assert!((1..=20_000).contains(&remaining), "{remaining}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_does_not_fit_never_reaches_the_guest() {
    let host = adapter_host(&answering(), |_| ()).await;
    let failure = invoke(&host.snapshot(), "trap", json!({ "count": -1 })).await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::InvalidRequest, "operation.input-invalid"));
    assert_eq!(failure.detail.unwrap()["violations"][0]["pointer"], "/count");
    let many: Vec<_> = (0..65).map(|_| attachment("a/b", "x")).collect();
    let failure = invoke_with(&context(), &host.snapshot(), "echo", json!({}), &many).await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Limit, "operation.too-many-attachments"));
    let failure = host.snapshot().adapters("echo")[0].invoke(&context(), "unheard-of", &json!({}), &[]).await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::NotFound, "operation.not-offered"));
    assert_eq!(host.catalogue.list()[0].generations[0].calls, 0);
    assert!(invoke_with(&context(), &host.snapshot(), "echo", json!({}), &many[..64]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_misdeed_has_its_code_and_is_the_guests_fault() {
    let host = adapter_host(&answering(), |config| {
        config.breaker.trip = Trip::ConsecutiveFailures { threshold: u32::MAX };
        config.limits.memory_bytes = 64 << 20;
    })
    .await;
    let misdeeds = [
        ("no-json", json!({}), "plugin.output-invalid", FailureKind::Rejected),
        ("misfit", json!({}), "plugin.output-invalid", FailureKind::Rejected),
        ("deep", json!({}), "plugin.output-invalid", FailureKind::Rejected),
        ("attach", json!({ "count": 65 }), "plugin.output-invalid", FailureKind::Rejected),
        ("huge", json!({}), "plugin.output-too-large", FailureKind::Limit),
        ("trap", json!({}), "plugin.trap", FailureKind::Internal),
        ("loop", json!({}), "plugin.cpu-time", FailureKind::Limit),
        ("allocate", json!({ "count": 100 << 20 }), "plugin.memory", FailureKind::Limit),
        ("flood", json!({}), "plugin.host-calls", FailureKind::Limit),
    ];
    for (number, (operation, input, code, kind)) in misdeeds.into_iter().enumerate() {
        let failure = invoke(&host.snapshot(), operation, input).await.unwrap_err();
        assert_eq!((&*failure.code, failure.kind, failure.effect), (code, kind, Effect::None), "{operation}: {}", failure.chain());
        assert_eq!(failure.origin.as_deref(), Some("plugin:probe"), "{operation}");
        assert_eq!(host.catalogue.list()[0].generations[0].faults, number as u64 + 1, "{operation}");
        assert!(invoke(&host.snapshot(), "echo", json!({})).await.is_ok(), "after {operation}");
    }
    let violations = invoke(&host.snapshot(), "misfit", json!({})).await.unwrap_err().detail.unwrap();
    assert_eq!(violations["violations"][0]["pointer"], "");
    // What is allowed.
    assert_eq!(invoke(&host.snapshot(), "attach", json!({ "count": 64 })).await.unwrap().attachments.len(), 64);
    assert_eq!(invoke(&host.snapshot(), "allocate", json!({ "count": 8 << 20 })).await.unwrap().json, json!(8 << 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_that_the_guest_returns_is_nobodys_fault() {
    let host = adapter_host(&answering(), |_| ()).await;
    for _ in 0..20 {
        let failure = invoke(&host.snapshot(), "fail", json!({})).await.unwrap_err();
        assert_eq!((failure.kind, &*failure.code), (FailureKind::Unavailable, "test.failed"));
    }
    let info = host.catalogue.list().remove(0).generations.remove(0);
    assert_eq!((info.calls, info.failures, info.faults, info.breaker), (20, 20, 0, Some("closed")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_before_a_guest_broke_is_not_forgotten() {
    let outside = Outside::new(|seen| match seen.path.as_str() {
        "/refused" => Does::Fail(breakwater_core::Failure::new(FailureKind::CircuitOpen, "upstream.circuit-open", "the breaker is open")),
        _ => Does::text("done"),
    });
    let host = adapter_host(&outside, |config| config.breaker.trip = Trip::ConsecutiveFailures { threshold: u32::MAX }).await;
    let requests = |request| json!({ "requests": [request] });
    for (operation, request, code, effect) in [
        ("ask-then-trap", json!({ "method": "POST" }), "plugin.trap", Effect::Unknown),
        ("ask-then-loop", json!({ "method": "DELETE" }), "plugin.cpu-time", Effect::Unknown),
        ("ask-and-answer-nothing", json!({ "method": "POST" }), "plugin.output-invalid", Effect::Unknown),
        ("ask-then-trap", json!({ "method": "GET" }), "plugin.trap", Effect::None),
        ("ask-then-trap", json!({ "method": "POST", "is_read": true }), "plugin.trap", Effect::None),
        ("ask-then-trap", json!({ "method": "POST", "path": "/refused" }), "plugin.trap", Effect::None),
        ("ask-then-trap", json!({ "method": "POST", "upstream": "not-granted" }), "plugin.trap", Effect::None),
    ] {
        let failure = invoke(&host.snapshot(), operation, requests(request.clone())).await.unwrap_err();
        assert_eq!((&*failure.code, failure.effect), (code, effect), "{operation} {request}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_one_call_is_seen_in_the_next() {
    let host = adapter_host(&answering(), |_| ()).await;
    for secret in ["one", "two", "three"] {
        let answer = invoke(&host.snapshot(), "remember", json!({ "secret": secret })).await.unwrap();
        assert_eq!(answer.json, json!({ "before": [], "dirty": 0 }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_are_read_live_and_only_those_that_are_granted() {
    let outside = answering();
    let host = adapter_host(&outside, |_| ()).await;
    let names = json!({ "names": ["granted", "withheld", "absent"] });
    assert_eq!(invoke(&host.snapshot(), "flags", names.clone()).await.unwrap().json, json!([false, false, false]));
    outside.turn_on("granted");
    outside.turn_on("withheld");
    assert_eq!(invoke(&host.snapshot(), "flags", names).await.unwrap().json, json!([true, false, false]));
    assert_eq!(host.snapshot().adapters("flags")[0].flags(), &["granted".to_owned()].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_adapters_of_one_operation_are_providers_in_the_operators_order() {
    let ids = |host: &crate::support::Host| -> Vec<String> {
        host.snapshot().adapters("echo").iter().map(|generation| generation.id().to_string()).collect()
    };
    let host = host(&answering(), |config| config.order = vec!["zeta".parse().unwrap()]).await;
    for id in ["beta", "alpha", "zeta"] {
        host.catalogue.deploy(adapter(id, "1.0.0", &[("only", "echo")])).await.unwrap();
    }
    assert_eq!(ids(&host), ["zeta", "alpha", "beta"]);
    assert_eq!(host.snapshot().operations().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["echo"]);
    assert_eq!(host.snapshot().operation("echo").unwrap().spec().effect, OperationEffect::Read);
    assert!(host.snapshot().adapters("nothing").is_empty());

    let before = host.snapshot();
    let error = host.catalogue.deploy(adapter("gamma", "1.0.0", &[("effect", "delete")])).await.unwrap_err();
    assert_eq!(error.code(), "plugin.operation-conflict");
    let text = error.to_string();
    assert!(text.contains("`echo` is offered as `delete`, and the plugin `zeta` offers it as `read`"), "{text}");
    assert!(Arc::ptr_eq(&before, &host.snapshot()));
    let error = host.catalogue.deploy(adapter("zeta", "2.0.0", &[("only", "echo"), ("effect", "delete")])).await.unwrap_err();
    assert!(error.to_string().contains("`echo` is offered as `delete`, and the plugin `alpha` offers it as `read`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_granted_is_not_linked() {
    let host = host(&answering(), |config| {
        let grants = [("quiet".parse().unwrap(), [Capability::Blobs, Capability::Config, Capability::FeatureFlags].into())];
        config.grants = Grants { plugins: grants.into(), ..Grants::default() };
    })
    .await;
    for (package, says) in [
        (adapter_with("probe", "1.0.0", "capabilities = [\"config\", \"blobs\", \"feature-flags\"]"), "add \"upstream\" to `capabilities`"),
        (adapter("quiet", "1.0.0", &[]), "does not grant it to the plugin `quiet`"),
    ] {
        let error = host.catalogue.deploy(package).await.unwrap_err();
        assert_eq!(error.code(), "plugin.capability-denied");
        assert!(error.to_string().contains("upstream") && error.to_string().contains(says), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_brings_adapters_back_with_at_most_what_is_still_granted() {
    let outside = answering();
    let host = adapter_host(&outside, |_| ()).await;
    let restarted = host.restarted(|_| ()).await;
    assert_eq!(invoke(&restarted.snapshot(), "echo", json!({})).await.unwrap().json["input"], json!({}));
    assert_eq!(restarted.snapshot().operation("ask").unwrap().spec(), host.snapshot().operation("ask").unwrap().spec());
    let less = breakwater_plugins::ReachGrant {
        upstreams: breakwater_plugins::Names::Only(["other".to_owned()].into()),
        ..breakwater_plugins::ReachGrant::default()
    };
    let restarted = host.restarted(|config| config.reach.default = less).await;
    assert_eq!(restarted.snapshot().adapters("ask")[0].upstreams(), &["other".to_owned()].into());
    let answers = crate::outside::ask(&restarted, json!([{ "upstream": "service" }, { "upstream": "other" }])).await;
    assert_eq!((&answers[0]["code"], &answers[1]["status"]), (&json!("upstream.not-granted"), &json!(200)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_during_a_long_host_call_loses_nothing() {
    let outside = Outside::gated(|_| Does::text("late"));
    let host = adapter_host(&outside, |_| ()).await;
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let snapshot = host.snapshot();
            tokio::spawn(async move { invoke(&snapshot, "ask", json!({ "requests": [{ "method": "POST" }] })).await })
        })
        .collect();
    outside.has_seen(8).await;
    let old = host.snapshot().adapters("ask")[0].digest();
    for version in ["2.0.0", "3.0.0", "4.0.0"] {
        host.catalogue.deploy(adapter("probe", version, &[("version", version)])).await.unwrap();
        let answer = invoke(&host.snapshot(), "echo", json!({})).await.unwrap();
        assert_eq!(answer.json["version"], json!(version), "new calls are served by the new generation");
    }
    let state = |digest| {
        let generations = host.catalogue.list().remove(0).generations;
        generations.into_iter().find(|generation| generation.digest == digest).unwrap().state
    };
    assert_eq!(state(old), breakwater_plugins::GenerationState::Draining);
    outside.gate.as_ref().unwrap().add_permits(8);
    for call in calls {
        let answer = call.await.unwrap().unwrap();
        assert_eq!(answer.json["answers"][0]["body"]["bytes"], json!("late"));
    }
    assert_eq!(state(old), breakwater_plugins::GenerationState::Standby);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nested_call_takes_a_free_place_or_fails_at_once() {
    let outside = Outside::gated(|_| Does::text("late"));
    let host = adapter_host(&outside, |config| config.pool.max_concurrent_per_generation = 1).await;
    let snapshot = host.snapshot();
    let first = tokio::spawn(async move { invoke(&snapshot, "ask", json!({ "requests": [{}] })).await });
    outside.has_seen(1).await;
    let nested = context().nested().unwrap();
    let failure = invoke_with(&nested, &host.snapshot(), "echo", json!({}), &[]).await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Unavailable, "plugin.overloaded"));
    // A call from outside waits for its turn.
    let snapshot = host.snapshot();
    let second = tokio::spawn(async move { invoke(&snapshot, "echo", json!({})).await });
    outside.gate.as_ref().unwrap().add_permits(1);
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
    assert!(invoke_with(&nested, &host.snapshot(), "echo", json!({}), &[]).await.is_ok());
    assert_eq!(host.snapshot().adapters("echo")[0].breaker_state(), State::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_may_wait_longer_than_a_strategy_may_compute() {
    let outside = Outside::gated(|_| Does::text("late"));
    let host = adapter_host(&outside, |config| config.limits.timeout = Duration::from_millis(250)).await;
    let snapshot = host.snapshot();
    let call = tokio::spawn(async move { invoke(&snapshot, "ask", json!({ "requests": [{}] })).await });
    outside.has_seen(1).await;
    // Not a wait for something to happen: the limit of strategies must have passed, on the wall clock that guests run on.
    tokio::time::sleep(Duration::from_millis(400)).await;
    outside.gate.as_ref().unwrap().add_permits(1);
    assert!(call.await.unwrap().is_ok());

    // Its own limit ends it too, and what it waited for is not its fault.
    let never = Outside::new(|_| Does::Never);
    let host = adapter_host(&never, |config| {
        config.adapters.timeout = Duration::from_millis(250);
        config.wasi.cpu = Duration::from_millis(250);
    })
    .await;
    let answer = invoke(&host.snapshot(), "ask", json!({ "requests": [{}] })).await.unwrap();
    assert_eq!(answer.json["answers"][0]["code"], json!("upstream.timeout"));
}
