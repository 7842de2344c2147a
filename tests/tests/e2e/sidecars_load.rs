//! Two instances under load: one is killed, or one after the other is started anew, and no request fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use breakwater_tests::client::Client;
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::sidecar_service::{Host, Section, flask_or_say, instances, last, pid, script};
use crate::support::{eventually, ok};

/// Callers at once.
const CALLERS: usize = 4;
/// Requests that must have been answered before and after what happens.
const AROUND: u64 = 50;

/// Requests that are made all the time.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    callers: JoinSet<Vec<String>>,
}

impl Load {
    fn start(client: &Client, methods: &'static [Method]) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (client, stop, answered) = (client.clone(), Arc::clone(&stop), Arc::clone(&answered));
            callers.spawn(async move {
                let mut failures = Vec::new();
                for method in methods.iter().cycle().skip(caller) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    match client.send(client.request(method.clone(), "/flask/work")).await {
                        Ok(answer) if answer.status == 200 => drop(answered.fetch_add(1, Ordering::Relaxed)),
                        Ok(answer) => failures.push(format!("{method} {} {}", answer.status, answer.beginning())),
                        Err(error) => failures.push(format!("{method} {error:#}")),
                    }
                }
                failures
            });
        }
        Self { stop, answered, callers }
    }

    /// Waits until so many more requests were answered.
    async fn goes_on(&self) {
        let wanted = self.answered.load(Ordering::Relaxed) + AROUND;
        eventually("requests are answered", async || (self.answered.load(Ordering::Relaxed) >= wanted).then_some(())).await;
    }

    /// How many were answered; none may have failed.
    async fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(failures) = self.callers.join_next().await {
            assert_eq!(failures.unwrap(), [] as [String; 0]);
        }
        self.answered.load(Ordering::Relaxed)
    }
}

fn pool(flask: &std::path::Path) -> Section {
    Section::flask("flask", flask).set("instances", 2).set("route_prefix", "/flask").set("strip_prefix", true)
}

fn after(later: &Value, instance: usize, state: &str, since: u64) -> u64 {
    last(later, instance, state).unwrap_or_else(|| panic!("never {state}: {later}")).saturating_sub(since)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_is_killed_under_load_and_no_request_fails() {
    static READS: [Method; 1] = [Method::GET];
    let Some(flask) = flask_or_say("kill -9 under load") else { return };
    let host = Host::start(&[pool(&flask)]);
    let before = host.ready("flask").await;
    let load = Load::start(&host.client, &READS);
    load.goes_on().await;
    let killed_at = u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap();
    kill_process(Pid::from_raw(pid(&before, 0).try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    let back = host
        .until("flask", "the other is back", |status| status["instances"][0]["restarts"] == 1 && status["instances"][0]["state"] == "ready")
        .await;
    load.goes_on().await;
    let answered = load.end().await;
    assert_eq!(pid(&back, 1), pid(&before, 1), "the other one went on");
    println!(
        "kill -9 of one of two under load: failed requests 0 of {answered}; noticed after {} ms, started after {} ms, ready after {} ms",
        instances(&back)[0]["last_error"]["at_ms"].as_u64().unwrap().saturating_sub(killed_at),
        after(&back, 0, "starting", killed_at),
        after(&back, 0, "ready", killed_at),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_fails_no_request() {
    static BOTH: [Method; 2] = [Method::GET, Method::POST];
    let Some(flask) = flask_or_say("a rolling restart under load") else { return };
    let host = Host::start(&[pool(&flask)]);
    let before = host.ready("flask").await;
    let load = Load::start(&host.client, &BOTH);
    load.goes_on().await;
    let restarted = ok(&host.order("flask", "rolling-restart").await);
    load.goes_on().await;
    let answered = load.end().await;
    for instance in 0..2 {
        assert_ne!(pid(&restarted, instance), pid(&before, instance), "each was started anew");
        assert_eq!(instances(&restarted)[instance]["restarts"], 0, "and none of them failed");
    }
    let (first, second) =
        (last(&restarted, 0, "ready").unwrap(), last(&restarted, 1, "draining").or(last(&restarted, 1, "stopping")).unwrap());
    assert!(first <= second, "the second goes when the first is back: {restarted}");
    println!("a rolling restart of two under load: failed requests 0 of {answered}");
}

#[tokio::test]
async fn a_restart_that_cannot_work_leaves_what_runs_alone() {
    let Some(flask) = flask_or_say("a restart that cannot work") else { return };
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("flask_server.py");
    std::fs::copy(script("flask_server.py"), &copy).unwrap();
    let host = Host::start(&[pool(&flask).set("script", &copy)]);
    let before = host.ready("flask").await;
    std::fs::remove_file(&copy).unwrap();
    for order in ["rolling-restart", "restart"] {
        let refused = host.order("flask", order).await;
        assert_eq!((refused.status, refused.code().as_str()), (503, "sidecar.start-failed"), "{}", refused.beginning());
        assert_eq!(refused.json().unwrap()["details"]["error"]["type"], "SCRIPT_NOT_FOUND");
        let status = host.status("flask").await;
        assert_eq!((pid(&status, 0), pid(&status, 1)), (pid(&before, 0), pid(&before, 1)), "{order}");
        assert_eq!(host.client.get("/flask/work").await.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_runs_ends_before_its_instance_does() {
    let Some(flask) = flask_or_say("a call that runs while its instance is stopped") else { return };
    let host = Host::start(&[pool(&flask).set("instances", 1)]);
    let before = host.ready("flask").await;
    let client = host.client.clone();
    let slow = tokio::spawn(async move { client.get("/flask/slow?ms=1500").await });
    let upstream = async || ok(&host.client.get("/v1/upstreams/flask").await.unwrap());
    eventually("the call runs", async || (upstream().await["in_flight"] == 1).then_some(())).await;
    let stopped = ok(&host.order("flask", "stop").await);
    assert_eq!(stopped["ready"], false);
    let answer = slow.await.unwrap().unwrap();
    assert_eq!(ok(&answer)["pid"], pid(&before, 0));

    // One that takes longer than drain_timeout is cut off.
    drop(host);
    let host = Host::start(&[pool(&flask).set("instances", 1).set("drain_timeout", "200ms")]);
    host.ready("flask").await;
    let client = host.client.clone();
    let endless = tokio::spawn(async move { client.get("/flask/slow?ms=30000").await });
    let upstream = async || ok(&host.client.get("/v1/upstreams/flask").await.unwrap());
    eventually("the call runs", async || (upstream().await["in_flight"] == 1).then_some(())).await;
    let stopping = std::time::Instant::now();
    ok(&host.order("flask", "stop").await);
    assert!(stopping.elapsed() < Duration::from_secs(10), "{:?}", stopping.elapsed());
    assert!(endless.await.unwrap().unwrap().status >= 500);
}
