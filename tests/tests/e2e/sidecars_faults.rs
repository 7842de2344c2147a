//! Sidecars that misbehave: they crash, hang, fork, flood, leak. The host stays well and nothing of them is left.

use std::time::{Duration, Instant};

use breakwater_tests::processes;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::sidecar_service::{Host, Section, flask_or_say, instances, last, pid, texts};
use crate::support::{eventually, ok};

/// A variable by which all processes of a test are found, whatever becomes of them.
const MARK: &str = "SIDECAR_TEST_MARK";
const MIB: u64 = 1 << 20;

fn mark() -> String {
    let passed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{}-{}", std::process::id(), passed.as_nanos())
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
}

/// Flask behind `/flask`.
fn routed(flask: &std::path::Path) -> Section {
    Section::flask("flask", flask).set("route_prefix", "/flask").set("strip_prefix", true)
}

fn grandchildren(answer: &Value) -> Vec<u32> {
    answer["grandchildren"].as_array().unwrap().iter().map(|pid| u32::try_from(pid.as_u64().unwrap()).unwrap()).collect()
}

async fn gone(mark: &str) {
    eventually("nothing of it runs", async || processes::with_variable(MARK, mark).is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_crash_is_noticed_at_once_and_it_is_started_again() {
    let Some(flask) = flask_or_say("a crash at work") else { return };
    // No check would notice it before the test is over.
    let host = Host::start(&[routed(&flask).set("live_interval", "1h")]);
    let before = host.ready("flask").await;
    let killed = Instant::now();
    kill(pid(&before, 0));
    host.until("flask", "it is noticed", |status| status["last_error"].is_object()).await;
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    let after = host.ready("flask").await;
    assert_ne!(pid(&after, 0), pid(&before, 0));
    assert_eq!((&after["last_error"]["type"], &instances(&after)[0]["restarts"]), (&json!("PROCESS_CRASH"), &json!(1)));
    assert!(after["last_error"]["message"].as_str().unwrap().contains("signal 9"), "{after}");
    assert!(last(&after, 0, "failed").or(last(&after, 0, "restarting")).is_some(), "{after}");

    assert!(host.post("/flask/crash?code=3").await.status >= 500);
    let again = host.until("flask", "it is ready again", |status| status["ready"] == true && instances(status)[0]["restarts"] == 2).await;
    assert!(again["last_error"]["message"].as_str().unwrap().contains('3'), "{again}");
    let stderr = again["last_error"]["stderr"].as_array().unwrap();
    assert!(stderr.iter().any(|line| line == "Fatal error: it was asked to"), "{stderr:?}");
    assert_eq!(processes::zombies_below(host.service.pid()), [0_u32; 0], "whoever ended was waited for");
}

#[tokio::test]
async fn attempts_are_forgotten_when_it_was_stable() {
    let Some(flask) = flask_or_say("a stable time") else { return };
    let host = Host::start(&[Section::flask("flask", &flask).set("stable_after", "300ms").set("max_restart_attempts", 1)]);
    for round in 1..=3 {
        let status = host.until("flask", "it is stable", |status| status["ready"] == true && status["restart_attempts"] == 0).await;
        assert_eq!(instances(&status)[0]["restarts"], round - 1);
        kill(pid(&status, 0));
        host.until("flask", "it was started again", |status| instances(status)[0]["restarts"] == round).await;
    }
}

#[tokio::test]
async fn what_it_forks_ends_with_it_and_with_the_host() {
    let Some(flask) = flask_or_say("a sidecar that forks") else { return };
    let mark = mark();
    let section = routed(&flask).variable("IGNORES_TERM", 1).variable("GRANDCHILDREN", 2).variable(MARK, &mark);
    let host = Host::start(&[section.set("shutdown_timeout", "300ms")]);
    let status = host.ready("flask").await;
    let first = grandchildren(&host.get("/flask/work").await);
    assert_eq!(first.len(), 2);
    assert!(first.iter().all(|pid| processes::runs(*pid)));

    // It crashes: what it left goes before it starts again.
    kill(pid(&status, 0));
    host.until("flask", "it is ready again", |status| status["ready"] == true && instances(status)[0]["restarts"] == 1).await;
    assert!(first.iter().all(|pid| !processes::runs(*pid)), "the grandchildren of before are gone");

    // It is stopped, and does not listen.
    let second = grandchildren(&ok(&host.post("/flask/fork?count=1").await));
    assert_eq!(second.len(), 3, "two of its start and one more");
    let stopping = Instant::now();
    ok(&host.order("flask", "stop").await);
    assert!(stopping.elapsed() < Duration::from_secs(5), "{:?}", stopping.elapsed());
    assert_eq!(processes::with_variable(MARK, &mark), [0_u32; 0]);

    // The host is killed and can do nothing any more.
    ok(&host.order("flask", "start").await);
    let third = grandchildren(&host.get("/flask/work").await);
    assert!(third.len() == 2 && processes::with_variable(MARK, &mark).len() >= 3, "{third:?}");
    host.service.signal(Signal::KILL).unwrap();
    host.service.wait(Duration::from_secs(10)).unwrap();
    gone(&mark).await;
    assert!(third.iter().all(|pid| !processes::runs(*pid)));
}

#[tokio::test]
async fn nothing_runs_on_after_a_stop_that_was_asked_for() {
    let Some(flask) = flask_or_say("the end of the host") else { return };
    let mark = mark();
    let sections = [
        Section::flask("polite", &flask).variable(MARK, &mark),
        Section::flask("deaf", &flask).variable(MARK, &mark).variable("IGNORES_TERM", 1).set("shutdown_timeout", "300ms"),
        Section::flask("starting", &flask).variable(MARK, &mark).variable("NEVER_LISTENS", 1).variable("GRANDCHILDREN", 1),
    ];
    let host = Host::start(&sections);
    host.ready("polite").await;
    host.ready("deaf").await;
    eventually("all of them run", async || (processes::with_variable(MARK, &mark).len() >= 4).then_some(())).await;
    assert!(host.service.stop(Duration::from_secs(20)).unwrap().success());
    assert_eq!(processes::with_variable(MARK, &mark), [0_u32; 0], "a host that has ended has seen to the end of its sidecars");
}

#[tokio::test]
async fn a_gigabyte_of_errors_costs_neither_memory_nor_the_host() {
    const WRITTEN: u64 = 1 << 30;
    let Some(flask) = flask_or_say("a flood on standard error") else { return };
    let host = Host::start(&[routed(&flask).set("development", "off").set("auto_restart", true)]);
    host.ready("flask").await;
    let before = processes::resident(host.service.pid());
    let line = 100 * 1024;
    let (half, flooding) = (WRITTEN / 2, host.client.clone());
    let writing = tokio::spawn(async move {
        // Short lines, then ones that are longer than what is kept of a line.
        for length in [80, line] {
            let answer = flooding.post(&format!("/flask/flood?bytes={half}&line={length}"), &json!({})).await.unwrap();
            assert!(answer.status == 200 || answer.status >= 500, "{}", answer.beginning());
        }
    });
    let (mut most, mut asked) = (before, 0_u32);
    while !writing.is_finished() {
        let asking = Instant::now();
        assert_eq!(host.client.get("/healthz").await.unwrap().status, 200);
        assert!(asking.elapsed() < Duration::from_secs(5), "the host answers meanwhile: {:?}", asking.elapsed());
        most = most.max(processes::resident(host.service.pid()));
        asked += 1;
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
    assert!(asked > 3 && most < before + 64 * MIB, "{} MiB before, {} MiB at most", before / MIB, most / MIB);
    let lines = eventually("the last line has come", async || {
        let lines = host.logs("flask").await;
        let over = texts(&lines, "stderr").iter().filter(|line| *line == "the flood is over").count();
        (over >= 1).then_some(lines)
    })
    .await;
    assert!(lines.len() <= 1000, "{}", lines.len());
    let longest = lines.iter().map(|line| line["line"].as_str().unwrap().len()).max().unwrap();
    assert!((4096..=8192 + 64).contains(&longest), "{longest}");
    assert!(host.service.log().len() < 16 << 20, "the host's log is not flooded: {} bytes", host.service.log().len());
    assert_eq!(host.status("flask").await["ready"], true);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_replaced() {
    let Some(flask) = flask_or_say("bytes that are no text") else { return };
    let host = Host::start(&[routed(&flask)]);
    host.ready("flask").await;
    ok(&host.post("/flask/invalid-utf8").await);
    for stream in ["stdout", "stderr"] {
        eventually("the line is there, and readable", async || {
            let lines = texts(&host.logs("flask").await, stream);
            lines.iter().any(|line| line.starts_with("before \u{fffd}") && line.ends_with(" after café")).then_some(())
        })
        .await;
    }
    assert!(std::str::from_utf8(host.service.log().as_bytes()).is_ok());
    assert_eq!(host.status("flask").await["ready"], true);
}

#[tokio::test]
async fn one_that_takes_more_memory_than_it_may_is_started_again() {
    let Some(flask) = flask_or_say("a limit of memory") else { return };
    let host = Host::start(&[routed(&flask).set("memory_limit", "200MiB").set("live_interval", "100ms")]);
    let before = host.ready("flask").await;
    let measured = host.until("flask", "its memory is measured", |status| instances(status)[0]["memory_bytes"].is_u64()).await;
    let bytes = instances(&measured)[0]["memory_bytes"].as_u64().unwrap();
    assert!((5 * MIB..100 * MIB).contains(&bytes), "{bytes}");
    let _cut_off = host.post("/flask/leak?mb=300").await;
    let after = host.until("flask", "it is another", |status| status["ready"] == true && pid(status, 0) != pid(&before, 0)).await;
    assert_eq!(after["last_error"]["type"], "PROCESS_CRASH");
    let message = after["last_error"]["message"].as_str().unwrap();
    assert!(message.contains("memory") && message.contains("memory_limit"), "{message}");
    assert!(!processes::runs(pid(&before, 0)));
}

#[tokio::test]
async fn one_whose_work_hangs_is_found_out_by_work() {
    let Some(flask) = flask_or_say("work that hangs") else { return };
    let section = |name| {
        let section = Section::flask(name, &flask).set("route_prefix", format!("/{name}")).set("strip_prefix", true);
        section.set("live_failures", 2).set("live_interval", "100ms").set("health_attempt_timeout", "500ms")
    };
    let by_work = section("worked").set("readiness", "request").set("request_path", "/work").set("request_body", "{\"probe\": true}");
    let host = Host::start(&[by_work, section("asked")]);
    let (worked, asked) = (host.ready("worked").await, host.ready("asked").await);
    for name in ["worked", "asked"] {
        let answer = host.client.post(&format!("/{name}/behave"), &json!({ "work_hangs": true })).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.beginning());
    }
    let after = host.until("worked", "it is another", |status| status["ready"] == true && pid(status, 0) != pid(&worked, 0)).await;
    assert_eq!(after["last_error"]["type"], "HEALTH_CHECK_TIMEOUT", "{after}");
    assert!(after["last_error"]["message"].as_str().unwrap().contains("Timeout"), "{after}");
    let other = host.status("asked").await;
    assert_eq!((pid(&other, 0), &other["ready"]), (pid(&asked, 0), &json!(true)), "its health route tells nothing of its work");

    // A health route that hangs is found out by itself.
    host.client.post("/asked/behave", &json!({ "health_hangs": true })).await.unwrap();
    host.until("asked", "it is another", |status| status["ready"] == true && pid(status, 0) != pid(&asked, 0)).await;
}

#[tokio::test]
async fn no_more_is_started_than_the_limit_of_starts_allows() {
    let Some(flask) = flask_or_say("a limit of starts") else { return };
    let host = Host::start(&[Section::flask("flask", &flask).set("start_limit", 3).set("start_window", "1h").set("stable_after", "0s")]);
    for restarts in 1..=2 {
        let status =
            host.until("flask", "it is ready", |status| status["ready"] == true && instances(status)[0]["restarts"] == restarts - 1).await;
        kill(pid(&status, 0));
    }
    let third = host.until("flask", "it is ready", |status| status["ready"] == true && instances(status)[0]["restarts"] == 2).await;
    kill(pid(&third, 0));
    let status =
        host.until("flask", "the limit is told", |status| status["ready"] == false && status.to_string().contains("start_limit")).await;
    assert!(instances(&status)[0]["pid"].is_null(), "{status}");
}
