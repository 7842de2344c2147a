//! Reading a body that may be too large, too slow, or never end.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::{HeaderMap, header};
use breakwater_core::{Deadline, Failure, FailureKind};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};

/// How much and how slow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) max_bytes: u64,
    pub(crate) idle: Duration,
    pub(crate) total: Duration,
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body has more than {0} bytes")]
    TooLarge(u64),
    #[error("the body came too slowly")]
    TooSlow,
    #[error("the body ended early")]
    Broken,
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        let message = error.to_string();
        match error {
            BodyError::TooLarge(max) => {
                Self::limit("http.body-too-large", message).with_detail(serde_json::json!({ "max_body_bytes": max }))
            }
            BodyError::TooSlow => Self::new(FailureKind::Timeout, "http.body-timeout", message),
            BodyError::Broken => Self::invalid("http.body-broken", message),
        }
    }
}

/// The pieces of a body, ending with an error at the first limit crossed. A length that was announced is refused before anything
/// is read.
pub(crate) fn guarded(
    headers: &HeaderMap,
    body: Body,
    limits: BodyLimits,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let announced = announced.unwrap_or(0).max(body.size_hint().lower());
    let state = Reading { pieces: body.into_data_stream(), deadline: Deadline::after(limits.total), read: announced, first: true };
    stream::try_unfold(state, move |mut state| async move {
        if std::mem::take(&mut state.first) {
            if state.read > limits.max_bytes {
                return Err(BodyError::TooLarge(limits.max_bytes));
            }
            state.read = 0;
        }
        let next = tokio::time::timeout_at(state.deadline.tightened(limits.idle).instant(), state.pieces.next());
        let Some(piece) = next.await.map_err(|_| BodyError::TooSlow)? else {
            return Ok(None);
        };
        let piece = piece.map_err(|_| BodyError::Broken)?;
        state.read += piece.len() as u64;
        if state.read > limits.max_bytes {
            return Err(BodyError::TooLarge(limits.max_bytes));
        }
        Ok(Some((piece, state)))
    })
}

struct Reading {
    pieces: axum::body::BodyDataStream,
    deadline: Deadline,
    /// Bytes so far; before the first piece, those announced.
    read: u64,
    first: bool,
}

/// The whole body.
///
/// # Errors
/// `http.body-too-large` (limit), `http.body-timeout`, `http.body-broken`.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limits: BodyLimits) -> Result<Bytes, Failure> {
    let mut pieces = std::pin::pin!(guarded(headers, body, limits));
    let mut whole = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BodyLimits = BodyLimits { max_bytes: 10, idle: Duration::from_secs(1), total: Duration::from_secs(3) };

    async fn code(headers: &HeaderMap, body: Body) -> String {
        read(headers, body, LIMITS).await.unwrap_err().code.into_owned()
    }

    /// Pieces of `size` bytes, each after a pause.
    fn slow(size: usize, pause: Duration, pieces: usize) -> Body {
        let piece = move |index| async move {
            tokio::time::sleep(pause).await;
            (index < pieces).then(|| (Ok::<_, std::io::Error>(Bytes::from(vec![0; size])), index + 1))
        };
        Body::from_stream(stream::unfold(0, piece))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_within_its_limits_is_read_whole() {
        let body = slow(5, Duration::from_millis(900), 2);
        assert_eq!(read(&HeaderMap::new(), body, LIMITS).await.unwrap().len(), 10);
        assert_eq!(read(&HeaderMap::new(), Body::empty(), LIMITS).await.unwrap().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_byte_too_many_is_refused_announced_or_not() {
        assert_eq!(code(&HeaderMap::new(), slow(1, Duration::ZERO, 11)).await, "http.body-too-large");
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, "11".parse().unwrap());
        // The body would never come: nothing of it is waited for.
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let started = tokio::time::Instant::now();
        assert_eq!(code(&headers, never).await, "http.body-too-large");
        assert!(started.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn slow_bodies_end_by_pause_and_by_total() {
        assert_eq!(code(&HeaderMap::new(), slow(1, Duration::from_millis(1100), 9)).await, "http.body-timeout");
        let started = tokio::time::Instant::now();
        assert_eq!(code(&HeaderMap::new(), slow(1, Duration::from_millis(900), 9)).await, "http.body-timeout");
        assert_eq!(started.elapsed(), LIMITS.total);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_the_clients_fault() {
        let broken = Body::from_stream(stream::iter([Ok(Bytes::from_static(b"x")), Err(std::io::Error::other("reset"))]));
        assert_eq!(code(&HeaderMap::new(), broken).await, "http.body-broken");
    }
}
