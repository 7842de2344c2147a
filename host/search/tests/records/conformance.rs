//! What every implementation of `ProductRecords` must do. Included by the tests of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use breakwater_core::Digest;
use breakwater_search::product::Stored;
use breakwater_search::records::{Change, Draft, ImportState, ListRequest, NewVector, ProductRecords};
use breakwater_search::{Key, Product, Space, Vector};

/// Runs the whole suite, on records that are empty.
pub(crate) async fn conforms(records: Arc<dyn ProductRecords>) {
    starts_empty(&*records).await;
    gives_back_what_was_put(&*records).await;
    replaces_a_product_and_keeps_its_key(&*records).await;
    refuses_what_was_made_from_something_else(&*records).await;
    tells_each_space_what_changed(&*records).await;
    deletes_and_never_uses_a_key_again(&*records).await;
    adds_vectors_to_what_has_not_changed(&*records).await;
    lists_by_key(&*records).await;
    keeps_imports_with_their_products(&*records).await;
    numbers_changes_of_many_writers(&records).await;
}

pub(crate) fn space(model: &str, dimension: u32) -> Space {
    Space { model: model.into(), revision: Digest::of(model.as_bytes()), dimension }
}

pub(crate) fn product(id: &str) -> Product {
    Product {
        id: id.to_owned(),
        title: format!("«{id}» 'quoted' \"twice\""),
        category: "schuhe; DROP TABLE product".to_owned(),
        attributes: BTreeMap::from([("farbe".to_owned(), "grün".to_owned())]),
        image: format!("/images/{id}.jpg"),
        quality: 0.25,
        // Above the largest number that signed columns hold.
        perceptual_hash: Some(u64::MAX - 1),
        image_digest: Some(Digest::of(id.as_bytes()).to_string()),
    }
}

fn vector(values: &[f32]) -> Vector {
    Vector::new(values).unwrap()
}

pub(crate) fn draft(id: &str, vectors: &[(&Space, &[f32])]) -> Draft {
    let vectors = vectors.iter().map(|(space, values)| ((*space).clone(), vector(values))).collect();
    Draft { product: product(id), vectors, replace_vectors: true, of: None }
}

async fn put(records: &dyn ProductRecords, draft: Draft) -> Stored {
    records.put(vec![draft], None).await.unwrap().remove(0).unwrap()
}

async fn empty(records: &dyn ProductRecords) {
    for stored in records.list(ListRequest { limit: 1000, ..ListRequest::default() }).await.unwrap() {
        records.delete(&stored.product.id).await.unwrap().unwrap();
    }
}

/// Sequence number, key, and whether there is a vector.
async fn changes(records: &dyn ProductRecords, space: &Space, after: u64) -> Vec<(u64, Key, bool)> {
    let changes = records.changes(space, after, 1000).await.unwrap();
    changes
        .iter()
        .map(|change| match change {
            Change::Upserted { sequence, entry } => (*sequence, entry.key, true),
            Change::Deleted { sequence, key } => (*sequence, *key, false),
        })
        .collect()
}

async fn starts_empty(records: &dyn ProductRecords) {
    let space = space("a", 2);
    assert_eq!((records.sequence().await.unwrap(), records.count().await.unwrap()), (0, 0));
    assert!(records.spaces().await.unwrap().is_empty() && records.imports(10).await.unwrap().is_empty());
    assert_eq!(records.get("x").await.unwrap(), None);
    assert_eq!(records.delete("x").await.unwrap(), None);
    assert!(records.changes(&space, 0, 10).await.unwrap().is_empty());
    assert!(records.without_vector(&space, None, 10).await.unwrap().is_empty());
    assert!(records.put(Vec::new(), None).await.unwrap().is_empty());
    assert_eq!(records.sequence().await.unwrap(), 0);
}

async fn gives_back_what_was_put(records: &dyn ProductRecords) {
    let (a, b) = (space("a", 2), space("b", 3));
    let given = draft("one", &[(&a, &[3.0, 4.0]), (&b, &[0.0, 1.0, 0.0])]);
    let stored = put(records, given.clone()).await;
    assert_eq!((stored.product.clone(), stored.sequence, stored.created), (given.product, 1, 1));
    assert_eq!(records.get("one").await.unwrap(), Some(stored.clone()));
    let found = records.vector(stored.key, &a).await.unwrap().unwrap();
    assert!(found.cosine(&vector(&[3.0, 4.0])) > 0.999_99);
    assert_eq!(records.vector(stored.key, &space("a", 3)).await.unwrap(), None);
    assert_eq!(records.spaces().await.unwrap(), [(a, 1), (b, 1)]);
    // In the order of the keys, without those that are not there.
    let other = put(records, draft("two", &[])).await;
    let keys = vec![other.key, Key(1_000_000), stored.key];
    assert_eq!(records.by_keys(keys).await.unwrap(), [other, stored]);
    assert!(records.by_keys(Vec::new()).await.unwrap().is_empty());
    let many: Vec<Key> = (1..=3000).map(Key).collect();
    assert_eq!(records.by_keys(many).await.unwrap().len(), 2);
    empty(records).await;
}

async fn replaces_a_product_and_keeps_its_key(records: &dyn ProductRecords) {
    let (a, b) = (space("a", 2), space("b", 3));
    let first = put(records, draft("one", &[(&a, &[1.0, 0.0]), (&b, &[1.0, 0.0, 0.0])])).await;
    let renamed = Draft { product: Product { title: "other".into(), ..product("one") }, replace_vectors: false, ..draft("one", &[]) };
    let second = put(records, renamed).await;
    assert_eq!((second.key, second.created, second.product.title.as_str()), (first.key, first.created, "other"));
    assert!(second.sequence > first.sequence);
    assert!(records.vector(first.key, &b).await.unwrap().is_some());
    // The traits have changed, so both spaces have.
    assert_eq!(changes(records, &a, first.sequence).await, [(second.sequence, first.key, true)]);
    assert_eq!(changes(records, &b, first.sequence).await, [(second.sequence, first.key, true)]);
    let third = put(records, draft("one", &[(&a, &[0.0, 1.0])])).await;
    assert_eq!(records.vector(first.key, &b).await.unwrap(), None);
    assert!(records.vector(first.key, &a).await.unwrap().unwrap().cosine(&vector(&[0.0, 1.0])) > 0.999);
    assert_eq!(changes(records, &b, second.sequence).await, [(third.sequence, first.key, false)]);
    assert_eq!(records.count().await.unwrap(), 1);
    // Twice in one call: the last counts.
    let twice =
        records.put(vec![draft("one", &[]), Draft { product: Product { quality: 0.5, ..product("one") }, ..draft("one", &[]) }], None);
    let twice = twice.await.unwrap();
    assert!(twice[0].as_ref().unwrap().sequence < twice[1].as_ref().unwrap().sequence);
    assert_eq!(records.get("one").await.unwrap().unwrap().product.quality, 0.5);
    empty(records).await;
}

async fn refuses_what_was_made_from_something_else(records: &dyn ProductRecords) {
    let a = space("a", 2);
    let of = |of: u64, quality: f32| Draft {
        of: Some(of),
        product: Product { quality, ..product("one") },
        ..draft("one", &[(&a, &[1.0, 0.0])])
    };
    assert_eq!(records.put(vec![of(7, 0.1)], None).await.unwrap(), [None]);
    let first = put(records, of(0, 0.2)).await;
    let before = records.sequence().await.unwrap();
    let state = ImportState { position: 2, ..ImportState::default() };
    // The others of the call are stored, and so is the import's state.
    let both = records.put(vec![of(0, 0.3), draft("two", &[])], Some(("refused", state.clone()))).await.unwrap();
    assert!(both[0].is_none() && both[1].is_some());
    assert_eq!(records.import("refused").await.unwrap(), Some(state));
    assert_eq!(records.sequence().await.unwrap(), before + 1);
    assert_eq!(records.get("one").await.unwrap().unwrap().product.quality, 0.2);
    assert!(put(records, of(first.sequence, 0.4)).await.sequence > first.sequence);
    empty(records).await;
}

async fn tells_each_space_what_changed(records: &dyn ProductRecords) {
    let (a, b) = (space("changes-a", 2), space("changes-b", 2));
    let start = records.sequence().await.unwrap();
    let one = put(records, draft("one", &[(&a, &[1.0, 0.0])])).await;
    let two = put(records, draft("two", &[(&a, &[1.0, 0.0]), (&b, &[1.0, 0.0])])).await;
    let three = put(records, draft("three", &[(&a, &[1.0, 0.0])])).await;
    let upserted = |stored: &Stored| (stored.sequence, stored.key, true);
    assert_eq!(changes(records, &a, start).await, [upserted(&one), upserted(&two), upserted(&three)]);
    assert_eq!(changes(records, &a, one.sequence).await, [upserted(&two), upserted(&three)]);
    assert_eq!(changes(records, &b, 0).await, [upserted(&two)]);
    assert_eq!(records.changes(&a, start, 2).await.unwrap().len(), 2);
    let Change::Upserted { entry, .. } = records.changes(&b, 0, 1).await.unwrap().remove(0) else { panic!("it was deleted") };
    assert_eq!(entry.traits, product("two").traits());
    // Only the last change of a key is there.
    let (deleted, sequence) = records.delete("one").await.unwrap().unwrap();
    assert_eq!(deleted, one);
    assert_eq!(changes(records, &a, start).await, [upserted(&two), upserted(&three), (sequence, one.key, false)]);
    assert_eq!(records.sequence().await.unwrap(), sequence);
    empty(records).await;
    assert!(changes(records, &a, start).await.iter().all(|(_, _, there)| !there));
}

async fn deletes_and_never_uses_a_key_again(records: &dyn ProductRecords) {
    let a = space("a", 2);
    let first = put(records, draft("one", &[(&a, &[1.0, 0.0])])).await;
    let (_, sequence) = records.delete("one").await.unwrap().unwrap();
    assert!(sequence > first.sequence);
    assert_eq!((records.get("one").await.unwrap(), records.vector(first.key, &a).await.unwrap()), (None, None));
    let again = put(records, draft("one", &[(&a, &[1.0, 0.0])])).await;
    assert!(again.key > first.key && again.created > sequence);
    empty(records).await;
}

async fn adds_vectors_to_what_has_not_changed(records: &dyn ProductRecords) {
    let (a, later) = (space("a", 2), space("later", 2));
    let one = put(records, draft("one", &[(&a, &[1.0, 0.0])])).await;
    let two = put(records, draft("two", &[(&a, &[1.0, 0.0])])).await;
    let keys = |stored: Vec<Stored>| stored.into_iter().map(|stored| stored.key).collect::<Vec<_>>();
    assert_eq!(keys(records.without_vector(&later, None, 10).await.unwrap()), [one.key, two.key]);
    assert_eq!(keys(records.without_vector(&later, Some(one.key), 10).await.unwrap()), [two.key]);
    assert_eq!(keys(records.without_vector(&later, None, 1).await.unwrap()), [one.key]);
    assert!(records.without_vector(&a, None, 10).await.unwrap().is_empty());
    let changed = put(records, draft("two", &[(&a, &[1.0, 0.0])])).await;
    let new = |stored: &Stored| NewVector { key: stored.key, of: stored.sequence, space: later.clone(), vector: vector(&[0.0, 1.0]) };
    let gone = NewVector { key: Key(1_000_000), ..new(&one) };
    assert_eq!(records.add_vectors(vec![new(&one), new(&two), gone]).await.unwrap(), 1);
    assert_eq!(records.get("one").await.unwrap(), Some(one.clone()));
    assert_eq!(keys(records.without_vector(&later, None, 10).await.unwrap()), [two.key]);
    assert_eq!(changes(records, &later, changed.sequence).await, [(changed.sequence + 1, one.key, true)]);
    assert!(changes(records, &a, changed.sequence).await.is_empty());
    empty(records).await;
    assert!(records.without_vector(&later, None, 10).await.unwrap().is_empty());
}

async fn lists_by_key(records: &dyn ProductRecords) {
    for id in ["d", "b", "a", "c"] {
        let category = if id < "c" { "early" } else { "late" };
        put(records, Draft { product: Product { category: category.into(), ..product(id) }, ..draft(id, &[]) }).await;
    }
    let list = async |category: Option<&str>, after: Option<Key>, limit| {
        let found = records.list(ListRequest { category: category.map(str::to_owned), after, limit }).await.unwrap();
        found.into_iter().map(|stored| (stored.key, stored.product.id)).collect::<Vec<_>>()
    };
    let ids = |list: &[(Key, String)]| list.iter().map(|(_, id)| id.clone()).collect::<Vec<_>>();
    let all = list(None, None, 10).await;
    assert_eq!(ids(&all), ["d", "b", "a", "c"]);
    assert_eq!(ids(&list(None, Some(all[1].0), 10).await), ["a", "c"]);
    assert_eq!(ids(&list(Some("early"), None, 10).await), ["b", "a"]);
    assert_eq!(ids(&list(Some("early"), Some(all[1].0), 1).await), ["a"]);
    assert!(list(Some("nothing' OR 1=1"), None, 10).await.is_empty());
    empty(records).await;
}

async fn keeps_imports_with_their_products(records: &dyn ProductRecords) {
    let state = ImportState {
        source: r#"{"folder":"ä"}"#.to_owned(),
        position: 12,
        marker: "ordner/bild.jpg".to_owned(),
        stored: 9,
        failed: 3,
        finished: false,
        cancelled: true,
    };
    records.put(vec![draft("one", &[])], Some(("b", state.clone()))).await.unwrap();
    assert_eq!(records.import("b").await.unwrap(), Some(state.clone()));
    let finished = ImportState { finished: true, cancelled: false, ..state.clone() };
    records.set_import("b", finished.clone()).await.unwrap();
    records.set_import("a", state.clone()).await.unwrap();
    let all = records.imports(10).await.unwrap();
    assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b", "refused"]);
    assert_eq!((&all[0].1, &all[1].1), (&state, &finished));
    assert_eq!(records.imports(1).await.unwrap().len(), 1);
    empty(records).await;
}

async fn numbers_changes_of_many_writers(records: &Arc<dyn ProductRecords>) {
    let a = space("a", 2);
    let before = records.sequence().await.unwrap();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (records, a) = (Arc::clone(records), a.clone());
            tokio::spawn(async move {
                for turn in 0..10 {
                    put(&*records, draft(&format!("{writer}-{}", turn % 5), &[(&a, &[1.0, turn as f32])])).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(records.sequence().await.unwrap(), before + 40);
    let changed = changes(&**records, &a, before).await;
    let mut sequences: Vec<_> = changed.iter().filter(|(_, _, there)| *there).map(|(sequence, ..)| *sequence).collect();
    assert_eq!(sequences.len(), 20);
    assert!(sequences.is_sorted());
    sequences.dedup();
    assert_eq!((sequences.len(), records.count().await.unwrap()), (20, 20));
    empty(&**records).await;
}
