//! Where services and workflows are kept, and how workflows run, as the settings say.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use breakwater_core::Deadline;
use breakwater_settings::{Settings, WorkflowExecutor, WorkflowStore};
use breakwater_store::{ExecutorLock, PostgresConfig, PostgresStore, SqliteStore};
use breakwater_upstream::{MemoryServiceCatalogueRecords, ServiceCatalogueRecords};
use breakwater_workflow::{EmbeddedConfig, EmbeddedExecutor, Executor, MemoryWorkflowRecords, SplitExecutor, StepRunner, WorkflowRecords};
use breakwater_workflow_temporal::{TemporalConfig, TemporalExecutor, TemporalTls};

use super::Keep;
use super::outside::setup;

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

/// What runs workflows, as the settings say.
pub(crate) struct Executors {
    embedded: EmbeddedExecutor,
    /// Runs those of users instead.
    temporal: Option<TemporalExecutor>,
    workflows: Arc<dyn WorkflowRecords>,
}

impl Executors {
    /// Those of a server; a command has no use for a cluster.
    ///
    /// # Errors
    /// When the records or the cluster cannot be used.
    pub(super) async fn prepare(
        settings: &Settings,
        keep: Keep,
        workflows: Arc<dyn WorkflowRecords>,
        steps: Arc<dyn StepRunner>,
    ) -> Result<Self> {
        let embedded = EmbeddedExecutor::prepare(executor_config(settings), Arc::clone(&workflows), Arc::clone(&steps)).await;
        let embedded = embedded.map_err(setup).context("cannot set up workflows")?;
        let temporal = if settings.workflow.executor == WorkflowExecutor::Temporal && keep == Keep::Everything {
            let executor = TemporalExecutor::prepare(temporal_config(settings)?, Arc::clone(&workflows), steps).await;
            Some(executor.map_err(setup).context("cannot set up workflows on Temporal (workflow.temporal_url)")?)
        } else {
            None
        };
        Ok(Self { embedded, temporal, workflows })
    }

    /// As those see it who start executions.
    pub(super) fn executor(&self) -> Arc<dyn Executor> {
        let embedded = Arc::new(self.embedded.clone());
        match &self.temporal {
            Some(temporal) => Arc::new(SplitExecutor::new(embedded, Arc::new(temporal.clone()), Arc::clone(&self.workflows))),
            None => embedded,
        }
    }

    /// Goes on with what is under way, now that the operations are there that steps call.
    ///
    /// # Errors
    /// When there is no thread for the cluster's work.
    pub(crate) fn adopt(&self) -> Result<()> {
        self.embedded.adopt();
        match &self.temporal {
            Some(temporal) => temporal.adopt().map_err(setup).context("cannot begin the work of the Temporal cluster"),
            None => Ok(()),
        }
    }

    /// Begins no further step, and waits for those that run until `deadline`.
    pub(super) async fn shutdown(&self, deadline: Deadline) {
        let temporal = async {
            if let Some(temporal) = &self.temporal {
                temporal.shutdown(deadline).await;
            }
        };
        tokio::join!(self.embedded.shutdown(deadline), temporal);
    }
}

fn temporal_config(settings: &Settings) -> Result<TemporalConfig> {
    let workflow = &settings.workflow;
    let read = |path: &Option<PathBuf>| -> Result<Option<Vec<u8>>> {
        let Some(path) = path else { return Ok(None) };
        std::fs::read(path).map(Some).with_context(|| format!("cannot read {}", path.display()))
    };
    let api_key = read(&workflow.temporal_api_key_file).context("workflow.temporal_api_key_file")?;
    let api_key = api_key.map(String::from_utf8).transpose().context("workflow.temporal_api_key_file")?;
    let certificate = read(&workflow.temporal_certificate).context("workflow.temporal_certificate")?;
    let key = read(&workflow.temporal_key).context("workflow.temporal_key")?;
    Ok(TemporalConfig {
        url: workflow.temporal_url.as_str().to_owned(),
        namespace: workflow.temporal_namespace.clone(),
        task_queue: workflow.temporal_task_queue.clone(),
        api_key: api_key.map(|key| key.trim().to_owned()),
        tls: TemporalTls { ca: read(&workflow.temporal_ca).context("workflow.temporal_ca")?, client: certificate.zip(key) },
        max_steps: workflow.max_steps,
        max_cached: workflow.temporal_cached,
        ..TemporalConfig::default()
    })
}

/// How workflows run in this process.
fn executor_config(settings: &Settings) -> EmbeddedConfig {
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
