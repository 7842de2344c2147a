//! Where services and workflows are kept, and how workflows run, as the settings say.

use std::sync::Arc;

use anyhow::{Context, Result};
use breakwater_settings::{Settings, WorkflowStore};
use breakwater_store::{ExecutorLock, PostgresConfig, PostgresStore, SqliteStore};
use breakwater_upstream::{MemoryServiceCatalogueRecords, ServiceCatalogueRecords};
use breakwater_workflow::{EmbeddedConfig, MemoryWorkflowRecords, WorkflowRecords};

/// What a second process on one data directory can do.
const ELSEWHERE: &str = "give this one a data directory of its own, or let both share a PostgreSQL (workflow.records = \"postgres\")";

/// Records of services and workflows.
pub(super) struct WorkflowStores {
    pub(super) services: Arc<dyn ServiceCatalogueRecords>,
    pub(super) workflows: Arc<dyn WorkflowRecords>,
    /// To be held for as long as workflows run.
    pub(super) lock: Option<ExecutorLock>,
}

impl WorkflowStores {
    /// For commands without a server.
    pub(super) fn in_memory() -> Self {
        Self {
            services: Arc::new(MemoryServiceCatalogueRecords::default()),
            workflows: Arc::new(MemoryWorkflowRecords::default()),
            lock: None,
        }
    }

    /// Opens them: in the database of the other records, which one process at a time may run workflows of, or in a PostgreSQL.
    ///
    /// # Errors
    /// When another process has the first, or the second cannot be used.
    pub(super) async fn open(settings: &Settings, store: &Arc<SqliteStore>) -> Result<Self> {
        match settings.workflow.records {
            WorkflowStore::Sqlite => {
                let lock = store.become_executor().context(ELSEWHERE)?;
                Ok(Self { services: store.clone(), workflows: store.clone(), lock: Some(lock) })
            }
            WorkflowStore::Postgres => {
                let store = PostgresStore::open(&postgres_config(settings)?).await;
                let store = Arc::new(store.context("cannot open the records of workflows in PostgreSQL (workflow.postgres_url)")?);
                Ok(Self { services: store.clone(), workflows: store, lock: None })
            }
        }
    }
}

fn postgres_config(settings: &Settings) -> Result<PostgresConfig> {
    let workflow = &settings.workflow;
    let url = workflow.postgres_url.as_ref().context("workflow.postgres_url is needed for the records \"postgres\"")?;
    let mut config = PostgresConfig::new(url.reveal()).context("workflow.postgres_url")?;
    config.schema.clone_from(&workflow.postgres_schema);
    config.connections = workflow.postgres_connections;
    config.statement_timeout = workflow.postgres_timeout;
    Ok(config)
}

/// How workflows run in this process.
pub(super) fn executor_config(settings: &Settings) -> EmbeddedConfig {
    let workflow = &settings.workflow;
    EmbeddedConfig {
        max_running: workflow.max_running,
        max_steps: workflow.max_steps,
        lease: workflow.lease,
        poll: workflow.poll,
        keep: workflow.keep,
        ..EmbeddedConfig::default()
    }
}
