//! Talks to a running service.

mod lists;
mod refusal;
mod services;
mod sidecars;
mod workflows;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use breakwater_plugins::PluginPackage;
use reqwest::header::ACCEPT;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Url};
use serde_json::{Value, json};

pub(crate) use refusal::Refusal;
pub(crate) use sidecars::Order;
pub(crate) use workflows::{Execute, Steer};

/// Compiling and probing a plugin takes seconds; an answer that takes longer than this will not come.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A running service.
pub(crate) struct Server {
    base: Url,
    client: Client,
}

impl Server {
    /// The service at an address such as `http://127.0.0.1:8080`. Nothing is sent yet.
    pub(crate) fn at(base: &Url) -> Result<Self> {
        if base.cannot_be_a_base() {
            bail!("{base} is no address of a service; expected one such as http://127.0.0.1:8080");
        }
        let client = Client::builder().timeout(TIMEOUT).connect_timeout(Duration::from_secs(5)).build()?;
        Ok(Self { base: base.clone(), client })
    }

    /// The plugins.
    pub(crate) async fn plugins(&self) -> Result<Value> {
        self.answer(self.client.get(self.url(&["v1", "plugins"])?)).await
    }

    /// Sends a plugin's folder.
    pub(crate) async fn deploy(&self, folder: &Path) -> Result<Value> {
        let form = package(folder)?;
        self.answer(self.client.post(self.url(&["v1", "plugins"])?).multipart(form)).await
    }

    /// Lets a generation serve. The beginning of its digest is enough.
    pub(crate) async fn activate(&self, id: &str, digest: &str) -> Result<Value> {
        let digest = self.full_digest(id, digest).await?;
        self.answer(self.client.post(self.url(&["v1", "plugins", id, "activate"])?).json(&json!({ "digest": digest }))).await
    }

    /// Lets the generation before serve.
    pub(crate) async fn roll_back(&self, id: &str) -> Result<Value> {
        self.answer(self.client.post(self.url(&["v1", "plugins", id, "rollback"])?)).await
    }

    /// Deletes a generation.
    pub(crate) async fn remove(&self, id: &str, digest: &str) -> Result<Value> {
        let digest = self.full_digest(id, digest).await?;
        self.answer(self.client.delete(self.url(&["v1", "plugins", id, "generations", &digest])?)).await
    }

    /// Calls an operation. The form has its fields and attachments; a key makes it safe to repeat.
    pub(crate) async fn call(&self, operation: &str, form: Form, idempotency_key: Option<&str>) -> Result<Value> {
        let request = self.client.post(self.url(&["v1", "operations", operation])?).header(ACCEPT, "application/json");
        let request = match idempotency_key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        self.answer(request.multipart(form)).await
    }

    /// The whole service in one document.
    pub(crate) async fn status(&self) -> Result<Value> {
        self.answer(self.client.get(self.url(&["v1", "status"])?)).await
    }

    /// Searches with a form.
    pub(crate) async fn search(&self, form: Form) -> Result<Value> {
        self.answer(self.client.post(self.url(&["v1", "search"])?).multipart(form)).await
    }

    /// A product, if there is one of this id.
    pub(crate) async fn product(&self, id: &str) -> Result<Option<Value>> {
        self.found(&["v1", "products", id]).await
    }

    /// Stores a product under its id.
    pub(crate) async fn put_product(&self, id: &str, form: Form) -> Result<Value> {
        self.answer(self.client.put(self.url(&["v1", "products", id])?).multipart(form)).await
    }

    fn url(&self, path: &[&str]) -> Result<Url> {
        let mut url = self.base.clone();
        // Each part is escaped, so that an id cannot lead to another route.
        let mut parts = url.path_segments_mut().map_err(|()| anyhow::anyhow!("{} is no address of a service", self.base))?;
        parts.pop_if_empty().extend(path);
        drop(parts);
        Ok(url)
    }

    async fn full_digest(&self, id: &str, start: &str) -> Result<String> {
        if start.len() >= 64 {
            return Ok(start.to_owned());
        }
        let plugins = self.plugins().await?;
        let all = plugins.get("plugins").and_then(Value::as_array).into_iter().flatten();
        let own = all.filter(|plugin| plugin.get("id").and_then(Value::as_str) == Some(id));
        let generations = own.filter_map(|plugin| plugin.get("generations").and_then(Value::as_array)).flatten();
        let digests = generations.filter_map(|generation| generation.get("digest").and_then(Value::as_str));
        let fitting: Vec<_> = digests.filter(|digest| !start.is_empty() && digest.starts_with(start)).collect();
        match *fitting.as_slice() {
            [digest] => Ok(digest.to_owned()),
            [] => bail!("the plugin {id} has no generation whose digest begins with {start:?}; see `breakwater plugin list`"),
            _ => bail!("the plugin {id} has {} generations whose digest begins with {start:?}; give more of it", fitting.len()),
        }
    }

    /// What is at a path, if anything is.
    async fn found(&self, path: &[&str]) -> Result<Option<Value>> {
        let response = self.client.get(self.url(path)?).send().await;
        let response = response.with_context(|| self.unreachable())?;
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.read(response).await.map(Some)
    }

    fn unreachable(&self) -> String {
        format!("the service at {} cannot be reached", self.base)
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value> {
        let response = request.send().await.with_context(|| self.unreachable())?;
        self.read(response).await
    }

    async fn read(&self, response: reqwest::Response) -> Result<Value> {
        let status = response.status();
        let body = response.bytes().await.context("the service's answer broke off")?;
        if status.is_success() {
            return if body.is_empty() {
                Ok(Value::Null)
            } else {
                serde_json::from_slice(&body).context("the answer is not JSON; is this a Breakwater service?")
            };
        }
        Err(Refusal::of(status, &body).into())
    }
}

/// A plugin's folder as a form: manifest, component, and each file that its fixtures name under its relative path.
fn package(folder: &Path) -> Result<Form> {
    // Reading it as a package checks it, and that no path leads out of the folder, before a byte is sent.
    let package = PluginPackage::read_folder(folder)?;
    let manifest = package.manifest();
    let text = std::fs::read_to_string(folder.join("plugin.toml"))?;
    let component = Part::bytes(package.component().to_vec()).file_name("component.wasm").mime_str("application/wasm")?;
    let mut form = Form::new().text("manifest", text).part("component", component);
    for file in manifest.fixtures.files() {
        let bytes = std::fs::read(folder.join(file)).with_context(|| format!("cannot read {file}"))?;
        form = form.part("fixture", Part::bytes(bytes).file_name(file.to_owned()));
    }
    Ok(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_lead_to_another_route() {
        // As `main` does; another test may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let server = Server::at(&"http://127.0.0.1:1/base/".parse().unwrap()).unwrap();
        let url = server.url(&["v1", "plugins", "../../x?y", "rollback"]).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:1/base/v1/plugins/..%2F..%2Fx%3Fy/rollback");
        assert!(Server::at(&"mailto:a@b".parse().unwrap()).is_err());
    }
}
