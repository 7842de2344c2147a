//! What every [`RegistryRecords`] does.

use std::sync::Arc;

use breakwater_upstream::{Heartbeat, Registration, Registry, RegistryRecords, Selection, ServiceRecord};

/// A record with every field set.
pub(crate) fn record(id: &str) -> ServiceRecord {
    ServiceRecord {
        id: id.to_owned(),
        name: "image-service".to_owned(),
        url: "http://localhost:8000/api".to_owned(),
        version: "1.2.3 \"quoted\" ✓".to_owned(),
        capabilities: ["crop".to_owned(), "detect".to_owned()].into(),
        tags: ["gpu".to_owned()].into(),
        weight: 3,
        ttl_ms: Some(30_000),
        metadata: [("zone".to_owned(), "a'b;--".to_owned())].into(),
        healthy: false,
        response_ms: Some(12.625),
        registered_at_ms: 1_700_000_000_000,
        heartbeat_at_ms: 1_700_000_000_001,
        written_at_ms: 1_700_000_000_002,
    }
}

/// Checks records that are empty at first.
pub(crate) async fn conforms(records: Arc<dyn RegistryRecords>) {
    assert_eq!(records.load().await.unwrap(), []);

    let (b, a) = (record("b"), ServiceRecord { ttl_ms: None, response_ms: None, ..record("a") });
    records.put(&b).await.unwrap();
    records.put(&a).await.unwrap();
    assert_eq!(records.load().await.unwrap(), [a.clone(), b.clone()], "all that was put, by id");

    let changed = ServiceRecord { name: "other".to_owned(), healthy: true, ..b };
    records.put(&changed).await.unwrap();
    assert_eq!(records.load().await.unwrap(), [a, changed.clone()], "a record replaces the one of its id");

    records.remove("a").await.unwrap();
    records.remove("a").await.unwrap();
    assert_eq!(records.load().await.unwrap(), [changed], "removing what is not there is no error");
    records.remove("b").await.unwrap();
    assert_eq!(records.load().await.unwrap(), []);

    survives_a_restart(records).await;
}

/// A registry that is opened again on the same records knows the same services.
async fn survives_a_restart(records: Arc<dyn RegistryRecords>) {
    let registry = Registry::open(Arc::clone(&records)).await.unwrap();
    let registration =
        Registration { id: Some("one".to_owned()), ttl_ms: Some(60_000), ..Registration::new("images", "http://localhost:1") };
    registry.register(registration).await.unwrap();
    let two = registry.register(Registration::new("images", "http://localhost:2")).await.unwrap();
    registry.heartbeat("one", Heartbeat { healthy: false, response_ms: Some(7.5) }).await.unwrap();
    registry.register(Registration { id: Some("gone".to_owned()), ..Registration::new("images", "http://localhost:3") }).await.unwrap();
    registry.deregister("gone").await.unwrap();
    let before = registry.list(&Selection::default());

    let registry = Registry::open(Arc::clone(&records)).await.unwrap();
    assert_eq!(registry.list(&Selection::default()), before);
    assert!(!registry.get("one").unwrap().healthy);
    assert_eq!(registry.discover(&Selection::named("images")), [two]);
}
