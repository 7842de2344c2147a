//! `GET /v1/sidecars/{name}/logs`: what a local process wrote, and what it goes on to write.

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use breakwater_core::Failure;
use breakwater_operations::sidecars::{LogLine, LogStream, Logs};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::app::App;
use crate::form::field_invalid;
use crate::incoming::Incoming;
use crate::management;
use crate::negotiate::{LinesAnswer, lines_answer};
use crate::problem::{Problem, Refusal};
use crate::query::Query;
use crate::wire::whole_milliseconds;

/// Lines that are shown first when nothing is said.
const DEFAULT_LINES: usize = 200;
/// The most lines that are shown first; no more are kept.
const MAX_LINES: usize = 1000;
/// How often a stream of events without a line says that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// One line.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SidecarLogLine)]
pub(crate) struct LogLineBody {
    /// When it came, in milliseconds since 1970.
    at_ms: u64,
    /// Which instance wrote it; absent where lines are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<u32>,
    /// `stdout`, `stderr`, or `host` for what the host says about it.
    #[schema(example = "stderr")]
    stream: &'static str,
    /// The line without its end. What is no UTF-8 is replaced, what is longer than 8 KiB cut off.
    line: String,
    /// How many lines are missing here because they came faster than they were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<u64>,
}

impl From<&LogLine> for LogLineBody {
    fn from(line: &LogLine) -> Self {
        let stream = match line.stream {
            LogStream::Stdout => "stdout",
            LogStream::Stderr => "stderr",
            LogStream::Host => "host",
        };
        Self { at_ms: line.at_ms, instance: Some(line.instance), stream, line: line.line.clone(), missed: None }
    }
}

impl LogLineBody {
    fn missed(lines: u64) -> Self {
        let at_ms = whole_milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let line = format!("{lines} lines are missing here: they came faster than they were read");
        Self { at_ms, instance: None, stream: "host", line, missed: Some(lines) }
    }

    fn to_json(&self) -> String {
        // Numbers and strings always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Which lines are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    /// 0 to [`MAX_LINES`].
    lines: usize,
    /// Whether those to come are wanted too.
    follow: bool,
}

impl Wanted {
    fn of(uri: &Uri) -> Result<Self, Failure> {
        let query = Query::of(uri, &["follow", "lines"])?;
        let lines = query.parsed("lines")?.unwrap_or(DEFAULT_LINES);
        if lines > MAX_LINES {
            return Err(field_invalid("lines", &format!("is from 0 to {MAX_LINES}")));
        }
        Ok(Self { lines, follow: query.parsed("follow")?.unwrap_or(false) })
    }
}

/// The last lines that a local process wrote to its standard output and error, and what the host says about it. With `follow` the answer
/// goes on with every further line until the client leaves or the service stops. Server-sent events for `Accept: text/event-stream`,
/// otherwise one JSON object a line. To this machine only, unless remote management is switched on.
#[utoipa::path(
    get,
    path = "/v1/sidecars/{name}/logs",
    tag = "sidecars",
    operation_id = "getSidecarLogs",
    params(
        ("name" = String, Path, description = "The sidecar's name"),
        ("follow" = Option<bool>, Query, description = "Whether to go on with further lines; false when absent"),
        ("lines" = Option<u16>, Query, description = "The most lines that are there already, 0 to 1000; 200 when absent")
    ),
    responses(
        (status = 200, description = "The lines, the oldest first",
            content((LogLineBody = "application/x-ndjson"), (LogLineBody = "text/event-stream"))),
        (status = "4XX", description = "There is no such sidecar, or it is refused", body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn logs(
    State(app): State<App>,
    Extension(incoming): Extension<Incoming>,
    Path(name): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    management::allow(&app, &incoming, &headers)?;
    let form = lines_answer(&headers)?;
    let wanted = Wanted::of(&uri)?;
    let lines = lines(app.operations().sidecar_logs(&name)?, wanted, app.state.readiness.draining().clone());
    Ok(match form {
        LinesAnswer::Ndjson => ndjson(lines),
        LinesAnswer::Events => events(lines),
    })
}

/// The lines that are there, then those to come until `stop` is cancelled.
fn lines(logs: Logs, wanted: Wanted, stop: CancellationToken) -> impl Stream<Item = LogLineBody> + Send + 'static {
    let before = logs.recent.len().saturating_sub(wanted.lines);
    let recent = logs.recent.into_iter().skip(before).map(|line| LogLineBody::from(&*line));
    let following = wanted.follow.then_some((logs.following, stop));
    stream::iter(recent).chain(stream::unfold(following, async |state| {
        let (mut receiver, stop) = state?;
        let line = match stop.run_until_cancelled(receiver.recv()).await? {
            Ok(line) => LogLineBody::from(&*line),
            Err(RecvError::Lagged(missed)) => LogLineBody::missed(missed),
            Err(RecvError::Closed) => return None,
        };
        Some((line, Some((receiver, stop))))
    }))
}

fn ndjson(lines: impl Stream<Item = LogLineBody> + Send + 'static) -> Response {
    let lines = lines.map(|line| Ok::<_, Infallible>(line.to_json() + "\n"));
    ([(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")], Body::from_stream(lines)).into_response()
}

fn events(lines: impl Stream<Item = LogLineBody> + Send + 'static) -> Response {
    let events = lines.map(|line| Ok::<_, Infallible>(Event::default().data(line.to_json())));
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response()
}

#[cfg(test)]
#[path = "sidecar_logs_tests.rs"]
mod tests;
