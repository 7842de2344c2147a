//! `wasi:http` outgoing requests on the host's own client: any HTTP library of a guest gets its pool, retries and breakers.
//!
//! `http://NAME.upstream/PATH` and `http://NAME/PATH` go to the granted upstream NAME (https likewise: the endpoint decides), any other
//! URL only if its host is granted. A body of up to 64 KiB is gathered first, so that the request can be sent again; a larger one is
//! sent as it comes, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use breakwater_core::{Body, CallContext, Effect, Failure, FailureKind, Method, OutboundRequest, OutboundResponse};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::uri::Scheme;
use http_body_util::{BodyDataStream, BodyExt, Full, StreamBody};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::upstream::{in_time, is_safe};
use crate::state::{CallState, Doubts, PluginScope, Ways, with_reserve};

/// The largest body that is gathered before it is sent.
const MAX_GATHERED: usize = 64 << 10;
/// What follows an upstream's name in a URL.
const UPSTREAM_SUFFIX: &str = ".upstream";

/// The way out of one guest call.
pub(super) struct Requests {
    scope: Arc<PluginScope>,
    context: CallContext,
    ways: Ways,
    doubts: Arc<Doubts>,
    used: Arc<Used>,
}

/// What the requests of the call have used.
#[derive(Default)]
struct Used {
    requests: AtomicU32,
    bytes: AtomicU64,
    refused: AtomicBool,
}

impl Used {
    fn request(&self, limit: u32) -> Result<(), Error> {
        if self.requests.fetch_add(1, Ordering::Relaxed) < limit {
            return Ok(());
        }
        self.refused.store(true, Ordering::Relaxed);
        Err(Error::HttpRequestDenied)
    }

    fn bytes(&self, bytes: usize, limit: u64, crossed: Error) -> Result<(), Error> {
        if self.bytes.fetch_add(bytes as u64, Ordering::Relaxed).saturating_add(bytes as u64) <= limit {
            return Ok(());
        }
        self.refused.store(true, Ordering::Relaxed);
        Err(crossed)
    }
}

/// Who a request goes to.
enum Target {
    Upstream(String),
    Url(String),
}

type Answered = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl Requests {
    pub(super) fn of(state: &CallState) -> Self {
        Self {
            scope: Arc::clone(&state.scope),
            context: state.context.clone(),
            ways: state.ways.clone(),
            doubts: Arc::clone(&state.doubts),
            used: Arc::default(),
        }
    }

    pub(super) fn was_refused(&self) -> bool {
        self.used.refused.load(Ordering::Relaxed)
    }

    pub(super) fn used(&self) -> (u32, u64) {
        (self.used.requests.load(Ordering::Relaxed), self.used.bytes.load(Ordering::Relaxed))
    }

    fn target(&self, uri: &http::Uri) -> Result<Target, Error> {
        let host = uri.host().ok_or(Error::HttpRequestUriInvalid)?.to_ascii_lowercase();
        let upstreams = &self.scope.reach.upstreams;
        if let Some(name) = host.strip_suffix(UPSTREAM_SUFFIX) {
            return if upstreams.contains(name) { Ok(Target::Upstream(name.to_owned())) } else { Err(Error::HttpRequestDenied) };
        }
        if upstreams.contains(&host) {
            return Ok(Target::Upstream(host));
        }
        let default = if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
        let port = uri.port_u16().unwrap_or(default);
        let granted = self.scope.reach.allows_host(&host, port, port == default);
        if granted { Ok(Target::Url(uri.to_string())) } else { Err(Error::HttpRequestDenied) }
    }
}

impl WasiHttpHooks for Requests {
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Answered> + Send> {
        let limits = &self.scope.limits;
        let target = self.used.request(limits.host_calls).and_then(|()| self.target(request.uri()));
        let sending = Sending {
            context: CallContext { deadline: with_reserve(self.context.deadline), ..self.context.clone() },
            ways: self.ways.clone(),
            hosts: self.scope.reach.hosts.iter().cloned().collect(),
            doubts: Arc::clone(&self.doubts),
            used: Arc::clone(&self.used),
            max_bytes: limits.host_bytes,
        };
        Box::new(async move { sending.send(target?, request, options).await })
    }
}

/// One request on its way.
struct Sending {
    context: CallContext,
    ways: Ways,
    hosts: Vec<String>,
    doubts: Arc<Doubts>,
    used: Arc<Used>,
    max_bytes: u64,
}

impl Sending {
    async fn send(self, target: Target, request: http::Request<WasiBody>, options: Option<RequestOptions>) -> Answered {
        let deadline = self.context.deadline;
        let (parts, body) = request.into_parts();
        let request = OutboundRequest {
            headers: headers(&parts.headers)?,
            timeout: options.and_then(|options| options.first_byte_timeout).filter(|timeout| *timeout > Duration::ZERO),
            stream_response: true,
            any_status: true,
            ..OutboundRequest::new(method(&parts.method)?, parts.uri.path_and_query().map_or("/", |path| path.as_str()))
        };
        let gathered = tokio::time::timeout_at(deadline.instant(), self.gather(body)).await;
        let body = gathered.map_err(|_| Error::ConnectionWriteTimeout)??;
        let request = OutboundRequest { body, ..request };
        let is_safe = is_safe(&request);
        if !is_safe {
            self.doubts.begin();
        }
        let what = match &target {
            Target::Upstream(name) => name.as_str(),
            Target::Url(_) => "the service",
        };
        let asking = async {
            match &target {
                Target::Upstream(name) => self.ways.outbound.send(&self.context, name, request).await,
                Target::Url(url) => self.ways.outbound.send_to_url(&self.context, url, request, &self.hosts).await,
            }
        };
        let answer = in_time(deadline, what, is_safe, asking).await;
        let nothing_happened = match &answer {
            Ok(response) => (400..500).contains(&response.status) && response.status != 408,
            Err(failure) => failure.effect == Effect::None,
        };
        if !is_safe && nothing_happened {
            self.doubts.nothing_happened();
        }
        let response = match answer {
            Ok(response) => response,
            Err(failure) => answer_of(&failure).ok_or_else(|| error_of(&failure))?,
        };
        Ok((self.response(response)?, Box::new(std::future::ready(Ok(())))))
    }

    /// The whole body where it is small, else what came of it and the rest as it comes.
    async fn gather(&self, body: WasiBody) -> Result<Body, Error> {
        let mut pieces = BodyDataStream::new(body);
        let mut whole = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            self.charge(piece.len(), Error::HttpRequestBodySize(None))?;
            whole.extend_from_slice(&piece);
            if whole.len() > MAX_GATHERED {
                let (used, max) = (Arc::clone(&self.used), self.max_bytes);
                let rest = pieces.map(move |piece| {
                    let piece = piece.map_err(|error| broken(&error))?;
                    used.bytes(piece.len(), max, Error::HttpRequestBodySize(None)).map_err(|error| broken(&error))?;
                    Ok(piece)
                });
                let begun = futures_util::stream::iter([Ok(whole.freeze())]);
                return Ok(Body::Stream(begun.chain(rest).boxed()));
            }
        }
        Ok(Body::Bytes(whole.freeze()))
    }

    fn charge(&self, bytes: usize, crossed: Error) -> Result<(), Error> {
        self.used.bytes(bytes, self.max_bytes, crossed)
    }

    fn response(&self, response: OutboundResponse) -> Result<http::Response<WasiBody>, Error> {
        let OutboundResponse { status, headers, body, .. } = response;
        let mut answer = http::Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(name, value);
        }
        let body = match body {
            Body::Bytes(bytes) => {
                self.charge(bytes.len(), Error::HttpResponseBodySize(None))?;
                Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
            }
            Body::Stream(pieces) => {
                let (used, max) = (Arc::clone(&self.used), self.max_bytes);
                let pieces = pieces.map(move |piece| {
                    let piece = piece.map_err(|failure| error_of(&failure))?;
                    used.bytes(piece.len(), max, Error::HttpResponseBodySize(None))?;
                    Ok(piece)
                });
                streamed(pieces)
            }
            Body::Form(_) => return Err(Error::HttpProtocolError),
        };
        answer.body(body).map_err(|_| Error::HttpProtocolError)
    }
}

fn streamed(pieces: impl Stream<Item = Result<Bytes, Error>> + Send + 'static) -> WasiBody {
    let frames = pieces.filter_map(|piece| async move {
        match piece {
            // A body of one piece is the way to a frame of it.
            Ok(bytes) => Full::new(bytes).frame().await.map(|frame| frame.map_err(|never| match never {})),
            Err(error) => Some(Err(error)),
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

/// The guest's body ended before its time.
fn broken(error: &Error) -> Failure {
    Failure::invalid("upstream.request-invalid", format!("the body of the request broke off: {error}"))
}

fn headers(map: &http::HeaderMap) -> Result<Vec<(String, String)>, Error> {
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| Error::HttpProtocolError)?;
        Ok((name.as_str().to_owned(), value.to_owned()))
    };
    map.iter().map(text).collect()
}

fn method(method: &http::Method) -> Result<Method, Error> {
    Ok(match *method {
        http::Method::GET => Method::Get,
        http::Method::HEAD => Method::Head,
        http::Method::POST => Method::Post,
        http::Method::PUT => Method::Put,
        http::Method::PATCH => Method::Patch,
        http::Method::DELETE => Method::Delete,
        http::Method::OPTIONS => Method::Options,
        _ => return Err(Error::HttpRequestMethodInvalid),
    })
}

/// The answer inside a failure that stands for one: HTTP libraries want to see the status.
fn answer_of(failure: &Failure) -> Option<OutboundResponse> {
    let detail = failure.detail.as_ref()?;
    let status = u16::try_from(detail.get("status")?.as_u64()?).ok()?;
    let body = detail.get("body").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    Some(OutboundResponse { status, headers: Vec::new(), body: Body::Bytes(body.into()), attempts: 1 })
}

/// What a guest is told, in the words of `wasi:http`.
fn error_of(failure: &Failure) -> Error {
    match (failure.kind, &*failure.code) {
        (FailureKind::Denied, _) => Error::HttpRequestDenied,
        (FailureKind::NotFound, _) => Error::DestinationNotFound,
        (FailureKind::InvalidRequest, _) => Error::HttpRequestUriInvalid,
        (FailureKind::Timeout, _) => Error::HttpResponseTimeout,
        (FailureKind::Unavailable, "upstream.connection") => Error::ConnectionRefused,
        (FailureKind::Unavailable | FailureKind::CircuitOpen | FailureKind::BudgetExhausted, _) => Error::DestinationUnavailable,
        (FailureKind::Limit, "upstream.response-too-large") => Error::HttpResponseBodySize(None),
        (FailureKind::Limit, _) => Error::ConnectionLimitReached,
        (FailureKind::Rejected, _) => Error::HttpProtocolError,
        (FailureKind::Internal | FailureKind::Other, _) => Error::InternalError(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_its_word_in_wasi_http() {
        let told = |kind, code: &'static str| error_of(&Failure::new(kind, code, "")).to_string();
        assert_eq!(told(FailureKind::Denied, "upstream.not-granted"), "HTTP request denied");
        assert_eq!(told(FailureKind::NotFound, "upstream.unknown"), "destination not found");
        assert_eq!(told(FailureKind::CircuitOpen, "upstream.circuit-open"), "destination unavailable");
        assert_eq!(told(FailureKind::Unavailable, "upstream.connection"), "connection refused");
        assert_eq!(told(FailureKind::Timeout, "upstream.timeout"), "HTTP response timeout");
        assert_eq!(told(FailureKind::Limit, "upstream.response-too-large"), "HTTP response body size exceeds limit");
        assert_eq!(told(FailureKind::Internal, "internal"), "internal error");
    }

    #[test]
    fn a_status_inside_a_failure_is_an_answer() {
        let failure =
            Failure::new(FailureKind::Rejected, "upstream.status", "").with_detail(serde_json::json!({ "status": 503, "body": "no" }));
        let answer = answer_of(&failure).unwrap();
        assert_eq!(answer.status, 503);
        assert!(matches!(answer.body, Body::Bytes(bytes) if bytes == "no"));
        assert!(answer_of(&Failure::internal("")).is_none());
    }
}
