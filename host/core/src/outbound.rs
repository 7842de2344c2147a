//! Requests that leave the host, as every way out of it writes them. What sends them is in `upstream`.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::failure::Failure;
use crate::operation::OperationEffect;

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Reads the head alone.
    Head,
    /// Makes, or anything else.
    Post,
    /// Replaces.
    Put,
    /// Changes in part.
    Patch,
    /// Removes.
    Delete,
    /// Asks what is possible.
    Options,
}

impl Method {
    /// As it is sent.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// Whether sending it twice does no more than sending it once (RFC 9110, 9.2.2).
    #[must_use]
    pub const fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }

    /// Whether it changes nothing (RFC 9110, 9.2.1).
    #[must_use]
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options)
    }
}

/// The content of a request or response.
pub enum Body {
    /// All of it, in memory. Can be sent again.
    Bytes(Bytes),
    /// Pieces as they come. Sent at most once.
    Stream(BoxStream<'static, Result<Bytes, Failure>>),
    /// multipart/form-data; of requests only. Whoever sends it encodes it and sets `content-type` with the boundary. Can be sent again.
    Form(Vec<Part>),
}

/// One part of multipart/form-data (RFC 7578).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// Makes it a file.
    pub filename: Option<String>,
    /// Such as `image/jpeg`; absent for plain text fields.
    pub media_type: Option<String>,
    /// The content.
    pub bytes: Bytes,
}

impl Body {
    /// No content.
    #[must_use]
    pub const fn empty() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
            Self::Form(parts) => write!(f, "Form({} parts)", parts.len()),
        }
    }
}

/// A request to an upstream.
#[derive(Debug)]
pub struct OutboundRequest {
    /// What is done.
    pub method: Method,
    /// Path and query, such as `/detect?kind=face`; the endpoint is the host's choice.
    pub path: String,
    /// Names in lower case. Length, host and connection headers are the host's, and so are credentials unless `own_credentials` says
    /// otherwise; what is given of them is dropped.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Body,
    /// How long a streamed body is, in bytes, if that is known. It is announced then, for services that cannot take chunks.
    pub length: Option<u64>,
    /// The request is passed on for somebody else, whose credentials among the headers are sent too; but not in the header of those that
    /// the host has for the upstream.
    pub own_credentials: bool,
    /// Makes an unsafe method safe to retry; sent downstream as `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The request reads, whatever its method says: it may be repeated.
    pub is_read: bool,
    /// What a request that does not only read does to the world, where its method does not say. Which retry policy counts depends on it.
    pub effect: Option<OperationEffect>,
    /// Tightens the time for all attempts together, never loosens it.
    pub timeout: Option<Duration>,
    /// Tightens the size of the answer, never loosens it, in bytes.
    pub max_response_bytes: Option<u64>,
    /// Whether the answer's body is wanted as it comes rather than whole.
    pub stream_response: bool,
    /// Whether an answer of status 400 or more is given back as the answer it is, once it is not tried again, instead of as the failure
    /// `upstream.status` or `upstream.max-retries-exceeded`. It counts against budget, breaker and endpoint all the same.
    pub any_status: bool,
    /// Whether any answer is the answer, whatever its status: it is not tried again and counts against nothing, as if it were well. For
    /// requests that are only passed on, whose sender judges the answer.
    pub answer_is_final: bool,
}

impl OutboundRequest {
    /// A request without content, headers or wishes.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            body: Body::empty(),
            length: None,
            own_credentials: false,
            idempotency_key: None,
            is_read: false,
            effect: None,
            timeout: None,
            max_response_bytes: None,
            stream_response: false,
            any_status: false,
            answer_is_final: false,
        }
    }
}

/// What an upstream answered.
#[derive(Debug)]
pub struct OutboundResponse {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Body,
    /// How often the request was sent, this answer included.
    pub attempts: u32,
}
