//! Going back by itself: from a generation that breaks, and never because of a service.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use breakwater_core::{Digest, Failure, FailureKind};
use breakwater_plugins::{PluginId, Rollback, RollbackObserver, RuntimeConfig};
use breakwater_resilience::State;
use serde_json::json;

use crate::outside::{Does, Outside, adapter, host, invoke};
use crate::support::{Detectors, Host, guest, package, term};

type Heard = Arc<Mutex<Vec<Rollback>>>;

fn listening(config: &mut RuntimeConfig) -> Heard {
    let heard = Heard::default();
    let told = Arc::clone(&heard);
    config.rollback_observer = RollbackObserver::new(move |rollback| told.lock().unwrap().push(rollback.clone()));
    heard
}

fn active(host: &Host, id: &str) -> Digest {
    host.snapshot().generation(&id.parse::<PluginId>().unwrap()).unwrap().digest()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what} did not happen");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_that_traps_is_rolled_back_by_its_breaker() {
    let mut heard = None;
    let host = host(&Outside::new(|_| Does::text("good")), |config| heard = Some(listening(config))).await;
    let heard = heard.unwrap();
    let good = host.catalogue.deploy(adapter("probe", "1.0.0", &[])).await.unwrap().digest;
    let bad = host.catalogue.deploy(adapter("probe", "2.0.0", &[("broken", "yes")])).await.unwrap().digest;
    for _ in 0..4 {
        assert_eq!(&*invoke(&host.snapshot(), "echo", json!({})).await.unwrap_err().code, "plugin.trap");
        assert_eq!(active(&host, "probe"), bad);
    }
    assert_eq!(&*invoke(&host.snapshot(), "echo", json!({})).await.unwrap_err().code, "plugin.trap");
    until("the rollback", || !heard.lock().unwrap().is_empty()).await;
    assert_eq!(*heard.lock().unwrap(), [Rollback { plugin: "probe".parse().unwrap(), from: bad, to: good }]);
    assert_eq!(active(&host, "probe"), good);
    assert!(invoke(&host.snapshot(), "echo", json!({})).await.is_ok());
    // It survives a restart, and the one that was left is no place to go back to.
    let state = host.records.load().await.unwrap();
    assert_eq!((state.active.values().collect::<Vec<_>>(), state.previous.values().flatten().count()), (vec![&good], 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_whose_service_is_down_is_not_rolled_back() {
    let mut heard = None;
    let down = Outside::new(|_| Does::Fail(Failure::new(FailureKind::Unavailable, "upstream.connection", "nobody is there")));
    let host = host(&down, |config| heard = Some(listening(config))).await;
    host.catalogue.deploy(adapter("probe", "1.0.0", &[])).await.unwrap();
    let second = host.catalogue.deploy(adapter("probe", "2.0.0", &[])).await.unwrap().digest;
    for _ in 0..50 {
        let failure = invoke(&host.snapshot(), "pass-on", json!({ "requests": [{}] })).await.unwrap_err();
        assert_eq!(&*failure.code, "upstream.connection");
    }
    assert_eq!(host.snapshot().adapters("echo")[0].breaker_state(), State::Closed);
    assert_eq!(active(&host, "probe"), second);
    assert!(heard.unwrap().lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crop_plugin_that_breaks_is_rolled_back_too_and_one_without_an_earlier_generation_stays() {
    let mut heard = None;
    let host = Host::with(Detectors::Find(Vec::new()), |config| heard = Some(listening(config))).await;
    let heard = heard.unwrap();
    let good = host.catalogue.deploy(package("answers", "1.0.0", guest("answers-v1"))).await.unwrap().digest;
    host.catalogue.deploy(package("answers", "2.0.0", guest("misbehaving"))).await.unwrap();
    let before = host.snapshot();
    for _ in 0..5 {
        host.plan("trap").await.unwrap_err();
    }
    until("the rollback", || heard.lock().unwrap().len() == 1).await;
    assert_eq!(active(&host, "answers"), good);
    assert_eq!(term(&host.plan("versioned").await.unwrap(), "version"), 1.0);
    // A call that began with the broken generation keeps it, breaker and all.
    let failure = crate::support::plan(&before, "well", &[]).await.unwrap_err();
    assert_eq!(&*failure.code, "plugin.breaker-open");

    // Nothing to go back to: it stays, refused by its breaker.
    let alone = host.catalogue.deploy(package("misbehaving", "1.0.0", guest("misbehaving"))).await.unwrap().digest;
    for _ in 0..5 {
        host.plan("trap").await.unwrap_err();
    }
    assert_eq!(&*host.plan("well").await.unwrap_err().code, "plugin.breaker-open");
    assert_eq!((active(&host, "misbehaving"), heard.lock().unwrap().len()), (alone, 1));
}
