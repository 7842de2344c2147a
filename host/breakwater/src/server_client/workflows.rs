//! The routes about workflows and executions.

use anyhow::Result;
use reqwest::Url;
use serde_json::{Map, Value};

use super::Server;
use super::services::with_key;
use crate::fields::text;

/// What an execution is started with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Execute {
    /// The workflow's id or name.
    pub(crate) workflow: String,
    /// Its input.
    pub(crate) input: Value,
    /// What goes with every call.
    pub(crate) context: Option<Value>,
    /// Makes it safe to repeat.
    pub(crate) key: Option<String>,
}

/// What can be done to an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Steer {
    /// Ends it.
    Cancel,
    /// Begins no further step.
    Pause,
    /// Goes on.
    Resume,
    /// Goes on from the step that failed.
    Retry,
}

impl Steer {
    const fn route(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Retry => "retry",
        }
    }
}

impl Server {
    /// All workflows, or those of a status.
    pub(crate) async fn workflows(&self, status: Option<&str>) -> Result<Value> {
        self.list(&["api", "workflows"], &[("status", status)], u32::MAX).await
    }

    /// The workflow of this name, if there is one.
    pub(crate) async fn workflow_named(&self, name: &str) -> Result<Option<Value>> {
        // What stands in the path may be an id too.
        Ok(self.found(&["api", "workflows", name]).await?.filter(|workflow| text(workflow, "name") == name))
    }

    /// Creates a workflow.
    pub(crate) async fn create_workflow(&self, workflow: &Map<String, Value>, strict: bool) -> Result<Value> {
        let url = strictly(self.url(&["api", "workflows"])?, strict);
        self.answer(self.client.post(url).json(workflow)).await
    }

    /// Replaces what is given of a workflow.
    pub(crate) async fn update_workflow(&self, id: &str, workflow: &Map<String, Value>, strict: bool) -> Result<Value> {
        let url = strictly(self.url(&["api", "workflows", id])?, strict);
        self.answer(self.client.put(url).json(workflow)).await
    }

    /// What is wrong with a workflow; nothing is stored.
    pub(crate) async fn validate_workflow(&self, workflow: &Map<String, Value>, strict: bool) -> Result<Value> {
        let url = strictly(self.url(&["api", "workflows", "validate"])?, strict);
        self.answer(self.client.post(url).json(workflow)).await
    }

    /// Starts an execution, and says how it is without waiting for its end.
    pub(crate) async fn execute(&self, execute: &Execute) -> Result<Value> {
        let mut body = Map::new();
        body.insert("input_data".to_owned(), execute.input.clone());
        body.insert("wait".to_owned(), false.into());
        body.extend(execute.context.clone().map(|context| ("context".to_owned(), context)));
        let request = self.client.post(self.url(&["api", "workflows", &execute.workflow, "execute"])?).json(&body);
        self.answer(with_key(request, execute.key.as_deref())).await
    }

    /// Executions, the newest first.
    pub(crate) async fn executions(&self, workflow: Option<&str>, status: Option<&str>, limit: u32) -> Result<Value> {
        let query = [("status", status)];
        match workflow {
            Some(workflow) => self.list(&["api", "workflows", workflow, "executions"], &query, limit).await,
            None => self.list(&["api", "executions"], &query, limit).await,
        }
    }

    /// How an execution is.
    pub(crate) async fn execution(&self, id: &str) -> Result<Value> {
        self.answer(self.client.get(self.url(&["api", "executions", id])?)).await
    }

    /// The output of an execution that has ended, or why it has none.
    pub(crate) async fn execution_result(&self, id: &str) -> Result<Value> {
        self.answer(self.client.get(self.url(&["api", "executions", id, "result"])?)).await
    }

    /// Everything that happened in an execution.
    pub(crate) async fn execution_history(&self, id: &str) -> Result<Value> {
        self.list(&["api", "executions", id, "history"], &[], u32::MAX).await
    }

    /// Does something to an execution; how it is then.
    pub(crate) async fn steer(&self, id: &str, steer: Steer) -> Result<Value> {
        self.answer(self.client.post(self.url(&["api", "executions", id, steer.route()])?)).await
    }

    /// Sends a signal.
    pub(crate) async fn signal(&self, id: &str, name: &str, data: &Value, key: Option<&str>) -> Result<()> {
        let request = self.client.post(self.url(&["api", "executions", id, "signals", name])?).json(data);
        self.answer(with_key(request, key)).await.map(drop)
    }
}

/// With the wish to refuse what names things that are not there.
fn strictly(mut url: Url, strict: bool) -> Url {
    if strict {
        url.query_pairs_mut().append_pair("strict", "true");
    }
    url
}
