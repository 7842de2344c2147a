//! The servers that tests share, each test with a schema of its own.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use breakwater_core::{Deadline, Digest};
use breakwater_search::filter::Traits;
use breakwater_search::{Entry, Filter, IndexError, Indices, Key, Query, Space, Vector, VectorIndex};
use breakwater_search_pgvector::{Config, PgVectorIndices};
use breakwater_tests::postgres::{PostgresServer, Setup};
use sqlx::postgres::{PgPool, PgPoolOptions};

/// PostgreSQL 16. Nothing, after saying so, when there is none.
pub(crate) fn shared() -> Option<&'static PostgresServer> {
    static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
    SERVER.get_or_init(|| start(Setup::default())).as_ref()
}

pub(crate) fn start(setup: Setup) -> Option<PostgresServer> {
    let server = PostgresServer::start(setup).unwrap();
    if server.is_none() {
        println!("NOT RUN: vectors in PostgreSQL (there is none in the target folder; `cargo xtask test` installs it)");
    }
    server
}

pub(crate) fn config(server: &PostgresServer, schema: &str) -> Config {
    Config { schema: schema.to_owned(), ..Config::new(server.url().parse().unwrap()) }
}

pub(crate) fn indices(config: Config) -> PgVectorIndices {
    PgVectorIndices::new(config).unwrap()
}

/// A way into the database that is not the one under test.
pub(crate) async fn observer(server: &PostgresServer) -> PgPool {
    PgPoolOptions::new().max_connections(2).connect(&server.url()).await.unwrap()
}

pub(crate) fn space(model: &str, dimension: u32) -> Space {
    Space { model: model.into(), revision: Digest::of(b"weights"), dimension }
}

pub(crate) async fn open(indices: &PgVectorIndices, dimension: u32) -> Arc<dyn VectorIndex> {
    indices.open(&space("model", dimension)).await.unwrap()
}

pub(crate) fn vector(seed: u64, dimension: u32) -> Vector {
    let mut random = fastrand::Rng::with_seed(seed);
    let values: Vec<f32> = (0..dimension).map(|_| random.f32() - 0.5).collect();
    Vector::new(&values).unwrap()
}

/// Of category `common`, and every hundredth of `rare`.
pub(crate) fn entry(key: u64, dimension: u32) -> Entry {
    let category = if key.is_multiple_of(100) { "rare" } else { "common" }.to_owned();
    Entry { key: Key(key), vector: vector(key, dimension), traits: Traits { category, quality: 0.5, ..Traits::default() } }
}

pub(crate) fn query(vector: Vector, count: usize) -> Query {
    Query { vector, count, filter: Filter::default(), exact: false, deadline: Deadline::after(Duration::from_secs(30)) }
}

pub(crate) fn of(category: &str) -> Filter {
    Filter { categories: vec![category.to_owned()], ..Filter::default() }
}

/// The error and everything behind it.
pub(crate) fn whole(error: &IndexError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// Tries until it succeeds.
pub(crate) async fn until<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(done) = attempt().await {
            return done;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not come about");
}
