//! What is in files, and what is not.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use breakwater_search::embedded::EmbeddedOptions;
use breakwater_search::{Filter, IndexError, Key, Space};

use super::{EAGER, open};
use crate::indices::data::{entry, query, space, vector};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A snapshot of 300 entries; its folder.
async fn saved(root: &Path) -> PathBuf {
    let indices = open(root, EAGER);
    let index = indices.open(&space("saved")).await.unwrap();
    index.upsert((0..300).map(entry).collect(), 300).await.unwrap();
    // So many that some are in the graph when the call returns.
    assert_eq!(index.snapshot().await.unwrap(), 300);
    root.join(space("saved").slug())
}

/// The sequence number and the number of vectors that are there after a restart; a change and another snapshot work in any case.
async fn after_a_restart(root: &Path) -> (u64, u64) {
    let index = open(root, EAGER).open(&space("saved")).await.unwrap();
    let found = (index.sequence().await.unwrap(), index.count(&Filter::default()).await.unwrap());
    index.upsert(vec![entry(1)], 1000).await.unwrap();
    assert_eq!(index.search(query(vector(1), 1)).await.unwrap().hits[0].key, Key(1));
    index.snapshot().await.unwrap();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_damaged_is_begun_anew() {
    type Damage = fn(&Path);
    let flip: Damage = |file| {
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(file, bytes).unwrap();
    };
    let cut: Damage = |file| fs::write(file, &fs::read(file).unwrap()[..10]).unwrap();
    let empty: Damage = |file| fs::write(file, b"").unwrap();
    let remove: Damage = |file| fs::remove_file(file).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<_> = files(&saved(folder.path()).await).iter().map(|file| name(file)).collect();
    assert_eq!(names, ["graph", "live", "manifest.json", "traits", "vectors"]);
    for part in 0..names.len() {
        for damage in [flip, cut, empty, remove] {
            let folder = tempfile::tempdir().unwrap();
            let stored = saved(folder.path()).await;
            damage(&files(&stored)[part]);
            assert_eq!(after_a_restart(folder.path()).await, (0, 0), "{}", names[part]);
            // What was left of the damaged one is gone.
            assert!(files(&stored).len() <= names.len(), "{:?}", files(&stored));
        }
    }
    assert_eq!(after_a_restart(folder.path()).await, (300, 300));
}

/// The name of a file without the number of the snapshot.
fn name(file: &Path) -> String {
    let name = file.file_name().unwrap().to_str().unwrap();
    name.split_once('-').map_or(name, |(name, _)| name).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_another_version_or_space_is_begun_anew() {
    for (from, to) in [
        ("\"format\": 1", "\"format\": 2"),
        ("\"connectivity\": 16", "\"connectivity\": 8"),
        ("conformance-saved", "conformance-other"),
        ("\"sequence\"", "\"unknown\": 1, \"sequence\""),
        ("\"vectors-", "\"../vectors-"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let manifest = saved(folder.path()).await.join("manifest.json");
        let text = fs::read_to_string(&manifest).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&manifest, text.replace(from, to)).unwrap();
        assert_eq!(after_a_restart(folder.path()).await, (0, 0), "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_snapshot_that_was_cut_off_left_is_harmless_and_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let stored = saved(folder.path()).await;
    for name in ["vectors-00", "manifest.json.new"] {
        fs::write(stored.join(name), b"half").unwrap();
    }
    assert_eq!(after_a_restart(folder.path()).await, (300, 300));
    assert_eq!(files(&stored).len(), 5, "{:?}", files(&stored));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_removed_writes_nothing_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let indices = open(folder.path(), EAGER);
    let index = indices.open(&space("gone")).await.unwrap();
    index.upsert(vec![entry(1)], 1).await.unwrap();
    index.snapshot().await.unwrap();
    indices.remove(&space("gone")).await.unwrap();
    assert!(matches!(index.snapshot().await, Err(IndexError::Unavailable { .. })));
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_that_is_open_is_opened_once() {
    let folder = tempfile::tempdir().unwrap();
    let indices = open(folder.path(), EAGER);
    let [one, other] = [indices.open(&space("once")).await.unwrap(), indices.open(&space("once")).await.unwrap()];
    assert!(Arc::ptr_eq(&one, &other));
    one.upsert(vec![entry(1)], 1).await.unwrap();
    assert_eq!(other.sequence().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_any_name_stays_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("below");
    for name in ["../escaped", "..", ".hidden", "a/b", "A b", &"long".repeat(100)] {
        let indices = open(&root, EAGER);
        let odd = Space { model: name.into(), ..space("odd") };
        let index = indices.open(&odd).await.unwrap();
        index.upsert(vec![entry(1)], 7).await.unwrap();
        index.snapshot().await.unwrap();
        drop((index, indices));
        assert_eq!(open(&root, EAGER).open(&odd).await.unwrap().sequence().await.unwrap(), 7, "{name}");
    }
    assert_eq!(files(folder.path()), std::slice::from_ref(&root));
    assert_eq!(files(&root).len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_index_refuses_new_keys_and_still_changes_those_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), EmbeddedOptions { max_vectors: 10, ..EAGER }).open(&space("full")).await.unwrap();
    index.upsert((0..10).map(entry).collect(), 10).await.unwrap();
    let refused = index.upsert(vec![entry(1), entry(10)], 11).await.unwrap_err();
    assert!(matches!(refused, IndexError::Full(10)), "{refused}");
    assert_eq!(index.sequence().await.unwrap(), 10);
    index.upsert(vec![entry(1), entry(2), entry(1)], 11).await.unwrap();
    assert_eq!(index.delete(vec![Key(0)], 12).await.unwrap(), 1);
    index.upsert(vec![entry(10)], 13).await.unwrap();
    assert_eq!(index.count(&Filter::default()).await.unwrap(), 10);
}
