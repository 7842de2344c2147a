//! A storm: the real binary between callers who do not stop and an upstream that fails in every way it can, over real sockets.
//!
//! Every call must be answered or degraded, none may hang, the upstream must not be hit harder for being in trouble, and it must be used
//! again soon after it is well. The table is printed; benches/RESULTS.md keeps one.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that meets a surprise should stop there, and what it measured is printed"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use breakwater_tests::client::Client;
use breakwater_tests::service::Launch;
use breakwater_tests::upstream::{Behaviour, FakeUpstream};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Calls a second, sent whether or not those before have ended.
const RATE: u32 = 60;
/// How long each trouble lasts.
const TROUBLE: Duration = Duration::from_secs(3);
/// A minute of brown-out, with every time of the configuration ten times shorter than a minute would have it.
const BROWN_OUT: Duration = Duration::from_secs(6);
/// What a caller gives a call.
const BUDGET: Duration = Duration::from_millis(800);
/// A call that ends later than this after its deadline hangs. What was measured is in the table; a busy machine is no failure.
const HANGS: Duration = Duration::from_secs(2);
/// How soon the upstream must be used again: the breaker's reset, a health check, and a slow machine.
const RECOVERS_WITHIN: Duration = Duration::from_secs(15);

const ANSWER: &str = r#"{"detections":[{"kind":"face","label":"face","confidence":0.9,"box":{"x":1,"y":2,"width":3,"height":4}}],
    "image":{"width":640,"height":480},"model":"storm-1"}"#;

fn config(base: &str) -> String {
    format!(
        "[upstreams.image-service]\nendpoints = [\"{base}\"]\ntimeout = \"250ms\"\nconnect_timeout = \"200ms\"\nretries = 2\n\
         retry_delay = \"20ms\"\nretry_floor = 5\nretry_burst = 10\nbreaker_reset = \"500ms\"\nmax_connections = 64\nqueue = 64\n\
         health_interval = \"200ms\"\nhealth_unhealthy_interval = \"100ms\"\nhealth_timeout = \"200ms\"\n\
         [chains.detect-objects]\nproviders = [\"adapter-image-service\", \"static\"]\n\
         static_answer = '{{\"detections\":[],\"image\":{{\"width\":1,\"height\":1}}}}'\n"
    )
}

/// How one call ended.
#[derive(Debug, Clone, Copy)]
struct Ended {
    at: Instant,
    took: Duration,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Full,
    Degraded,
    Failed,
}

async fn call(client: Client) -> Ended {
    let body = json!({ "input": { "image_path": "/a.jpg" }, "timeout_ms": BUDGET.as_millis() as u64 });
    let started = Instant::now();
    let answer = client.post("/v1/operations/detect-objects", &body).await;
    let (at, took) = (Instant::now(), started.elapsed());
    let kind = match answer.ok().filter(|answer| answer.status == 200).and_then(|answer| answer.json().ok()) {
        Some(answer) if answer["degraded"] == Value::Bool(false) => Kind::Full,
        Some(_) => Kind::Degraded,
        None => Kind::Failed,
    };
    Ended { at, took, kind }
}

/// Sends calls at [`RATE`] for as long as it is told.
async fn load(client: &Client, lasts: Duration) -> Vec<Ended> {
    let (mut calls, mut ticks) = (JoinSet::new(), tokio::time::interval(Duration::from_secs(1) / RATE));
    let started = Instant::now();
    while started.elapsed() < lasts {
        ticks.tick().await;
        calls.spawn(call(client.clone()));
    }
    let mut ended = calls.join_all().await;
    ended.sort_by_key(|ended| ended.at);
    ended
}

struct Row {
    name: &'static str,
    calls: usize,
    full: usize,
    degraded: usize,
    failed: usize,
    sent: u64,
    took: Vec<Duration>,
    recovery: Option<Duration>,
}

impl Row {
    fn quantile(&self, share: f64) -> Duration {
        self.took[((self.took.len() - 1) as f64 * share) as usize]
    }

    fn print(&self) {
        let percent = |count: usize| 100.0 * count as f64 / self.calls as f64;
        println!(
            "| {} | {} | {:.0} | {:.0} | {} | {:.2} | {} | {} | {} | {} |",
            self.name,
            self.calls,
            percent(self.full),
            percent(self.degraded),
            self.failed,
            self.sent as f64 / self.calls as f64,
            self.quantile(0.5).as_millis(),
            self.quantile(0.99).as_millis(),
            self.quantile(1.0).as_millis(),
            self.recovery.map_or_else(String::new, |recovery| recovery.as_millis().to_string()),
        );
    }
}

/// One trouble, and how soon the upstream is used again after it.
async fn phase(client: &Client, upstream: &FakeUpstream, name: &'static str, behaviour: Behaviour, share: u32, lasts: Duration) -> Row {
    upstream.behave(behaviour, share);
    let before = upstream.requests();
    let ended = load(client, lasts).await;
    let sent = upstream.requests() - before;
    upstream.behave(Behaviour::Answers, 100);
    let healed = Instant::now();
    let mut recovery = None;
    let mut row_full = 0;
    while recovery.is_none() && healed.elapsed() < RECOVERS_WITHIN {
        // Used again: ten calls in a row are answered in full.
        let tried = load(client, Duration::from_millis(200)).await;
        let again = tried.iter().all(|ended| ended.kind == Kind::Full);
        row_full = if again { row_full + 1 } else { 0 };
        recovery = (row_full == 1).then(|| tried.first().map_or(healed, |ended| ended.at) - healed);
    }
    let count = |kind: Kind| ended.iter().filter(|ended| ended.kind == kind).count();
    let mut took: Vec<_> = ended.iter().map(|ended| ended.took).collect();
    took.sort_unstable();
    Row {
        name,
        calls: ended.len(),
        full: count(Kind::Full),
        degraded: count(Kind::Degraded),
        failed: count(Kind::Failed),
        sent,
        took,
        recovery,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_is_answered_or_degraded_and_never_hangs() {
    let upstream = Arc::new(FakeUpstream::start(ANSWER).await.unwrap());
    let service = Launch::with_plugins().unwrap().config(&config(&upstream.base())).start().unwrap();
    let client = Client::new(service.base());
    // The first call compiles nothing and connects everything.
    assert_eq!(call(client.clone()).await.kind, Kind::Full);

    println!("\n| trouble | calls | full % | degraded % | failed | attempts per call | p50 ms | p99 ms | max ms | recovery ms |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let troubles = [
        ("none", Behaviour::Answers, 100, TROUBLE),
        ("30 % errors", Behaviour::Status(503), 30, TROUBLE),
        ("all errors", Behaviour::Status(500), 100, TROUBLE),
        ("latency over the timeout", Behaviour::AnswersAfter(Duration::from_secs(1)), 100, TROUBLE),
        ("half resets", Behaviour::Resets, 50, TROUBLE),
        ("half-closed connections", Behaviour::EndsEarly, 100, TROUBLE),
        ("wrong content length", Behaviour::NeverEnds, 100, TROUBLE),
        ("slow bodies", Behaviour::Drips, 100, TROUBLE),
        ("silence", Behaviour::Silent, 100, TROUBLE),
        ("brown-out", Behaviour::AnswersAfter(Duration::from_millis(400)), 80, BROWN_OUT),
    ];
    let mut rows = Vec::new();
    for (name, behaviour, share, lasts) in troubles {
        let row = phase(&client, &upstream, name, behaviour, share, lasts).await;
        row.print();
        rows.push((row, lasts));
    }
    for (row, lasts) in &rows {
        assert_eq!(row.failed, 0, "{}: a call was neither answered nor degraded", row.name);
        assert!(row.quantile(1.0) < BUDGET + HANGS, "{}: a call hung for {:?}", row.name, row.quantile(1.0));
        assert!(row.recovery.is_some(), "{}: the upstream was not used again", row.name);
        // The budget of the configuration, the health checks, and the probes of the calls before.
        let checks = lasts.as_secs_f64() / 0.1 + 10.0;
        let most = row.calls as f64 * 1.2 + 5.0 * (lasts.as_secs_f64() + BUDGET.as_secs_f64()) + 10.0 + checks;
        assert!(row.sent as f64 <= most, "{}: {} attempts for {} calls", row.name, row.sent, row.calls);
    }
    assert!(rows[0].0.full * 100 >= rows[0].0.calls * 99, "without trouble nearly everything is answered in full");
}
