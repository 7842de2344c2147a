use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use breakwater_core::BoxFuture;
use proptest::prelude::*;

use super::*;

/// Records in memory that count their writes and fail when they are told to.
#[derive(Default)]
struct Counted {
    inner: MemoryRecords,
    writes: AtomicUsize,
    broken: AtomicBool,
}

impl Counted {
    fn attempt(&self) -> Result<(), RegistryRecordsError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) { Err(RegistryRecordsError::Store("disk full".into())) } else { Ok(()) }
    }
}

impl RegistryRecords for Counted {
    fn load(&self) -> BoxFuture<'_, Result<Vec<ServiceRecord>, RegistryRecordsError>> {
        self.inner.load()
    }

    fn put<'a>(&'a self, record: &'a ServiceRecord) -> BoxFuture<'a, Result<(), RegistryRecordsError>> {
        Box::pin(async move {
            self.attempt()?;
            self.inner.put(record).await
        })
    }

    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), RegistryRecordsError>> {
        Box::pin(async move {
            self.attempt()?;
            self.inner.remove(id).await
        })
    }
}

async fn registry() -> (Arc<Counted>, Arc<Registry>) {
    let records = Arc::new(Counted::default());
    (Arc::clone(&records), Arc::new(Registry::open(records).await.unwrap()))
}

fn registration(id: &str, name: &str) -> Registration {
    Registration { id: Some(id.to_owned()), ..Registration::new(name, "http://localhost:1") }
}

fn ids(services: &[Service]) -> Vec<&str> {
    services.iter().map(|service| service.id.as_str()).collect()
}

const WELL: Heartbeat = Heartbeat { healthy: true, response_ms: None };

#[tokio::test]
async fn services_are_found_by_name_capability_and_tag() {
    let (_, registry) = registry().await;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let with = |id, name, capabilities: &[&str], tags: &[&str]| Registration {
        capabilities: words(capabilities),
        tags: words(tags),
        ..registration(id, name)
    };
    registry.register(with("a", "images", &["detect", "crop"], &["gpu"])).await.unwrap();
    registry.register(with("b", "images", &["crop"], &[])).await.unwrap();
    registry.register(with("c", "search", &["embed"], &["gpu"])).await.unwrap();
    assert_eq!(ids(&registry.discover(&Selection::named("images"))), ["a", "b"]);
    assert_eq!(ids(&registry.discover(&Selection::able("crop"))), ["a", "b"]);
    assert_eq!(ids(&registry.discover(&Selection::tagged("gpu"))), ["a", "c"]);
    assert_eq!(ids(&registry.discover(&Selection { tag: Some("gpu".into()), ..Selection::able("detect") })), ["a"]);
    assert_eq!(ids(&registry.discover(&Selection::named("nobody"))), [] as [&str; 0]);
    registry.heartbeat("a", Heartbeat { healthy: false, response_ms: Some(120.0) }).await.unwrap();
    assert_eq!(ids(&registry.discover(&Selection::named("images"))), ["b"], "discovery finds what is well");
    assert_eq!(ids(&registry.list(&Selection::named("images"))), ["a", "b"], "a list holds everything");
    assert_eq!(registry.get("a").unwrap().response_ms, Some(120.0));
}

#[tokio::test]
async fn an_id_is_made_when_none_is_given_and_replaced_when_it_is() {
    let (_, registry) = registry().await;
    let one = registry.register(Registration::new("images", "http://localhost:1")).await.unwrap();
    let two = registry.register(Registration::new("images", "http://localhost:1")).await.unwrap();
    assert!(one.id.starts_with("images-") && one.id != two.id);
    let again = Registration { id: Some(one.id.clone()), version: "2".into(), ..Registration::new("images", "http://localhost:9") };
    let again = registry.register(again).await.unwrap();
    assert_eq!((again.url.as_str(), again.version.as_str(), again.registered_at_ms), ("http://localhost:9", "2", one.registered_at_ms));
    assert_eq!(registry.len(), 2);
}

#[tokio::test]
async fn everything_wrong_about_a_registration_is_said() {
    let (records, registry) = registry().await;
    let bad = Registration {
        id: Some("a b".into()),
        name: "Images".into(),
        url: "ftp://localhost".into(),
        version: "1\n2".into(),
        capabilities: (0..=Registration::MAX_ITEMS).map(|n| n.to_string()).collect(),
        tags: [" ".to_owned()].into(),
        weight: 0,
        ttl_ms: Some(999),
        metadata: [("k".to_owned(), "v".repeat(Registration::MAX_TEXT + 1))].into(),
    };
    let failure = registry.register(bad).await.unwrap_err();
    assert_eq!(failure.code, "registry.invalid");
    let violations = failure.detail.unwrap()["violations"].as_array().unwrap().clone();
    let pointers: Vec<_> = violations.iter().map(|violation| violation["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/id", "/name", "/url", "/version", "/capabilities", "/tags", "/weight", "/ttl_ms", "/metadata"]);
    for time in [-1.0, f64::NAN, f64::INFINITY, 86_400_001.0] {
        assert_eq!(
            registry.heartbeat("a", Heartbeat { healthy: true, response_ms: Some(time) }).await.unwrap_err().code,
            "registry.invalid"
        );
    }
    assert_eq!((registry.is_empty(), records.writes.load(Ordering::SeqCst)), (true, 0));
}

#[tokio::test]
async fn the_registry_is_full_at_its_limit_but_takes_replacements() {
    let (_, registry) = registry().await;
    for number in 0..Registry::MAX_SERVICES {
        registry.table.put(ServiceRecord::new(registration(&number.to_string(), "x"), None, 0));
    }
    assert_eq!(registry.register(registration("new", "x")).await.unwrap_err().code, "registry.full");
    registry.register(registration("7", "y")).await.unwrap();
    registry.deregister("8").await.unwrap();
    registry.register(registration("new", "x")).await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_unknown() {
    let (_, registry) = registry().await;
    assert_eq!(registry.get("a").unwrap_err().code, "registry.unknown");
    assert_eq!(registry.heartbeat("a", WELL).await.unwrap_err().code, "registry.unknown");
    assert_eq!(registry.deregister("a").await.unwrap_err().code, "registry.unknown");
}

#[tokio::test]
async fn what_could_not_be_written_did_not_happen() {
    let (records, registry) = registry().await;
    registry.register(registration("a", "x")).await.unwrap();
    records.broken.store(true, Ordering::SeqCst);
    assert_eq!(registry.register(registration("b", "x")).await.unwrap_err().code, "registry.store");
    assert_eq!(registry.deregister("a").await.unwrap_err().code, "registry.store");
    assert_eq!(ids(&registry.list(&Selection::default())), ["a"]);
}

#[tokio::test]
async fn heartbeats_that_change_nothing_are_not_written_each_time() {
    let (records, registry) = registry().await;
    registry.register(registration("a", "x")).await.unwrap();
    for _ in 0..100 {
        registry.heartbeat("a", WELL).await.unwrap();
    }
    assert_eq!(records.writes.load(Ordering::SeqCst), 1);
    registry.heartbeat("a", Heartbeat { healthy: false, ..WELL }).await.unwrap();
    assert_eq!(records.writes.load(Ordering::SeqCst), 2, "a change is written at once");
}

#[tokio::test(start_paused = true)]
async fn only_entries_that_ask_for_a_ttl_expire_and_heartbeats_keep_them() {
    let (records, registry) = registry().await;
    let stop = CancellationToken::new();
    let task = tokio::spawn({
        let (registry, stop) = (Arc::clone(&registry), stop.clone());
        async move { registry.expire(stop).await }
    });
    let with_ttl = |id, ttl_ms| Registration { ttl_ms: Some(ttl_ms), ..registration(id, "x") };
    registry.register(registration("for-ever", "x")).await.unwrap();
    registry.register(with_ttl("silent", 10_000)).await.unwrap();
    registry.register(with_ttl("beating", 10_000)).await.unwrap();
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        registry.heartbeat("beating", WELL).await.unwrap();
    }
    assert_eq!(ids(&registry.list(&Selection::default())), ["beating", "for-ever"]);
    records.broken.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(registry.len(), 2, "what cannot be written stays");
    records.broken.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(ids(&registry.list(&Selection::default())), ["for-ever"]);
    assert_eq!(records.inner.load().await.unwrap().len(), 1);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_restart_gives_every_entry_its_whole_ttl_again() {
    let records = Arc::new(MemoryRecords::default());
    let old = ServiceRecord::new(Registration { ttl_ms: Some(5000), ..registration("a", "x") }, None, 1000);
    records.put(&old).await.unwrap();
    let registry = Registry::open(records).await.unwrap();
    tokio::time::advance(Duration::from_millis(4999)).await;
    assert!(!registry.table.is_expired("a", Instant::now()));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(registry.table.is_expired("a", Instant::now()));
}

#[derive(Debug, Clone)]
enum Step {
    Register(u8, bool),
    Heartbeat(u8, bool),
    Deregister(u8),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..4u8, any::<bool>()).prop_map(|(id, ttl)| Step::Register(id, ttl)),
        (0..4u8, any::<bool>()).prop_map(|(id, healthy)| Step::Heartbeat(id, healthy)),
        (0..4u8).prop_map(Step::Deregister),
        (1..6u64).prop_map(|seconds| Step::Wait(seconds * 1000)),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn the_registry_is_a_map_with_times(steps in steps()) {
        const TTL: u64 = 8000;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (records, registry) = registry().await;
            let expiring = tokio::spawn({
                let registry = Arc::clone(&registry);
                async move { registry.expire(CancellationToken::new()).await }
            });
            // Health and the time of its end, which never comes for some.
            let mut model: BTreeMap<String, (bool, Option<u64>)> = BTreeMap::new();
            let mut now = 0;
            for step in steps {
                match step {
                    Step::Register(id, has_ttl) => {
                        let ttl_ms = has_ttl.then_some(TTL);
                        registry.register(Registration { ttl_ms, ..registration(&id.to_string(), "x") }).await.unwrap();
                        model.insert(id.to_string(), (true, ttl_ms.map(|ttl| now + ttl)));
                    }
                    Step::Heartbeat(id, healthy) => {
                        let found = registry.heartbeat(&id.to_string(), Heartbeat { healthy, response_ms: None }).await;
                        assert_eq!(found.is_ok(), model.contains_key(&id.to_string()));
                        if let Some((is_well, end)) = model.get_mut(&id.to_string()) {
                            *is_well = healthy;
                            *end = end.map(|_| now + TTL);
                        }
                    }
                    Step::Deregister(id) => {
                        let found = registry.deregister(&id.to_string()).await;
                        assert_eq!(found.is_ok(), model.remove(&id.to_string()).is_some());
                    }
                    Step::Wait(time) => {
                        tokio::time::sleep(Duration::from_millis(time)).await;
                        now += time;
                        // The next step comes after whoever looks for what has ended.
                        tokio::time::sleep(LOOK_INTERVAL).await;
                        now += 500;
                        model.retain(|_, (_, end)| end.is_none_or(|end| end > now - 500));
                        // What ends within the last look is found by the next one.
                        let due: Vec<String> = model.iter().filter(|(_, (_, end))| end.is_some_and(|end| end <= now)).map(|(id, _)| id.clone()).collect();
                        if !due.is_empty() {
                            tokio::time::sleep(LOOK_INTERVAL).await;
                            now += 500;
                            model.retain(|_, (_, end)| end.is_none_or(|end| end > now));
                        }
                    }
                }
                let found: Vec<_> = registry.list(&Selection::default()).into_iter().map(|service| (service.id, service.healthy)).collect();
                let expected: Vec<_> = model.iter().map(|(id, (healthy, _))| (id.clone(), *healthy)).collect();
                assert_eq!(found, expected);
                let kept: Vec<_> = records.inner.load().await.unwrap().into_iter().map(|record| (record.id, record.healthy)).collect();
                assert_eq!(kept, expected);
            }
            expiring.abort();
        });
    }
}
