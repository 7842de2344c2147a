//! `breakwater:plugin/upstream`: requests to the upstreams that the plugin was granted.

mod request;

use std::sync::Arc;

use breakwater_core::{Body, CallContext, Deadline, Effect, Failure, FailureKind, OutboundRequest, OutboundResponse};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::join_all;

use crate::bindings::breakwater::plugin::types;
use crate::bindings::breakwater::plugin::upstream::{Body as GuestBody, Host, Request, Response};
use crate::convert::{failure_to_guest, truncated};
use crate::ports::Outbound;
use crate::state::{CallState, Doubts};

/// The most requests of one `send-all`.
const MAX_AT_ONCE: usize = 16;
/// Bodies up to this size are handed to the guest, larger ones stay in the host as blobs.
const MAX_INLINE: usize = 64 << 10;
/// The most headers of an answer, and the most bytes of them.
const MAX_HEADERS: usize = 256;
const MAX_HEADER_BYTES: usize = 256 << 10;
/// The longest media type kept, in bytes.
const MAX_MEDIA_TYPE: usize = 256;
/// A request ends this much before whoever waits for it, so that it can say what became of it.
const SETTLE: std::time::Duration = std::time::Duration::from_millis(1);

/// A request that may be sent.
struct Prepared {
    upstream: String,
    request: OutboundRequest,
}

/// An answer whose body is in memory.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
    attempts: u32,
}

type Told<T> = wasmtime::Result<Result<T, types::Failure>>;

impl Host for CallState {
    async fn send(&mut self, upstream: String, request: Request) -> Told<Response> {
        let prepared = vec![self.prepare(upstream, request)?];
        let answer = self.ask_upstreams(prepared).await?.pop();
        Ok(answer.unwrap_or_else(|| Err(failure_to_guest(&Failure::internal("a request was not answered")))))
    }

    async fn send_all(&mut self, requests: Vec<(String, Request)>) -> wasmtime::Result<Vec<Result<Response, types::Failure>>> {
        let count = requests.len();
        let mut prepared = Vec::with_capacity(count);
        for (upstream, request) in requests {
            let one = self.prepare(upstream, request)?;
            let too_many = || Err(request::invalid(format!("{count} requests at once; at most {MAX_AT_ONCE} can be sent")));
            prepared.push(if count > MAX_AT_ONCE { too_many() } else { one });
        }
        self.ask_upstreams(prepared).await
    }
}

impl CallState {
    /// Sends what can be sent, all at once, and answers in order.
    async fn ask_upstreams(&mut self, prepared: Vec<Result<Prepared, Failure>>) -> wasmtime::Result<Vec<Result<Response, types::Failure>>> {
        let count = prepared.len();
        let deadline = self.host_deadline().reserving(SETTLE);
        let context = CallContext { deadline, ..self.context.clone() };
        let (outbound, doubts) = (Arc::clone(&self.ways.outbound), Arc::clone(&self.doubts));
        let asking = prepared.into_iter().map(|prepared| async {
            match prepared {
                Ok(prepared) => ask_one(&*outbound, &context, prepared, &doubts).await,
                Err(failure) => Err(failure),
            }
        });
        let asking = async { Ok(join_all(asking).await) };
        let answers = match self.wait("asking an upstream", asking).await {
            Ok(answers) => answers,
            // Each request ends before this does; should one not, it may have been worked on.
            Err(mut failure) => {
                failure.effect = Effect::Unknown;
                let failure = failure_to_guest(&failure);
                return Ok((0..count).map(|_| Err(failure.clone())).collect());
            }
        };
        let mut told = Vec::with_capacity(answers.len());
        for answer in answers {
            let answer = match answer {
                Ok(answer) => self.response(answer)?,
                Err(failure) => Err(failure),
            };
            told.push(answer.map_err(|failure| failure_to_guest(&failure)));
        }
        Ok(told)
    }

    fn response(&mut self, answer: Answer) -> wasmtime::Result<Result<Response, Failure>> {
        let Answer { status, headers, body, attempts } = answer;
        let in_headers: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if headers.len() > MAX_HEADERS || in_headers > MAX_HEADER_BYTES {
            let message = format!("the answer has {} headers of {in_headers} bytes", headers.len());
            return Ok(Err(Failure::new(FailureKind::Rejected, "upstream.response-invalid", message)));
        }
        let inline = if body.len() <= MAX_INLINE { body.len() } else { 0 };
        if let Err(crossed) = self.charge_bytes(in_headers + inline) {
            return Ok(Err(crossed.into()));
        }
        let body = if body.is_empty() {
            GuestBody::None
        } else if body.len() <= MAX_INLINE {
            GuestBody::Bytes(body.into())
        } else {
            let media_type = headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.clone());
            let media_type = media_type.unwrap_or_else(|| "application/octet-stream".to_owned());
            match self.hold(truncated(media_type, MAX_MEDIA_TYPE), body)? {
                Ok(blob) => GuestBody::Blob(blob),
                Err(failure) => return Ok(Err(failure)),
            }
        };
        Ok(Ok(Response { status, headers, body, attempts }))
    }
}

/// Sends one request and says what became of it, in time.
async fn ask_one(outbound: &dyn Outbound, context: &CallContext, prepared: Prepared, doubts: &Doubts) -> Result<Answer, Failure> {
    let Prepared { upstream, request } = prepared;
    let (is_safe, max) = (is_safe(&request), request.max_response_bytes.unwrap_or(u64::MAX));
    if !is_safe {
        doubts.begin();
    }
    let asking = async {
        let response = outbound.send(context, &upstream, request).await?;
        collect(response, max).await
    };
    let answer = in_time(context.deadline, &upstream, is_safe, asking).await;
    if !is_safe && answer.as_ref().is_err_and(|failure| failure.effect == Effect::None) {
        doubts.nothing_happened();
    }
    answer
}

/// Whether the request only reads.
pub(super) fn is_safe(request: &OutboundRequest) -> bool {
    request.is_read || request.method.is_safe()
}

/// Waits for an answer until the deadline. One that does not come by then may still have been worked on.
pub(super) async fn in_time<T>(
    deadline: Deadline,
    upstream: &str,
    is_safe: bool,
    asking: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout_at(deadline.instant(), asking).await {
        Ok(answer) => answer,
        Err(_) => {
            let message = format!("`{upstream}` did not answer before the call's time was over");
            let mut failure = Failure::new(FailureKind::Timeout, "upstream.timeout", message);
            failure.effect = if is_safe { Effect::None } else { Effect::Unknown };
            Err(failure)
        }
    }
}

/// The answer with all of its body, at most `max` bytes.
async fn collect(response: OutboundResponse, max: u64) -> Result<Answer, Failure> {
    let OutboundResponse { status, headers, body, attempts } = response;
    let too_large = || Failure::limit("upstream.response-too-large", format!("the answer has more than {max} bytes"));
    let body = match body {
        Body::Bytes(bytes) if bytes.len() as u64 > max => return Err(too_large()),
        Body::Bytes(bytes) => bytes,
        Body::Stream(mut pieces) => {
            let mut whole = BytesMut::new();
            while let Some(piece) = pieces.next().await {
                let piece = piece?;
                if (whole.len() + piece.len()) as u64 > max {
                    return Err(too_large());
                }
                whole.extend_from_slice(&piece);
            }
            whole.freeze()
        }
        Body::Form(_) => return Err(Failure::internal("an upstream answered with a form")),
    };
    Ok(Answer { status, headers, body, attempts })
}
