//! The services that somebody defined, in PostgreSQL.

use breakwater_core::BoxFuture;
use breakwater_upstream::{ServiceCatalogueRecords, ServiceCatalogueRecordsError, ServiceCatalogueState, ServiceDefinition};
use sqlx::{Connection, PgConnection};

use super::PostgresStore;
use crate::services::{corrupt, count, definition, failed};

type Result<T> = std::result::Result<T, ServiceCatalogueRecordsError>;

impl PostgresStore {
    async fn service_revision(&self) -> Result<u64> {
        let revision: Option<(i64,)> = self.optional(sqlx::query_as("SELECT revision FROM service_revision")).await.map_err(failed)?;
        revision.map_or_else(|| Err(corrupt("there is no revision of services")), |(revision,)| count(revision))
    }

    async fn load_definitions(&self) -> Result<ServiceCatalogueState> {
        // In one statement, so that all of it is of one moment.
        let load = "SELECT r.revision, s.id, s.version, s.definition FROM service_revision r LEFT JOIN service s ON true ORDER BY s.id";
        type Row = (i64, Option<String>, Option<i64>, Option<String>);
        let rows: Vec<Row> = self.all(sqlx::query_as(load)).await.map_err(failed)?;
        let revision = rows.first().map(|(revision, ..)| count(*revision)).transpose()?;
        let services = rows.into_iter().filter_map(|(_, id, version, text)| Some(definition(&id?, version?, &text?)));
        let services = services.collect::<Result<_>>()?;
        Ok(ServiceCatalogueState { revision: revision.ok_or_else(|| corrupt("there is no revision of services"))?, services })
    }

    /// Makes a change of a service that has the version `expected`, and counts it.
    async fn change_definition(&self, id: &str, expected: u64, put: Option<&ServiceDefinition>) -> Result<u64> {
        let put = put.map(|definition| {
            let text = serde_json::to_string(definition).map_err(failed)?;
            Ok((&definition.name, i64::try_from(definition.version).map_err(failed)?, text))
        });
        let put = put.transpose()?;
        let mut session = self.session().await.map_err(failed)?;
        let outcome = self.within(async {
            let mut transaction = session.connection().begin().await?;
            // Counted first: its row is the lock that all changes wait for.
            let next = sqlx::query_scalar("UPDATE service_revision SET revision = revision + 1 RETURNING revision");
            let revision: i64 = next.fetch_one(&mut *transaction).await?;
            let version = sqlx::query_scalar("SELECT version FROM service WHERE id = $1").bind(id);
            let found: Option<i64> = version.fetch_optional(&mut *transaction).await?;
            let found = found.map_or(Ok(0), count);
            let removes_nothing = put.is_none() && expected == 0;
            if !matches!(found, Ok(found) if found == expected) || removes_nothing {
                return Ok(found.and_then(|found| Err(ServiceCatalogueRecordsError::Conflict { expected, found })));
            }
            match &put {
                Some((name, version, text)) => write(&mut transaction, id, name, *version, text).await?,
                None => remove(&mut transaction, id).await?,
            }
            transaction.commit().await?;
            Ok(count(revision))
        });
        let outcome = outcome.await;
        session.settle(outcome).map_err(|error| match error.as_database_error() {
            // The id was compared, so that only the name can be there twice.
            Some(refused) if refused.is_unique_violation() => ServiceCatalogueRecordsError::NameTaken,
            _ => failed(error),
        })?
    }
}

async fn write(connection: &mut PgConnection, id: &str, name: &str, version: i64, text: &str) -> std::result::Result<(), sqlx::Error> {
    let put = sqlx::query(
        "INSERT INTO service (id, name, version, definition) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version, definition = excluded.definition",
    );
    put.bind(id).bind(name).bind(version).bind(text).execute(connection).await.map(drop)
}

async fn remove(connection: &mut PgConnection, id: &str) -> std::result::Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM service WHERE id = $1").bind(id).execute(connection).await.map(drop)
}

impl ServiceCatalogueRecords for PostgresStore {
    fn revision(&self) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.service_revision())
    }

    fn load(&self) -> BoxFuture<'_, Result<ServiceCatalogueState>> {
        Box::pin(self.load_definitions())
    }

    fn put<'a>(&'a self, definition: &'a ServiceDefinition, expected: u64) -> BoxFuture<'a, Result<u64>> {
        Box::pin(self.change_definition(&definition.id, expected, Some(definition)))
    }

    fn remove<'a>(&'a self, id: &'a str, expected: u64) -> BoxFuture<'a, Result<u64>> {
        Box::pin(self.change_definition(id, expected, None))
    }
}
