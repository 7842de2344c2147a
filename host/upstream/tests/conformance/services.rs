//! What every [`ServiceCatalogueRecords`] does.

use std::sync::Arc;

use breakwater_core::OperationEffect;
use breakwater_upstream::{
    ActionDefinition, NoActionCompiler, ServiceCatalogue, ServiceCatalogueRecords, ServiceCatalogueRecordsError as Error,
    ServiceDefinition, ServiceDraft, ServicePatch, ServiceStatus,
};
use serde_json::json;

/// A definition with every field set.
pub(crate) fn definition(id: &str, name: &str, version: u64) -> ServiceDefinition {
    ServiceDefinition {
        id: id.to_owned(),
        name: name.to_owned(),
        description: "Takes \"text\" out ✓ a'b;--".to_owned(),
        endpoint: "http://localhost:8000/api".to_owned(),
        actions: vec![ActionDefinition {
            name: "extract".to_owned(),
            description: "Extracts".to_owned(),
            input_schema: Some(json!({ "type": "object", "required": ["document_url"] })),
            output_schema: Some(json!(true)),
            effect: OperationEffect::Delete,
            idempotent: true,
            timeout_ms: Some(1500),
        }],
        metadata: json!({ "version": "1.0.0", "nested": { "list": [1, 2.5, null] } }).as_object().unwrap().clone(),
        status: ServiceStatus::Inactive,
        version,
        created_at_ms: 1_700_000_000_000,
        updated_at_ms: 1_700_000_000_001,
    }
}

/// Checks records that are empty at first.
pub(crate) async fn conforms(records: Arc<dyn ServiceCatalogueRecords>) {
    let empty = records.load().await.unwrap();
    assert_eq!((empty.revision, empty.services.len(), records.revision().await.unwrap()), (0, 0, 0));

    let (b, a) = (definition("b", "text-b", 1), definition("a", "text-a", 1));
    assert_eq!(records.put(&b, 0).await.unwrap(), 1);
    assert_eq!(records.put(&a, 0).await.unwrap(), 2);
    let state = records.load().await.unwrap();
    assert_eq!((state.revision, state.services), (2, vec![a.clone(), b.clone()]), "all that was put, by id");

    for (wrong, expected, found) in [(&a, 0, 1), (&a, 7, 1), (&definition("c", "text-c", 4), 3, 0)] {
        let refused = records.put(wrong, expected).await.unwrap_err();
        assert!(matches!(refused, Error::Conflict { expected: e, found: f } if (e, f) == (expected, found)), "{refused}");
    }
    assert!(matches!(records.put(&definition("c", "text-a", 1), 0).await, Err(Error::NameTaken)));
    assert!(matches!(records.put(&definition("b", "text-a", 2), 1).await, Err(Error::NameTaken)));
    assert_eq!(records.revision().await.unwrap(), 2, "what is refused changes nothing");

    let renamed = definition("b", "text-d", 2);
    assert_eq!(records.put(&renamed, 1).await.unwrap(), 3);
    assert_eq!(records.put(&definition("c", "text-b", 1), 0).await.unwrap(), 4, "a name that was given up is free");
    let refused = records.remove("a", 2).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict { expected: 2, found: 1 }), "{refused}");
    assert_eq!(records.remove("a", 1).await.unwrap(), 5);
    assert!(matches!(records.remove("a", 1).await, Err(Error::Conflict { found: 0, .. })));
    assert!(matches!(records.remove("a", 0).await, Err(Error::Conflict { found: 0, .. })));
    assert_eq!(records.load().await.unwrap().services, [renamed, definition("c", "text-b", 1)]);
    records.remove("b", 2).await.unwrap();
    records.remove("c", 1).await.unwrap();

    is_shared(records).await;
}

/// Two catalogues on the same records, as two processes have them.
async fn is_shared(records: Arc<dyn ServiceCatalogueRecords>) {
    let open = async || ServiceCatalogue::open(Arc::clone(&records), Arc::new(NoActionCompiler)).await.unwrap();
    let (one, other) = (open().await, open().await);
    let draft = |name: &str| ServiceDraft { name: name.to_owned(), endpoint: "http://localhost:1".to_owned(), ..ServiceDraft::default() };
    let made = one.create(draft("shared")).await.unwrap().definition.clone();
    assert_eq!(other.get("shared").unwrap_err().code, "service.unknown");
    assert_eq!(other.create(draft("shared")).await.unwrap_err().code, "service.name-taken");
    assert!(other.refresh().await.unwrap());
    assert_eq!(other.get("shared").unwrap().definition, made);
    assert!(!other.refresh().await.unwrap(), "nothing has changed since");

    let describe = |text: &str, version| ServicePatch { description: Some(text.to_owned()), version, ..ServicePatch::default() };
    other.update("shared", describe("theirs", None)).await.unwrap();
    assert_eq!(one.update("shared", describe("ours", Some(1))).await.unwrap_err().code, "service.conflict");
    let both = one.update("shared", describe("ours", None)).await.unwrap();
    assert_eq!((both.definition.version, both.definition.description.as_str()), (3, "ours"), "made of what the other process wrote");
    one.remove("shared").await.unwrap();
    assert_eq!(other.update("shared", describe("late", None)).await.unwrap_err().code, "service.unknown");
    let fresh = one.create(draft("kept")).await.unwrap().definition.clone();

    let reopened = open().await;
    assert_eq!(reopened.snapshot().services().map(|entry| entry.definition.clone()).collect::<Vec<_>>(), [fresh]);
}
