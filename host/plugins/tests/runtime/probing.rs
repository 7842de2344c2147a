//! Probes of adapters and fallbacks: recorded answers instead of services.

use std::collections::BTreeMap;

use breakwater_core::Digest;
use breakwater_plugins::PluginPackage;
use bytes::Bytes;
use serde_json::json;

use crate::outside::{Does, Outside, adapter, host, invoke};
use crate::support::{guest, shipped_package};

const HEAD: &str = "id = \"probe\"\nversion = \"1.0.0\"\nworld = \"breakwater:plugin/adapter-plugin@0.1.0\"\n\
                    capabilities = [\"blobs\", \"config\", \"upstream\", \"feature-flags\"]\nupstreams = [\"service\"]\nflags = [\"granted\"]\n";

/// A package with these fixtures; the files they may name are always the same.
fn package(fixtures: &str) -> PluginPackage {
    let file = |name: &str, text: &str| (name.to_owned(), Bytes::from(text.to_owned()));
    let files: BTreeMap<String, Bytes> = [
        ("component.wasm".to_owned(), guest("adapter-probe")),
        file("post.json", r#"{"requests":[{"method":"POST","path":"/jobs","body":"{\"n\": 1}"}]}"#),
        file("body.json", r#"{"n":1}"#),
        file("other.json", r#"{"n":2}"#),
        file("answer.txt", "recorded"),
        file("flags.json", r#"{"names":["granted","withheld"]}"#),
        file("on.json", "[true,false]"),
        file("off.json", "[false,false]"),
        file("empty.json", "{}"),
        file("picture.jpg", "jpeg"),
    ]
    .into();
    PluginPackage::from_files(&format!("{HEAD}{fixtures}"), &files).unwrap()
}

const POST: &str = "[[fixtures]]\noperation = \"pass-on\"\ninput = \"post.json\"\n";
const EXCHANGE: &str = "[[fixtures.upstream]]\nupstream = \"service\"\nmethod = \"POST\"\npath = \"/jobs\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_is_probed_with_recorded_answers_and_no_service_hears_of_it() {
    let outside = Outside::new(|_| Does::text("live"));
    let host = host(&outside, |_| ()).await;
    let good = format!(
        "{POST}{EXCHANGE}body = \"body.json\"\nanswer = \"answer.txt\"\n\
         {POST}fails = \"upstream.status\"\n{EXCHANGE}status = 503\n\
         [[fixtures]]\noperation = \"flags\"\ninput = \"flags.json\"\nexpect = \"on.json\"\nflags = [\"granted\", \"withheld\"]\n\
         [[fixtures]]\noperation = \"flags\"\ninput = \"flags.json\"\nexpect = \"off.json\"\n\
         [[fixtures]]\noperation = \"fail\"\ninput = \"empty.json\"\nfails = \"test.failed\"\n\
         [[fixtures]]\noperation = \"echo\"\ninput = \"empty.json\"\nattachments = [{{ file = \"picture.jpg\", media_type = \"image/jpeg\" }}]\n"
    );
    host.catalogue.deploy(package(&good)).await.unwrap();
    assert!(outside.seen().is_empty());
    assert_eq!(host.catalogue.list()[0].generations[0].calls, 0, "probes are no calls");
    let answer = invoke(&host.snapshot(), "ask", json!({ "requests": [{}] })).await.unwrap();
    assert_eq!(answer.json["answers"][0]["body"]["bytes"], json!("live"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_that_fails_a_probe_never_becomes_visible() {
    let outside = Outside::new(|_| Does::text("live"));
    let host = host(&outside, |_| ()).await;
    for (fixtures, says) in [
        (format!("{POST}{EXCHANGE}body = \"other.json\"\n"), "it sent POST /jobs to `service`, which is not recorded"),
        (POST.to_owned(), "which is not recorded"),
        (format!("{POST}{EXCHANGE}{EXCHANGE}"), "it did not send POST /jobs to `service`"),
        (format!("{POST}{EXCHANGE}status = 503\n"), "status 503"),
        (format!("{POST}fails = \"upstream.status\"\n{EXCHANGE}"), "it should have failed with upstream.status"),
        (format!("{POST}expect = \"on.json\"\n{EXCHANGE}"), "expected [true,false]"),
        ("[[fixtures]]\noperation = \"trap\"\ninput = \"empty.json\"\nfails = \"plugin.trap\"\n".to_owned(), "trapped"),
        ("[[fixtures]]\noperation = \"misfit\"\ninput = \"empty.json\"\n".to_owned(), "does not fit the operation"),
        ("[[fixtures]]\noperation = \"absent\"\ninput = \"empty.json\"\n".to_owned(), "offers no operation of this name"),
    ] {
        let error = host.catalogue.deploy(package(&fixtures)).await.unwrap_err();
        assert_eq!(error.code(), "plugin.probe-failed", "{error}");
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert_eq!(host.snapshot().generations().count(), 0);
    }
    assert!(outside.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fallback_is_probed_at_its_levels() {
    let host = host(&Outside::new(|_| Does::Never), |_| ()).await;
    let world = "breakwater:plugin/fallback-plugin@0.1.0";
    let package = |fixture: &str| {
        let manifest = format!(
            "id = \"fallback\"\nversion = \"1.0.0\"\nworld = \"{world}\"\ncapabilities = [\"blobs\", \"feature-flags\"]\n\
             [[fixtures]]\noperation = \"echo\"\ninput = \"empty.json\"\n{fixture}"
        );
        let files = [("component.wasm".to_owned(), guest("fallback-probe")), ("empty.json".to_owned(), Bytes::from_static(b"{}"))].into();
        PluginPackage::from_files(&manifest, &files).unwrap()
    };
    for (fixture, says) in
        [("level = \"passes\"", "it passed"), ("level = \"no-json\"", "not JSON"), ("level = \"absent\"", "no such level")]
    {
        let error = host.catalogue.deploy(package(fixture)).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    let fails = "level = \"fails\"\ncause = \"timeout\"\nfails = \"probe.cause\"";
    host.catalogue.deploy(package(fails)).await.unwrap();
    host.catalogue.deploy(package("level = \"answers\"")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shipped_adapters_and_fallbacks_pass_their_probes_and_go_together() {
    let outside = Outside::new(|_| Does::Never);
    let host = host(&outside, |config| config.limits.cpu = std::time::Duration::from_millis(500)).await;
    for id in
        ["adapter-clip-service", "adapter-image-service", "adapter-talent", "fallback-descriptor", "fallback-talent", "fallback-vision"]
    {
        let package = shipped_package(id);
        assert!(!package.fixtures().is_empty(), "{id} has no fixtures");
        host.catalogue.deploy(package).await.unwrap_or_else(|error| panic!("{id}: {error}"));
    }
    assert!(outside.seen().is_empty());
    let snapshot = host.snapshot();
    for operation in ["generate-resume", "find-matching-jobs", "calculate-analytics", "detect-objects", "crop-image", "extract-features"] {
        assert_eq!(snapshot.adapters(operation).len(), 1, "{operation}");
        assert!(!snapshot.fallbacks(operation).is_empty(), "{operation}");
    }
}

/// What a plugin may name is part of what it is; and what the first world never had changes nothing for its plugins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generations_digest_covers_what_it_may_name() {
    let host = host(&Outside::new(|_| Does::Never), |_| ()).await;
    let one = host.catalogue.deploy(adapter("probe", "1.0.0", &[])).await.unwrap();
    let again = host.catalogue.deploy(adapter("probe", "1.0.0", &[])).await.unwrap();
    assert_eq!(one.digest, again.digest);
    let fewer = crate::outside::adapter_with("probe", "1.0.0", "capabilities = [\"blobs\", \"config\", \"upstream\", \"feature-flags\"]\n");
    let fewer = host.catalogue.deploy(fewer).await.unwrap();
    assert_ne!(one.digest, fewer.digest);
    assert_eq!((one.reach.upstreams.len(), fewer.reach.upstreams.len()), (2, 0));

    let crop = crate::support::package("answers", "1.0.0", guest("answers-v1"));
    let manifest = crop.manifest();
    let granted = breakwater_plugins::Grants::default().effective(&manifest.id, &manifest.capabilities);
    let frozen = serde_json::to_vec(&(&manifest.id, &manifest.version, &granted, &manifest.limits, &manifest.config)).unwrap();
    let code = Digest::of(crop.component());
    let expected = Digest::of_parts([code.as_bytes().as_slice(), frozen.as_slice()]);
    assert_eq!(host.catalogue.deploy(crop).await.unwrap().digest, expected);
}

#[test]
fn a_record_from_before_there_were_several_worlds_is_read() {
    let digest = Digest::of(b"a").to_string();
    let old = json!({
        "digest": digest, "code_digest": digest, "id": "crop-people", "version": "0.1.0", "granted": ["imaging", "logging"],
        "limits": { "memory_mib": null, "cpu_ms": 20, "timeout_ms": null, "host_calls": null }, "config": {},
        "strategies": [{ "name": "center_faces", "summary": "Faces.", "parameters": {}, "needs": ["face"] }], "deployed_at_ms": 1,
    });
    let record: breakwater_plugins::GenerationRecord = serde_json::from_value(old).unwrap();
    assert_eq!(record.world, breakwater_plugins::World::Crop);
    assert!(record.reach.is_empty() && record.operations.is_empty() && record.levels.is_empty());
}
