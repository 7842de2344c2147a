//! Sidecars that do not behave, and a host that dies.

use std::time::Duration;

use breakwater_sidecar::{ErrorKind, Launch, State};

use super::support::{Bench, is_alive, until_gone};

fn parent(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn grandchild(bench: &Bench) -> u32 {
    std::fs::read_to_string(bench.file("grandchild")).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_forked_into_a_session_of_its_own_ends_with_it() {
    let bench = Bench::start("forks", |_| {}).await;
    let pid = bench.ready().await.instances[0].pid.unwrap();
    let left = grandchild(&bench);
    assert!(is_alive(left));
    bench.sidecars.stop_sidecar("work").await.unwrap();
    assert!(!is_alive(pid) && !is_alive(left), "nothing is left once it is told to be stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_left_behind_when_it_crashed_ends_too_and_is_told() {
    let bench = Bench::start("forks", |config| config.restart.auto = false).await;
    let pid = bench.ready().await.instances[0].pid.unwrap();
    let left = grandchild(&bench);
    super::support::kill(pid);
    until_gone(left).await;
    let status = bench.until(|status| status.instances[0].state == State::Failed).await;
    let message = status.last_error.unwrap().message;
    assert!(message.contains("left a process running, which was ended"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_ignores_the_signal_is_killed_in_time() {
    let bench = Bench::start("stubborn", |_| {}).await;
    let pid = bench.ready().await.instances[0].pid.unwrap();
    let started = std::time::Instant::now();
    bench.sidecars.stop_sidecar("work").await.unwrap();
    assert!(!is_alive(pid));
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_reaper_is_killed_the_sidecar_goes_with_it_and_comes_back() {
    let bench = Bench::start("", |_| {}).await;
    let pid = bench.ready().await.instances[0].pid.unwrap();
    super::support::kill(parent(pid));
    until_gone(pid).await;
    let status = bench.until(|status| status.instances[0].pid.is_some_and(|now| now != pid)).await;
    assert_eq!(status.last_error.unwrap().kind, ErrorKind::ProcessCrash);
    bench.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_reaper_is_killed_what_was_forked_into_a_session_of_its_own_goes_too() {
    let bench = Bench::start("forks", |config| config.restart.auto = false).await;
    let pid = bench.ready().await.instances[0].pid.unwrap();
    let left = grandchild(&bench);
    super::support::kill(parent(pid));
    until_gone(pid).await;
    until_gone(left).await;
    bench.until(|status| status.instances[0].state == State::Failed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_uses_too_much_memory_is_ended() {
    let bench = Bench::start("leaks", |config| {
        config.memory_limit = Some(100 << 20);
        config.restart.auto = false;
    })
    .await;
    let status = bench.until(|status| status.instances[0].state == State::Failed).await;
    let error = status.last_error.unwrap();
    assert_eq!(error.kind, ErrorKind::ProcessCrash);
    assert!(error.message.contains("may use 100 (memory_limit)"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_the_kernel_refuses_is_a_spawn_error() {
    let bench = Bench::start("", |config| {
        // Executable, but for an interpreter that is not there.
        let path = config.folder().unwrap().join("nonsense");
        std::fs::write(&path, "#!/no/such/interpreter\n").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        config.launch = Launch::Command(vec![path.display().to_string()]);
        config.restart.auto = false;
    })
    .await;
    let status = bench.until(|status| status.instances[0].state == State::Failed).await;
    let error = status.last_error.unwrap();
    assert_eq!(error.kind, ErrorKind::ProcessSpawnError, "{error:#?}");
    assert!(error.message.contains("cannot run"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_is_forgotten_without_a_word_ends() {
    let bench = Bench::start("forks", |_| {}).await;
    let pid = bench.ready().await.instances[0].pid.unwrap();
    let left = grandchild(&bench);
    // As when the host's runtime is torn down: nobody asks the sidecars to end.
    drop(bench);
    until_gone(pid).await;
    until_gone(left).await;
}
