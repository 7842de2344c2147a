//! Changes: each call one transaction, committed with its sequence number.

use std::collections::BTreeMap;

use breakwater_search::{Entry, IndexError, Key};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::embedding::bind_all;
use crate::filters::document;
use crate::index::PgVectorIndex;
use crate::session::within;
use crate::text::kept;

/// Vectors in one statement: a few hundred milliseconds of work on the graph, a megabyte at most for usual dimensions.
const BATCH: usize = 256;

/// Keeps vectors, unless the index has gone past this change already.
pub(crate) async fn upsert(index: &PgVectorIndex, entries: Vec<Entry>, sequence: u64) -> Result<(), IndexError> {
    for entry in &entries {
        index.check(entry.vector.dimension())?;
    }
    let sequence = number(sequence, "sequence number")?;
    // The last of a key counts. In the order of keys, so that neighbours in the table are written together.
    let mut rows = BTreeMap::new();
    for entry in entries {
        rows.insert(number(entry.key.0, "key")?, entry);
    }
    let rows: Vec<_> = rows.into_iter().collect();
    let mut session = index.database.session(None).await?;
    let outcome = upsert_rows(index, session.connection(), &rows, sequence).await;
    look(index, session.connection(), outcome.is_ok()).await;
    session.settle("storing vectors", outcome)
}

async fn upsert_rows(
    index: &PgVectorIndex,
    connection: &mut PgConnection,
    rows: &[(i64, Entry)],
    sequence: i64,
) -> Result<(), sqlx::Error> {
    let patience = index.database.patience();
    let mut transaction = within(patience, connection.begin()).await?;
    if within(patience, applied(index, &mut transaction)).await? > sequence {
        return Ok(());
    }
    let mut added = 0;
    for batch in rows.chunks(BATCH) {
        added += within(patience, insert(index, &mut transaction, batch)).await?;
    }
    within(patience, advance(index, &mut transaction, sequence, added)).await?;
    within(patience, transaction.commit()).await
}

/// Forgets vectors, unless the index has gone past this change already.
pub(crate) async fn delete(index: &PgVectorIndex, keys: Vec<Key>, sequence: u64) -> Result<usize, IndexError> {
    let sequence = number(sequence, "sequence number")?;
    // Larger ones were never stored.
    let keys: Vec<_> = keys.into_iter().filter_map(|key| i64::try_from(key.0).ok()).collect();
    let mut session = index.database.session(None).await?;
    let outcome = delete_rows(index, session.connection(), keys, sequence).await;
    look(index, session.connection(), outcome.is_ok()).await;
    session.settle("deleting vectors", outcome)
}

async fn delete_rows(index: &PgVectorIndex, connection: &mut PgConnection, keys: Vec<i64>, sequence: i64) -> Result<usize, sqlx::Error> {
    let patience = index.database.patience();
    let mut transaction = within(patience, connection.begin()).await?;
    if within(patience, applied(index, &mut transaction)).await? > sequence {
        return Ok(0);
    }
    let text = AssertSqlSafe(format!("DELETE FROM {} WHERE key = ANY($1)", index.table.quoted));
    let deleted = within(patience, sqlx::query(text).bind(keys).execute(&mut *transaction)).await?.rows_affected();
    within(patience, advance(index, &mut transaction, sequence, -deleted.cast_signed())).await?;
    within(patience, transaction.commit()).await?;
    Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
}

/// Sees how many vectors there are now. Only an estimate depends on it, so it may fail.
async fn look(index: &PgVectorIndex, connection: &mut PgConnection, sound: bool) {
    index.estimates.forget_totals();
    if sound && let Err(error) = within(index.database.patience(), index.totals(connection)).await {
        tracing::debug!(%error, "the size of the index is not known");
    }
}

/// The sequence number of the last change. Holds back other writers until the transaction ends, also those of other processes.
async fn applied(index: &PgVectorIndex, connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT sequence FROM spaces WHERE table_name = $1 FOR UPDATE").bind(&index.table.name).fetch_one(connection).await
}

async fn advance(index: &PgVectorIndex, connection: &mut PgConnection, sequence: i64, added: i64) -> Result<(), sqlx::Error> {
    let text = "UPDATE spaces SET sequence = $2, vectors = greatest(0, vectors + $3) WHERE table_name = $1";
    sqlx::query(text).bind(&index.table.name).bind(sequence).bind(added).execute(connection).await.map(drop)
}

/// Writes one batch, in which a key is at most once. A row that is there and the same stays untouched, so that changes applied again cost
/// no work on the graph. Returns how many keys are new.
async fn insert(index: &PgVectorIndex, connection: &mut PgConnection, batch: &[(i64, Entry)]) -> Result<i64, sqlx::Error> {
    let (place, storage) = (&index.table.quoted, index.table.storage);
    let kind = storage.type_name();
    // `xmax` is 0 in rows that no transaction has replaced or locked: the new ones.
    let text = AssertSqlSafe(format!(
        "WITH written AS (
            INSERT INTO {place} AS kept (key, embedding, category, attributes, quality)
            SELECT key, embedding, category, attributes::jsonb, quality
            FROM unnest($1::bigint[], $2::{kind}[], $3::text[], $4::text[], $5::real[])
                AS given (key, embedding, category, attributes, quality)
            ON CONFLICT (key) DO UPDATE SET embedding = excluded.embedding, category = excluded.category,
                attributes = excluded.attributes, quality = excluded.quality
            WHERE (kept.embedding, kept.category, kept.attributes, kept.quality)
                IS DISTINCT FROM (excluded.embedding, excluded.category, excluded.attributes, excluded.quality)
            RETURNING xmax = 0 AS added
        )
        SELECT count(*) FILTER (WHERE added) FROM written"
    ));
    let texts = |of: fn(&Entry) -> String| batch.iter().map(|(_, entry)| of(entry)).collect::<Vec<_>>();
    let statement = sqlx::query(text).bind(batch.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    let statement = bind_all(statement, storage, batch.iter().map(|(_, entry)| &entry.vector))
        .bind(texts(|entry| kept(&entry.traits.category).into_owned()))
        .bind(texts(|entry| document(&entry.traits.attributes)))
        // No number is less than, equal to or more than NaN; neither is NULL.
        .bind(batch.iter().map(|(_, entry)| Some(entry.traits.quality).filter(|quality| !quality.is_nan())).collect::<Vec<_>>());
    statement.fetch_one(connection).await?.try_get(0)
}

/// PostgreSQL's integers have a sign.
fn number(value: u64, what: &str) -> Result<i64, IndexError> {
    i64::try_from(value).map_err(|_| IndexError::Unsupported(format!("the {what} {value} is larger than {}", i64::MAX)))
}
