//! The embedded index as `benches/search` asks for it: one JSON object a line in, one out.
//!
//! ```text
//! index_bench FOLDER VECTORS DIMENSION
//! ```
//! `VECTORS` is a file of single precision numbers. `{"build": true}` fills an index, waits until its graph is whole and saves it; `{"open":
//! EF}` opens it again; `{"search": FILE, "every": N, "count": K, "exact": B}` searches with every vector of a file among every `N`th entry.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stdout, reason = "a tool of ours: it may stop")]

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use breakwater_core::{Deadline, Digest};
use breakwater_resilience::CpuPermits;
use breakwater_search::embedded::{EmbeddedIndices, EmbeddedOptions};
use breakwater_search::filter::Traits;
use breakwater_search::{Entry, Filter, Indices, Key, Query, Space, Vector, VectorIndex};
use serde_json::{Value, json};

fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn vectors(path: &Path, dimension: usize) -> Vec<Vector> {
    let bytes = std::fs::read(path).unwrap();
    let numbers: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    numbers.chunks_exact(dimension).map(|values| Vector::new(values).unwrap()).collect()
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Every entry is of the groups that its number is a multiple of.
fn traits(number: u64) -> Traits {
    let groups = [2, 20, 200].into_iter().filter(|every| number.is_multiple_of(*every));
    Traits { attributes: groups.map(|every| (format!("every-{every}"), "yes".to_owned())).collect(), ..Traits::default() }
}

async fn open(folder: &Path, space: &Space, ef: usize) -> Arc<dyn VectorIndex> {
    let threads = std::thread::available_parallelism().unwrap().get();
    let options = EmbeddedOptions { ef, outside: 0, most_outside: 0, ..EmbeddedOptions::default() };
    let permits = CpuPermits::start("bench", threads, 1000).unwrap();
    EmbeddedIndices::new(folder.to_owned(), options, permits).open(space).await.unwrap()
}

fn query(vector: Vector, count: usize, every: u64, exact: bool) -> Query {
    let attributes = (every > 1).then(|| (format!("every-{every}"), "yes".to_owned())).into_iter().collect();
    let filter = Filter { attributes, ..Filter::default() };
    Query { vector, count, filter, exact, deadline: Deadline::after(Duration::from_secs(600)) }
}

async fn build(folder: &Path, space: &Space, file: &Path) -> Value {
    let given = vectors(file, space.dimension as usize);
    let index = open(folder, space, 64).await;
    let probe = given[0].clone();
    let before = resident();
    let (wall, used) = (Instant::now(), cpu());
    let mut number = 0;
    for batch in given.chunks(1000) {
        let entries = batch.iter().map(|vector| {
            number += 1;
            Entry { key: Key(number - 1), vector: vector.clone(), traits: traits(number - 1) }
        });
        let entries: Vec<_> = entries.collect();
        index.upsert(entries, number).await.unwrap();
    }
    // Until nothing is compared besides the walk.
    let mut scanned = u64::MAX;
    loop {
        let now = index.search(query(probe.clone(), 10, 1, false)).await.unwrap().scanned;
        if now == scanned {
            break;
        }
        scanned = now;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (wall, used) = (wall.elapsed().as_secs_f64(), cpu() - used);
    let start = Instant::now();
    index.snapshot().await.unwrap();
    json!({"wall": wall, "cpu": used, "save": start.elapsed().as_secs_f64(), "bytes": index.bytes(), "resident": resident() - before})
}

async fn search(index: &dyn VectorIndex, given: &[Vector], asked: &Value) -> Value {
    let (every, count) = (asked["every"].as_u64().unwrap_or(1), asked["count"].as_u64().unwrap_or(10) as usize);
    let exact = asked["exact"].as_bool().unwrap_or(false);
    let queries: Vec<_> = given.iter().map(|vector| query(vector.clone(), count, every, exact)).collect();
    let (wall, used) = (Instant::now(), cpu());
    let mut answers = Vec::with_capacity(queries.len());
    for query in queries {
        answers.push(index.search(query).await.unwrap());
    }
    let (wall, used) = (wall.elapsed().as_secs_f64(), cpu() - used);
    let keys: Vec<Vec<u64>> = answers.iter().map(|hits| hits.hits.iter().map(|hit| hit.key.0).collect()).collect();
    let (method, scanned) = (answers[0].method, answers.iter().map(|hits| hits.scanned).sum::<u64>() / answers.len() as u64);
    json!({"wall": wall, "cpu": used, "keys": keys, "method": method, "scanned": scanned})
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, file, dimension] = &arguments[..] else { panic!("index_bench FOLDER VECTORS DIMENSION") };
    let (folder, file) = (PathBuf::from(folder), PathBuf::from(file));
    let space = Space { model: "bench".into(), revision: Digest::of(b"bench"), dimension: dimension.parse().unwrap() };
    let mut index = None;
    for line in std::io::stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = if asked.get("build").is_some() {
            build(&folder, &space, &file).await
        } else if let Some(ef) = asked.get("open").and_then(Value::as_u64) {
            drop(index.take());
            let start = Instant::now();
            let opened = open(&folder, &space, ef as usize).await;
            assert!(opened.sequence().await.unwrap() > 0, "nothing was saved");
            index = Some(opened);
            json!({"wall": start.elapsed().as_secs_f64(), "resident": resident()})
        } else {
            let queries = vectors(Path::new(asked["search"].as_str().unwrap()), dimension.parse().unwrap());
            search(&**index.as_ref().unwrap(), &queries, &asked).await
        };
        println!("{answer}");
    }
}
