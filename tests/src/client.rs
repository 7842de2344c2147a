//! Calls of the service over HTTP.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

/// A text field of a form.
pub type Field<'a> = (&'a str, &'a (dyn Display + Sync));

/// What the service answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is something else; the message shows its beginning.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {} with a body that is not JSON: {}", self.status, self.beginning()))
    }

    /// A header's text; empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default()
    }

    /// The stable code of a problem response; empty when it is none.
    #[must_use]
    pub fn code(&self) -> String {
        let code = self.json().ok().and_then(|problem| Some(problem.get("code")?.as_str()?.to_owned()));
        code.unwrap_or_default()
    }

    /// The start of the body as text, for messages.
    #[must_use]
    pub fn beginning(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(600).collect()
    }
}

/// Calls one service.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
}

impl Client {
    /// For the service at `base`, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        // The provider of cryptography is chosen once a process, also where nothing is encrypted.
        let _chosen_before = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(120)).no_proxy().build().unwrap_or_default();
        Self { base: base.to_owned(), http }
    }

    /// A request that is not sent yet, for headers and bodies of one's own.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When the connection fails or the answer breaks off.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await? })
    }

    /// `GET path`.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST path` with a JSON body, asking for JSON.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.request(Method::POST, path).header("accept", "application/json").json(body)).await
    }

    /// `POST path` with a picture and text fields as a form, asking for `accept`.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn post_picture(&self, path: &str, picture: &Bytes, fields: &[Field<'_>], accept: &str) -> Result<Answer> {
        let image = Part::stream(picture.clone()).file_name("picture");
        let form = fields.iter().fold(Form::new(), |form, (name, value)| form.text((*name).to_owned(), value.to_string()));
        self.send(self.request(Method::POST, path).header("accept", accept).multipart(form.part("image", image))).await
    }

    /// `POST /v1/detect` with a picture as a form.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn detect(&self, picture: &Bytes, fields: &[Field<'_>]) -> Result<Answer> {
        self.post_picture("/v1/detect", picture, fields, "application/json").await
    }

    /// `POST /v1/crop` with a picture as a form, asking for the decision as JSON.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn crop(&self, picture: &Bytes, fields: &[Field<'_>]) -> Result<Answer> {
        self.post_picture("/v1/crop", picture, fields, "application/json").await
    }

    /// `POST /v1/operations/{name}` with this input, asking for JSON.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn call(&self, operation: &str, input: &Value) -> Result<Answer> {
        self.post(&format!("/v1/operations/{operation}"), &serde_json::json!({ "input": input })).await
    }

    /// `PUT path` with a JSON body.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.request(Method::PUT, path).header("accept", "application/json").json(body)).await
    }

    /// `DELETE path`.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::DELETE, path)).await
    }
}
