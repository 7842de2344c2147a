//! Guests with a runtime of their own, and HTTP as their libraries speak it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use breakwater_core::{Effect, Failure, FailureKind};
use breakwater_plugins::{Capability, Grants, PluginError, PluginPackage, RuntimeConfig, World};
use breakwater_resilience::State;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::outside::{Does, Outside, adapter_with, host, hurried, invoke, invoke_with};
use crate::support::{Host, context, guest, javascript_guest};

const ASKS: &str =
    "capabilities = [\"blobs\", \"config\", \"http\"]\nupstreams = [\"image-service\"]\nhosts = [\"*.example.com\", \"127.0.0.1:8080\"]\n";

fn package(more: &str) -> PluginPackage {
    let world = "breakwater:plugin/adapter-wasi-plugin@0.1.0";
    let manifest = format!("id = \"http\"\nversion = \"1.0.0\"\nworld = \"{world}\"\n{more}");
    PluginPackage::from_parts(&manifest, guest("adapter-http"), Vec::new()).unwrap()
}

fn granted(config: &mut RuntimeConfig) {
    config.grants = Grants { default: Capability::ALL.into(), ..Grants::default() };
    config.wasi.cpu = Duration::from_millis(500);
}

async fn http_host(outside: &Arc<Outside>, adjust: impl FnOnce(&mut RuntimeConfig)) -> Host {
    let host = host(outside, |config| {
        granted(config);
        adjust(config);
    })
    .await;
    host.catalogue.deploy(package(ASKS)).await.unwrap();
    host
}

async fn fetch(host: &Host, authority: &str, more: Value) -> Value {
    let mut input = json!({ "authority": authority, "path": "/a?b=c" });
    for (key, value) in more.as_object().into_iter().flatten() {
        input[key] = value.clone();
    }
    invoke(&host.snapshot(), "fetch", input).await.unwrap().json
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_goes_the_way_of_every_request() {
    let outside = Outside::new(|_| Does::text("good"));
    let host = http_host(&outside, |_| ()).await;
    assert_eq!(host.snapshot().adapters("fetch")[0].world(), World::AdapterWasi);
    for (authority, target) in [
        ("image-service.upstream", "image-service"),
        ("image-service.upstream:8000", "image-service"),
        ("IMAGE-service", "image-service"),
        ("api.example.com", "https://api.example.com/a?b=c"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/a?b=c"),
    ] {
        let scheme = if target.starts_with("https") { "https" } else { "http" };
        let told = fetch(&host, authority, json!({ "scheme": scheme, "header": "mine", "method": "POST", "body_bytes": 5 })).await;
        assert_eq!((&told["status"], &told["start"], &told["content_type"]), (&json!(200), &json!("good"), &json!("text/plain")), "{told}");
        let seen = outside.seen().pop().unwrap();
        assert_eq!((seen.target.as_str(), seen.path.as_str(), seen.method), (target, "/a?b=c", "POST"));
        assert_eq!((seen.header("x-test"), seen.header("host"), &seen.body[..]), (Some("mine"), None, &b"xxxxx"[..]));
        assert_eq!(seen.hosts.is_empty(), target == "image-service", "a URL comes with the hosts that were granted");
    }
    assert_eq!(outside.seen().pop().unwrap().hosts, ["*.example.com", "127.0.0.1:8080"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_granted_upstreams_and_hosts_are_asked() {
    let outside = Outside::new(|_| Does::text("good"));
    let host = http_host(&outside, |_| ()).await;
    for authority in [
        "other.upstream",
        "other",
        "example.com",
        "badexample.com",
        "api.example.com:8443",
        "127.0.0.1",
        "127.0.0.1:8081",
        "localhost",
        "169.254.169.254",
    ] {
        let told = fetch(&host, authority, json!({})).await;
        assert!(told["error"].as_str().unwrap().contains("HttpRequestDenied"), "{authority}: {told}");
    }
    assert!(outside.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_are_answers_and_failures_are_the_errors_of_wasi_http() {
    let outside = Outside::new(|seen| match seen.path.as_str() {
        "/503" => Does::Answer { status: 503, headers: Vec::new(), body: Bytes::from_static(b"busy") },
        "/detail" => {
            let failure = Failure::new(FailureKind::Rejected, "upstream.status", "");
            Does::Fail(failure.with_detail(json!({ "status": 404, "body": "nothing here" })))
        }
        "/open" => Does::Fail(Failure::new(FailureKind::CircuitOpen, "upstream.circuit-open", "")),
        "/refused" => Does::Fail(Failure::new(FailureKind::Unavailable, "upstream.connection", "")),
        "/large" => Does::Fail(Failure::limit("upstream.response-too-large", "")),
        _ => Does::Never,
    });
    let host = http_host(&outside, |_| ()).await;
    let told = fetch(&host, "image-service", json!({ "path": "/503" })).await;
    assert_eq!((&told["status"], &told["start"]), (&json!(503), &json!("busy")));
    let told = fetch(&host, "image-service", json!({ "path": "/detail" })).await;
    assert_eq!((&told["status"], &told["start"]), (&json!(404), &json!("nothing here")));
    for (path, error) in [("/open", "DestinationUnavailable"), ("/refused", "ConnectionRefused"), ("/large", "HttpResponseBodySize")] {
        let told = fetch(&host, "image-service", json!({ "path": path })).await;
        assert!(told["error"].as_str().unwrap().contains(error), "{path}: {told}");
    }
    let (call, start) = (hurried(Duration::from_millis(400)), Instant::now());
    let input = json!({ "authority": "image-service", "path": "/never" });
    let told = invoke_with(&call, &host.snapshot(), "fetch", input, &[]).await.unwrap().json;
    assert!(told["error"].as_str().unwrap().contains("HttpResponseTimeout"), "{told}");
    assert!(start.elapsed() < Duration::from_millis(450), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_bodies_are_gathered_and_large_ones_stream_once() {
    let outside = Outside::new(|seen| match seen.path.trim_start_matches('/').parse::<usize>() {
        Ok(pieces) => Does::Stream { status: 200, pieces: vec![Bytes::from(vec![b'p'; 50_000]); pieces] },
        Err(_) => Does::text("good"),
    });
    let host = http_host(&outside, |config| config.limits.host_bytes = 1 << 20).await;
    for (bytes, streamed) in [(0, false), (65_536, false), (65_537, true), (500_000, true)] {
        let told = fetch(&host, "image-service", json!({ "method": "POST", "body_bytes": bytes })).await;
        assert_eq!(told["status"], json!(200), "{bytes}: {told}");
        let seen = outside.seen().pop().unwrap();
        assert_eq!((seen.body.len(), seen.was_streamed), (bytes, streamed));
    }
    let told = fetch(&host, "image-service", json!({ "path": "/12" })).await;
    assert_eq!((&told["length"], &told["broke"]), (&json!(600_000), &json!(false)));
    // More than the plugin may pass in all: the body breaks off.
    let told = fetch(&host, "image-service", json!({ "path": "/30" })).await;
    assert_eq!(told["broke"], json!(true), "{told}");
    assert!(told["length"].as_u64().unwrap() <= 1 << 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_surroundings_are_empty() {
    let host = http_host(&Outside::new(|_| Does::Never), |_| ()).await;
    let told = invoke(&host.snapshot(), "surroundings", json!({})).await.unwrap().json;
    assert_eq!((&told["environment"], &told["arguments"], &told["directories"]), (&json!(0), &json!(0), &json!(0)));
    assert_eq!((&told["resolved"], &told["written"], &told["random"]), (&json!(false), &json!(true), &json!(16)));
    assert!(told["seconds"].as_u64().unwrap() > 1_700_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_is_not_the_guests_own_time() {
    let host = http_host(&Outside::new(|_| Does::Never), |config| config.wasi.cpu = Duration::from_millis(100)).await;
    invoke(&host.snapshot(), "sleep", json!({ "ms": 400 })).await.unwrap();
    for _ in 0..6 {
        let late = invoke_with(&hurried(Duration::from_millis(50)), &host.snapshot(), "sleep", json!({ "ms": 10_000 }), &[]).await;
        assert_eq!(&*late.unwrap_err().code, "call.deadline");
    }
    assert_eq!(host.snapshot().adapters("sleep")[0].breaker_state(), State::Closed);
    assert_eq!(host.catalogue.list()[0].generations[0].faults, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn such_a_guest_may_have_more_memory_than_the_small_ones_and_not_more_than_its_limit() {
    let host = http_host(&Outside::new(|_| Does::Never), |_| ()).await;
    let told = invoke(&host.snapshot(), "grow", json!({ "bytes": 150 << 20 })).await.unwrap().json;
    assert_eq!(told["held"], json!(150 << 20));
    let failure = invoke(&host.snapshot(), "grow", json!({ "bytes": 300 << 20 })).await.unwrap_err();
    assert_eq!(&*failure.code, "plugin.memory");
    host.catalogue.deploy(package(&format!("{ASKS}[limits]\nmemory_mib = 100\n"))).await.unwrap();
    assert_eq!(&*invoke(&host.snapshot(), "grow", json!({ "bytes": 150 << 20 })).await.unwrap_err().code, "plugin.memory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_had_sent_before_it_broke_is_not_forgotten() {
    let outside = Outside::new(|seen| {
        if seen.path == "/400" { Does::Answer { status: 400, headers: Vec::new(), body: Bytes::new() } } else { Does::text("") }
    });
    let host = http_host(&outside, |_| ()).await;
    for (method, path, effect) in [("POST", "/", Effect::Unknown), ("POST", "/400", Effect::None), ("GET", "/", Effect::None)] {
        let input = json!({ "authority": "image-service", "path": path, "method": method });
        let failure = invoke(&host.snapshot(), "fetch-then-trap", input).await.unwrap_err();
        assert_eq!((&*failure.code, failure.effect), ("plugin.trap", effect), "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_is_granted_by_the_operator_alone_and_system_interfaces_by_the_world() {
    let outside = Outside::new(|_| Does::Never);
    let host = host(&outside, |_| ()).await;
    let error = host.catalogue.deploy(package(ASKS)).await.unwrap_err();
    assert!(matches!(error, PluginError::CapabilityDenied { capability: Capability::Http, .. }), "{error}");
    let world = "breakwater:plugin/adapter-plugin@0.1.0";
    let manifest = format!("id = \"http\"\nversion = \"1.0.0\"\nworld = \"{world}\"\n{ASKS}");
    let wrong = PluginPackage::from_parts(&manifest, guest("adapter-http"), Vec::new()).unwrap();
    let error = host.catalogue.deploy(wrong).await.unwrap_err();
    assert_eq!(error.code(), "plugin.contract-mismatch");
    assert!(error.to_string().contains("against the world breakwater:plugin/adapter-wasi-plugin@0.1.0"), "{error}");
    // An adapter of the smaller world is one of the larger, too.
    let small = adapter_with("small", "1.0.0", "capabilities = [\"blobs\", \"config\", \"upstream\", \"feature-flags\"]");
    let manifest = "id = \"small\"\nversion = \"1.0.0\"\nworld = \"breakwater:plugin/adapter-wasi-plugin@0.1.0\"\n\
                    capabilities = [\"blobs\", \"config\", \"upstream\", \"feature-flags\"]";
    let large = PluginPackage::from_parts(manifest, small.component().clone(), Vec::new()).unwrap();
    host.catalogue.deploy(large).await.unwrap();
    assert!(invoke(&host.snapshot(), "echo", json!({})).await.is_ok());
    let mut call = context();
    call.depth = 1;
    assert!(invoke_with(&call, &host.snapshot(), "echo", json!({}), &[]).await.is_ok());
}

/// A component with an engine of JavaScript in it: it is compiled, starts afresh for every call, and its `fetch` is ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_in_javascript_fetches_through_the_host() {
    let Some(component) = javascript_guest("fetch_through") else {
        println!("NOT RUN: a guest in JavaScript (fetch_through.wasm is not built)");
        return;
    };
    let outside = Outside::new(|seen| match seen.path.as_str() {
        "/down" => Does::Fail(Failure::new(FailureKind::CircuitOpen, "upstream.circuit-open", "the breaker is open")),
        _ => Does::text(format!("{} {}", seen.method, seen.body.len())),
    });
    let host = host(&outside, granted).await;
    let manifest = include_str!("../../../../tests/guests-js/fetch-through/plugin.toml");
    host.catalogue.deploy(PluginPackage::from_parts(manifest, component, Vec::new()).unwrap()).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        let told = invoke(&host.snapshot(), "fetch-through", json!({ "path": "/a", "method": "POST", "body": "12345" })).await.unwrap();
        times.push(start.elapsed());
        assert_eq!((&told.json["status"], &told.json["body"]), (&json!(200), &json!("POST 5")));
    }
    assert_eq!((outside.seen().len(), outside.seen()[0].target.as_str()), (20, "image-service"));
    times.sort();
    println!("a call of a JavaScript guest: median {:?}, fastest {:?}", times[10], times[0]);
    let failure = invoke(&host.snapshot(), "fetch-through", json!({ "path": "/down" })).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind), ("fetch-through.failed", FailureKind::Unavailable));
    let denied = invoke(&host.snapshot(), "fetch-through", json!({ "url": "http://169.254.169.254/latest" })).await.unwrap_err();
    assert_eq!(&*denied.code, "fetch-through.failed");
    assert_eq!(outside.seen().len(), 21);
    assert_eq!(host.catalogue.list()[0].generations[0].faults, 0);
}
