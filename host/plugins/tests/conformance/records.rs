//! What every implementation of `CatalogueRecords` must do. Included by the tests of each.

use std::sync::Arc;

use breakwater_core::{DetectionKind, Digest, OperationEffect, OperationSpec, Strategy};
use breakwater_plugins::manifest::LimitRequest;
use breakwater_plugins::{
    Capability, CatalogueRecords, CatalogueState, FallbackLevel, GenerationRecord, RankerInfo, Reach, RecordsError, World,
};
use bytes::Bytes;

/// Runs the whole suite on records that are empty.
pub(crate) async fn conforms(records: Arc<dyn CatalogueRecords>) {
    starts_empty(&*records).await;
    returns_what_was_saved(&*records).await;
    refuses_a_change_from_an_old_revision(&*records).await;
    refuses_a_revision_that_does_not_follow(&*records).await;
    lets_one_of_several_writers_win(&records).await;
    keeps_components(&*records).await;
}

pub(crate) fn state(revision: u64) -> CatalogueState {
    let id: breakwater_plugins::PluginId = "crop-people".parse().unwrap();
    let digest = Digest::of(format!("generation {revision}").as_bytes());
    let strategy = Strategy {
        name: "center_faces".to_owned(),
        summary: "Keeps the faces: «ü».".to_owned(),
        parameters: serde_json::json!({ "type": "object", "properties": { "headroom": { "maximum": 0.1 } } }),
        needs: vec![DetectionKind::Face],
    };
    let operation = OperationSpec {
        name: "generate-resume".to_owned(),
        summary: "Writes one.".to_owned(),
        input_schema: serde_json::json!({ "type": "object", "pattern": "\\d" }),
        output_schema: serde_json::json!(true),
        effect: OperationEffect::Create,
        idempotent: true,
        permission: Some("operation:generate-resume".to_owned()),
    };
    let record = GenerationRecord {
        digest,
        code_digest: Digest::of(b"code"),
        id: id.clone(),
        version: "1.2.3-rc.1+build".parse().unwrap(),
        world: World::AdapterWasi,
        granted: [Capability::Imaging, Capability::Logging].into(),
        reach: Reach {
            hosts: ["*.example.com:8443".to_owned()].into(),
            models: ["efficientnet-lite0".to_owned()].into(),
            ..Reach::default()
        },
        limits: LimitRequest { cpu_ms: Some(20), ..LimitRequest::default() },
        config: [("key".to_owned(), "a \"value\"\n".to_owned())].into(),
        strategies: vec![strategy],
        operations: vec![operation],
        ranker: Some(RankerInfo { summary: "Ranks.".to_owned(), parameters: serde_json::json!({ "type": "object" }) }),
        levels: vec![FallbackLevel { operation: "generate-resume".to_owned(), name: "basic-template".to_owned() }],
        deployed_at_ms: 1_760_000_000_000,
    };
    CatalogueState {
        revision,
        generations: vec![record],
        active: [(id.clone(), digest)].into(),
        previous: [(id.clone(), vec![Digest::of(b"earlier")])].into(),
        order: vec![id],
    }
}

async fn starts_empty(records: &dyn CatalogueRecords) {
    assert_eq!(records.load().await.unwrap(), CatalogueState::default());
    assert_eq!(records.component(Digest::of(b"absent")).await.unwrap(), None);
}

async fn returns_what_was_saved(records: &dyn CatalogueRecords) {
    for revision in 1..=3 {
        records.save(revision - 1, &state(revision)).await.unwrap();
        assert_eq!(records.load().await.unwrap(), state(revision));
    }
}

async fn refuses_a_change_from_an_old_revision(records: &dyn CatalogueRecords) {
    for expected in [0, 1, 2, 7] {
        let refused = records.save(expected, &state(expected + 1)).await;
        assert!(matches!(refused, Err(RecordsError::Conflict { expected: e, found: 3 }) if e == expected), "{refused:?}");
    }
    assert_eq!(records.load().await.unwrap(), state(3));
}

async fn refuses_a_revision_that_does_not_follow(records: &dyn CatalogueRecords) {
    for given in [0, 3, 5] {
        let refused = records.save(3, &state(given)).await;
        assert!(matches!(refused, Err(RecordsError::Revision { expected: 3, .. })), "{refused:?}");
    }
    assert_eq!(records.load().await.unwrap(), state(3));
}

async fn lets_one_of_several_writers_win(records: &Arc<dyn CatalogueRecords>) {
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let records = Arc::clone(records);
        writers.spawn(async move { records.save(3, &state(4)).await });
    }
    let outcomes = writers.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let lost = |outcome: &&Result<(), RecordsError>| matches!(outcome, Err(RecordsError::Conflict { expected: 3, found: 4 }));
    assert_eq!(outcomes.iter().filter(lost).count(), 7, "{outcomes:?}");
}

async fn keeps_components(records: &dyn CatalogueRecords) {
    let wasm = Bytes::from((0..=255).cycle().take(2_000_000).collect::<Vec<u8>>());
    let digest = Digest::of(&wasm);
    for _ in 0..2 {
        records.put_component(digest, wasm.clone()).await.unwrap();
    }
    assert_eq!(records.component(digest).await.unwrap(), Some(wasm));
    for _ in 0..2 {
        records.remove_component(digest).await.unwrap();
        assert_eq!(records.component(digest).await.unwrap(), None);
    }
}
