//! The table of a space: its name, how it is made, and how it goes.

use breakwater_core::Digest;
use breakwater_search::{IndexError, Space};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::config::{Config, Storage};
use crate::database::Database;
use crate::embedding::MOST_DIMENSIONS;
use crate::requirements::quoted;
use crate::session::within;

/// First half of the key of the lock under which tables come and go; the other is the hash of the table's name. Chosen at random.
const TABLE_LOCK: i32 = 0x6277_7462;
/// How much of a model's name is in that of its table, which must stay below PostgreSQL's 63 bytes with the ends of its indices.
const MODEL_LENGTH: usize = 28;
/// A row as large as a page may be stays in one piece; otherwise vectors above 2 kB would lie apart and cost three reads each.
const ROW_IN_ONE_PIECE: u32 = 8160;

/// A table that is there.
#[derive(Debug)]
pub(crate) struct Table {
    /// In the table of spaces.
    pub(crate) name: String,
    /// As SQL takes it.
    pub(crate) quoted: String,
    pub(crate) storage: Storage,
    /// Whether there is a graph.
    pub(crate) indexed: bool,
}

/// Legible at the front, unmistakable at the end.
pub(crate) fn table_name(space: &Space) -> String {
    let plain = |letter: char| if letter.is_ascii_lowercase() || letter.is_ascii_digit() { letter } else { '_' };
    let model: String = space.model.chars().take(MODEL_LENGTH).map(plain).collect();
    let identity = Digest::of_parts([space.model.as_bytes(), space.revision.as_bytes(), &space.dimension.to_le_bytes()]);
    format!("v_{model}_{}_{}", space.dimension, identity.short())
}

/// Sees to the table of a space. One whose columns are not what they were made as is begun anew.
pub(crate) async fn open(database: &Database, space: &Space) -> Result<Table, IndexError> {
    if space.dimension == 0 || space.dimension > MOST_DIMENSIONS {
        return Err(IndexError::Unsupported(format!(
            "pgvector keeps vectors of 1 to {MOST_DIMENSIONS} numbers, the space has {}",
            space.dimension
        )));
    }
    let mut session = database.session(None).await?;
    let outcome = within(database.patience(), make(session.connection(), database.config(), space)).await;
    session.settle("opening the index", outcome)
}

async fn make(connection: &mut PgConnection, config: &Config, space: &Space) -> Result<Table, sqlx::Error> {
    let name = table_name(space);
    let mut transaction = connection.begin().await?;
    lock(&mut transaction, &name).await?;
    let known =
        sqlx::query("SELECT storage, indexed FROM spaces WHERE table_name = $1").bind(&name).fetch_optional(&mut *transaction).await?;
    if let Some(row) = known
        && let Some(storage) = Storage::from_type_name(row.try_get("storage")?)
    {
        let expected = format!("{}({})", storage.type_name(), space.dimension);
        if column_type(&mut transaction, &name).await?.as_ref() == Some(&expected) {
            if storage != config.storage {
                tracing::warn!(%space, kept = storage.type_name(), "vectors stay as they are stored; remove the index to store them otherwise");
            }
            let table = Table { quoted: quoted(&name), name, storage, indexed: row.try_get("indexed")? };
            transaction.commit().await?;
            return Ok(table);
        }
        tracing::warn!(%space, "the index's table is gone or has been changed; it is begun anew");
    }
    drop_table(&mut transaction, &name).await?;
    let storage = config.storage;
    let table = Table { quoted: quoted(&name), name, storage, indexed: space.dimension <= storage.most_indexed_dimensions() };
    sqlx::raw_sql(AssertSqlSafe(definition(&table, config, space.dimension))).execute(&mut *transaction).await?;
    sqlx::query("INSERT INTO spaces (table_name, slug, model, revision, dimension, storage, indexed) VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(&table.name)
        .bind(space.slug())
        .bind(&*space.model)
        .bind(space.revision.to_string())
        .bind(i32::try_from(space.dimension).unwrap_or(i32::MAX))
        .bind(storage.type_name())
        .bind(table.indexed)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(table)
}

/// All that makes a table. Every part is a number or comes from [`table_name`].
fn definition(table: &Table, config: &Config, dimension: u32) -> String {
    let Table { name, quoted: place, storage, .. } = table;
    let kind = storage.type_name();
    let index = |end: &str| quoted(&format!("{name}_{end}"));
    let mut text = format!(
        "CREATE TABLE {place} (
            key bigint PRIMARY KEY,
            embedding {kind}({dimension}) NOT NULL,
            category text NOT NULL,
            attributes jsonb NOT NULL,
            quality real
        ) WITH (toast_tuple_target = {ROW_IN_ONE_PIECE});
        CREATE INDEX {} ON {place} (category);
        CREATE INDEX {} ON {place} USING gin (attributes jsonb_path_ops);
        CREATE INDEX {} ON {place} (quality);",
        index("category"),
        index("attributes"),
        index("quality"),
    );
    if table.indexed {
        let graph = index("hnsw");
        let (m, ef_construction) = (config.m, config.ef_construction);
        text.push_str(&format!(
            "CREATE INDEX {graph} ON {place} USING hnsw (embedding {kind}_cosine_ops) WITH (m = {m}, ef_construction = {ef_construction});"
        ));
    }
    text
}

/// Such as `halfvec(512)`; none when there is no such table.
async fn column_type(connection: &mut PgConnection, name: &str) -> Result<Option<String>, sqlx::Error> {
    let text = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = to_regclass(quote_ident($1)) AND attname = 'embedding' AND NOT attisdropped";
    sqlx::query_scalar(text).bind(name).fetch_optional(connection).await
}

async fn lock(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock($1, hashtext($2))").bind(TABLE_LOCK).bind(name).execute(connection).await.map(drop)
}

async fn drop_table(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query(AssertSqlSafe(format!("DROP TABLE IF EXISTS {}", quoted(name)))).execute(&mut *connection).await?;
    sqlx::query("DELETE FROM spaces WHERE table_name = $1").bind(name).execute(connection).await.map(drop)
}

/// Deletes what is stored of a space.
pub(crate) async fn remove(database: &Database, space: &Space) -> Result<(), IndexError> {
    let name = table_name(space);
    let mut session = database.session(None).await?;
    let outcome = within(database.patience(), async {
        let mut transaction = session.connection().begin().await?;
        lock(&mut transaction, &name).await?;
        drop_table(&mut transaction, &name).await?;
        transaction.commit().await
    })
    .await;
    session.settle("removing the index", outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(model: &str, dimension: u32) -> Space {
        Space { model: model.into(), revision: Digest::of(b"weights"), dimension }
    }

    #[test]
    fn a_name_is_short_plain_and_of_one_space_only() {
        let long = "a-very-long-name-of-a-model-".repeat(20);
        let names: Vec<_> = [
            space("clip-vit-base-patch32", 512),
            space("clip-vit-base.patch32", 512),
            space("clip-vit-base-patch32", 768),
            Space { revision: Digest::of(b"other weights"), ..space("clip-vit-base-patch32", 512) },
            space(&long, 16_000),
            space("\"; DROP TABLE spaces; --", 16_000),
        ]
        .iter()
        .map(table_name)
        .collect();
        assert!(names[0].starts_with("v_clip_vit_base_patch32_512_"), "{names:?}");
        for (place, name) in names.iter().enumerate() {
            assert!(format!("{name}_attributes").len() <= 63, "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'), "{name}");
            assert!(!names[..place].contains(name));
        }
    }
}
