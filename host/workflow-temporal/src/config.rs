//! Where the cluster is and how it is used.

use std::time::Duration;

/// Which cluster runs workflows, and how much of it this process does.
#[derive(Debug, Clone)]
pub struct TemporalConfig {
    /// The frontend, such as `http://127.0.0.1:7233`; with `https` it is spoken to over TLS.
    pub url: String,
    /// The namespace, which must be there.
    pub namespace: String,
    /// The task queue that the processes of one service share.
    pub task_queue: String,
    /// The key that the cluster asks for, if it does; it implies TLS.
    pub api_key: Option<String>,
    /// Certificates for TLS other than the system's.
    pub tls: TemporalTls,
    /// Steps at work at once in this process.
    pub max_steps: usize,
    /// Executions kept in memory between their steps; others are replayed from their histories.
    pub max_cached: usize,
    /// How long it is tried to reach the cluster at the start.
    pub connect_timeout: Duration,
}

impl Default for TemporalConfig {
    /// A development server on this machine: namespace `default`, queue `breakwater`, 256 steps, 1 000 executions, 10 s.
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:7233".to_owned(),
            namespace: "default".to_owned(),
            task_queue: "breakwater".to_owned(),
            api_key: None,
            tls: TemporalTls::default(),
            max_steps: 256,
            max_cached: 1000,
            connect_timeout: Duration::from_secs(10),
        }
    }
}

/// Certificates, as PEM.
#[derive(Clone, Default)]
pub struct TemporalTls {
    /// Who may have signed the cluster's certificate, instead of those whom the system trusts.
    pub ca: Option<Vec<u8>>,
    /// The certificate of this process and its key, if the cluster asks for one.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for TemporalTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TemporalTls").field("ca", &self.ca.is_some()).field("client", &self.client.is_some()).finish()
    }
}
