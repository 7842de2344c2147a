//! Deploying, going back, removing, and coming back after a restart.

use std::sync::Arc;

use breakwater_core::{AspectRatio, Digest, Rect};
use breakwater_plugins::{Capability, Expectation, Fixture, GenerationState, Grants, PlanFixture, PluginId, PluginPackage, RecordsError};
use bytes::Bytes;

use crate::support::{Detectors, Host, face, guest, package, package_with, plan, shipped, term};

fn id(text: &str) -> PluginId {
    text.parse().unwrap()
}

async fn version(host: &Host) -> f32 {
    term(&host.plan("versioned").await.unwrap(), "version")
}

async fn deploy(host: &Host, version: &str, component: &str) -> Digest {
    host.catalogue.deploy(package("answers", version, guest(component))).await.unwrap().digest
}

fn states(host: &Host) -> Vec<GenerationState> {
    host.catalogue.list().into_iter().flat_map(|plugin| plugin.generations).map(|generation| generation.state).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_goes_back_and_further_back_and_activation_goes_anywhere() {
    let host = Host::start().await;
    let one = deploy(&host, "1.0.0", "answers-v1").await;
    let two = deploy(&host, "2.0.0", "answers-v2").await;
    let three = deploy(&host, "3.0.0", "answers-v1").await;
    assert_eq!(host.catalogue.rollback(&id("answers")).await.unwrap().digest, two);
    assert_eq!(version(&host).await, 2.0);
    assert!(host.plan("only_in_two").await.is_ok());
    assert_eq!(host.catalogue.rollback(&id("answers")).await.unwrap().digest, one);
    assert!(host.snapshot().strategy("only_in_two").is_none());
    assert_eq!(host.catalogue.rollback(&id("answers")).await.unwrap_err().code(), "plugin.not-found");
    assert_eq!(host.catalogue.activate(&id("answers"), three).await.unwrap().digest, three);
    assert_eq!(host.catalogue.rollback(&id("answers")).await.unwrap().digest, one);
    for (plugin, digest) in [("answers", Digest::of(b"none")), ("nobody", one)] {
        assert_eq!(host.catalogue.activate(&id(plugin), digest).await.unwrap_err().code(), "plugin.not-found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deploying_the_same_again_changes_nothing() {
    let host = Host::start().await;
    let one = deploy(&host, "1.0.0", "answers-v1").await;
    let before = host.snapshot();
    assert_eq!(deploy(&host, "1.0.0", "answers-v1").await, one);
    assert!(Arc::ptr_eq(&before, &host.snapshot()));
    // Another configuration of the same code is another generation.
    let more = "capabilities = [\"imaging\"]\n[config]\nkey = \"value\"";
    let other = host.catalogue.deploy(package_with("answers", "1.0.0", guest("answers-v1"), more)).await.unwrap();
    assert_ne!(other.digest, one);
    assert_eq!(other.code_digest, host.catalogue.list()[0].generations[0].code_digest);
    // Deploying a kept one activates it.
    assert_eq!(deploy(&host, "1.0.0", "answers-v1").await, one);
    assert_eq!(states(&host), [GenerationState::Active, GenerationState::Standby]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_active_or_serves_calls_cannot_be_removed() {
    let host = Host::start().await;
    let one = deploy(&host, "1.0.0", "answers-v1").await;
    let plugin = id("answers");
    let remove = || host.catalogue.remove(&plugin, one);
    assert_eq!(remove().await.unwrap_err().code(), "plugin.generation-in-use");
    let held = host.snapshot();
    deploy(&host, "2.0.0", "answers-v2").await;
    assert_eq!(states(&host), [GenerationState::Draining, GenerationState::Active]);
    assert_eq!(remove().await.unwrap_err().code(), "plugin.generation-in-use");
    assert_eq!(term(&plan(&held, "versioned", &[]).await.unwrap(), "version"), 1.0, "a draining generation still serves its holders");
    drop(held);
    let code = host.catalogue.list()[0].generations[0].code_digest;
    remove().await.unwrap();
    assert_eq!(states(&host), [GenerationState::Active]);
    assert_eq!(host.records.component(code).await.unwrap(), None, "nobody uses its component any more");
    assert_eq!(remove().await.unwrap_err().code(), "plugin.not-found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_standby_goes_when_too_many_are_kept() {
    let host = Host::with(Detectors::Find(Vec::new()), |config| config.kept_generations = 3).await;
    let mut digests = Vec::new();
    for number in 0..5 {
        digests.push(deploy(&host, &format!("{number}.0.0"), "answers-v1").await);
    }
    let kept: Vec<_> = host.catalogue.list()[0].generations.iter().map(|generation| generation.digest).collect();
    assert_eq!(kept, digests[2..]);
    let state = host.records.load().await.unwrap();
    assert_eq!(state.generations.len(), 3);
    assert_eq!(state.previous[&id("answers")], digests[2..4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_belongs_to_one_plugin_unless_an_order_decides() {
    let host = Host::start().await;
    deploy(&host, "1.0.0", "answers-v1").await;
    let error = host.catalogue.deploy(package("aaa", "1.0.0", guest("answers-v2"))).await.unwrap_err();
    assert_eq!(error.code(), "plugin.strategy-taken");
    assert!(error.to_string().contains("`versioned` is already offered by the plugin `answers`"), "{error}");
    assert_eq!(version(&host).await, 1.0);

    let order = vec![id("aaa"), id("answers")];
    let host = Host::with(Detectors::Find(Vec::new()), |config| config.order = order).await;
    deploy(&host, "1.0.0", "answers-v1").await;
    host.catalogue.deploy(package("aaa", "1.0.0", guest("answers-v2"))).await.unwrap();
    assert_eq!(version(&host).await, 2.0, "the plugin named first wins");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_brings_back_what_was_active() {
    let host = Host::start().await;
    deploy(&host, "1.0.0", "answers-v1").await;
    let two = deploy(&host, "2.0.0", "answers-v2").await;
    host.catalogue.deploy(package("crop-people", "0.1.0", shipped("crop-people"))).await.unwrap();
    let restarted = host.restarted(|_| ()).await;
    assert_eq!(restarted.snapshot().revision(), 3);
    assert_eq!(version(&restarted).await, 2.0);
    assert_eq!(restarted.snapshot().generation(&id("answers")).unwrap().digest(), two);
    assert!(restarted.plan("center_faces").await.is_ok());
    restarted.catalogue.rollback(&id("answers")).await.unwrap();
    assert_eq!(version(&restarted).await, 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_that_cannot_be_brought_back_is_reported_and_the_others_serve() {
    let host = Host::start().await;
    deploy(&host, "1.0.0", "answers-v1").await;
    host.catalogue.deploy(package("crop-people", "0.1.0", shipped("crop-people"))).await.unwrap();
    host.records.remove_component(Digest::of(&guest("answers-v1"))).await.unwrap();
    let restarted = host.restarted(|_| ()).await;
    assert!(restarted.plan("center_faces").await.is_ok());
    assert!(restarted.snapshot().strategy("versioned").is_none());
    let info = restarted.catalogue.list().remove(0).generations.remove(0);
    assert_eq!(info.state, GenerationState::Unavailable);
    assert!(info.problem.unwrap().contains("is not on record"));
    // Deploying it again repairs it.
    let repaired = restarted.catalogue.deploy(package("answers", "1.0.1", guest("answers-v1"))).await.unwrap();
    assert_eq!(repaired.state, GenerationState::Active);
    assert_eq!(version(&restarted).await, 1.0);

    // And what the operator no longer grants is not brought back either.
    let revoked = host.restarted(|config| config.grants = Grants { default: [Capability::Config].into(), ..Grants::default() }).await;
    assert_eq!(revoked.snapshot().generations().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_by_another_process_is_taken_over_and_ours_refused() {
    let host = Host::start().await;
    deploy(&host, "1.0.0", "answers-v1").await;
    let other = host.restarted(|_| ()).await;
    other.catalogue.deploy(package("answers", "2.0.0", guest("answers-v2"))).await.unwrap();
    let refused = host.catalogue.deploy(package("crop-people", "0.1.0", shipped("crop-people"))).await.unwrap_err();
    let conflict = matches!(&refused, breakwater_plugins::PluginError::Records(RecordsError::Conflict { expected: 1, found: 2 }));
    assert!(conflict, "{refused:?}");
    assert_eq!(version(&host).await, 2.0, "the other's change serves here too");
    host.catalogue.deploy(package("crop-people", "0.1.0", shipped("crop-people"))).await.unwrap();
    assert_eq!(host.records.load().await.unwrap().active.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_goes_on_when_nobody_waits_for_it_any_more() {
    let host = Host::start().await;
    let deploying = host.catalogue.deploy(package("answers", "1.0.0", guest("answers-v1")));
    assert!(tokio::time::timeout(std::time::Duration::from_millis(1), deploying).await.is_err(), "compiling takes longer");
    let start = std::time::Instant::now();
    while host.snapshot().strategy("versioned").is_none() {
        assert!(start.elapsed() < std::time::Duration::from_secs(60), "the change was dropped with whoever asked for it");
        tokio::task::yield_now().await;
    }
    assert_eq!(version(&host).await, 1.0);
}

fn fixture(
    component: Bytes,
    expect: Option<Expectation>,
    strategy: &str,
    detections: Option<Vec<breakwater_core::Detection>>,
) -> PluginPackage {
    let manifest = "id = \"answers\"\nversion = \"2.0.0\"\nworld = \"breakwater:plugin/crop-plugin@0.1.0\"\ncapabilities = [\"imaging\"]";
    let fixture = Fixture::Plan(PlanFixture {
        name: "picture".to_owned(),
        image: Bytes::from_static(include_bytes!("../../src/probe_picture.png")),
        strategy: strategy.to_owned(),
        ratio: AspectRatio::new(1, 1).unwrap(),
        parameters: serde_json::json!({}),
        detections,
        expect,
    });
    PluginPackage::from_parts(manifest, component, vec![fixture]).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_that_fails_its_probe_never_becomes_visible() {
    let host = Host::start().await;
    deploy(&host, "1.0.0", "answers-v1").await;
    let before = host.snapshot();
    let at = |x, tolerance| Some(Expectation { crop: Rect::new(x, 0, 64, 64), tolerance });
    for (package, says) in [
        (fixture(guest("answers-v2"), at(0, 15), "versioned", None), "planned 64x64+16+0, expected 64x64+0+0 within 15 pixels"),
        (fixture(guest("misbehaving"), None, "trap", None), "trapped"),
        (fixture(guest("misbehaving"), None, "outside", None), "unusable"),
        (fixture(guest("answers-v2"), None, "absent", None), "no such strategy"),
    ] {
        let error = host.catalogue.deploy(package).await.unwrap_err();
        assert_eq!(error.code(), "plugin.probe-failed", "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(Arc::ptr_eq(&before, &host.snapshot()));
    }
    assert_eq!(host.records.component(Digest::of(&guest("answers-v2"))).await.unwrap(), None);
    let good = fixture(guest("answers-v2"), at(0, 16), "versioned", None);
    assert_eq!(host.catalogue.deploy(good).await.unwrap().state, GenerationState::Active);
    let faces = fixture(shipped("crop-people"), at(0, 0), "center_faces", Some(vec![face(2.0, 20.0, 10.0)]));
    assert!(host.catalogue.deploy(faces).await.is_ok(), "a fixture's own detections are given to the strategy");
}
