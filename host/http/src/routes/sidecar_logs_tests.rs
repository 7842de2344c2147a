//! Lines as a client would read them.

use std::sync::Arc;

use axum::http::HeaderValue;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::*;

fn line(number: u64) -> Arc<LogLine> {
    Arc::new(LogLine { at_ms: number, instance: 1, stream: LogStream::Stderr, line: format!("line {number}\r") })
}

/// Logs that hold this many lines, and where further ones go; two wait for a slow reader.
fn logs(recent: u64) -> (Logs, broadcast::Sender<Arc<LogLine>>) {
    let (sender, following) = broadcast::channel(2);
    (Logs { recent: (0..recent).map(line).collect(), following }, sender)
}

fn wanted(query: &str) -> Result<Wanted, Failure> {
    Wanted::of(&format!("/v1/sidecars/flask/logs?{query}").parse().unwrap())
}

async fn read_to_end(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn numbers(text: &str) -> Vec<u64> {
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["at_ms"].as_u64().unwrap()).collect()
}

async fn piece(body: &mut (impl Stream<Item = Result<Bytes, axum::Error>> + Unpin)) -> Option<String> {
    body.next().await.map(|piece| String::from_utf8(piece.unwrap().to_vec()).unwrap())
}

#[test]
fn only_what_is_there_may_be_asked_for() {
    assert_eq!(wanted("").unwrap(), Wanted { lines: 200, follow: false });
    assert_eq!(wanted("follow=true&lines=1000").unwrap(), Wanted { lines: 1000, follow: true });
    assert_eq!(wanted("lines=0").unwrap().lines, 0);
    for query in ["lines=1001", "lines=-1", "lines=all", "follow=yes", "follow=1"] {
        assert_eq!(wanted(query).unwrap_err().code, "request.field-invalid", "{query}");
    }
    assert_eq!(wanted("folow=true").unwrap_err().code, "request.unknown-field");
    assert_eq!(wanted("lines=1&lines=2").unwrap_err().code, "request.repeated-field");
}

#[tokio::test]
async fn the_last_lines_come_the_oldest_first_and_end() {
    for (query, expected) in [("lines=2", vec![3, 4]), ("lines=0", vec![]), ("", vec![0, 1, 2, 3, 4])] {
        let (logs, _sender) = logs(5);
        let response = ndjson(lines(logs, wanted(query).unwrap(), CancellationToken::new()));
        assert_eq!(response.headers()["content-type"], HeaderValue::from_static("application/x-ndjson"));
        assert_eq!(numbers(&read_to_end(response).await), expected, "{query}");
    }
}

#[tokio::test]
async fn a_line_loses_nothing() {
    let (logs, _sender) = logs(1);
    let expected = serde_json::to_value(&*logs.recent[0]).unwrap();
    let text = read_to_end(ndjson(lines(logs, wanted("").unwrap(), CancellationToken::new()))).await;
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    let names = [LogStream::Stdout, LogStream::Stderr, LogStream::Host];
    for stream in names {
        let line = LogLine { stream, ..(*line(0)).clone() };
        assert_eq!(json!(LogLineBody::from(&line).stream), serde_json::to_value(stream).unwrap());
    }
}

#[tokio::test]
async fn a_slow_reader_is_told_how_much_it_missed() {
    let (logs, sender) = logs(0);
    let stop = CancellationToken::new();
    let response = ndjson(lines(logs, wanted("follow=true").unwrap(), stop.clone()));
    for number in 1..=7 {
        sender.send(line(number)).unwrap();
    }
    let mut body = response.into_body().into_data_stream();
    let missed: Value = serde_json::from_str(&piece(&mut body).await.unwrap()).unwrap();
    assert_eq!((&missed["missed"], &missed["stream"], &missed["instance"]), (&json!(5), &json!("host"), &json!(null)));
    assert_eq!(missed["line"], "5 lines are missing here: they came faster than they were read");
    assert_eq!(numbers(&piece(&mut body).await.unwrap()), [6]);
    assert_eq!(numbers(&piece(&mut body).await.unwrap()), [7]);
    stop.cancel();
    assert_eq!(piece(&mut body).await, None, "the service stops");
}

#[tokio::test]
async fn what_is_followed_ends_with_the_sidecar_and_whoever_leaves_is_forgotten() {
    let (first, sender) = logs(1);
    let response = ndjson(lines(first, wanted("follow=true").unwrap(), CancellationToken::new()));
    sender.send(line(1)).unwrap();
    drop(sender);
    assert_eq!(numbers(&read_to_end(response).await), [0, 1]);

    let (second, sender) = logs(0);
    let response = ndjson(lines(second, wanted("follow=true").unwrap(), CancellationToken::new()));
    assert_eq!(sender.receiver_count(), 1);
    drop(response);
    assert_eq!(sender.receiver_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn events_carry_one_line_each_and_show_between_them_that_somebody_is_there() {
    let (logs, sender) = logs(1);
    let stop = CancellationToken::new();
    let response = events(lines(logs, wanted("follow=true").unwrap(), stop.clone()));
    assert_eq!(response.headers()["content-type"], HeaderValue::from_static("text/event-stream"));
    let mut body = response.into_body().into_data_stream();
    let first = "data: {\"at_ms\":0,\"instance\":1,\"stream\":\"stderr\",\"line\":\"line 0\\r\"}\n\n";
    assert_eq!(piece(&mut body).await.as_deref(), Some(first));
    let began = tokio::time::Instant::now();
    let comment = piece(&mut body).await.unwrap();
    assert!(comment.starts_with(':') && comment.ends_with("\n\n"), "{comment:?}");
    assert_eq!(began.elapsed(), HEARTBEAT);
    sender.send(line(8)).unwrap();
    assert!(piece(&mut body).await.unwrap().contains("\"at_ms\":8"));
    stop.cancel();
    assert_eq!(piece(&mut body).await, None);
}
