//! What has changed in a space, and what is not in it yet.

use breakwater_search::product::Stored;
use breakwater_search::records::{Change, RecordsError};
use breakwater_search::{Entry, Key, Product, Space};

use super::{all_stored, count, failed, number, spaces};
use crate::sqlite::SqliteStore;

/// key, sequence, vector, product
type Row = (i64, i64, Option<Vec<u8>>, Option<String>);

fn change((key, sequence, bytes, product): Row, space: &Space) -> Result<Change, RecordsError> {
    let (key, sequence) = (Key(count(key)?), count(sequence)?);
    let (Some(bytes), Some(product)) = (bytes, product) else { return Ok(Change::Deleted { sequence, key }) };
    let product: Product =
        serde_json::from_str(&product).map_err(|error| RecordsError::Corrupt(format!("the product of key {}: {error}", key.0)))?;
    let vector = spaces::vector(&bytes, key, space)?;
    Ok(Change::Upserted { sequence, entry: Entry { key, vector, traits: product.traits() } })
}

impl SqliteStore {
    pub(super) async fn changes_of(&self, space: &Space, after: u64, limit: usize) -> Result<Vec<Change>, RecordsError> {
        let Some(id) = self.known_space(space).await? else { return Ok(Vec::new()) };
        let changes = "SELECT v.key, v.sequence, v.vector, p.product FROM product_vector v LEFT JOIN product p ON p.key = v.key
                       WHERE v.space = ? AND v.sequence > ? ORDER BY v.sequence LIMIT ?";
        let changes = sqlx::query_as(changes).bind(id).bind(number(after)?).bind(i64::try_from(limit).map_err(failed)?);
        let rows: Vec<Row> = changes.fetch_all(&self.pool).await.map_err(failed)?;
        rows.into_iter().map(|row| change(row, space)).collect()
    }

    pub(super) async fn products_without(&self, space: &Space, after: Option<Key>, limit: usize) -> Result<Vec<Stored>, RecordsError> {
        // No row has the number 0: without a space, every product is without a vector in it.
        let id = self.known_space(space).await?.unwrap_or(0);
        let without = "SELECT key, sequence, created, product FROM product WHERE key > ?
                       AND NOT EXISTS (SELECT 1 FROM product_vector v WHERE v.space = ? AND v.key = product.key AND v.vector IS NOT NULL)
                       ORDER BY key LIMIT ?";
        let without = sqlx::query_as(without).bind(number(after.map_or(0, |key| key.0))?).bind(id);
        let rows = without.bind(i64::try_from(limit).map_err(failed)?).fetch_all(&self.pool).await.map_err(failed)?;
        all_stored(rows)
    }
}
