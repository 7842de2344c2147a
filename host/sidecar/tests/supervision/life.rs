//! Starting, answering, failing, coming back, ending.

use std::time::Duration;

use breakwater_core::FailureKind;
use breakwater_sidecar::{Change, ErrorKind, Readiness, State};
use regex::Regex;

use super::support::{Bench, is_alive, kill, until_gone};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ready_is_an_endpoint_and_ends_without_a_trace() {
    let bench = Bench::start("", |_| {}).await;
    let status = bench.ready().await;
    let pid = status.instances[0].pid.unwrap();
    assert_eq!(bench.ask("/").await.unwrap(), format!("{pid} True"), "the call carries its trace");
    let upstream = bench.upstreams.upstream_status("work").unwrap();
    assert_eq!((upstream.endpoints.len(), upstream.endpoints[0].id.as_str()), (1, "work/0"));
    assert!(status.ready && !status.restarting && status.restart_attempts == 0 && status.last_health_check_ms.is_some());
    bench.sidecars.shutdown().await;
    assert!(!is_alive(pid));
    let failure = bench.ask("/").await.unwrap_err();
    assert_eq!((failure.kind, failure.code.as_ref()), (FailureKind::Unavailable, "upstream.no-endpoint"));
    let changes: Vec<_> = bench.heard.0.lock().unwrap().iter().map(|(change, _)| *change).collect();
    assert_eq!(changes, [Change::Started, Change::Ready, Change::Stopped]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_it_starts_is_explained_and_tried_again() {
    let bench = Bench::start("crash-first", |_| {}).await;
    let status = bench.ready().await;
    assert_eq!((status.restart_attempts, status.instances[0].restarts), (1, 1));
    let error = status.last_error.unwrap();
    assert_eq!(error.kind, ErrorKind::ProcessCrash);
    assert_eq!(error.message, "the process exited with code 3 during its health check");
    assert_eq!(error.stderr, ["start 1", "Traceback: boom at line 1"]);
    let heard = bench.heard.0.lock().unwrap().clone();
    assert!(
        heard
            .iter()
            .any(|(change, detail)| *change == Change::Restarting && detail.ends_with("Attempting automatic restart (1/3) in 20 ms"))
    );
    assert!(bench.lines().iter().any(|line| line == "Error type: PROCESS_CRASH"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_stable_begins_to_count_anew() {
    let bench = Bench::start("crash-first", |config| config.restart.stable_after = Duration::from_millis(100)).await;
    assert_eq!(bench.ready().await.restart_attempts, 1);
    let status = bench.until(|status| status.restart_attempts == 0).await;
    assert_eq!(status.instances[0].restarts, 1, "what was is not forgotten altogether");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_ends_early_and_says_so() {
    let bench = Bench::start("crash-always", |_| {}).await;
    let status = bench.until(|status| status.instances[0].state == State::Failed).await;
    assert_eq!(status.restart_attempts, 2, "the third failure that looks the same ends it before the third restart");
    let message = status.last_error.unwrap().message;
    assert!(message.contains("3 times in a row in the same way"), "{message}");
    assert_eq!(std::fs::read(bench.file("starts")).unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_gets_well_is_given_up_after_its_restarts() {
    let bench = Bench::start("crash-always", |config| config.restart.loop_limit = 0).await;
    let status = bench.until(|status| status.instances[0].state == State::Failed).await;
    assert!(status.last_error.unwrap().message.contains("started again 3 times in vain"));
    assert_eq!(std::fs::read(bench.file("starts")).unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_starts_are_refused() {
    let bench = Bench::start("", |config| config.restart.start_limit = 2).await;
    bench.ready().await;
    bench.sidecars.restart("work").await.unwrap();
    let failure = bench.sidecars.restart("work").await.unwrap_err();
    assert!(failure.message.contains("started 2 times within 60s"), "{}", failure.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_one_of_a_pool_of_two_comes_back_and_calls_go_to_the_other() {
    let bench = Bench::start("", |config| config.instances = 2).await;
    let status = bench.ready().await;
    let (first, second) = (status.instances[0].pid.unwrap(), status.instances[1].pid.unwrap());
    kill(first);
    bench.until(|status| status.instances[0].pid != Some(first)).await;
    for _ in 0..10 {
        let answer = bench.ask("/").await.unwrap();
        assert!(!answer.starts_with(&format!("{first} ")), "{answer}");
    }
    let status = bench.ready().await;
    assert_eq!(status.instances[1].pid, Some(second));
    let error = status.last_error.unwrap();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::ProcessCrash, "the process exited by signal 9 (SIGKILL, from a person or for want of memory)")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_fails_no_call() {
    let bench = std::sync::Arc::new(Bench::start("", |config| config.instances = 2).await);
    let before: Vec<_> = bench.ready().await.instances.iter().map(|instance| instance.pid).collect();
    let calls = {
        let bench = bench.clone();
        let stop = tokio_util::sync::CancellationToken::new();
        let stopped = stop.clone();
        let calling = tokio::spawn(async move {
            let mut answered = 0;
            while !stopped.is_cancelled() {
                bench.ask("/slow").await.unwrap();
                answered += 1;
            }
            answered
        });
        (stop, calling)
    };
    let status = bench.sidecars.rolling_restart("work").await.unwrap();
    calls.0.cancel();
    assert!(calls.1.await.unwrap() > 0);
    assert!(status.instances.iter().zip(before).all(|(now, before)| now.pid != before && now.state == State::Ready));
    assert_eq!(status.restart_attempts, 0, "a restart that was wanted is no failure");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_or_a_connection_says_that_it_is_ready() {
    let line = Readiness::Line(Regex::new("^listening on").unwrap());
    for readiness in [line, Readiness::Tcp] {
        let bench = Bench::start("unwell", |config| config.readiness = readiness).await;
        bench.ready().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_answers_badly_is_not_ready() {
    let bench = Bench::start("unwell", |config| {
        config.checks.timeout = Duration::from_secs(3);
        config.restart.auto = false;
    })
    .await;
    let status = bench.until(|status| status.instances[0].state == State::Failed).await;
    let error = status.last_error.unwrap();
    assert_eq!(error.kind, ErrorKind::HealthCheckTimeout);
    assert!(error.message.contains("HTTP 500") && error.message.contains("auto_restart is off"), "{}", error.message);
    assert!(bench.lines().iter().any(|line| line == "Health check attempt 1/1000... (Connection refused)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_is_started_again() {
    let bench = Bench::start("hangs-later", |config| config.checks.attempt_timeout = Duration::from_millis(100)).await;
    let first = bench.ready().await.instances[0].pid.unwrap();
    std::fs::write(bench.file("hang"), "").unwrap();
    until_gone(first).await;
    let status = bench.ready().await;
    let error = status.last_error.unwrap();
    assert_eq!(error.kind, ErrorKind::HealthCheckTimeout);
    assert!(error.message.contains("3 health checks in a row failed, the last one: Timeout"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_socket_is_handed_over() {
    let bench = Bench::start("", |config| config.pass_socket = true).await;
    bench.ready().await;
    bench.ask("/").await.unwrap();
    assert!(bench.lines().iter().any(|line| line == "took the socket"), "{:?}", bench.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_could_only_fail_leaves_what_runs_alone() {
    let bench = Bench::start("", |_| {}).await;
    let pid = bench.ready().await.instances[0].pid;
    std::fs::remove_file(bench.file("server.py")).unwrap();
    let failure = bench.sidecars.restart("work").await.unwrap_err();
    assert!(failure.message.contains("SCRIPT_NOT_FOUND") && failure.message.contains("was left alone"), "{}", failure.message);
    let status = bench.status();
    assert_eq!((status.instances[0].state, status.instances[0].pid), (State::Ready, pid));
    assert_eq!(bench.ask("/").await.unwrap(), format!("{} True", pid.unwrap()));
    assert_eq!(status.last_error.unwrap().kind, ErrorKind::ScriptNotFound);
}
