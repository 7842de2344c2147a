//! A database that is slow, busy, away or killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use breakwater_core::Deadline;
use breakwater_search::{Filter, IndexError, Indices, Query};
use breakwater_search_pgvector::Config;
use breakwater_tests::postgres::Setup;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::server::{config, entry, indices, observer, open, query, shared, space, start, until, vector};

const DIMENSION: u32 = 16;

/// Locks every table of a schema until the connection is closed.
async fn locked(url: &str, schema: &str) -> PgConnection {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let names = format!("SELECT table_name FROM {schema}.spaces");
    let names: Vec<String> = sqlx::query_scalar(AssertSqlSafe(names)).fetch_all(&mut connection).await.unwrap();
    let tables: Vec<_> = names.iter().map(|name| format!("{schema}.\"{name}\"")).collect();
    sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; LOCK TABLE {}", tables.join(", ")))).execute(&mut connection).await.unwrap();
    connection
}

#[tokio::test]
async fn a_slow_statement_ends_at_the_deadline_or_its_limit() {
    let Some(server) = shared() else { return };
    let limit = Duration::from_millis(800);
    let index = open(&indices(Config { statement_timeout: limit, ..config(server, "slow") }), DIMENSION).await;
    index.upsert(vec![entry(1, DIMENSION)], 1).await.unwrap();
    let blocker = locked(&server.url(), "slow").await;

    let started = Instant::now();
    let late = Query { deadline: Deadline::after(Duration::from_millis(150)), ..query(vector(1, DIMENSION), 1) };
    assert!(matches!(index.search(late).await, Err(IndexError::Timeout)));
    assert!((100..700).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    let started = Instant::now();
    assert!(matches!(index.upsert(vec![entry(2, DIMENSION)], 2).await, Err(IndexError::Timeout)));
    assert!(matches!(index.delete(vec![breakwater_search::Key(1)], 3).await, Err(IndexError::Timeout)));
    assert!(matches!(index.count(&Filter::default()).await, Err(IndexError::Timeout)));
    assert!((2400..8000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());

    blocker.close().await.unwrap();
    // Nothing of what was given up is there, and the same connections go on.
    assert_eq!(index.search(query(vector(1, DIMENSION), 5)).await.unwrap().hits.len(), 1);
    assert_eq!(index.sequence().await.unwrap(), 1);
    index.upsert(vec![entry(2, DIMENSION)], 2).await.unwrap();
    assert_eq!(index.count(&Filter::default()).await.unwrap(), 2);
}

#[tokio::test]
async fn a_pool_that_is_used_up_refuses_in_time() {
    let Some(server) = shared() else { return };
    let small = Config { pool_size: 1, acquire_timeout: Duration::from_millis(200), ..config(server, "busy") };
    let index = open(&indices(small), DIMENSION).await;
    index.upsert(vec![entry(1, DIMENSION)], 1).await.unwrap();
    let mut blocker = locked(&server.url(), "busy").await;
    let waiting = tokio::spawn({
        let index = Arc::clone(&index);
        async move { index.search(query(vector(1, DIMENSION), 1)).await.map(|found| found.hits.len()) }
    });
    let observer = observer(server).await;
    let blocking: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut blocker).await.unwrap();
    let blocked = "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))";
    until("the search is blocked", async || {
        let blocked: i64 = sqlx::query_scalar(blocked).bind(blocking).fetch_one(&observer).await.unwrap();
        (blocked > 0).then_some(())
    })
    .await;

    let refused = index.sequence().await.unwrap_err();
    assert!(matches!(&refused, IndexError::Unavailable { what, .. } if what.contains("waiting for a connection")), "{refused:?}");
    let late = Query { deadline: Deadline::after(Duration::from_millis(50)), ..query(vector(1, DIMENSION), 1) };
    assert!(matches!(index.search(late).await, Err(IndexError::Timeout)));
    // Somebody who no longer waits does not keep the only connection.
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    blocker.close().await.unwrap();
    until("the connection is free", async || index.sequence().await.ok()).await;
    assert_eq!(index.search(query(vector(1, DIMENSION), 1)).await.unwrap().hits.len(), 1);
}

#[tokio::test]
async fn a_database_that_comes_later_is_found() {
    let Some(mut server) = start(Setup::default()) else { return };
    let impatient = Config { acquire_timeout: Duration::from_millis(300), ..config(&server, "later") };
    let indices = indices(impatient);
    server.kill();
    let started = Instant::now();
    let refused = indices.open(&space("model", DIMENSION)).await.map(drop).unwrap_err();
    assert!(matches!(refused, IndexError::Unavailable { .. }), "{refused:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
    server.restart().unwrap();
    let index = open(&indices, DIMENSION).await;
    index.upsert(vec![entry(1, DIMENSION)], 1).await.unwrap();
}

/// Passes bytes on to a server until it is told to keep them.
async fn relay(server: &str) -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (server, address) = (server.to_owned(), listener.local_addr().unwrap().to_string());
    let silent = Arc::new(AtomicBool::new(false));
    tokio::spawn({
        let silent = Arc::clone(&silent);
        async move {
            while let Ok((client, _)) = listener.accept().await {
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = TcpStream::connect(&server).await.unwrap().into_split();
                tokio::spawn(pass(from_client, to_server, Arc::clone(&silent)));
                tokio::spawn(pass(from_server, to_client, Arc::clone(&silent)));
            }
        }
    });
    (address, silent)
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, silent: Arc<AtomicBool>) {
    let mut buffer = [0; 8192];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        // What is lost once is lost: the connection never comes to life again, as after a failure of a network.
        if silent.load(Ordering::Relaxed) || to.write_all(&buffer[..length]).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_falls_silent_is_given_up_in_time() {
    let Some(server) = shared() else { return };
    let direct = server.url();
    let address = direct.rsplit_once('@').unwrap().1.split('/').next().unwrap();
    let (relayed, silent) = relay(address).await;
    let config = Config {
        pool_size: 2,
        // Long enough for a machine that is busy with the other tests.
        acquire_timeout: Duration::from_secs(1),
        statement_timeout: Duration::from_secs(1),
        ..Config { url: direct.replace(address, &relayed).parse().unwrap(), ..config(server, "silent") }
    };
    let indices = indices(config.clone());
    let index = open(&indices, DIMENSION).await;
    index.upsert(vec![entry(1, DIMENSION)], 1).await.unwrap();

    silent.store(true, Ordering::Relaxed);
    let started = Instant::now();
    let late = Query { deadline: Deadline::after(Duration::from_millis(100)), ..query(vector(1, DIMENSION), 1) };
    let given_up = |error: IndexError| assert!(matches!(error, IndexError::Timeout | IndexError::Unavailable { .. }), "{error:?}");
    assert!(matches!(index.search(late).await, Err(IndexError::Timeout)));
    given_up(index.upsert(vec![entry(2, DIMENSION)], 2).await.unwrap_err());
    given_up(index.count(&Filter::default()).await.unwrap_err());
    // Nor can one begin with it.
    assert!(matches!(crate::server::indices(config).prepare().await, Err(IndexError::Unavailable { .. })));
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());

    silent.store(false, Ordering::Relaxed);
    until("new connections take the place of the dead", async || index.upsert(vec![entry(2, DIMENSION)], 2).await.ok()).await;
    assert_eq!(index.count(&Filter::default()).await.unwrap(), 2);
}

/// What readers and a writer went through.
#[derive(Default)]
struct Toll {
    answered: AtomicU64,
    unavailable: AtomicU64,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_nothing_acknowledged_and_is_found_again() {
    let Some(mut server) = start(Setup { durable: true, ..Setup::default() }) else { return };
    let impatient = Config { acquire_timeout: Duration::from_millis(500), ..config(&server, "killed") };
    let index = open(&indices(impatient), DIMENSION).await;
    index.upsert((0..50).map(|key| entry(key, DIMENSION)).collect(), 50).await.unwrap();

    let (stop, toll) = (Arc::new(AtomicBool::new(false)), Arc::new(Toll::default()));
    // Every upsert is tried until it is acknowledged, as whoever follows the records does.
    let acknowledged = Arc::new(AtomicU64::new(50));
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn({
        let (index, stop, toll, acknowledged) = (Arc::clone(&index), Arc::clone(&stop), Arc::clone(&toll), Arc::clone(&acknowledged));
        async move {
            while !stop.load(Ordering::Relaxed) {
                let next = acknowledged.load(Ordering::Relaxed);
                match index.upsert(vec![entry(next, DIMENSION)], next + 1).await {
                    Ok(()) => acknowledged.store(next + 1, Ordering::Relaxed),
                    Err(IndexError::Unavailable { .. }) => drop(toll.unavailable.fetch_add(1, Ordering::Relaxed)),
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    });
    for reader in 0..4u64 {
        let (index, stop, toll) = (Arc::clone(&index), Arc::clone(&stop), Arc::clone(&toll));
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                match index.search(query(vector(reader, DIMENSION), 20)).await {
                    Ok(found) => {
                        assert_eq!(found.hits.len(), 20);
                        toll.answered.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(IndexError::Unavailable { .. }) => drop(toll.unavailable.fetch_add(1, Ordering::Relaxed)),
                    Err(other) => panic!("{other:?}"),
                }
            }
        });
    }

    for _ in 0..2 {
        let (answered, written) = (toll.answered.load(Ordering::Relaxed), acknowledged.load(Ordering::Relaxed));
        until("calls are answered", async || {
            (toll.answered.load(Ordering::Relaxed) > answered + 20 && acknowledged.load(Ordering::Relaxed) > written + 20).then_some(())
        })
        .await;
        let failed = toll.unavailable.load(Ordering::Relaxed);
        server.kill();
        until("calls fail", async || (toll.unavailable.load(Ordering::Relaxed) > failed + 3).then_some(())).await;
        server.restart().unwrap();
    }
    let answered = toll.answered.load(Ordering::Relaxed);
    until("calls are answered again", async || (toll.answered.load(Ordering::Relaxed) > answered + 20).then_some(())).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let acknowledged = acknowledged.load(Ordering::Relaxed);
    println!(
        "{} answered, {} refused, {acknowledged} vectors acknowledged",
        toll.answered.load(Ordering::Relaxed),
        toll.unavailable.load(Ordering::Relaxed)
    );
    // The last upsert may have been committed without our hearing of it.
    let there = index.count(&Filter::default()).await.unwrap();
    assert!((acknowledged..=acknowledged + 1).contains(&there), "{there}");
    assert_eq!(index.sequence().await.unwrap(), there);
    for key in (0..acknowledged).step_by(7) {
        assert_eq!(index.search(query(vector(key, DIMENSION), 1)).await.unwrap().hits[0].key.0, key);
    }
}
