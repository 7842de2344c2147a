//! Requests to upstreams.

use std::time::Duration;

use serde::Serialize;

use crate::bindings::adapter::breakwater::plugin::upstream;
pub use crate::bindings::adapter::breakwater::plugin::upstream::Method;
use crate::blob::Blob;
use crate::failure::Failure;

/// What to ask of an upstream.
///
/// ```
/// use breakwater_guest::{Blob, Form, Request};
/// use serde_json::json;
///
/// let search = Request::post("/search").json(&json!({ "text": "sea" }))?.read();
/// let photo = Blob::new("image/jpeg", vec![0xff, 0xd8]);
/// let upload = Request::post("/detect").form(Form::new().text("types", "face,person").file("image", "photo.jpg", photo));
/// assert_eq!(search.header_value("content-type"), Some("application/json"));
/// # Ok::<(), breakwater_guest::Failure>(())
/// ```
#[derive(Debug)]
pub struct Request {
    /// What is done.
    pub method: Method,
    /// Path and query, starting with `/`; the endpoint is the host's choice.
    pub path: String,
    /// Names in lower case. Host, length, connection and credential headers are the host's: what is given of them is dropped.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Body,
    /// Makes an unsafe method safe to retry. Without one, the host derives a key from the call's own.
    pub idempotency_key: Option<String>,
    /// Whether it only reads, whatever its method.
    pub is_read: bool,
    /// Tightens the call's deadline for all attempts together, never loosens it.
    pub timeout: Option<Duration>,
}

/// The content of a request or an answer.
#[derive(Debug, Default)]
pub enum Body {
    /// No content.
    #[default]
    None,
    /// In the guest's memory.
    Bytes(Vec<u8>),
    /// In the host: it never enters the guest.
    Blob(Blob),
    /// multipart/form-data; of requests only.
    Form(Form),
}

/// multipart/form-data.
#[derive(Debug, Default)]
pub struct Form {
    /// In the order in which they are sent.
    pub parts: Vec<Part>,
}

/// One part of a form.
#[derive(Debug)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// Makes it a file.
    pub filename: Option<String>,
    /// Its content.
    pub content: PartContent,
}

/// The content of a part.
#[derive(Debug)]
pub enum PartContent {
    /// UTF-8.
    Text(String),
    /// With the blob's media type.
    Blob(Blob),
}

impl Form {
    /// A form without parts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parts.push(Part { name: name.to_owned(), filename: None, content: PartContent::Text(value.into()) });
        self
    }

    /// Adds a file, with the blob's media type.
    #[must_use]
    pub fn file(mut self, name: &str, filename: &str, content: Blob) -> Self {
        self.parts.push(Part { name: name.to_owned(), filename: Some(filename.to_owned()), content: PartContent::Blob(content) });
        self
    }

    /// The text of the first field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.parts.iter().find_map(|part| match &part.content {
            PartContent::Text(text) if part.name == name => Some(text.as_str()),
            _ => None,
        })
    }

    /// The files of this name, in order.
    pub fn files<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Blob> {
        self.parts.iter().filter_map(move |part| match &part.content {
            PartContent::Blob(blob) if part.name == name => Some(blob),
            _ => None,
        })
    }
}

impl Request {
    /// A request without content, headers or wishes. `path` is path and query, starting with `/`.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        let path = path.into();
        Self { method, path, headers: Vec::new(), body: Body::None, idempotency_key: None, is_read: false, timeout: None }
    }

    /// `GET path`.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::Get, path)
    }

    /// `POST path`.
    #[must_use]
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::Post, path)
    }

    /// `PUT path`.
    #[must_use]
    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::Put, path)
    }

    /// `DELETE path`.
    #[must_use]
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::Delete, path)
    }

    /// Sets a header, in place of one of the same name.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        let name = name.to_ascii_lowercase();
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }

    /// Sends `value` as JSON, with its content type.
    ///
    /// # Errors
    /// `request.unwritable` (internal) when the value has no JSON, such as a map whose keys are no strings.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self, Failure> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| Failure::internal("request.unwritable", &format!("the request cannot be written as JSON: {error}")))?;
        Ok(self.header("content-type", "application/json").bytes(bytes))
    }

    /// Sends these bytes. The content type is the caller's to set.
    #[must_use]
    pub fn bytes(self, bytes: Vec<u8>) -> Self {
        Self { body: Body::Bytes(bytes), ..self }
    }

    /// Sends a blob, with its media type.
    #[must_use]
    pub fn blob(self, blob: Blob) -> Self {
        let request = self.header("content-type", blob.media_type());
        Self { body: Body::Blob(blob), ..request }
    }

    /// Sends a form, as multipart/form-data.
    #[must_use]
    pub fn form(self, form: Form) -> Self {
        Self { body: Body::Form(form), ..self }
    }

    /// Says that it only reads, though its method is not GET: the host may repeat it.
    #[must_use]
    pub fn read(self) -> Self {
        Self { is_read: true, ..self }
    }

    /// Makes it safe to repeat: sent downstream as `Idempotency-Key`.
    #[must_use]
    pub fn idempotency_key(self, key: impl Into<String>) -> Self {
        Self { idempotency_key: Some(key.into()), ..self }
    }

    /// Tightens the call's deadline for all attempts together.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// The value of a header; `name` in lower case.
    #[must_use]
    pub fn header_value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl From<Request> for upstream::Request {
    fn from(request: Request) -> Self {
        Self {
            method: request.method,
            path: request.path,
            headers: request.headers,
            body: request.body.into(),
            idempotency_key: request.idempotency_key,
            is_read: request.is_read,
            timeout_ms: request.timeout.map(|timeout| u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)),
        }
    }
}

impl From<Body> for upstream::Body {
    fn from(body: Body) -> Self {
        match body {
            Body::None => Self::None,
            Body::Bytes(bytes) => Self::Bytes(bytes),
            Body::Blob(blob) => Self::Blob(blob.into()),
            Body::Form(form) => Self::Form(form.parts.into_iter().map(Into::into).collect()),
        }
    }
}

impl From<upstream::Body> for Body {
    fn from(body: upstream::Body) -> Self {
        match body {
            upstream::Body::None => Self::None,
            upstream::Body::Bytes(bytes) => Self::Bytes(bytes),
            upstream::Body::Blob(blob) => Self::Blob(blob.into()),
            upstream::Body::Form(parts) => Self::Form(Form { parts: parts.into_iter().map(Into::into).collect() }),
        }
    }
}

impl From<Part> for upstream::Part {
    fn from(part: Part) -> Self {
        let content = match part.content {
            PartContent::Text(text) => upstream::PartContent::Text(text),
            PartContent::Blob(blob) => upstream::PartContent::Blob(blob.into()),
        };
        Self { name: part.name, filename: part.filename, content }
    }
}

impl From<upstream::Part> for Part {
    fn from(part: upstream::Part) -> Self {
        let content = match part.content {
            upstream::PartContent::Text(text) => PartContent::Text(text),
            upstream::PartContent::Blob(blob) => PartContent::Blob(blob.into()),
        };
        Self { name: part.name, filename: part.filename, content }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_header_is_there_once() {
        let request = Request::get("/x").header("Accept", "text/plain").header("accept", "image/*");
        assert_eq!(request.headers, [("accept".to_owned(), "image/*".to_owned())]);
    }

    #[test]
    fn what_has_no_json_is_not_sent() {
        let odd = BTreeMap::from([(vec![1], 2)]);
        assert_eq!(Request::post("/x").json(&odd).unwrap_err().code, "request.unwritable");
    }

    #[test]
    fn a_timeout_beyond_the_contract_is_the_longest_there_is() {
        let sent: upstream::Request = Request::get("/x").timeout(Duration::from_secs(10_000_000)).into();
        assert_eq!(sent.timeout_ms, Some(u32::MAX));
    }
}
