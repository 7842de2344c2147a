//! The plugin catalogue's records.

use breakwater_core::Digest;
use breakwater_plugins::{BoxFuture, CatalogueRecords, CatalogueState, RecordsError};
use bytes::Bytes;

use crate::sqlite::SqliteStore;

fn failed(error: sqlx::Error) -> RecordsError {
    RecordsError::Store(error.into())
}

impl SqliteStore {
    async fn load_catalogue(&self) -> Result<CatalogueState, RecordsError> {
        let row: Option<(i64, String)> =
            sqlx::query_as("SELECT revision, state FROM plugin_catalogue").fetch_optional(&self.pool).await.map_err(failed)?;
        let Some((revision, state)) = row else { return Ok(CatalogueState::default()) };
        let state: CatalogueState = serde_json::from_str(&state).map_err(|error| RecordsError::Corrupt(error.to_string()))?;
        if u64::try_from(revision) != Ok(state.revision) {
            return Err(RecordsError::Corrupt(format!("the row is of revision {revision}, its state of revision {}", state.revision)));
        }
        Ok(state)
    }

    async fn save_catalogue(&self, expected: u64, state: &CatalogueState) -> Result<(), RecordsError> {
        if state.revision != expected + 1 {
            return Err(RecordsError::Revision { expected, given: state.revision });
        }
        let revision = |revision: u64| i64::try_from(revision).map_err(|error| RecordsError::Store(error.into()));
        let text = serde_json::to_string(state).map_err(|error| RecordsError::Store(error.into()))?;
        // One statement either way, so that no other writer can come between the comparison and the change.
        let written = if expected == 0 {
            sqlx::query("INSERT INTO plugin_catalogue (only_row, revision, state) VALUES (1, ?, ?) ON CONFLICT DO NOTHING")
                .bind(revision(state.revision)?)
                .bind(text)
                .execute(&self.pool)
                .await
        } else {
            sqlx::query("UPDATE plugin_catalogue SET revision = ?, state = ? WHERE revision = ?")
                .bind(revision(state.revision)?)
                .bind(text)
                .bind(revision(expected)?)
                .execute(&self.pool)
                .await
        };
        if written.map_err(failed)?.rows_affected() == 1 {
            return Ok(());
        }
        let found: Option<i64> =
            sqlx::query_scalar("SELECT revision FROM plugin_catalogue").fetch_optional(&self.pool).await.map_err(failed)?;
        Err(RecordsError::Conflict { expected, found: found.and_then(|found| u64::try_from(found).ok()).unwrap_or(0) })
    }
}

impl CatalogueRecords for SqliteStore {
    fn load(&self) -> BoxFuture<'_, Result<CatalogueState, RecordsError>> {
        Box::pin(self.load_catalogue())
    }

    fn save<'a>(&'a self, expected_revision: u64, state: &'a CatalogueState) -> BoxFuture<'a, Result<(), RecordsError>> {
        Box::pin(self.save_catalogue(expected_revision, state))
    }

    fn put_component(&self, digest: Digest, wasm: Bytes) -> BoxFuture<'_, Result<(), RecordsError>> {
        Box::pin(async move {
            let insert = sqlx::query("INSERT INTO plugin_component (digest, wasm) VALUES (?, ?) ON CONFLICT DO NOTHING");
            let insert = insert.bind(digest.as_bytes().to_vec()).bind(wasm.to_vec());
            insert.execute(&self.pool).await.map(drop).map_err(failed)
        })
    }

    fn component(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Bytes>, RecordsError>> {
        Box::pin(async move {
            let select = sqlx::query_scalar("SELECT wasm FROM plugin_component WHERE digest = ?").bind(digest.as_bytes().to_vec());
            let wasm: Option<Vec<u8>> = select.fetch_optional(&self.pool).await.map_err(failed)?;
            Ok(wasm.map(Bytes::from))
        })
    }

    fn remove_component(&self, digest: Digest) -> BoxFuture<'_, Result<(), RecordsError>> {
        Box::pin(async move {
            let delete = sqlx::query("DELETE FROM plugin_component WHERE digest = ?").bind(digest.as_bytes().to_vec());
            delete.execute(&self.pool).await.map(drop).map_err(failed)
        })
    }
}
