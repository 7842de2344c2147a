//! Readers beside a writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use breakwater_search::filter::Traits;
use breakwater_search::{Entry, Filter, Indices, Key, Query};

use super::data::{entry, open, query, vector};

/// Keys below this stay as they are.
const STAY: u64 = 300;

pub(crate) async fn readers_see_what_stays_while_others_change(indices: &Arc<dyn Indices>) {
    let index = open(&**indices, "concurrency").await;
    let stays = |key| Entry { traits: Traits { category: "stays".to_owned(), ..Traits::default() }, ..entry(key) };
    index.upsert((0..STAY).map(stays).collect(), 1).await.unwrap();

    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4u64)
        .map(|reader| {
            let (index, done) = (Arc::clone(&index), Arc::clone(&done));
            tokio::spawn(async move {
                let mut answers = 0u64;
                while !done.load(Ordering::Relaxed) || answers == 0 {
                    let filter = Filter { categories: vec!["stays".to_owned()], ..Filter::default() };
                    let asked = Query { filter, exact: answers % 5 == 4, ..query(vector(reader * 1000 + answers), 25) };
                    let hits = index.search(asked).await.unwrap().hits;
                    assert_eq!(hits.len(), 25);
                    assert!(hits.iter().all(|hit| hit.key.0 < STAY), "{hits:?}");
                    let all = index.search(query(vector(answers), 25)).await.unwrap().hits;
                    let mut keys: Vec<_> = all.iter().map(|hit| hit.key).collect();
                    keys.sort_unstable();
                    keys.dedup();
                    assert_eq!(keys.len(), 25, "a key came twice: {all:?}");
                    answers += 1;
                }
            })
        })
        .collect();

    // Sequence numbers rise, so there is one writer. What it writes is there when its call returns.
    let mut sequence = 1;
    for round in 0..30u64 {
        let keys = STAY + (round % 3) * 100..STAY + (round % 3) * 100 + 100;
        sequence += 1;
        index.upsert(keys.clone().map(|key| Entry { vector: vector(key + round), ..entry(key) }).collect(), sequence).await.unwrap();
        let found = index.search(query(vector(keys.start + round), 1)).await.unwrap().hits;
        assert!(found[0].similarity > 0.998, "{found:?}");
        sequence += 1;
        let deleted: Vec<_> = keys.step_by(2).map(Key).collect();
        assert_eq!(index.delete(deleted.clone(), sequence).await.unwrap(), deleted.len());
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    let left = STAY + 3 * 50;
    assert_eq!(index.count(&Filter::default()).await.unwrap(), left);
    assert_eq!(index.search(query(vector(1), 1000)).await.unwrap().hits.len() as u64, left);
    assert_eq!(index.sequence().await.unwrap(), sequence);
}
