use breakwater_upstream::{MemoryRecords, NoUpstreamObserver, UpstreamsConfig};

use super::*;
use crate::config::Launch;
use crate::observer::NoSidecarObserver;
use crate::status::State;

/// Sidecars that do not start by themselves.
async fn sidecars(configs: Vec<(&str, SidecarConfig)>) -> Result<Arc<Sidecars>, Failure> {
    let stop = CancellationToken::new();
    let records = Arc::new(MemoryRecords::default());
    let upstreams = Upstreams::start(UpstreamsConfig::default(), records, Arc::new(NoUpstreamObserver), stop.clone()).await.unwrap();
    let reaper = ReaperCommand { program: "/nonexistent".into(), reap: Vec::new(), exec: Vec::new() };
    let configs = configs.into_iter().map(|(name, config)| (name.to_owned(), SidecarConfig { autostart: false, ..config })).collect();
    Sidecars::start(configs, upstreams, Arc::new(NoSidecarObserver), reaper, stop).await
}

fn command(words: &[&str]) -> SidecarConfig {
    SidecarConfig { port: 0, ..SidecarConfig::new("x", Launch::Command(words.iter().map(|word| (*word).to_owned()).collect())) }
}

#[tokio::test]
async fn a_path_goes_to_the_longest_prefix_that_ends_where_a_segment_does() {
    let with = |prefix: &str, strip_prefix| SidecarConfig { route_prefix: Some(prefix.to_owned()), strip_prefix, ..command(&["true"]) };
    let all = sidecars(vec![("a", with("/api", false)), ("b", with("/api/deepfake", true))]).await.unwrap();
    let route = |path: &str| all.route(path).map(|route| (route.sidecar, route.path));
    let to = |name: &str, path: &str| Some((name.to_owned(), path.to_owned()));
    assert_eq!(route("/api/deepfake/detect?x=/api"), to("b", "/detect?x=/api"));
    assert_eq!(route("/api/deepfake?x=1"), to("b", "/?x=1"));
    assert_eq!(route("/api/deepfake"), to("b", "/"));
    assert_eq!(route("/api/deepfakes"), to("a", "/api/deepfakes"));
    assert_eq!(route("/apis"), None);
    assert_eq!(route("/other?x=/api/"), None);
}

#[tokio::test]
async fn a_start_that_fails_answers_with_the_error() {
    let all = sidecars(vec![("x", command(&["no-such-program-at-all"]))]).await.unwrap();
    assert_eq!(all.status("x").unwrap().instances[0].state, State::Stopped);
    let failure = all.start_sidecar("x").await.unwrap_err();
    assert_eq!(failure.code, "sidecar.start-failed");
    assert_eq!(failure.detail.unwrap()["error"]["type"], "SCRIPT_NOT_FOUND");
    let status = all.status("x").unwrap();
    assert_eq!(status.instances[0].state, State::Failed, "nobody but a person can mend that");
    assert_eq!(status.restart_attempts, 0);
    assert!(status.history.iter().any(|entry| entry.state == State::Checking));
    all.stop_sidecar("x").await.unwrap();
    assert_eq!(all.status("x").unwrap().instances[0].state, State::Stopped);
    all.shutdown().await;
}

#[tokio::test]
async fn a_reaper_that_cannot_be_started_is_a_process_that_cannot() {
    let restart = crate::RestartConfig { auto: false, ..crate::RestartConfig::default() };
    let all = sidecars(vec![("x", SidecarConfig { restart, ..command(&["true"]) })]).await.unwrap();
    let failure = all.start_sidecar("x").await.unwrap_err();
    assert_eq!(failure.detail.unwrap()["error"]["type"], "PROCESS_SPAWN_ERROR");
}

#[tokio::test]
async fn what_cannot_be_set_up_is_refused() {
    let refused = async |config: SidecarConfig| sidecars(vec![("x", config)]).await.unwrap_err().message;
    let needs = vec!["y".to_owned()];
    assert!(refused(SidecarConfig { depends_on: needs, ..command(&["true"]) }).await.contains("depends on `y`, which there is not"));
    assert!(refused(command(&[])).await.contains("names no program"));
    assert!(refused(SidecarConfig { instances: 65, ..command(&["true"]) }).await.contains("1 to 64 instances"));
    assert!(refused(SidecarConfig { instances: 3, port: 65534, ..command(&["true"]) }).await.contains("no 3 ports from 65534 on"));
    assert!(refused(SidecarConfig { route_prefix: Some("/a/".to_owned()), ..command(&["true"]) }).await.contains("route prefix"));
    let external = || SidecarConfig::new("x", Launch::External("http://127.0.0.1:1".to_owned()));
    assert!(refused(SidecarConfig { instances: 2, ..external() }).await.contains("one instance"));
    let all = sidecars(vec![("x", external())]).await.unwrap();
    assert_eq!(all.restart("x").await.unwrap_err().code, "sidecar.external");
    assert_eq!(all.restart("y").await.unwrap_err().code, "sidecar.unknown");
}
