//! `GET /v1/batches/{id}/events`: how far a batch is, whenever that changes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use breakwater_core::Failure;
use breakwater_operations::batches::{Batch, Batches};
use futures_util::{Stream, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batch_body::BatchBody;
use crate::app::App;
use crate::problem::{Problem, Refusal};

/// No two reports are closer.
const LEAST_PAUSE: Duration = Duration::from_millis(250);
/// A report of a long list takes its time: at most this part of the time is spent on them.
const PART: u32 = 10;
/// How often a stream without a report says that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long it is waited for a change before it is looked whether the batch has ended.
const PATIENCE: Duration = Duration::from_secs(5);
/// The event that a client that comes back has seen last.
const LAST_EVENT_ID: &str = "last-event-id";

/// How far a batch is, as server-sent events: `progress` now and whenever that changes, at most four times a second, and `end` as the last
/// one. The id of an event is the number of the batch's last event; a client that comes back with `Last-Event-ID` hears of what is new.
#[utoipa::path(
    get,
    path = "/v1/batches/{id}/events",
    tag = "batches",
    operation_id = "followBatch",
    params(
        ("id" = String, Path, description = "Names the batch"),
        ("last-event-id" = Option<u64>, Header, description = "The id of the last event that was seen")
    ),
    responses(
        (status = 200, description = "Events whose data is the batch", content((BatchBody = "text/event-stream"))),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The records could not be read", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn events(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    let batch = app.batches.get(&id).await?;
    let seen = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let following = Following {
        batches: Arc::clone(&app.batches),
        id: batch.id.clone(),
        seen,
        first: Some(batch),
        not_before: Instant::now(),
        ended: false,
    };
    let events = reports(following, app.state.readiness.draining().clone());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

struct Following {
    batches: Arc<Batches>,
    id: String,
    /// The last event that was reported.
    seen: Option<u64>,
    /// How it is when the stream begins.
    first: Option<Batch>,
    not_before: Instant,
    ended: bool,
}

/// Until the batch has ended, `stop` is cancelled, or the records cannot be read any more: then the client comes back.
fn reports(following: Following, stop: CancellationToken) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    stream::unfold((following, stop), async |(mut following, stop)| {
        let batch = match stop.run_until_cancelled(following.next()).await? {
            Ok(batch) => batch?,
            Err(failure) => {
                tracing::warn!(batch = following.id, failure = failure.chain(), "the progress of a batch cannot be told");
                return None;
            }
        };
        following.ended = batch.status.is_final();
        following.seen = Some(batch.progress.last_event);
        let name = if following.ended { "end" } else { "progress" };
        let event = Event::default().event(name).id(batch.progress.last_event.to_string());
        // Numbers and strings always serialise.
        let event = event.data(serde_json::to_string(&BatchBody::from(batch)).unwrap_or_default());
        Some((Ok(event), (following, stop)))
    })
}

impl Following {
    /// The next report; none after the last one.
    async fn next(&mut self) -> Result<Option<Batch>, Failure> {
        if self.ended {
            return Ok(None);
        }
        loop {
            tokio::time::sleep_until(self.not_before).await;
            let began = Instant::now();
            let batch = match self.first.take() {
                Some(first) => first,
                None => self.batches.get(&self.id).await?,
            };
            self.not_before = Instant::now() + LEAST_PAUSE.max(began.elapsed() * PART);
            if batch.status.is_final() || self.seen.is_none_or(|seen| batch.progress.last_event > seen) {
                return Ok(Some(batch));
            }
            self.batches.changed(&self.id, batch.progress.last_event, PATIENCE).await?;
        }
    }
}
