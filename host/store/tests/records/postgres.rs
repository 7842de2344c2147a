//! Services, workflows and executions in a real PostgreSQL.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use breakwater_store::{PostgresConfig, PostgresStore};
use breakwater_tests::postgres::{PostgresServer, Setup};
use breakwater_upstream::ServiceCatalogueRecords;
use breakwater_workflow::{RecordsError, Wanted, WorkflowRecords};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::service_records::definition;
use super::workflow_records::{append, conforms, create, events, execution, workflow};
use super::{service_records, workflow_records};

/// PostgreSQL 16. Nothing, after saying so, when there is none.
fn shared() -> Option<&'static PostgresServer> {
    static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
    SERVER.get_or_init(|| start(Setup::default())).as_ref()
}

fn start(setup: Setup) -> Option<PostgresServer> {
    let server = PostgresServer::start(Setup { pgvector: true, ..setup }).unwrap();
    if server.is_none() {
        println!("NOT RUN: records in PostgreSQL (there is none in the target folder; `cargo xtask test` installs it)");
    }
    server
}

fn config(server: &PostgresServer, schema: &str) -> PostgresConfig {
    let mut config = PostgresConfig::new(&server.url()).unwrap();
    (config.schema, config.connections) = (schema.to_owned(), 4);
    config
}

/// The records of two processes, empty.
async fn fresh(server: &PostgresServer) -> [PostgresStore; 2] {
    static SCHEMAS: AtomicU32 = AtomicU32::new(0);
    let config = config(server, &format!("fresh_{}", SCHEMAS.fetch_add(1, Ordering::Relaxed)));
    let (one, other) = tokio::join!(PostgresStore::open(&config), PostgresStore::open(&config));
    [one.unwrap(), other.unwrap()]
}

async fn run(server: &PostgresServer) {
    conforms(async || fresh(server).await.map(|store| Arc::new(store) as workflow_records::Shared)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_workflows_conform_on_the_oldest_server() {
    let Some(server) = shared() else { return };
    run(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_workflows_conform_on_the_newest_server() {
    let Some(server) = start(Setup { newest: true, ..Setup::default() }) else { return };
    run(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_services_conform() {
    let Some(server) = shared() else { return };
    let [store, _] = fresh(server).await;
    service_records::conforms(Arc::new(store)).await;
}

#[tokio::test]
async fn two_processes_see_each_others_services() {
    let Some(server) = shared() else { return };
    let [one, other] = fresh(server).await;
    assert_eq!(other.revision().await.unwrap(), 0);
    one.put(&definition("a", "text", 1), 0).await.unwrap();
    assert_eq!(other.revision().await.unwrap(), 1);
    assert_eq!(other.load().await.unwrap().services, [definition("a", "text", 1)]);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..10 {
        let (store, id) = (if number % 2 == 0 { one.clone() } else { other.clone() }, format!("s{number}"));
        tasks.spawn(async move { store.put(&definition(&id, &id, 1), 0).await.unwrap() });
    }
    let mut revisions = tasks.join_all().await;
    revisions.sort_unstable();
    assert_eq!(revisions, (2..=11).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_written_survives_a_server_that_is_killed() {
    let Some(mut server) = start(Setup { durable: true, ..Setup::default() }) else { return };
    let store = PostgresStore::open(&config(&server, "killed")).await.unwrap();
    store.put_workflow(&workflow("w", 1, "texts")).await.unwrap();
    let fence = create(&store, &execution("e", 0), "n").await;
    append(&store, events(&fence, 1..=3)).await.unwrap();
    server.kill();
    let away = append(&store, events(&fence, [4])).await;
    assert!(matches!(away, Err(RecordsError::Store(_))), "{away:?}");
    let away = store.beat("n", Duration::from_secs(1)).await;
    assert!(matches!(away, Err(RecordsError::Store(_))), "{away:?}");
    server.restart().unwrap();
    // The connections that broke are noticed and replaced.
    let began = Instant::now();
    while append(&store, events(&fence, [4])).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(30));
    }
    assert_eq!(store.events("e", 0, 10).await.unwrap().total, 4);
}

#[tokio::test]
async fn a_statement_that_is_blocked_ends_at_its_limit() {
    let Some(server) = shared() else { return };
    let mut config = config(server, "blocked");
    config.statement_timeout = Duration::from_millis(300);
    let store = PostgresStore::open(&config).await.unwrap();
    store.put_workflow(&workflow("w", 1, "texts")).await.unwrap();
    let fence = create(&store, &execution("e", 0), "n").await;
    let mut blocker = PgConnection::connect(&server.url()).await.unwrap();
    let block = "BEGIN; SET search_path TO blocked; SELECT * FROM workflow_execution FOR UPDATE";
    sqlx::raw_sql(AssertSqlSafe(block)).execute(&mut blocker).await.unwrap();
    let began = Instant::now();
    for refused in [append(&store, events(&fence, [1])).await, store.want("e", Wanted::Pause).await] {
        assert!(matches!(refused, Err(RecordsError::Store(_))), "{refused:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(store.claim("other", 10).await.unwrap().is_empty(), "what another holds at this moment is passed over");
    blocker.close().await.unwrap();
    append(&store, events(&fence, [1])).await.unwrap();
    assert_eq!(store.claim("other", 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_refused() {
    let Some(server) = shared() else { return };
    let refused = PostgresStore::open(&PostgresConfig::new("postgres://nobody:x@127.0.0.1:1/none").unwrap()).await.unwrap_err();
    assert_eq!(refused.code(), "store.open");
    let wrong = server.url().replace(server.password(), "wrong");
    let refused = PostgresStore::open(&PostgresConfig::new(&wrong).unwrap()).await.unwrap_err();
    assert_eq!(refused.code(), "store.open");

    // A schema whose migrations are not those of this program.
    drop(PostgresStore::open(&config(server, "newer")).await.unwrap());
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    let change = "UPDATE newer.record_migrations SET checksum = 'x'";
    sqlx::raw_sql(AssertSqlSafe(change)).execute(&mut connection).await.unwrap();
    assert_eq!(PostgresStore::open(&config(server, "newer")).await.unwrap_err().code(), "store.migrate");
}
