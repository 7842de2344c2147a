//! A request as it is sent: what callers may not say is dropped, what the host says is added.

use std::sync::{Arc, Mutex, PoisonError};

use breakwater_core::outbound::Part;
use breakwater_core::{Body, CallContext, Deadline, Digest, Effect, Failure, Method, OperationEffect, OutboundRequest};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, future, stream};
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION, TE,
    TRAILER,
};
use http::header::{HeaderMap, PROXY_AUTHENTICATE, TRANSFER_ENCODING, UPGRADE};

use reqwest::multipart::{self, Form};

use crate::endpoint::check_path;

/// Names the call in the logs of every service that it reaches.
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// The span of the attempt, as W3C Trace Context writes it.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// How many milliseconds the sender will still wait, counted from when the request was sent; a whole number. What cannot be done in
/// that time need not be begun.
pub const REQUEST_DEADLINE: HeaderName = HeaderName::from_static("x-request-deadline-ms");
/// The same for every attempt at one effect (draft-ietf-httpapi-idempotency-key-header).
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The most headers of a request, without the host's own.
pub const MAX_HEADERS: usize = 64;
/// The most bytes of their names and values together.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;
/// The most parts of a form.
pub const MAX_PARTS: usize = 1000;
/// The longest idempotency key, in bytes.
pub const MAX_KEY: usize = 255;

/// What the sender of a message says about the connection or itself, which is the host's business.
fn is_the_hosts(name: &HeaderName) -> bool {
    const NAMES: [HeaderName; 13] = [
        HOST,
        CONTENT_LENGTH,
        CONNECTION,
        TRANSFER_ENCODING,
        TE,
        TRAILER,
        UPGRADE,
        EXPECT,
        PROXY_AUTHENTICATE,
        CORRELATION_ID,
        TRACEPARENT,
        REQUEST_DEADLINE,
        IDEMPOTENCY_KEY,
    ];
    NAMES.contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings" | "tracestate" | "forwarded")
}

/// What shows who somebody is.
pub(crate) fn is_credential(name: &HeaderName) -> bool {
    [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(name) || matches!(name.as_str(), "x-api-key" | "api-key" | "x-auth-token")
}

/// How a request leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    /// Whose name derived keys are made of.
    pub(crate) upstream: &'a str,
    /// Whether the caller may show who it is. True for URLs that the caller gave: the host has nothing to show there.
    pub(crate) own_credentials: bool,
    /// The header of the host's own credentials.
    pub(crate) credential_header: Option<&'a HeaderName>,
    /// Bodies in memory above this are sent once.
    pub(crate) max_replay_bytes: u64,
    /// The largest answer.
    pub(crate) max_response_bytes: u64,
}

/// The content of a request.
pub(crate) enum Content {
    /// Can be sent again.
    Bytes(Bytes),
    /// Can be sent again; encoded for each attempt, so that its parts are never copied.
    Form(Vec<Part>),
    /// Taken by the first attempt that gets as far as sending it.
    Stream(Lent),
}

type Lent = Arc<Mutex<Option<BoxStream<'static, Result<Bytes, Failure>>>>>;

impl Content {
    fn new(body: Body) -> Result<Self, Failure> {
        match body {
            Body::Bytes(bytes) => Ok(Self::Bytes(bytes)),
            Body::Stream(stream) => Ok(Self::Stream(Arc::new(Mutex::new(Some(stream))))),
            Body::Form(parts) if parts.len() > MAX_PARTS => Err(invalid(format!("a form has at most {MAX_PARTS} parts"))),
            Body::Form(parts) => {
                for part in &parts {
                    form_part(part)?;
                }
                Ok(Self::Form(parts))
            }
        }
    }

    /// How much would be sent again.
    fn length(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Form(parts) => Some(parts.iter().map(|part| part.bytes.len() as u64).sum()),
            Self::Stream(_) => None,
        }
    }

    /// Names the content; nothing of a stream, which nobody has seen yet.
    fn digest(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Digest::of(bytes),
            Self::Form(parts) => {
                let text = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes();
                let fields = parts.iter().map(|part| [part.name.clone().into_bytes(), text(&part.filename), text(&part.media_type)]);
                let fields: Vec<_> = fields.collect();
                Digest::of_parts(parts.iter().zip(&fields).flat_map(|(part, [name, file, media])| [name, file, media, &part.bytes[..]]))
            }
            Self::Stream(_) => Digest::of(&[]),
        }
    }

    /// Puts the content into a request. `false` when it is a stream that has been sent already.
    pub(crate) fn put_into(&self, client: &reqwest::Client, request: &mut reqwest::Request) -> Result<bool, Failure> {
        match self {
            // An empty body is none: what is set would announce a length also where no content is expected.
            Self::Bytes(bytes) if bytes.is_empty() => {}
            Self::Bytes(bytes) => *request.body_mut() = Some(bytes.clone().into()),
            Self::Form(parts) => {
                let form =
                    parts.iter().try_fold(Form::new(), |form, part| Ok::<_, Failure>(form.part(part.name.clone(), form_part(part)?)))?;
                let bare = reqwest::Request::new(request.method().clone(), request.url().clone());
                let bare = std::mem::replace(request, bare);
                let built = reqwest::RequestBuilder::from_parts(client.clone(), bare).multipart(form).build();
                *request = built.map_err(|error| invalid("the form cannot be sent").caused_by(error.without_url()))?;
            }
            Self::Stream(lent) => {
                if lent.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
                    return Ok(false);
                }
                let lent = Arc::clone(lent);
                // Nobody polls this before there is a connection, so that an attempt that got none leaves the stream to the next.
                let taken = stream::once(async move { lent.lock().unwrap_or_else(PoisonError::into_inner).take() });
                *request.body_mut() = Some(reqwest::Body::wrap_stream(taken.filter_map(future::ready).flatten()));
            }
        }
        Ok(true)
    }
}

fn form_part(part: &Part) -> Result<multipart::Part, Failure> {
    let form = multipart::Part::stream_with_length(part.bytes.clone(), part.bytes.len() as u64);
    let form = match &part.filename {
        Some(filename) => form.file_name(filename.clone()),
        None => form,
    };
    match &part.media_type {
        Some(media_type) => form.mime_str(media_type).map_err(|_| invalid("the media type of a part is none")),
        None => Ok(form),
    }
}

/// A request that was checked, ready for as many attempts as it takes.
pub(crate) struct Prepared {
    pub(crate) method: http::Method,
    pub(crate) path: String,
    /// What every attempt sends.
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    /// What it does to the world.
    pub(crate) effect: OperationEffect,
    /// Whether a second attempt does no more than one.
    pub(crate) repeatable: bool,
    pub(crate) deadline: Deadline,
    pub(crate) max_response_bytes: u64,
    pub(crate) stream_response: bool,
    /// Whether an answer of status 400 or more is an answer.
    pub(crate) any_status: bool,
    /// Whether any answer ends the request.
    pub(crate) answer_is_final: bool,
}

impl Prepared {
    /// Checks `request` and adds what the host says.
    ///
    /// # Errors
    /// `upstream.request-invalid` when a path, header or key cannot be sent.
    pub(crate) fn new(context: &CallContext, request: OutboundRequest, rules: Rules<'_>) -> Result<Self, Failure> {
        check_path(&request.path).map_err(|error| invalid(error.to_string()))?;
        let rules = Rules { own_credentials: rules.own_credentials || request.own_credentials, ..rules };
        let mut headers = caller_headers(&request.headers, rules)?;
        let content = Content::new(request.body)?;
        if let (Content::Stream(_), Some(length)) = (&content, request.length) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let is_read = request.is_read || request.method.is_safe();
        let idempotent = is_read || request.method.is_idempotent();
        // A derived key is the same for every attempt at one effect, and another for every other upstream or request, so that it is never
        // replayed elsewhere. Guests that speak plain HTTP have no other place for a key than its header.
        let of_header = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(IDEMPOTENCY_KEY.as_str())).map(|(_, key)| key);
        let key = match request.idempotency_key.as_ref().or(of_header) {
            Some(key) => Some(key.clone()),
            None if idempotent => None,
            None => context.idempotency_key.as_deref().map(|key| {
                let parts = [key, rules.upstream, request.method.name(), &request.path].map(str::as_bytes);
                Digest::of_parts(parts.into_iter().chain([&content.digest().as_bytes()[..]])).to_string()
            }),
        };
        if let Some(key) = &key {
            let fits = (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
            let value = HeaderValue::from_str(key).ok().filter(|_| fits);
            headers.insert(
                IDEMPOTENCY_KEY,
                value.ok_or_else(|| invalid(format!("an idempotency key has 1 to {MAX_KEY} visible ASCII characters")))?,
            );
        }
        if let Ok(id) = HeaderValue::from_str(context.correlation_id.as_str()) {
            headers.insert(CORRELATION_ID, id);
        }
        if matches!(content, Content::Form(_)) {
            // It names the boundary, which whoever encodes the form chooses.
            headers.remove(CONTENT_TYPE);
        }
        let replayable = content.length().is_some_and(|length| length <= rules.max_replay_bytes);
        Ok(Self {
            method: method(request.method),
            path: request.path,
            headers,
            content,
            effect: effect(request.method, is_read, request.effect),
            repeatable: replayable && (idempotent || key.is_some()),
            deadline: request.timeout.map_or(context.deadline, |timeout| context.deadline.tightened(timeout)),
            max_response_bytes: request.max_response_bytes.unwrap_or(u64::MAX).min(rules.max_response_bytes),
            stream_response: request.stream_response,
            any_status: request.any_status,
            answer_is_final: request.answer_is_final,
        })
    }

    /// What may have happened once the request is on its way and no answer says otherwise.
    pub(crate) fn doubt(&self) -> Effect {
        if self.effect == OperationEffect::Read { Effect::None } else { Effect::Unknown }
    }

    /// What has happened once the upstream said that it did its work.
    pub(crate) fn done(&self) -> Effect {
        if self.effect == OperationEffect::Read { Effect::None } else { Effect::Applied }
    }
}

/// The request itself is wrong; nothing was sent.
pub(crate) fn invalid(message: impl Into<String>) -> Failure {
    Failure::invalid("upstream.request-invalid", message)
}

fn caller_headers(given: &[(String, String)], rules: Rules<'_>) -> Result<HeaderMap, Failure> {
    if given.len() > MAX_HEADERS {
        return Err(invalid(format!("a request has at most {MAX_HEADERS} headers")));
    }
    if given.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_HEADER_BYTES {
        return Err(invalid(format!("the headers of a request have at most {MAX_HEADER_BYTES} bytes")));
    }
    let mut headers = HeaderMap::with_capacity(given.len() + 8);
    // What `Connection` names belongs to the connection too (RFC 9110, 7.6.1).
    let of_connection = given.iter().filter(|(name, _)| name.eq_ignore_ascii_case("connection")).flat_map(|(_, value)| value.split(','));
    let of_connection: Vec<&str> = of_connection.map(str::trim).collect();
    for (name, value) in given {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("a header's name is no header name"))?;
        let value = HeaderValue::from_str(value).map_err(|_| invalid(format!("the value of the header `{name}` cannot be sent")))?;
        let dropped = is_the_hosts(&name)
            || of_connection.iter().any(|token| token.eq_ignore_ascii_case(name.as_str()))
            || rules.credential_header == Some(&name)
            || (is_credential(&name) && !rules.own_credentials);
        if !dropped {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

fn method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
        Method::Options => http::Method::OPTIONS,
    }
}

fn effect(method: Method, is_read: bool, said: Option<OperationEffect>) -> OperationEffect {
    match (said, method) {
        _ if is_read => OperationEffect::Read,
        (Some(said), _) if said != OperationEffect::Read => said,
        (_, Method::Put | Method::Patch) => OperationEffect::Update,
        (_, Method::Delete) => OperationEffect::Delete,
        (_, Method::Get | Method::Head | Method::Options | Method::Post) => OperationEffect::Create,
    }
}

#[cfg(test)]
mod tests;
