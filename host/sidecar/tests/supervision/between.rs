//! What is wanted while something else is being done.

use std::time::{Duration, Instant};

use breakwater_sidecar::{Change, ErrorKind, Launch, State};
use futures_util::StreamExt as _;

use super::support::{Bench, is_alive, kill, quick, until_gone};

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_for_another_answers_and_can_be_stopped() {
    let bench = Bench::with_need("", |_| {}).await;
    let status = bench.sidecars.start_sidecar("work").await.unwrap();
    assert_eq!(status.instances[0].state, State::Waiting);
    let status = bench.sidecars.stop_sidecar("work").await.unwrap();
    assert_eq!(status.instances[0].state, State::Stopped);
    bench.sidecars.start_sidecar("work").await.unwrap();
    bench.sidecars.start_sidecar("base").await.unwrap();
    bench.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_a_start_that_takes_too_long() {
    let bench = std::sync::Arc::new(Bench::start("unwell", |config| config.autostart = false).await);
    let starting = {
        let bench = bench.clone();
        tokio::spawn(async move { bench.sidecars.start_sidecar("work").await })
    };
    let pid = bench.until(|status| status.instances[0].pid.is_some()).await.instances[0].pid.unwrap();
    let began = Instant::now();
    let status = bench.sidecars.stop_sidecar("work").await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(status.instances[0].state == State::Stopped && !is_alive(pid), "what is said to be stopped is");
    starting.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_listens_elsewhere_on_the_port_takes_no_time_away() {
    // Another address of the same machine, the same port.
    let other = std::net::TcpListener::bind("127.0.0.9:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let bench = Bench::start("late", |config| {
        config.port = port;
        config.checks.interval = Duration::from_millis(500);
        config.checks.max_interval = Duration::from_secs(2);
        config.checks.max_attempts = 6;
    })
    .await;
    assert_eq!(bench.ready().await.last_error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_still_comes_is_waited_for() {
    let bench = Bench::start("", |_| {}).await;
    bench.ready().await;
    let mut stream = bench.ask_for_stream("/drip").await;
    let mut read = stream.next().await.unwrap().unwrap().len();
    let sidecars = bench.sidecars.clone();
    let stopping = tokio::spawn(async move { sidecars.stop_sidecar("work").await });
    bench.until(|status| status.instances[0].state == State::Draining).await;
    while let Some(piece) = stream.next().await {
        read += piece.unwrap().len();
    }
    assert_eq!(read, 200, "all of it");
    drop(stream);
    assert_eq!(stopping.await.unwrap().unwrap().instances[0].state, State::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_a_restart_is_considered_is_noticed_at_once() {
    let bench = Bench::start("", |_| {}).await;
    let pid = bench.ready().await.instances[0].pid.unwrap();
    // What is looked at before a restart takes much longer from now on.
    std::fs::write(bench.file("sitecustomize.py"), "import time\ntime.sleep(3)\n").unwrap();
    let bench = std::sync::Arc::new(bench);
    let restarting = {
        let bench = bench.clone();
        tokio::spawn(async move { bench.sidecars.restart("work").await })
    };
    tokio::task::yield_now().await;
    let began = Instant::now();
    kill(pid);
    bench.until(|status| status.instances[0].pid != Some(pid)).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    std::fs::remove_file(bench.file("sitecustomize.py")).unwrap();
    let _ = restarting.await.unwrap();
    bench.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_beyond_the_limit_of_starts_leaves_what_runs_alone() {
    let bench = Bench::start("", |config| config.restart.start_limit = 1).await;
    let pid = bench.ready().await.instances[0].pid;
    let failure = bench.sidecars.restart("work").await.unwrap_err();
    assert!(failure.message.contains("started 1 times within 60s"), "{}", failure.message);
    let status = bench.status();
    assert_eq!((status.instances[0].state, status.instances[0].pid), (State::Ready, pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_told_once() {
    let bench = Bench::start("", |_| {}).await;
    bench.ready().await;
    bench.sidecars.stop_sidecar("work").await.unwrap();
    bench.sidecars.stop_sidecar("work").await.unwrap();
    let heard = bench.heard.0.lock().unwrap();
    assert_eq!(heard.iter().filter(|(change, _)| *change == Change::Stopped).count(), 1, "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_only_guessed_from_its_output_is_tried_again() {
    let bench = Bench::start("guess", |_| {}).await;
    let status = bench.ready().await;
    let error = status.last_error.unwrap();
    assert_eq!(error.kind, ErrorKind::DependencyError);
    assert_eq!(status.instances[0].restarts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sidecars_without_a_common_need_end_together() {
    let bench = Bench::start("stubborn", |config| {
        config.instances = 3;
        config.shutdown_timeout = Duration::from_millis(700);
    })
    .await;
    bench.ready().await;
    assert!(bench.sidecars.end_patience() >= Duration::from_millis(700));
    let began = Instant::now();
    bench.sidecars.shutdown().await;
    assert!(began.elapsed() < Duration::from_millis(2000), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_ends_when_nobody_waits_for_it_any_more() {
    let bench = Bench::start("", |config| {
        let folder = config.folder().unwrap();
        // An import that tells who it is and never comes to an end.
        let slow =
            "import os, time\nopen(os.path.join(os.path.dirname(__file__), 'trial'), 'w').write(str(os.getpid()))\ntime.sleep(1000)\n";
        std::fs::write(folder.join("slow_package.py"), slow).unwrap();
        config.imports = vec!["slow_package".to_owned()];
    })
    .await;
    let looking = async {
        loop {
            if let Some(pid) = std::fs::read_to_string(bench.file("trial")).ok().and_then(|pid| pid.parse().ok()) {
                return pid;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let pid: u32 = tokio::time::timeout(Duration::from_secs(20), looking).await.unwrap();
    bench.sidecars.stop_sidecar("work").await.unwrap();
    until_gone(pid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_needed_one_is_there_first() {
    let bench = Bench::with_need("", |config| {
        config.autostart = true;
        config.launch = Launch::Command(vec!["sh".to_owned(), "-c".to_owned(), "sleep 0.3; echo up; exec sleep 1000".to_owned()]);
        config.readiness = breakwater_sidecar::Readiness::Line(regex::Regex::new("up").unwrap());
        config.checks.live_failures = 0;
    })
    .await;
    assert!(!quick(&bench.file(""), "").autostart || bench.status().instances[0].pid.is_none());
    bench.sidecars.start_sidecar("work").await.unwrap();
    bench.ready().await;
    assert!(bench.sidecars.status("base").unwrap().ready);
}
