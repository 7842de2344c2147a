//! Swapping under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::support::{Host, guest, package, plan, resident, term};

const SWAPS: u32 = 200;
const ALONE: &str = "BREAKWATER_TEST_SWAP_ALONE";

/// Calls until told to stop. Every answer must be of one generation: the one its snapshot names.
async fn load(host: Arc<breakwater_plugins::Catalogue>, stop: Arc<AtomicBool>, served: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let snapshot = host.snapshot();
        let (_, generation) = snapshot.strategy("versioned").unwrap();
        let major: f32 = generation.version().split('.').next().unwrap().parse().unwrap();
        for _ in 0..3 {
            let answer = plan(&snapshot, "versioned", &[]).await.unwrap();
            assert_eq!((term(&answer, "version"), term(&answer, "version_share")), (major, major / 16.0));
            served.fetch_add(1, Ordering::Relaxed);
        }
        assert_eq!(snapshot.strategy("only_in_two").is_some(), major == 2.0, "strategies of one generation, code of another");
        tokio::task::yield_now().await;
    }
}

/// What [`two_hundred_swaps_fail_no_call_mix_no_generations_and_leave_no_memory_behind`] runs in a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swapping_process() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    let host = Host::start().await;
    let components = [guest("answers-v1"), guest("answers-v2")];
    host.catalogue.deploy(package("answers", "1.0.0", components[0].clone())).await.unwrap();
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..8).map(|_| tokio::spawn(load(Arc::clone(&host.catalogue), Arc::clone(&stop), Arc::clone(&served)))).collect();
    let mut after_ten = 0;
    for swap in 1..=SWAPS {
        let version = swap % 2 + 1;
        // A new generation each time: the same code with another version number.
        let next = package("answers", &format!("{version}.0.{swap}"), components[version as usize - 1].clone());
        let before = served.load(Ordering::Relaxed);
        host.catalogue.deploy(next).await.unwrap();
        while served.load(Ordering::Relaxed) < before + 8 && callers.iter().all(|caller| !caller.is_finished()) {
            tokio::task::yield_now().await;
        }
        if swap == 10 {
            after_ten = resident();
        }
    }
    let at_the_end = resident();
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    println!(
        "{SWAPS} swaps, {} calls, resident {} MiB after ten and {} MiB at the end",
        served.load(Ordering::Relaxed),
        after_ten >> 20,
        at_the_end >> 20
    );
    assert!(at_the_end as f64 <= after_ten as f64 * 1.1, "resident memory grew from {after_ten} to {at_the_end} bytes");
    assert_eq!(host.catalogue.list()[0].generations.len(), 10);
    host.catalogue.shutdown(breakwater_core::Deadline::after(std::time::Duration::from_secs(10))).await;
    assert_eq!(host.catalogue.running_calls(), 0);
}

/// In a process of its own, where its memory can be told from that of other tests.
#[test]
fn two_hundred_swaps_fail_no_call_mix_no_generations_and_leave_no_memory_behind() {
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    let output = alone.args(["--exact", "swap::swapping_process", "--nocapture"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
}
