//! The registry's entries.

use breakwater_core::BoxFuture;
use breakwater_upstream::{RegistryRecords, RegistryRecordsError, ServiceRecord};

use crate::sqlite::SqliteStore;

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> RegistryRecordsError {
    RegistryRecordsError::Store(error.into())
}

impl SqliteStore {
    async fn load_services(&self) -> Result<Vec<ServiceRecord>, RegistryRecordsError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT id, record FROM registered_service ORDER BY id").fetch_all(&self.pool).await.map_err(failed)?;
        let records = rows.into_iter().map(|(id, record)| {
            let corrupt = |what: String| RegistryRecordsError::Corrupt(format!("service `{id}`: {what}"));
            let record: ServiceRecord = serde_json::from_str(&record).map_err(|error| corrupt(error.to_string()))?;
            if record.id == id { Ok(record) } else { Err(corrupt(format!("its record is of `{}`", record.id))) }
        });
        records.collect()
    }

    async fn put_service(&self, record: &ServiceRecord) -> Result<(), RegistryRecordsError> {
        let text = serde_json::to_string(record).map_err(failed)?;
        let put = sqlx::query(
            "INSERT INTO registered_service (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
        );
        put.bind(record.id.clone()).bind(text).execute(&self.pool).await.map(drop).map_err(failed)
    }

    async fn remove_service(&self, id: &str) -> Result<(), RegistryRecordsError> {
        let remove = sqlx::query("DELETE FROM registered_service WHERE id = ?").bind(id.to_owned());
        remove.execute(&self.pool).await.map(drop).map_err(failed)
    }
}

impl RegistryRecords for SqliteStore {
    fn load(&self) -> BoxFuture<'_, Result<Vec<ServiceRecord>, RegistryRecordsError>> {
        Box::pin(self.load_services())
    }

    fn put<'a>(&'a self, record: &'a ServiceRecord) -> BoxFuture<'a, Result<(), RegistryRecordsError>> {
        Box::pin(self.put_service(record))
    }

    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), RegistryRecordsError>> {
        Box::pin(self.remove_service(id))
    }
}
