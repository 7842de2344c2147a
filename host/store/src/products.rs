//! Products and their vectors.

mod changes;
mod imports;
mod spaces;

use breakwater_core::BoxFuture;
use breakwater_search::product::Stored;
use breakwater_search::records::{Change, Draft, ImportState, ListRequest, NewVector, ProductRecords, RecordsError};
use breakwater_search::{Key, Product, Space, Vector};
use sqlx::{Sqlite, SqliteConnection, Transaction};

use crate::sqlite::SqliteStore;
use spaces::space_id;

/// Keys that one statement names at most: SQLite takes 32 766 variables.
const KEYS_AT_ONCE: usize = 1000;

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> RecordsError {
    RecordsError::Store(error.into())
}

/// A number as it is stored. Only a damaged file holds one that is out of range.
fn count(stored: i64) -> Result<u64, RecordsError> {
    u64::try_from(stored).map_err(|error| RecordsError::Corrupt(error.to_string()))
}

/// A number to store.
fn number(count: u64) -> Result<i64, RecordsError> {
    i64::try_from(count).map_err(failed)
}

/// key, sequence, created, product
type Row = (i64, i64, i64, String);

fn stored((key, sequence, created, product): Row) -> Result<Stored, RecordsError> {
    let product: Product =
        serde_json::from_str(&product).map_err(|error| RecordsError::Corrupt(format!("the product of key {key}: {error}")))?;
    Ok(Stored { key: Key(count(key)?), sequence: count(sequence)?, created: count(created)?, product })
}

fn all_stored(rows: Vec<Row>) -> Result<Vec<Stored>, RecordsError> {
    rows.into_iter().map(stored).collect()
}

async fn next_sequence(connection: &mut SqliteConnection) -> Result<i64, RecordsError> {
    let next = sqlx::query_scalar("UPDATE product_sequence SET sequence = sequence + 1 RETURNING sequence");
    next.fetch_one(connection).await.map_err(failed)
}

async fn put_vector(
    connection: &mut SqliteConnection,
    space: &Space,
    key: i64,
    sequence: i64,
    vector: &Vector,
) -> Result<(), RecordsError> {
    let space = space_id(connection, space).await?;
    let put = sqlx::query(
        "INSERT INTO product_vector (space, key, sequence, vector) VALUES (?, ?, ?, ?)
         ON CONFLICT (space, key) DO UPDATE SET sequence = excluded.sequence, vector = excluded.vector",
    );
    put.bind(space).bind(key).bind(sequence).bind(vector.to_half_bytes()).execute(connection).await.map(drop).map_err(failed)
}

/// None when the draft was made from something else than what is there.
async fn put_one(connection: &mut SqliteConnection, draft: Draft) -> Result<Option<Stored>, RecordsError> {
    let known = sqlx::query_as("SELECT key, sequence, created FROM product WHERE id = ?").bind(draft.product.id.clone());
    let known: Option<(i64, i64, i64)> = known.fetch_optional(&mut *connection).await.map_err(failed)?;
    let found = known.map_or(Ok(0), |(_, sequence, _)| count(sequence))?;
    if draft.of.is_some_and(|of| of != found) {
        return Ok(None);
    }
    let sequence = next_sequence(connection).await?;
    let created = known.map_or(sequence, |(_, _, created)| created);
    let text = serde_json::to_string(&draft.product).map_err(failed)?;
    let put = sqlx::query_scalar(
        "INSERT INTO product (id, category, sequence, created, product) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET category = excluded.category, sequence = excluded.sequence, product = excluded.product
         RETURNING key",
    );
    let put = put.bind(draft.product.id.clone()).bind(draft.product.category.clone()).bind(sequence).bind(created).bind(text);
    let key: i64 = put.fetch_one(&mut *connection).await.map_err(failed)?;
    if known.is_some() {
        // Also of vectors that stay: the traits beside them may be others.
        let touch = match draft.replace_vectors {
            true => "UPDATE product_vector SET sequence = ?, vector = NULL WHERE key = ? AND vector IS NOT NULL",
            false => "UPDATE product_vector SET sequence = ? WHERE key = ? AND vector IS NOT NULL",
        };
        sqlx::query(touch).bind(sequence).bind(key).execute(&mut *connection).await.map_err(failed)?;
    }
    for (space, vector) in &draft.vectors {
        put_vector(connection, space, key, sequence, vector).await?;
    }
    let stored = Stored { key: Key(count(key)?), sequence: count(sequence)?, created: count(created)?, product: draft.product };
    Ok(Some(stored))
}

impl SqliteStore {
    /// The write lock from the start: nobody else can come between what is read and what is written.
    async fn writing(&self) -> Result<Transaction<'_, Sqlite>, RecordsError> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)
    }

    async fn put_products(&self, drafts: Vec<Draft>, import: Option<(&str, ImportState)>) -> Result<Vec<Option<Stored>>, RecordsError> {
        let mut transaction = self.writing().await?;
        let mut stored = Vec::with_capacity(drafts.len());
        for draft in drafts {
            stored.push(put_one(&mut transaction, draft).await?);
        }
        if let Some((name, state)) = import {
            imports::save(&mut transaction, name, &state).await?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(stored)
    }

    async fn delete_product(&self, id: &str) -> Result<Option<(Stored, u64)>, RecordsError> {
        let mut transaction = self.writing().await?;
        let delete = sqlx::query_as("DELETE FROM product WHERE id = ? RETURNING key, sequence, created, product").bind(id.to_owned());
        let row: Option<Row> = delete.fetch_optional(&mut *transaction).await.map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let (key, sequence) = (row.0, next_sequence(&mut transaction).await?);
        let forget = sqlx::query("UPDATE product_vector SET sequence = ?, vector = NULL WHERE key = ? AND vector IS NOT NULL");
        forget.bind(sequence).bind(key).execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(Some((stored(row)?, count(sequence)?)))
    }

    async fn add_product_vectors(&self, vectors: Vec<NewVector>) -> Result<usize, RecordsError> {
        let mut transaction = self.writing().await?;
        let mut added = 0;
        for NewVector { key, of, space, vector } in vectors {
            let key = number(key.0)?;
            let found = sqlx::query_scalar("SELECT sequence FROM product WHERE key = ?").bind(key);
            let found: Option<i64> = found.fetch_optional(&mut *transaction).await.map_err(failed)?;
            if found != Some(number(of)?) {
                continue;
            }
            let sequence = next_sequence(&mut transaction).await?;
            put_vector(&mut transaction, &space, key, sequence, &vector).await?;
            added += 1;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(added)
    }

    async fn products_by_keys(&self, keys: Vec<Key>) -> Result<Vec<Stored>, RecordsError> {
        let mut found = std::collections::HashMap::with_capacity(keys.len());
        for keys in keys.chunks(KEYS_AT_ONCE) {
            let mut query = sqlx::QueryBuilder::new("SELECT key, sequence, created, product FROM product WHERE key IN (");
            let mut listed = query.separated(", ");
            for key in keys {
                listed.push_bind(number(key.0)?);
            }
            query.push(")");
            let rows: Vec<Row> = query.build_query_as().fetch_all(&self.pool).await.map_err(failed)?;
            found.extend(all_stored(rows)?.into_iter().map(|stored| (stored.key, stored)));
        }
        Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
    }

    async fn list_products(&self, request: ListRequest) -> Result<Vec<Stored>, RecordsError> {
        let after = number(request.after.map_or(0, |key| key.0))?;
        let limit = i64::try_from(request.limit).map_err(failed)?;
        let rows = match request.category {
            Some(category) => {
                let list = "SELECT key, sequence, created, product FROM product WHERE category = ? AND key > ? ORDER BY key LIMIT ?";
                sqlx::query_as(list).bind(category).bind(after).bind(limit).fetch_all(&self.pool).await
            }
            None => {
                let list = "SELECT key, sequence, created, product FROM product WHERE key > ? ORDER BY key LIMIT ?";
                sqlx::query_as(list).bind(after).bind(limit).fetch_all(&self.pool).await
            }
        };
        all_stored(rows.map_err(failed)?)
    }

    async fn one_number(&self, query: &'static str) -> Result<u64, RecordsError> {
        count(sqlx::query_scalar(query).fetch_one(&self.pool).await.map_err(failed)?)
    }
}

impl ProductRecords for SqliteStore {
    fn put<'a>(
        &'a self,
        drafts: Vec<Draft>,
        import: Option<(&'a str, ImportState)>,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, RecordsError>> {
        Box::pin(self.put_products(drafts, import))
    }

    fn get<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Stored>, RecordsError>> {
        Box::pin(async move {
            let get = sqlx::query_as("SELECT key, sequence, created, product FROM product WHERE id = ?").bind(id.to_owned());
            let row: Option<Row> = get.fetch_optional(&self.pool).await.map_err(failed)?;
            row.map(stored).transpose()
        })
    }

    fn by_keys(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Stored>, RecordsError>> {
        Box::pin(self.products_by_keys(keys))
    }

    fn vector<'a>(&'a self, key: Key, space: &'a Space) -> BoxFuture<'a, Result<Option<Vector>, RecordsError>> {
        Box::pin(self.vector_of(key, space))
    }

    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<(Stored, u64)>, RecordsError>> {
        Box::pin(self.delete_product(id))
    }

    fn add_vectors(&self, vectors: Vec<NewVector>) -> BoxFuture<'_, Result<usize, RecordsError>> {
        Box::pin(self.add_product_vectors(vectors))
    }

    fn list(&self, request: ListRequest) -> BoxFuture<'_, Result<Vec<Stored>, RecordsError>> {
        Box::pin(self.list_products(request))
    }

    fn count(&self) -> BoxFuture<'_, Result<u64, RecordsError>> {
        Box::pin(self.one_number("SELECT count(*) FROM product"))
    }

    fn spaces(&self) -> BoxFuture<'_, Result<Vec<(Space, u64)>, RecordsError>> {
        Box::pin(self.vector_spaces())
    }

    fn sequence(&self) -> BoxFuture<'_, Result<u64, RecordsError>> {
        Box::pin(self.one_number("SELECT sequence FROM product_sequence"))
    }

    fn changes<'a>(&'a self, space: &'a Space, after: u64, limit: usize) -> BoxFuture<'a, Result<Vec<Change>, RecordsError>> {
        Box::pin(self.changes_of(space, after, limit))
    }

    fn without_vector<'a>(
        &'a self,
        space: &'a Space,
        after: Option<Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Stored>, RecordsError>> {
        Box::pin(self.products_without(space, after, limit))
    }

    fn import<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<ImportState>, RecordsError>> {
        Box::pin(self.import_of(name))
    }

    fn imports(&self, limit: usize) -> BoxFuture<'_, Result<Vec<(String, ImportState)>, RecordsError>> {
        Box::pin(self.all_imports(limit))
    }

    fn set_import<'a>(&'a self, name: &'a str, state: ImportState) -> BoxFuture<'a, Result<(), RecordsError>> {
        Box::pin(async move {
            let mut connection = self.pool.acquire().await.map_err(failed)?;
            imports::save(&mut connection, name, &state).await
        })
    }
}
