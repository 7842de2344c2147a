//! How far imports have come.

use breakwater_search::records::{ImportState, RecordsError};
use sqlx::SqliteConnection;

use super::{count, failed, number};
use crate::sqlite::SqliteStore;

/// name, source, position, marker, stored, failed, finished, cancelled
type Row = (String, String, i64, String, i64, i64, bool, bool);

fn state((name, source, position, marker, stored, failed, finished, cancelled): Row) -> Result<(String, ImportState), RecordsError> {
    let (position, stored, failed) = (count(position)?, count(stored)?, count(failed)?);
    Ok((name, ImportState { source, position, marker, stored, failed, finished, cancelled }))
}

pub(super) async fn save(connection: &mut SqliteConnection, name: &str, state: &ImportState) -> Result<(), RecordsError> {
    let save = sqlx::query(
        "INSERT OR REPLACE INTO product_import (name, source, position, marker, stored, failed, finished, cancelled)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    );
    let save = save.bind(name.to_owned()).bind(state.source.clone()).bind(number(state.position)?).bind(state.marker.clone());
    let save = save.bind(number(state.stored)?).bind(number(state.failed)?).bind(state.finished).bind(state.cancelled);
    save.execute(connection).await.map(drop).map_err(failed)
}

impl SqliteStore {
    pub(super) async fn import_of(&self, name: &str) -> Result<Option<ImportState>, RecordsError> {
        let get = "SELECT name, source, position, marker, stored, failed, finished, cancelled FROM product_import WHERE name = ?";
        let row: Option<Row> = sqlx::query_as(get).bind(name.to_owned()).fetch_optional(&self.pool).await.map_err(failed)?;
        Ok(row.map(state).transpose()?.map(|(_, state)| state))
    }

    pub(super) async fn all_imports(&self, limit: usize) -> Result<Vec<(String, ImportState)>, RecordsError> {
        let all = "SELECT name, source, position, marker, stored, failed, finished, cancelled FROM product_import ORDER BY name LIMIT ?";
        let limit = i64::try_from(limit).map_err(failed)?;
        let rows: Vec<Row> = sqlx::query_as(all).bind(limit).fetch_all(&self.pool).await.map_err(failed)?;
        rows.into_iter().map(state).collect()
    }
}
