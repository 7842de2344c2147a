//! The services that somebody defined.

use breakwater_core::BoxFuture;
use breakwater_upstream::{ServiceCatalogueRecords, ServiceCatalogueRecordsError, ServiceCatalogueState, ServiceDefinition};
use sqlx::SqliteConnection;

use crate::sqlite::SqliteStore;

type Result<T> = std::result::Result<T, ServiceCatalogueRecordsError>;

pub(crate) fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ServiceCatalogueRecordsError {
    ServiceCatalogueRecordsError::Store(error.into())
}

pub(crate) fn corrupt(what: impl ToString) -> ServiceCatalogueRecordsError {
    ServiceCatalogueRecordsError::Corrupt(what.to_string())
}

/// A count as it is stored. Only a damaged file holds one that is out of range.
pub(crate) fn count(stored: i64) -> Result<u64> {
    u64::try_from(stored).map_err(corrupt)
}

/// A service as it is stored.
pub(crate) fn definition(id: &str, version: i64, text: &str) -> Result<ServiceDefinition> {
    let definition: ServiceDefinition = serde_json::from_str(text).map_err(|error| corrupt(format!("service `{id}`: {error}")))?;
    let fits = definition.id == id && definition.version == count(version)?;
    if fits { Ok(definition) } else { Err(corrupt(format!("service `{id}`: its definition is of another"))) }
}

impl SqliteStore {
    async fn service_revision(&self) -> Result<u64> {
        count(sqlx::query_scalar("SELECT revision FROM service_revision").fetch_one(&self.pool).await.map_err(failed)?)
    }

    async fn load_definitions(&self) -> Result<ServiceCatalogueState> {
        // Both reads in one transaction, so that they see the same moment.
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let revision = sqlx::query_scalar("SELECT revision FROM service_revision").fetch_one(&mut *transaction).await.map_err(failed)?;
        let rows: Vec<(String, i64, String)> =
            sqlx::query_as("SELECT id, version, definition FROM service ORDER BY id").fetch_all(&mut *transaction).await.map_err(failed)?;
        let services = rows.into_iter().map(|(id, version, text)| definition(&id, version, &text));
        Ok(ServiceCatalogueState { revision: count(revision)?, services: services.collect::<Result<_>>()? })
    }

    async fn put_definition(&self, definition: &ServiceDefinition, expected: u64) -> Result<u64> {
        let text = serde_json::to_string(definition).map_err(failed)?;
        let version = i64::try_from(definition.version).map_err(failed)?;
        // The write lock from the start: nobody else can come between the comparison and the change.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        compare(&mut transaction, &definition.id, expected).await?;
        let put = sqlx::query(
            "INSERT INTO service (id, name, version, definition) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
             version = excluded.version, definition = excluded.definition",
        );
        let put = put.bind(definition.id.clone()).bind(definition.name.clone()).bind(version).bind(text);
        put.execute(&mut *transaction).await.map_err(|error| match error.as_database_error() {
            // The id was compared above, so that only the name can be there twice.
            Some(error) if error.is_unique_violation() => ServiceCatalogueRecordsError::NameTaken,
            _ => failed(error),
        })?;
        let revision = next(&mut transaction).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(revision)
    }

    async fn remove_definition(&self, id: &str, expected: u64) -> Result<u64> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        compare(&mut transaction, id, expected).await?;
        let removed = sqlx::query("DELETE FROM service WHERE id = ?").bind(id.to_owned()).execute(&mut *transaction).await;
        if removed.map_err(failed)?.rows_affected() == 0 {
            return Err(ServiceCatalogueRecordsError::Conflict { expected, found: 0 });
        }
        let revision = next(&mut transaction).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(revision)
    }
}

/// Whether a change may be made of the service. What is refused leaves the transaction to be rolled back.
async fn compare(connection: &mut SqliteConnection, id: &str, expected: u64) -> Result<()> {
    let version = sqlx::query_scalar("SELECT version FROM service WHERE id = ?").bind(id.to_owned());
    let found = version.fetch_optional(connection).await.map_err(failed)?.map_or(Ok(0), count)?;
    if found == expected { Ok(()) } else { Err(ServiceCatalogueRecordsError::Conflict { expected, found }) }
}

/// Counts a change.
async fn next(connection: &mut SqliteConnection) -> Result<u64> {
    let next = sqlx::query_scalar("UPDATE service_revision SET revision = revision + 1 RETURNING revision");
    count(next.fetch_one(connection).await.map_err(failed)?)
}

impl ServiceCatalogueRecords for SqliteStore {
    fn revision(&self) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.service_revision())
    }

    fn load(&self) -> BoxFuture<'_, Result<ServiceCatalogueState>> {
        Box::pin(self.load_definitions())
    }

    fn put<'a>(&'a self, definition: &'a ServiceDefinition, expected: u64) -> BoxFuture<'a, Result<u64>> {
        Box::pin(self.put_definition(definition, expected))
    }

    fn remove<'a>(&'a self, id: &'a str, expected: u64) -> BoxFuture<'a, Result<u64>> {
        Box::pin(self.remove_definition(id, expected))
    }
}
