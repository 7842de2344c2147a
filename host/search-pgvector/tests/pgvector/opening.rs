//! What a database must have, and how indices come and go.

use std::sync::Arc;

use breakwater_search::{Filter, IndexError, Indices};
use breakwater_search_pgvector::{Config, PgVectorIndices, RequirementError, Storage};
use breakwater_tests::postgres::Setup;

use crate::server::{config, entry, indices, observer, open, query, shared, space, start, vector, whole};

fn lacks(result: Result<(), IndexError>) -> RequirementError {
    match result {
        Err(IndexError::Unavailable { source, .. }) => source.downcast_ref::<RequirementError>().expect("what is lacking").clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_without_pgvector_says_what_to_install() {
    let Some(server) = start(Setup { pgvector: false, ..Setup::default() }) else { return };
    let lacking = lacks(indices(config(&server, "breakwater")).prepare().await);
    assert_eq!(lacking, RequirementError::Missing);
    assert!(lacking.to_string().contains("install version 0.8 or newer"));
}

#[tokio::test]
async fn an_old_pgvector_says_how_to_update_it_and_is_taken_once_it_is() {
    let Some(server) = start(Setup::default()) else { return };
    let indices = indices(config(&server, "breakwater"));
    let observer = observer(&server).await;
    sqlx::raw_sql("CREATE EXTENSION vector; UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
        .execute(&observer)
        .await
        .unwrap();
    let lacking = lacks(indices.prepare().await);
    assert_eq!(lacking, RequirementError::Outdated("0.7.4".to_owned()));
    assert!(lacking.to_string().contains("ALTER EXTENSION vector UPDATE"));
    // Once that was done, the same process goes on.
    sqlx::raw_sql("UPDATE pg_extension SET extversion = '0.8.0' WHERE extname = 'vector'").execute(&observer).await.unwrap();
    indices.prepare().await.unwrap();
}

#[tokio::test]
async fn a_role_without_rights_is_told_what_an_administrator_must_do() {
    let Some(server) = start(Setup::default()) else { return };
    let observer = observer(&server).await;
    sqlx::raw_sql("CREATE ROLE clerk LOGIN PASSWORD 'hunter2'").execute(&observer).await.unwrap();
    let url = server.url().replace("postgres:correct-horse@", "clerk:hunter2@");
    let indices = indices(Config::new(url.parse().unwrap()));
    assert_eq!(lacks(indices.prepare().await), RequirementError::NotAllowed);
    // pgvector in a schema of its own, and a schema that the role may use though it could not make it.
    let grant = "CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions; GRANT USAGE ON SCHEMA extensions TO clerk;
        CREATE SCHEMA breakwater AUTHORIZATION clerk";
    sqlx::raw_sql(grant).execute(&observer).await.unwrap();
    let index = open(&indices, 8).await;
    index.upsert((0..10).map(|key| entry(key, 8)).collect(), 10).await.unwrap();
    assert_eq!(index.search(query(vector(3, 8), 1)).await.unwrap().hits[0].key.0, 3);
}

#[tokio::test]
async fn a_password_is_in_no_error() {
    let Some(server) = shared() else { return };
    let wrong = |from: &str, to: &str| indices(Config::new(server.url().replace(from, to).parse().unwrap()));
    for indices in [
        wrong(server.password(), "hunter2"),
        wrong("postgres:correct-horse@", "nobody:hunter2@"),
        wrong("correct-horse@127.0.0.1", "hunter2@no-such-host.invalid"),
        wrong("/postgres", "/none?sslmode=disable&password=hunter2"),
        // This server speaks no TLS.
        wrong("correct-horse@127", "hunter2@127").close_and("?sslmode=require", server.url()),
    ] {
        let error = indices.prepare().await.unwrap_err();
        assert!(matches!(error, IndexError::Unavailable { .. }), "{error:?}");
        let said = format!("{error:?} {} {indices:?}", whole(&error));
        assert!(!said.contains("hunter2") && !said.contains(server.password()), "{said}");
    }
}

trait CloseAnd {
    fn close_and(self, end: &str, url: String) -> PgVectorIndices;
}

impl CloseAnd for PgVectorIndices {
    fn close_and(self, end: &str, url: String) -> PgVectorIndices {
        indices(Config::new(format!("{url}{end}").parse().unwrap()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_open_an_index_at_once() {
    let Some(server) = start(Setup::default()) else { return };
    // Each as a process of its own has them, in an empty database; some for the same records, some for others.
    let opened: Vec<_> = (0..12)
        .map(|number| {
            let indices = indices(config(&server, ["one", "two", "three"][number % 3]));
            tokio::spawn(async move { open(&indices, 16).await })
        })
        .collect();
    for (number, opened) in (0u64..).zip(opened) {
        let index = opened.await.unwrap();
        index.upsert(vec![entry(number, 16)], number + 1).await.unwrap();
        assert_eq!(index.count(&Filter::default()).await.unwrap(), number / 3 + 1);
    }
}

#[tokio::test]
async fn a_table_that_was_dropped_or_changed_is_begun_anew() {
    let Some(server) = shared() else { return };
    let indices = indices(config(server, "changed"));
    let observer = observer(server).await;
    let tables = "SELECT table_name FROM changed.spaces";
    for damage in
        ["DROP TABLE changed.\"{}\"", "ALTER TABLE changed.\"{}\" DROP COLUMN embedding", "UPDATE changed.spaces SET storage = 'vector'"]
    {
        let index = open(&indices, 8).await;
        index.upsert(vec![entry(1, 8)], 7).await.unwrap();
        let table: String = sqlx::query_scalar(tables).fetch_one(&observer).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(damage.replace("{}", &table))).execute(&observer).await.unwrap();
        if !damage.starts_with("UPDATE") {
            let error = index.search(query(vector(1, 8), 1)).await.unwrap_err();
            assert!(matches!(error, IndexError::Corrupt(_)), "{error:?}");
        }
        let index = open(&indices, 8).await;
        assert_eq!((index.sequence().await.unwrap(), index.count(&Filter::default()).await.unwrap()), (0, 0), "{damage}");
        index.upsert(vec![entry(1, 8)], 1).await.unwrap();
    }
    // A removed one is no more for those who have it open.
    let index = open(&indices, 8).await;
    indices.remove(&space("model", 8)).await.unwrap();
    assert!(matches!(index.upsert(vec![entry(1, 8)], 9).await, Err(IndexError::Corrupt(_))));
    assert!(matches!(index.sequence().await, Err(IndexError::Corrupt(_))));
}

#[tokio::test]
async fn a_table_keeps_its_precision_when_the_configuration_changes() {
    let Some(server) = shared() else { return };
    let half = config(server, "precision");
    let full = Config { storage: Storage::Vector, ..half.clone() };
    let index = open(&indices(half), 8).await;
    index.upsert(vec![entry(1, 8)], 7).await.unwrap();
    let later = indices(full);
    let index = open(&later, 8).await;
    assert_eq!(index.sequence().await.unwrap(), 7);
    let kept = index.search(query(vector(1, 8), 1)).await.unwrap().hits[0].similarity;
    assert!((kept - 1.0).abs() < 1e-3);
    index.upsert(vec![entry(2, 8)], 8).await.unwrap();
    // What is made from now on has it.
    later.remove(&space("model", 8)).await.unwrap();
    open(&later, 8).await;
    let column = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
        JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'precision' AND attname = 'embedding' AND relkind = 'r'";
    let column: String = sqlx::query_scalar(column).fetch_one(&observer(server).await).await.unwrap();
    assert_eq!(column, "vector(8)");
}

#[tokio::test]
async fn every_dimension_is_kept_up_to_a_limit() {
    let Some(server) = shared() else { return };
    let half = Arc::new(indices(config(server, "dimensions")));
    let full = Arc::new(indices(Config { storage: Storage::Vector, ..config(server, "dimensions_full") }));
    let observer = observer(server).await;
    for (indices, schema, dimension, graph) in [
        (&half, "dimensions", 512, true),
        (&half, "dimensions", 1280, true),
        (&half, "dimensions", 4000, true),
        (&half, "dimensions", 4001, false),
        (&half, "dimensions", 16_000, false),
        (&full, "dimensions_full", 2000, true),
        (&full, "dimensions_full", 2001, false),
    ] {
        let index = open(indices, dimension).await;
        index.upsert((0..3).map(|key| entry(key, dimension)).collect(), 3).await.unwrap();
        let hits = index.search(query(vector(1, dimension), 2)).await.unwrap().hits;
        assert_eq!(hits[0].key.0, 1);
        assert!((hits[0].similarity - 1.0).abs() < 1e-3);
        assert!(index.bytes() > 3 * u64::from(dimension), "{}", index.bytes());
        let text = "SELECT count(*) FROM pg_indexes JOIN spaces USING (table_name) WHERE indexdef LIKE '%USING hnsw%' AND dimension = $1"
            .replace("JOIN spaces USING (table_name)", &format!("JOIN {schema}.spaces ON tablename = table_name"));
        let dimension = i32::try_from(dimension).unwrap();
        let graphs: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(text)).bind(dimension).fetch_one(&observer).await.unwrap();
        assert_eq!(graphs == 1, graph, "{dimension}");
    }
    let refused = half.open(&space("model", 16_001)).await.map(drop).unwrap_err();
    assert!(matches!(&refused, IndexError::Unsupported(why) if why.contains("16000")), "{refused}");
}

#[tokio::test]
async fn numbers_past_a_signed_integer_are_refused() {
    let Some(server) = shared() else { return };
    let index = open(&indices(config(server, "numbers")), 8).await;
    let most = i64::MAX as u64;
    index.upsert(vec![entry(most, 8)], 5).await.unwrap();
    assert_eq!(index.search(query(vector(most, 8), 1)).await.unwrap().hits[0].key.0, most);
    assert!(matches!(index.upsert(vec![entry(most + 1, 8)], 6).await, Err(IndexError::Unsupported(_))));
    assert!(matches!(index.upsert(vec![], most + 1).await, Err(IndexError::Unsupported(_))));
    assert_eq!(index.delete(vec![breakwater_search::Key(u64::MAX)], 6).await.unwrap(), 0);
    // An index entry of PostgreSQL is below 2704 bytes; this does not compress to that.
    let mut long = entry(1, 8);
    let mut random = fastrand::Rng::with_seed(1);
    long.traits.category = (0..9000).map(|_| random.alphanumeric()).collect();
    assert!(matches!(index.upsert(vec![entry(2, 8), long], 7).await, Err(IndexError::Unsupported(_))));
    assert_eq!((index.count(&Filter::default()).await.unwrap(), index.sequence().await.unwrap()), (1, 6));
}
