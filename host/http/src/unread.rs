//! What is left of a request's body once the request is answered.
//!
//! The protocol library closes a connection after an answer when bytes of the body are still to come, and does not say so in the
//! answer. A client that puts the connection back into its pool then loses its next request on it. So a small rest is read away,
//! which keeps the connection, and of a large one the client is told with `connection: close`.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use tower::ServiceExt as _;

/// The largest rest that is read away, in bytes: to read as much costs less than a new connection.
const MAX_READ_AWAY: u64 = 64 << 10;

/// How long an answer waits for such a rest.
const READ_AWAY: Duration = Duration::from_millis(100);

/// Answers a request by `router`, so that the connection is either used again or announced to end.
pub(crate) async fn answered(router: Router, request: Request<Incoming>) -> Result<Response, Infallible> {
    if request.body().is_end_stream() {
        return router.oneshot(request.map(Body::new)).await;
    }
    // Reading from such a client would ask it to send what was refused.
    let waits_for_us = request.headers().contains_key(header::EXPECT);
    let rest = Arc::new(Mutex::new(Rest::Wanted));
    let mut response = router.oneshot(request.map(|body| Body::new(Watched { body: Some(body), rest: rest.clone() }))).await?;
    let rest = std::mem::replace(&mut *rest.lock().unwrap_or_else(PoisonError::into_inner), Rest::Wanted);
    let at_its_end = match rest {
        Rest::Nothing => true,
        // Still being read while the answer is sent: nobody knows whether to its end.
        Rest::Wanted => false,
        Rest::Left(body) => !waits_for_us && read_away(body).await,
    };
    if !at_its_end {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// Reads and forgets a small rest. Whether it came to its end.
async fn read_away(body: Incoming) -> bool {
    if body.size_hint().lower() > MAX_READ_AWAY {
        return false;
    }
    let to_the_end = async {
        let (mut pieces, mut read) = (Body::new(body).into_data_stream(), 0);
        while let Some(piece) = pieces.next().await {
            let Ok(piece) = piece else { return false };
            read += piece.len() as u64;
            if read > MAX_READ_AWAY {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(READ_AWAY, to_the_end).await.unwrap_or(false)
}

/// What is known of a body.
enum Rest {
    /// It was read to its end.
    Nothing,
    /// Somebody holds it.
    Wanted,
    /// Nobody wants what is left of it.
    Left(Incoming),
}

/// A body that says what became of it.
struct Watched {
    body: Option<Incoming>,
    rest: Arc<Mutex<Rest>>,
}

impl Watched {
    fn became(&self, rest: Rest) {
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(&mut *body).poll_frame(context);
        if matches!(frame, Poll::Ready(None)) || (matches!(frame, Poll::Ready(Some(Ok(_)))) && body.is_end_stream()) {
            self.body = None;
            self.became(Rest::Nothing);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            self.became(Rest::Left(body));
        }
    }
}
