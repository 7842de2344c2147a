//! The routes about sidecars.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::Client;
use reqwest::header::ACCEPT;
use serde_json::Value;

use super::{Refusal, Server};

/// What can be done to a sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Starts what does not run.
    Start,
    /// Ends everything.
    Stop,
    /// Ends and starts everything at once.
    Restart,
    /// One instance after the other.
    RollingRestart,
}

impl Order {
    const fn route(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::RollingRestart => "rolling-restart",
        }
    }
}

impl Server {
    /// All sidecars.
    pub(crate) async fn sidecars(&self) -> Result<Value> {
        self.answer(self.client.get(self.url(&["v1", "sidecars"])?)).await
    }

    /// One sidecar.
    pub(crate) async fn sidecar(&self, name: &str) -> Result<Value> {
        self.answer(self.client.get(self.url(&["v1", "sidecars", name])?)).await
    }

    /// Does something to a sidecar; its status afterwards.
    pub(crate) async fn order_sidecar(&self, name: &str, order: Order) -> Result<Value> {
        self.answer(self.client.post(self.url(&["v1", "sidecars", name, order.route()])?)).await
    }

    /// The last lines of a sidecar, and further ones until the service ends or nobody wants more; each as `each` gets it, one JSON object.
    pub(crate) async fn sidecar_logs(&self, name: &str, lines: u16, follow: bool, mut each: impl FnMut(&str)) -> Result<()> {
        let mut url = self.url(&["v1", "sidecars", name, "logs"])?;
        url.query_pairs_mut().append_pair("lines", &lines.to_string()).append_pair("follow", &follow.to_string());
        // Another client than for everything else: lines may be hours apart.
        let client = Client::builder().connect_timeout(Duration::from_secs(5)).build()?;
        let sent = client.get(url).header(ACCEPT, "application/x-ndjson").send().await;
        let mut response = sent.with_context(|| self.unreachable())?;
        if !response.status().is_success() {
            let status = response.status();
            return Err(Refusal::of(status, &response.bytes().await.unwrap_or_default()).into());
        }
        let mut rest = Vec::new();
        while let Some(chunk) = response.chunk().await.context("the service's answer broke off")? {
            rest.extend_from_slice(&chunk);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                each(String::from_utf8_lossy(&line).trim_end());
            }
        }
        if !rest.is_empty() {
            each(String::from_utf8_lossy(&rest).trim_end());
        }
        Ok(())
    }
}
