//! Requests of guests to upstreams.

use std::time::{Duration, Instant};

use breakwater_core::{Failure, FailureKind};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::outside::{Does, Outside, adapter_host, ask, attachment, hurried, invoke, invoke_with};
use crate::support::context;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_arrives_as_it_was_meant_without_what_is_the_hosts() {
    let outside = Outside::new(|_| Does::text("good"));
    let host = adapter_host(&outside, |_| ()).await;
    let call = context();
    let headers = json!([["Accept", "a/b"], ["AUTHORIZATION", "Bearer stolen"], ["Host", "elsewhere"], ["Cookie", "a=b"], ["x-mine", "1"]]);
    let request = json!({
        "upstream": "other", "method": "POST", "path": "/detect?kind=face", "headers": headers, "body": "{}", "key": "k-1",
        "is_read": true, "timeout_ms": 1500,
    });
    let answer = invoke_with(&call, &host.snapshot(), "ask", json!({ "requests": [request] }), &[]).await.unwrap();
    let told = &answer.json["answers"][0];
    assert_eq!((&told["status"], &told["attempts"], &told["body"]["bytes"]), (&json!(200), &json!(1), &json!("good")));
    assert_eq!(told["headers"], json!([["content-type", "text/plain"]]));
    let seen = outside.seen().remove(0);
    assert_eq!((seen.target.as_str(), seen.method, seen.path.as_str()), ("other", "POST", "/detect?kind=face"));
    let names: Vec<_> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["accept", "x-mine"]);
    assert_eq!((seen.body, seen.key.as_deref(), seen.is_read), (Bytes::from_static(b"{}"), Some("k-1"), true));
    assert_eq!(seen.timeout, Some(Duration::from_millis(1500)));
    // It belongs to the call that caused it.
    assert_eq!(seen.context.correlation_id, call.correlation_id);
    assert_eq!(seen.context.trace.trace_id(), call.trace.trace_id());
    assert_ne!(seen.context.trace.span_id(), call.trace.span_id());
    seen.context.ledger.record_attempt();
    assert_eq!(call.ledger.attempts(), 1, "one ledger for the whole call");
    assert!(seen.remaining < call.deadline.remaining() + Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_stay_in_the_host() {
    let outside = Outside::new(|seen| {
        let length = seen.path.trim_start_matches('/').parse().unwrap();
        let body = Bytes::from(vec![b'y'; length]);
        match seen.target.as_str() {
            "other" => Does::Stream { status: 206, pieces: vec![body.slice(..length / 2), body.slice(length / 2..)] },
            _ => Does::Answer { status: 200, headers: vec![("content-type".to_owned(), "image/png".to_owned())], body },
        }
    });
    let host = adapter_host(&outside, |_| ()).await;
    let answers = ask(
        &host,
        json!([{ "path": "/0" }, { "path": "/65536" }, { "path": "/65537" }, { "path": "/5000000" }, { "upstream": "other", "path": "/70000" }]),
    )
    .await;
    assert_eq!(answers[0]["body"], json!({ "none": true }));
    assert_eq!(answers[1]["body"]["bytes"].as_str().unwrap().len(), 65_536);
    assert_eq!(answers[2]["body"], json!({ "blob": 65_537, "media_type": "image/png", "starts": "yyyy" }));
    assert_eq!(answers[3]["body"]["blob"], json!(5_000_000));
    assert_eq!((&answers[4]["body"]["blob"], &answers[4]["status"], &answers[4]["attempts"]), (&json!(70_000), &json!(206), &json!(3)));
    assert_eq!(answers[4]["body"]["media_type"], json!("application/octet-stream"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attachments_are_sent_on_without_entering_the_guest() {
    let outside = Outside::new(|_| Does::text("good"));
    // Far fewer bytes than the photograph has may pass through the guest.
    let host = adapter_host(&outside, |config| config.limits.host_bytes = 10_000).await;
    let photograph = Bytes::from(vec![7; 3_000_000]);
    let given = [attachment("image/jpeg", photograph.clone()), attachment("image/png", photograph.clone())];
    let requests =
        json!([{ "method": "POST", "body": "attachment" }, { "method": "POST", "body": "form", "headers": [["content-type", "a/b"]] }]);
    invoke_with(&context(), &host.snapshot(), "ask", json!({ "requests": requests }), &given).await.unwrap();
    let seen = outside.seen();
    assert_eq!((seen[0].header("content-type"), &seen[0].body), (Some("image/jpeg"), &photograph));
    assert_eq!(seen[1].header("content-type"), None, "the boundary is the host's");
    let parts: Vec<_> =
        seen[1].form.iter().map(|part| (part.name.as_str(), part.filename.as_deref(), part.media_type.as_deref())).collect();
    assert_eq!(parts, [("title", None, None), ("file", Some("photo.jpg"), Some("image/png"))]);
    assert_eq!((&seen[1].form[0].bytes[..], &seen[1].form[1].bytes), (&b"a title"[..], &photograph));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_sent_is_refused_with_its_code_and_nothing_is_sent() {
    let outside = Outside::new(|_| Does::text("good"));
    let host = adapter_host(&outside, |_| ()).await;
    let cases = [
        (json!({ "upstream": "elsewhere" }), "upstream.not-granted", "FailureKind::Denied"),
        (json!({ "upstream": "" }), "upstream.not-granted", "FailureKind::Denied"),
        (json!({ "path": "no-slash" }), "upstream.request-invalid", "FailureKind::InvalidRequest"),
        (json!({ "path": "/a b" }), "upstream.request-invalid", "FailureKind::InvalidRequest"),
        (json!({ "headers": 65 }), "upstream.request-invalid", "FailureKind::InvalidRequest"),
        (json!({ "headers": [["a\r\nb", "c"]] }), "upstream.request-invalid", "FailureKind::InvalidRequest"),
        (json!({ "headers": [["a", "c\r\nd: e"]] }), "upstream.request-invalid", "FailureKind::InvalidRequest"),
        (json!({ "headers": [["a", "x".repeat(33 << 10)]] }), "upstream.request-invalid", "FailureKind::InvalidRequest"),
        (json!({ "method": "POST", "key": "" }), "upstream.request-invalid", "FailureKind::InvalidRequest"),
        (json!({ "method": "POST", "key": "a\nb" }), "upstream.request-invalid", "FailureKind::InvalidRequest"),
    ];
    for (request, code, kind) in cases {
        let told = ask(&host, json!([request])).await.remove(0);
        assert_eq!((&told["code"], &told["kind"], &told["effect"]), (&json!(code), &json!(kind), &json!("EffectState::None")), "{request}");
    }
    assert!(outside.seen().is_empty());
    assert_eq!(ask(&host, json!([{ "headers": 64 }])).await[0]["status"], json!(200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_requests_are_sent_at_once_and_seventeen_not_at_all() {
    let outside = Outside::gated(|seen| Does::text(seen.path.clone()));
    let host = adapter_host(&outside, |_| ()).await;
    let requests = |count: usize| -> Value { (0..count).map(|number| json!({ "path": format!("/{number}") })).collect() };
    let all = |count: usize| json!({ "requests": requests(count), "all": true });
    let refused = invoke(&host.snapshot(), "ask", all(17)).await.unwrap();
    let refused = refused.json["answers"].as_array().unwrap().clone();
    assert_eq!(refused.len(), 17);
    assert!(refused.iter().all(|told| told["code"] == "upstream.request-invalid"), "{refused:?}");
    assert!(outside.seen().is_empty());
    let snapshot = host.snapshot();
    let sixteen = all(16);
    let call = tokio::spawn(async move { invoke(&snapshot, "ask", sixteen).await });
    // None is answered before all have arrived.
    outside.has_seen(16).await;
    outside.gate.as_ref().unwrap().add_permits(16);
    let answers = call.await.unwrap().unwrap().json["answers"].as_array().unwrap().clone();
    let bodies: Vec<_> = answers.iter().map(|told| told["body"]["bytes"].as_str().unwrap().to_owned()).collect();
    assert_eq!(bodies, (0..16).map(|number| format!("/{number}")).collect::<Vec<_>>(), "answers are in the order of the requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_several_requests_has_its_own_outcome() {
    let failure = || Failure::new(FailureKind::Rejected, "upstream.status", "503").with_detail(json!({ "status": 503 }));
    let outside = Outside::new(move |seen| if seen.path == "/bad" { Does::Fail(failure()) } else { Does::text("good") });
    let host = adapter_host(&outside, |_| ()).await;
    let input = json!({ "requests": [{ "path": "/a" }, { "path": "/bad" }, { "upstream": "nobody" }, { "path": "/b" }], "all": true });
    let answers = invoke(&host.snapshot(), "ask", input).await.unwrap().json["answers"].clone();
    assert_eq!((&answers[0]["status"], &answers[3]["status"]), (&json!(200), &json!(200)));
    assert_eq!((&answers[1]["code"], &answers[2]["code"]), (&json!("upstream.status"), &json!("upstream.not-granted")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_never_answers_leaves_the_guest_its_reserve() {
    let outside = Outside::new(|_| Does::Never);
    let host = adapter_host(&outside, |_| ()).await;
    for (request, effect) in [(json!({}), "EffectState::None"), (json!({ "method": "POST" }), "EffectState::Unknown")] {
        let (call, start) = (hurried(Duration::from_millis(400)), Instant::now());
        let answer = invoke_with(&call, &host.snapshot(), "ask", json!({ "requests": [request], "all": true }), &[]).await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(450), "{:?}", start.elapsed());
        let told = &answer.json["answers"][0];
        assert_eq!((&told["code"], &told["kind"]), (&json!("upstream.timeout"), &json!("FailureKind::Timeout")));
        assert_eq!(told["effect"], json!(effect));
        let remaining = answer.json["remaining_ms"].as_u64().unwrap();
        assert!((1..=25).contains(&remaining), "{remaining} ms were left to answer");
    }
    for seen in outside.seen() {
        assert!(seen.remaining < Duration::from_millis(385), "{:?}", seen.remaining);
    }
    assert_eq!(host.catalogue.list()[0].generations[0].faults, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_derived_for_each_request_that_may_change_something() {
    let outside = Outside::new(|_| Does::text("good"));
    let host = adapter_host(&outside, |_| ()).await;
    let post = json!({ "method": "POST", "path": "/jobs" });
    let requests = json!([post, post, { "method": "PUT" }, {}, { "method": "POST", "is_read": true }, { "method": "POST", "key": "own" }]);
    let mut call = context();
    call.idempotency_key = Some("call-1".into());
    let keys = |outside: &Outside| -> Vec<Option<String>> { outside.seen().into_iter().map(|seen| seen.key).collect() };
    invoke_with(&call, &host.snapshot(), "ask", json!({ "requests": requests }), &[]).await.unwrap();
    let first = keys(&outside);
    assert!(first[0].is_some() && first[1].is_some() && first[0] != first[1], "equal requests are different requests");
    assert_eq!(first[2..], [None, None, None, Some("own".to_owned())]);
    // The whole call again: the same keys. Another call: others. A call without a key: none.
    invoke_with(&call, &host.snapshot(), "ask", json!({ "requests": requests }), &[]).await.unwrap();
    assert_eq!(keys(&outside)[6..], first);
    call.idempotency_key = Some("call-2".into());
    invoke_with(&call, &host.snapshot(), "ask", json!({ "requests": [post] }), &[]).await.unwrap();
    assert!(keys(&outside)[12].is_some() && keys(&outside)[12] != first[0]);
    invoke(&host.snapshot(), "ask", json!({ "requests": [post] })).await.unwrap();
    assert_eq!(keys(&outside)[13], None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_through_a_guest_and_what_it_makes_the_host_hold_is_bounded() {
    let outside = Outside::new(|seen| Does::text("z".repeat(seen.path.trim_start_matches('/').parse().unwrap())));
    let host = adapter_host(&outside, |config| {
        config.limits.host_bytes = 100_000;
        config.adapters.blob_bytes = 1_000_000;
        config.limits.host_calls = 60;
    })
    .await;
    let answers = ask(&host, json!([{ "path": "/60000" }, { "path": "/60000" }])).await;
    assert_eq!((&answers[0]["status"], &answers[1]["code"]), (&json!(200), &json!("plugin.host-bytes")));
    // One after the other fits, since the guest lets go of each; more than may be held at all does not.
    let answers = ask(&host, json!([{ "path": "/900000" }, { "path": "/900000" }, { "path": "/1000001" }])).await;
    assert_eq!((&answers[0]["body"]["blob"], &answers[1]["body"]["blob"]), (&json!(900_000), &json!(900_000)));
    assert_eq!(answers[2]["code"], json!("upstream.response-too-large"));
    // Held at once.
    let input = json!({ "requests": [{ "path": "/900000" }, { "path": "/900000" }], "all": true });
    let answers = invoke(&host.snapshot(), "ask", input).await.unwrap().json["answers"].clone();
    assert_eq!((&answers[0]["body"]["blob"], &answers[1]["code"]), (&json!(900_000), &json!("plugin.blob-bytes")));
    // A request is a host call.
    let many: Value = (0..60).map(|_| json!({ "path": "/1" })).collect();
    let failure = invoke(&host.snapshot(), "ask", json!({ "requests": many })).await.unwrap_err();
    assert_eq!(&*failure.code, "plugin.host-calls");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_with_a_flood_of_headers_is_refused() {
    let outside = Outside::new(|seen| {
        let count = seen.path.trim_start_matches('/').parse().unwrap();
        let headers = (0..count).map(|number: u32| (format!("x-{number}"), "v".to_owned())).collect();
        Does::Answer { status: 200, headers, body: Bytes::new() }
    });
    let host = adapter_host(&outside, |_| ()).await;
    let answers = ask(&host, json!([{ "path": "/256" }, { "path": "/257" }])).await;
    assert_eq!((&answers[0]["status"], &answers[1]["code"]), (&json!(200), &json!("upstream.response-invalid")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_of_an_upstream_can_be_passed_on_as_it_is() {
    let outside = Outside::new(|_| {
        let mut failure = Failure::new(FailureKind::Timeout, "upstream.timeout", "it took too long");
        failure.effect = breakwater_core::Effect::Unknown;
        Does::Fail(failure.with_detail(json!({ "last_code": "upstream.connection" })).retry_after(Duration::from_secs(3)))
    });
    let host = adapter_host(&outside, |_| ()).await;
    let failure = invoke(&host.snapshot(), "pass-on", json!({ "requests": [{ "method": "POST" }] })).await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Timeout, "upstream.timeout"));
    assert_eq!((failure.effect, failure.retry_after), (breakwater_core::Effect::Unknown, Some(Duration::from_secs(3))));
    assert_eq!(failure.detail, Some(json!({ "last_code": "upstream.connection" })));
    assert_eq!(failure.origin.as_deref(), Some("plugin:probe"));
}
