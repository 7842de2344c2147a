use std::path::PathBuf;
use std::time::Duration;

use crate::section::section;
use crate::url::{BaseUrl, PostgresUrl};
use crate::value::words;

words! {
    /// Where workflows and their executions are kept.
    WorkflowStore {
        /// In the data directory. One process runs them.
        Sqlite = "sqlite",
        /// In PostgreSQL. Several processes run them together, and one takes over what another leaves behind.
        Postgres = "postgres",
    }
}

words! {
    /// What runs workflows.
    WorkflowExecutor {
        /// This process, or several that share their records.
        Embedded = "embedded",
        /// A Temporal cluster, of which this process is a worker. What the host defines itself, such as batches, stays in this process.
        Temporal = "temporal",
    }
}

section! {
    /// Workflows, their executions, and the services that are defined with their actions.
    Workflow = "workflow" {
        /// What runs them.
        executor: WorkflowExecutor = r#""embedded""# (Restart);
        /// Where they are kept: services too. With `temporal`, what happens in executions is kept by the cluster.
        records: WorkflowStore = r#""sqlite""# (Restart);
        /// The PostgreSQL of `postgres`, 14 or newer.
        postgres_url: Option<PostgresUrl> = "" (Restart);
        /// The schema in it that holds our tables; made when it is absent.
        postgres_schema: String = r#""breakwater_records""# (Restart);
        /// Connections to it.
        postgres_connections: u32 = "8" in "1" to "256" (Restart);
        /// The longest that one statement may take.
        postgres_timeout: Duration = r#""30s""# in r#""10ms""# to r#""10m""# (Restart);
        /// How long executions are kept after their end, with everything that happened in them.
        keep: Duration = r#""720h""# in r#""1s""# to r#""876000h""# (Restart);
        /// Executions that are under way in this process at once; further ones are refused.
        max_running: usize = "10000" in "1" to "1000000" (Restart);
        /// Steps of all executions that are at work at once; others wait.
        max_steps: usize = "256" in "1" to "65536" (Restart);
        /// How long a process may be silent before others take over its executions. Of `postgres`.
        lease: Duration = r#""10s""# in r#""1s""# to r#""10m""# (Restart);
        /// How often is looked for what other processes want: a signal, a pause, the end of an execution.
        poll: Duration = r#""250ms""# in r#""10ms""# to r#""1m""# (Restart);
        /// The frontend of the cluster. With `https` it is spoken to over TLS.
        temporal_url: BaseUrl = r#""http://127.0.0.1:7233""# (Restart);
        /// Its namespace, which must be there.
        temporal_namespace: String = r#""default""# (Restart);
        /// The task queue that the processes of one installation share.
        temporal_task_queue: String = r#""breakwater""# (Restart);
        /// The file that holds the key the cluster asks for. It implies TLS.
        temporal_api_key_file: Option<PathBuf> = "" (Restart);
        /// The file with the certificates (PEM) that may sign the cluster's, instead of the system's.
        temporal_ca: Option<PathBuf> = "" (Restart);
        /// The file with the certificate (PEM) that this process shows to the cluster.
        temporal_certificate: Option<PathBuf> = "" (Restart);
        /// The file with its private key (PEM).
        temporal_key: Option<PathBuf> = "" (Restart);
        /// Executions whose state this process keeps in memory between their steps; others are read again from the cluster.
        temporal_cached: usize = "1000" in "0" to "100000" (Restart);
    }
}
