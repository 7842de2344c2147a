//! Reading answers: bounded in size and time, whole or as they come.

use breakwater_core::{Body, Deadline, Effect, Failure, FailureKind, OutboundResponse};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::header::{CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use crate::classify;
use crate::endpoint::Streaming;

/// The most memory that is reserved because an answer says how long it is; more is taken as content comes.
const MAX_RESERVED: u64 = 1024 * 1024;

/// How reading an answer ended badly.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// More than the limit.
    TooLarge,
    /// The connection ended before the content did.
    Broken(reqwest::Error),
}

/// Whether an answer says of itself that it is over `limit`.
pub(crate) fn is_announced_over(response: &reqwest::Response, limit: u64) -> bool {
    response.content_length().is_some_and(|length| length > limit)
}

/// Reads all of an answer's content.
pub(crate) async fn read_whole(response: &mut reqwest::Response, limit: u64) -> Result<Bytes, ReadError> {
    if is_announced_over(response, limit) {
        return Err(ReadError::TooLarge);
    }
    let Some(first) = response.chunk().await.map_err(ReadError::Broken)? else { return Ok(Bytes::new()) };
    check(first.len(), limit)?;
    let Some(second) = response.chunk().await.map_err(ReadError::Broken)? else { return Ok(first) };
    check(first.len() + second.len(), limit)?;
    let reserved = response.content_length().unwrap_or(0).min(MAX_RESERVED);
    let mut content = BytesMut::with_capacity(usize::try_from(reserved).unwrap_or(0).max(first.len() + second.len()));
    content.extend_from_slice(&first);
    content.extend_from_slice(&second);
    while let Some(piece) = response.chunk().await.map_err(ReadError::Broken)? {
        check(content.len() + piece.len(), limit)?;
        content.extend_from_slice(&piece);
    }
    Ok(content.freeze())
}

fn check(length: usize, limit: u64) -> Result<(), ReadError> {
    if length as u64 > limit { Err(ReadError::TooLarge) } else { Ok(()) }
}

/// The beginning of an answer's content as text; whatever comes before `deadline`.
pub(crate) async fn read_beginning(response: &mut reqwest::Response, most: usize, deadline: Deadline) -> String {
    let mut content = Vec::new();
    while content.len() < most {
        match tokio::time::timeout_at(deadline.instant(), response.chunk()).await {
            Ok(Ok(Some(piece))) => content.extend_from_slice(piece.get(..most - content.len()).unwrap_or(&piece)),
            _ => break,
        }
    }
    String::from_utf8_lossy(&content).into_owned()
}

/// An answer that is read as it comes.
pub(crate) struct Flow {
    pub(crate) upstream: String,
    pub(crate) response: reqwest::Response,
    pub(crate) limit: u64,
    pub(crate) deadline: Deadline,
    /// What may have happened when the content does not end well.
    pub(crate) doubt: Effect,
    /// What has happened since the upstream said that it is well.
    pub(crate) done: Effect,
    /// The connection is taken until the content ends.
    pub(crate) _place: OwnedSemaphorePermit,
    /// It counts for its endpoint until the content ends.
    pub(crate) _streaming: Streaming,
}

impl Flow {
    /// The content; it ends with a failure when the limit, the deadline or the end of the connection comes first.
    pub(crate) fn into_body(self) -> Body {
        let pieces = stream::unfold(Some((self, 0)), async |state| {
            let (mut flow, read) = state?;
            match flow.next(read).await {
                Ok(Some((piece, read))) => Some((Ok(piece), Some((flow, read)))),
                Ok(None) => None,
                Err(failure) => Some((Err(failure), None)),
            }
        });
        Body::Stream(Box::pin(pieces))
    }

    async fn next(&mut self, read: u64) -> Result<Option<(Bytes, u64)>, Failure> {
        let piece = tokio::time::timeout_at(self.deadline.instant(), self.response.chunk()).await;
        let ended = |failure: Failure| failure.from_origin(classify::origin(&self.upstream));
        let piece = piece.map_err(|_| ended(classify::late(&self.upstream, self.doubt).failure))?;
        let piece = piece.map_err(|error| ended(classify::broken(&self.upstream, self.doubt, error.without_url()).failure))?;
        let Some(piece) = piece else { return Ok(None) };
        let read = read + piece.len() as u64;
        if read > self.limit {
            return Err(ended(classify::too_large(&self.upstream, self.done, self.limit).failure));
        }
        Ok(Some((piece, read)))
    }
}

/// What a header says about the connection alone (RFC 9110, 7.6.1), which ends here.
fn is_of_connection(name: &HeaderName) -> bool {
    [CONNECTION, TRANSFER_ENCODING, TE, TRAILER, UPGRADE].contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// An answer's headers as everybody else writes them. What is not visible ASCII is left out: nobody can send it on.
pub(crate) fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let of_content = headers.iter().filter(|(name, _)| !is_of_connection(name));
    of_content.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))).collect()
}

/// An answer's content as JSON.
///
/// # Errors
/// `upstream.response-invalid` (rejected) for anything else, such as an HTML page or invalid UTF-8, and for content that is a stream. It
/// says where the content stops being JSON, never what it is.
pub fn json(response: &OutboundResponse) -> Result<Value, Failure> {
    let invalid = |message: String| Failure::new(FailureKind::Rejected, "upstream.response-invalid", message);
    match &response.body {
        Body::Bytes(bytes) => serde_json::from_slice(bytes).map_err(|error| {
            invalid(format!("the answer is no JSON from line {}, column {} on", error.line(), error.column())).caused_by(error)
        }),
        Body::Stream(_) | Body::Form(_) => Err(invalid("the answer is no single JSON document".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: impl Into<Bytes>) -> OutboundResponse {
        OutboundResponse { status: 200, headers: Vec::new(), body: Body::Bytes(body.into()), attempts: 1 }
    }

    #[test]
    fn headers_of_the_connection_end_here() {
        let names = ["connection", "keep-alive", "transfer-encoding", "x-binary", "content-type", "set-cookie"];
        let mut given: HeaderMap = names.map(|name| (HeaderName::from_static(name), "a".parse().unwrap())).into_iter().collect();
        given.insert("x-binary", http::HeaderValue::from_bytes(b"\xff").unwrap());
        given.append("set-cookie", "b".parse().unwrap());
        let kept = headers(&given).into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>();
        assert_eq!(kept, ["content-type: a", "set-cookie: a", "set-cookie: b"]);
    }

    #[test]
    fn what_is_no_json_is_named_but_not_repeated() {
        assert_eq!(json(&answer(r#"{"a": [1]}"#)).unwrap()["a"][0], 1);
        for body in [&b"<html>secret</html>"[..], b"{\"a\": \"\xff\xfe\"}", b"", b"{} trailing"] {
            let failure = json(&answer(body.to_vec())).unwrap_err();
            assert_eq!(failure.code, "upstream.response-invalid");
            assert!(!failure.to_string().contains("secret"));
        }
    }
}
