//! The routes about services with actions.

use anyhow::Result;
use serde_json::{Value, json};

use super::Server;
use crate::fields::text;

impl Server {
    /// All services, or those of a status.
    pub(crate) async fn services(&self, status: Option<&str>) -> Result<Value> {
        self.list(&["api", "services"], &[("status", status)], u32::MAX).await
    }

    /// A service by id or name.
    pub(crate) async fn service(&self, id: &str) -> Result<Value> {
        self.answer(self.client.get(self.url(&["api", "services", id])?)).await
    }

    /// How a service is.
    pub(crate) async fn service_health(&self, id: &str) -> Result<Value> {
        self.answer(self.client.get(self.url(&["api", "services", id, "health"])?)).await
    }

    /// The service of this name, if there is one.
    pub(crate) async fn service_named(&self, name: &str) -> Result<Option<Value>> {
        // What stands in the path may be an id too.
        Ok(self.found(&["api", "services", name]).await?.filter(|service| text(service, "name") == name))
    }

    /// Registers a service.
    pub(crate) async fn create_service(&self, service: &Value) -> Result<Value> {
        self.answer(self.client.post(self.url(&["api", "services"])?).json(service)).await
    }

    /// Replaces what is given of a service.
    pub(crate) async fn update_service(&self, id: &str, service: &Value) -> Result<Value> {
        self.answer(self.client.put(self.url(&["api", "services", id])?).json(service)).await
    }

    /// Takes a service away.
    pub(crate) async fn delete_service(&self, id: &str) -> Result<Value> {
        self.answer(self.client.delete(self.url(&["api", "services", id])?)).await
    }

    /// Executes an action; its output.
    pub(crate) async fn execute_action(
        &self,
        id: &str,
        action: &str,
        input: &Value,
        context: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Value> {
        let mut body = json!({ "input_data": input });
        if let (Some(fields), Some(context)) = (body.as_object_mut(), context) {
            fields.insert("context".to_owned(), context.clone());
        }
        let request = self.client.post(self.url(&["api", "services", id, "actions", action, "execute"])?).json(&body);
        self.answer(with_key(request, key)).await
    }
}

/// With a key that makes it safe to repeat, if there is one.
pub(super) fn with_key(request: reqwest::RequestBuilder, key: Option<&str>) -> reqwest::RequestBuilder {
    match key {
        Some(key) => request.header("Idempotency-Key", key),
        None => request,
    }
}
