use super::*;

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// A pool of one thread that is busy until the returned sender is dropped.
async fn busy_pool(capacity: usize) -> (Arc<CpuPermits>, mpsc::Sender<()>) {
    let pool = CpuPermits::start("cpu", 1, capacity).unwrap();
    let (release, wait) = mpsc::channel::<()>();
    let (started, has_started) = oneshot::channel();
    let job = move || {
        started.send(()).unwrap();
        // Ends when the sender is dropped.
        let _ = wait.recv();
    };
    let waiter = pool.run(Box::new(job), soon());
    has_started.await.unwrap();
    drop(waiter);
    (pool, release)
}

/// A job that says its name, and what they said.
fn names() -> (impl Fn(&'static str) -> CpuJob, mpsc::Receiver<&'static str>) {
    let (say, said) = mpsc::channel();
    let job = move |name| -> CpuJob {
        let say: mpsc::Sender<_> = say.clone();
        Box::new(move || say.send(name).unwrap())
    };
    (job, said)
}

#[tokio::test]
async fn a_result_comes_back_from_another_thread() {
    let pool = CpuPermits::start("cpu", 2, 4).unwrap();
    let name = pool.compute(soon(), || std::thread::current().name().map(str::to_owned)).await.unwrap();
    assert!(name.is_some_and(|name| name.starts_with("cpu-")));
}

#[tokio::test]
async fn a_full_queue_refuses_new_jobs_with_a_wait() {
    let (pool, release) = busy_pool(1).await;
    let queued = pool.run(Box::new(|| ()), soon());
    let failure = pool.compute(soon(), || ()).await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code, failure.retryable), (FailureKind::Limit, "cpu.overloaded", true));
    assert_eq!(pool.statistics(), CpuStatistics { threads: 1, running: 1, queued: 1, rejected: 1 });
    drop(release);
    queued.await.unwrap();
}

#[tokio::test]
async fn later_steps_are_not_refused_and_go_first_in_their_order() {
    let (pool, release) = busy_pool(1).await;
    let (job, said) = names();
    let new = pool.submit(Step::First, job("new"), soon()).unwrap();
    let steps = ["one", "two"].map(|name| pool.submit(Step::Later, job(name), soon()).unwrap());
    assert_eq!(pool.statistics().queued, 3);
    drop(release);
    for done in steps.into_iter().chain([new]) {
        done.await.unwrap().unwrap();
    }
    drop(job);
    assert_eq!(said.into_iter().collect::<Vec<_>>(), ["one", "two", "new"]);
}

#[tokio::test]
async fn the_job_holds_its_permit_after_the_waiter_left() {
    let (pool, release) = busy_pool(1).await;
    // `busy_pool` dropped its waiter at once, and still its job runs.
    assert_eq!(pool.statistics().running, 1);
    drop(release);
    pool.compute(soon(), || ()).await.unwrap();
}

#[tokio::test]
async fn abandoned_jobs_make_room_and_never_run() {
    let (pool, release) = busy_pool(1).await;
    let (job, said) = names();
    drop(pool.run(job("abandoned"), soon()));
    let queued = pool.run(job("wanted"), soon());
    drop(release);
    queued.await.unwrap();
    drop(job);
    assert_eq!(said.into_iter().collect::<Vec<_>>(), ["wanted"]);
}

#[tokio::test]
async fn a_deadline_that_passes_in_the_queue_is_a_timeout() {
    let (pool, release) = busy_pool(4).await;
    let late = Deadline::after(Duration::from_millis(5));
    for failure in [pool.compute(late, || ()).await.unwrap_err(), pool.go_on(late, || ()).await.unwrap_err()] {
        assert_eq!((failure.kind, &*failure.code), (FailureKind::Timeout, "call.deadline"));
    }
    assert_eq!(pool.permit(late).unwrap_err().code, "call.deadline");
    drop(release);
    // Those passed over leave nothing behind.
    pool.compute(soon(), || ()).await.unwrap();
    let free = pool.permit(soon()).unwrap();
    assert_eq!(pool.statistics(), CpuStatistics { threads: 1, running: 1, queued: 0, rejected: 0 });
    drop(free);
    assert_eq!(pool.statistics().running, 0);
}

#[tokio::test]
async fn a_panic_fails_its_own_call_only() {
    let pool = CpuPermits::start("cpu", 1, 4).unwrap();
    let failure = pool.compute(soon(), || panic!("boom")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Internal);
    assert!(failure.message.contains("boom"));
    assert_eq!(pool.go_on(soon(), || 7).await.unwrap(), 7);
}

#[tokio::test]
async fn a_permit_on_another_thread_keeps_jobs_waiting_and_the_threads_free_to_help() {
    let pool = CpuPermits::start("cpu", 1, 4).unwrap();
    let permit = pool.permit(soon()).unwrap();
    let queued = pool.run(Box::new(|| ()), soon());
    assert_eq!(pool.statistics(), CpuStatistics { threads: 1, running: 1, queued: 1, rejected: 0 });
    assert_eq!(pool.threads().install(|| 7), 7);
    drop(permit);
    queued.await.unwrap();
}

#[tokio::test]
async fn what_waits_when_the_pool_goes_is_told() {
    let (pool, release) = busy_pool(4).await;
    let queued = pool.run(Box::new(|| ()), soon());
    drop(pool);
    assert_eq!(queued.await.unwrap_err().kind, FailureKind::Internal);
    drop(release);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_are_more_permits_held_than_there_are_threads() {
    use std::sync::atomic::AtomicUsize;

    const THREADS: usize = 3;
    const EACH: usize = 200;
    let pool = CpuPermits::start("cpu", THREADS, EACH).unwrap();
    let (held, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let hold = {
        let (held, most) = (held.clone(), most.clone());
        move || {
            most.fetch_max(held.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            held.fetch_sub(1, Ordering::SeqCst);
        }
    };
    let threads: Vec<_> = (0..2 * THREADS)
        .map(|_| {
            let (pool, hold) = (pool.clone(), hold.clone());
            std::thread::spawn(move || {
                for _ in 0..EACH {
                    let _permit = pool.permit(soon()).unwrap();
                    hold();
                }
            })
        })
        .collect();
    let jobs: Vec<_> =
        (0..EACH).flat_map(|_| [Step::First, Step::Later]).map(|step| pool.submit(step, Box::new(hold.clone()), soon()).unwrap()).collect();
    for job in jobs {
        job.await.unwrap().unwrap();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert!((1..=THREADS).contains(&most.load(Ordering::SeqCst)), "{most:?}");
    assert_eq!(pool.statistics(), CpuStatistics { threads: THREADS, running: 0, queued: 0, rejected: 0 });
}
