//! A process that ends at any moment: another one goes on, and every effect is committed once where keys are known.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use breakwater_core::{BoxFuture, Digest};
use breakwater_workflow::records::{Part, Range};
use breakwater_workflow::{
    Append, Claimed, Created, EmbeddedExecutor, Event, Execution, ExecutionFilter, ExecutionStatus, Executor, Fence, Happened, Mail,
    MemoryWorkflowRecords, NewSignal, RecordsError, Signal, Wanted, Workflow, WorkflowRecords, WorkflowStatus,
};
use serde_json::{Value, json};

use super::support::{Operations, Sink, config, put, start};

/// Records of a process that ends at its write number `left`: what it asks from then on is never answered.
struct Mortal {
    records: Arc<MemoryWorkflowRecords>,
    left: AtomicUsize,
    /// Whether the last write arrives.
    arrives: bool,
    /// Whether somebody wants it retried in the moment in which it has failed, before its process knows that this is written.
    retried_at_once: AtomicBool,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, RecordsError>>;

impl Mortal {
    fn is_dead(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    async fn alive(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }
}

impl WorkflowRecords for Mortal {
    fn append<'a>(&'a self, appends: &'a [Append]) -> BoxFuture<'a, Vec<Result<(), RecordsError>>> {
        Box::pin(async move {
            self.alive().await;
            if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                if self.arrives {
                    self.records.append(appends).await;
                }
                self.alive().await;
            }
            let results = self.records.append(appends).await;
            let is_failed = |append: &&Append| append.change.as_ref().is_some_and(|change| change.status == ExecutionStatus::Failed);
            if let Some(failed) = appends.iter().find(is_failed)
                && self.retried_at_once.swap(false, Ordering::SeqCst)
            {
                self.records.want(&failed.fence.execution, Wanted::Retry).await.unwrap();
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
            results
        })
    }
    fn put_workflow<'a>(&'a self, workflow: &'a Workflow) -> Answer<'a, ()> {
        self.records.put_workflow(workflow)
    }
    fn workflow<'a>(&'a self, id: &'a str, version: Option<u32>) -> Answer<'a, Option<Workflow>> {
        self.records.workflow(id, version)
    }
    fn workflows(&self, status: Option<WorkflowStatus>, range: Range) -> Answer<'_, Part<Workflow>> {
        self.records.workflows(status, range)
    }
    fn remove_workflow<'a>(&'a self, id: &'a str) -> Answer<'a, bool> {
        self.records.remove_workflow(id)
    }
    fn create<'a>(&'a self, execution: &'a Execution, digest: Digest, node: &'a str) -> Answer<'a, Created> {
        self.records.create(execution, digest, node)
    }
    fn execution<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Execution>> {
        self.records.execution(id)
    }
    fn executions<'a>(&'a self, filter: &'a ExecutionFilter, range: Range) -> Answer<'a, Part<Execution>> {
        self.records.executions(filter, range)
    }
    fn counts(&self) -> Answer<'_, Vec<(ExecutionStatus, u64)>> {
        self.records.counts()
    }
    fn events<'a>(&'a self, id: &'a str, after: u64, take: u32) -> Answer<'a, Part<Event>> {
        self.records.events(id, after, take)
    }
    fn want<'a>(&'a self, id: &'a str, wanted: Wanted) -> Answer<'a, ()> {
        self.records.want(id, wanted)
    }
    fn seen<'a>(&'a self, fence: &'a Fence, wanted: Wanted) -> Answer<'a, ()> {
        self.records.seen(fence, wanted)
    }
    fn signal<'a>(&'a self, id: &'a str, signal: &'a NewSignal, at_ms: u64) -> Answer<'a, Signal> {
        self.records.signal(id, signal, at_ms)
    }
    fn signal_of_key<'a>(&'a self, id: &'a str, key: &'a str) -> Answer<'a, Option<Signal>> {
        self.records.signal_of_key(id, key)
    }
    fn signals<'a>(&'a self, id: &'a str, after: u64) -> Answer<'a, Vec<Signal>> {
        self.records.signals(id, after)
    }
    fn mail<'a>(&'a self, node: &'a str) -> Answer<'a, Vec<Mail>> {
        Box::pin(async move {
            self.alive().await;
            self.records.mail(node).await
        })
    }
    fn beat<'a>(&'a self, node: &'a str, lease: Duration) -> Answer<'a, ()> {
        Box::pin(async move {
            self.alive().await;
            self.records.beat(node, lease).await
        })
    }
    fn leave<'a>(&'a self, node: &'a str) -> Answer<'a, ()> {
        self.records.leave(node)
    }
    fn claim<'a>(&'a self, node: &'a str, take: u32) -> Answer<'a, Vec<Claimed>> {
        Box::pin(async move {
            self.alive().await;
            self.records.claim(node, take).await
        })
    }
    fn forget(&self, ended_before_ms: u64, take: u32) -> Answer<'_, u64> {
        self.records.forget(ended_before_ms, take)
    }
}

fn ten_steps() -> Value {
    let mut steps: Vec<Value> =
        (0..10).map(|i| json!({ "id": format!("s{i}"), "operation": "add", "next": format!("s{}", i + 1) })).collect();
    steps[9]["next"] = Value::Null;
    steps[4] = json!({ "id": "s4", "type": "parallel", "next": "s5", "branches": {
        "a": [{ "id": "a1", "operation": "add", "next": "a2" }, { "id": "a2", "operation": "add", "next": null }],
        "b": [{ "id": "b1", "type": "map", "items": "[previous, previous, previous]",
                "steps": [{ "id": "b2", "operation": "add", "next": null }], "next": null }],
    } });
    steps[5] = json!({ "id": "s5", "operation": "add", "input": "previous.a", "next": "s6" });
    steps[6] = json!({ "id": "s6", "type": "timer", "wait_ms": 100, "next": "s7" });
    json!({ "name": "w", "steps": steps })
}

/// A list of 200, as a batch is one.
fn two_hundred_items(concurrency: usize) -> Value {
    json!({ "name": "w", "steps": [{ "id": "images", "type": "map", "concurrency": concurrency, "items": "input",
        "steps": [{ "id": "process", "operation": "add", "next": null }], "next": null }] })
}

/// What is run and killed.
struct Work {
    definition: Value,
    input: Value,
    output: Value,
    /// The paths of the steps that have effects.
    steps: BTreeSet<String>,
    /// Steps that may be under way when a process ends.
    at_once: usize,
}

/// Runs one process that ends at its write `ends_at`, then another. Says whether the first came to its end before.
async fn two_lives(work: &Work, ends_at: usize, arrives: bool) -> bool {
    let records = Arc::new(MemoryWorkflowRecords::default());
    let sink = Arc::<Sink>::default();
    put(&*records, work.definition.clone()).await;
    let mortal =
        Arc::new(Mortal { records: records.clone(), left: AtomicUsize::new(ends_at), arrives, retried_at_once: AtomicBool::new(false) });
    let first = EmbeddedExecutor::start(config("first"), mortal.clone(), Arc::new(Operations(sink.clone()))).await.unwrap();
    let id = first.start(start(work.input.clone())).await.unwrap().execution.id;
    let over = async {
        while !mortal.is_dead() && !records.execution(&id).await.unwrap().unwrap().status.is_final() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    over.await;
    let is_survivor = !mortal.is_dead();
    mortal.left.store(0, Ordering::SeqCst);

    let second = EmbeddedExecutor::start(config("second"), records.clone(), Arc::new(Operations(sink.clone()))).await.unwrap();
    let execution = second.wait(&id, Duration::from_secs(3600)).await.unwrap();
    assert_eq!((execution.status, execution.output.as_ref()), (ExecutionStatus::Completed, Some(&work.output)), "write {ends_at}");
    let steps: BTreeSet<String> = sink.effects().into_keys().map(|key| key.split_once(':').unwrap().1.to_owned()).collect();
    assert_eq!(steps, work.steps, "write {ends_at}");
    assert!(sink.calls().len() <= work.steps.len() + work.at_once, "only what was under way is done again: {:?}", sink.calls());
    let events = records.events(&id, 0, 10_000).await.unwrap().items;
    assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == seq));
    is_survivor
}

/// The number of the write at which the first process was not killed any more.
async fn killed_at_every_write(work: &Work, arrives: bool) -> usize {
    for ends_at in 1.. {
        if two_lives(work, ends_at, arrives).await {
            return ends_at;
        }
    }
    unreachable!("an execution ends")
}

#[tokio::test(start_paused = true)]
async fn whatever_write_is_the_last_the_next_process_goes_on() {
    let steps = ["s0", "s1", "s2", "s3", "s4/a/a1", "s4/a/a2", "s4/b/b1/0/b2", "s4/b/b1/1/b2", "s4/b/b1/2/b2", "s5", "s7", "s8", "s9"];
    let steps = steps.map(str::to_owned).into();
    let work = Work { definition: ten_steps(), input: json!(0), output: json!(10), steps, at_once: 4 };
    for arrives in [true, false] {
        let survived = killed_at_every_write(&work, arrives).await;
        assert!(survived > 12, "there are many writes to end at: {survived}");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_write_of_a_batch_of_200_is_the_last_the_next_process_goes_on() {
    let input: Vec<i64> = (0..200).collect();
    let output: Vec<i64> = (1..=200).collect();
    let steps: BTreeSet<String> = (0..200).map(|index| format!("images/{index}/process")).collect();
    // What is done at once is written together.
    for (at_once, writes) in [(1, 200), (4, 50)] {
        let (input, output) = (json!(input), json!(output));
        let work = Work { definition: two_hundred_items(at_once), input, output, steps: steps.clone(), at_once };
        for arrives in [true, false] {
            let survived = killed_at_every_write(&work, arrives).await;
            assert!(survived > writes, "there are many writes to end at: {survived}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_thought_dead_writes_nothing_any_more() {
    let records = Arc::new(MemoryWorkflowRecords::default());
    let sink = Arc::<Sink>::default();
    put(&*records, json!({ "name": "w", "steps": [{ "id": "slow", "operation": "slow", "next": "one" }, { "id": "one", "operation": "add", "input": "`1`", "next": null }] })).await;
    // It lives, but cannot say so.
    let mortal = Arc::new(Mute { records: records.clone(), was_heard: AtomicBool::new(false) });
    let first = EmbeddedExecutor::start(config("first"), mortal, Arc::new(Operations(sink.clone()))).await.unwrap();
    let id = first.start(start(json!(0))).await.unwrap().execution.id;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let second = EmbeddedExecutor::start(config("second"), records.clone(), Arc::new(Operations(sink.clone()))).await.unwrap();
    let execution = second.wait(&id, Duration::from_secs(36_000)).await.unwrap();
    assert_eq!(execution.output, Some(json!(2)), "{execution:?}");
    assert_eq!(sink.operations(), ["slow", "slow", "add"], "the first one did not go on behind its step");
    assert_eq!(sink.effects().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_when_process_and_execution_ended_is_found_out_and_undone() {
    let records = Arc::new(MemoryWorkflowRecords::default());
    let sink = Arc::<Sink>::default();
    let step = json!({ "id": "room", "operation": "slow", "compensate": { "operation": "release", "input": "steps.room" } });
    put(&*records, json!({ "name": "w", "steps": [step] })).await;
    let mortal = Arc::new(Mute { records: records.clone(), was_heard: AtomicBool::new(false) });
    let first = EmbeddedExecutor::start(config("first"), mortal, Arc::new(Operations(sink.clone()))).await.unwrap();
    let id = first.start(start(json!(0))).await.unwrap().execution.id;
    tokio::time::sleep(Duration::from_secs(30)).await;
    records.want(&id, Wanted::Cancel).await.unwrap();
    let second = EmbeddedExecutor::start(config("second"), records.clone(), Arc::new(Operations(sink.clone()))).await.unwrap();
    let execution = second.wait(&id, Duration::from_secs(36_000)).await.unwrap();
    assert_eq!(execution.status, ExecutionStatus::Cancelled, "{execution:?}");
    assert_eq!(sink.operations(), ["slow", "slow", "release"]);
    assert_eq!(sink.calls()[2].2, json!("slow"), "with what the second asking gave");
    assert_eq!(sink.effects().len(), 2, "both askings were under one key");
    let attempts: Vec<u32> = second.history(&id, 0, 100).await.unwrap().items.iter().filter_map(attempt_at_room).collect();
    assert_eq!(attempts, [1, 2], "an attempt that ended with its process counts too");
    assert_eq!(sink.attempts(), [1, 1, 1], "and is none that draws on the retry budget");
}

fn attempt_at_room(event: &Event) -> Option<u32> {
    match event.what {
        Happened::Started { attempt, .. } if event.path == "room" => Some(attempt),
        _ => None,
    }
}

/// Records of a process whose beats get lost, but for the first.
struct Mute {
    records: Arc<MemoryWorkflowRecords>,
    was_heard: AtomicBool,
}

macro_rules! pass_on {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name<'a>(&'a self, $($argument: $kind),*) -> $answer { self.records.$name($($argument),*) })*
    };
}

impl WorkflowRecords for Mute {
    pass_on! {
        put_workflow(workflow: &'a Workflow) -> Answer<'a, ()>;
        workflow(id: &'a str, version: Option<u32>) -> Answer<'a, Option<Workflow>>;
        workflows(status: Option<WorkflowStatus>, range: Range) -> Answer<'a, Part<Workflow>>;
        remove_workflow(id: &'a str) -> Answer<'a, bool>;
        create(execution: &'a Execution, digest: Digest, node: &'a str) -> Answer<'a, Created>;
        execution(id: &'a str) -> Answer<'a, Option<Execution>>;
        executions(filter: &'a ExecutionFilter, range: Range) -> Answer<'a, Part<Execution>>;
        counts() -> Answer<'a, Vec<(ExecutionStatus, u64)>>;
        events(id: &'a str, after: u64, take: u32) -> Answer<'a, Part<Event>>;
        append(appends: &'a [Append]) -> BoxFuture<'a, Vec<Result<(), RecordsError>>>;
        want(id: &'a str, wanted: Wanted) -> Answer<'a, ()>;
        seen(fence: &'a Fence, wanted: Wanted) -> Answer<'a, ()>;
        signal(id: &'a str, signal: &'a NewSignal, at_ms: u64) -> Answer<'a, Signal>;
        signal_of_key(id: &'a str, key: &'a str) -> Answer<'a, Option<Signal>>;
        signals(id: &'a str, after: u64) -> Answer<'a, Vec<Signal>>;
        mail(node: &'a str) -> Answer<'a, Vec<Mail>>;
        leave(node: &'a str) -> Answer<'a, ()>;
        claim(node: &'a str, take: u32) -> Answer<'a, Vec<Claimed>>;
        forget(ended_before_ms: u64, take: u32) -> Answer<'a, u64>;
    }

    fn beat<'a>(&'a self, node: &'a str, lease: Duration) -> Answer<'a, ()> {
        Box::pin(async move { if self.was_heard.swap(true, Ordering::SeqCst) { Ok(()) } else { self.records.beat(node, lease).await } })
    }
}

/// Records whose next write fails, or every one, when told.
struct Moody {
    records: Arc<MemoryWorkflowRecords>,
    fails: AtomicBool,
    keeps_failing: AtomicBool,
}

impl WorkflowRecords for Moody {
    pass_on! {
        put_workflow(workflow: &'a Workflow) -> Answer<'a, ()>;
        workflow(id: &'a str, version: Option<u32>) -> Answer<'a, Option<Workflow>>;
        workflows(status: Option<WorkflowStatus>, range: Range) -> Answer<'a, Part<Workflow>>;
        remove_workflow(id: &'a str) -> Answer<'a, bool>;
        create(execution: &'a Execution, digest: Digest, node: &'a str) -> Answer<'a, Created>;
        execution(id: &'a str) -> Answer<'a, Option<Execution>>;
        executions(filter: &'a ExecutionFilter, range: Range) -> Answer<'a, Part<Execution>>;
        counts() -> Answer<'a, Vec<(ExecutionStatus, u64)>>;
        events(id: &'a str, after: u64, take: u32) -> Answer<'a, Part<Event>>;
        want(id: &'a str, wanted: Wanted) -> Answer<'a, ()>;
        seen(fence: &'a Fence, wanted: Wanted) -> Answer<'a, ()>;
        signal(id: &'a str, signal: &'a NewSignal, at_ms: u64) -> Answer<'a, Signal>;
        signal_of_key(id: &'a str, key: &'a str) -> Answer<'a, Option<Signal>>;
        signals(id: &'a str, after: u64) -> Answer<'a, Vec<Signal>>;
        mail(node: &'a str) -> Answer<'a, Vec<Mail>>;
        beat(node: &'a str, lease: Duration) -> Answer<'a, ()>;
        leave(node: &'a str) -> Answer<'a, ()>;
        claim(node: &'a str, take: u32) -> Answer<'a, Vec<Claimed>>;
        forget(ended_before_ms: u64, take: u32) -> Answer<'a, u64>;
    }

    fn append<'a>(&'a self, appends: &'a [Append]) -> BoxFuture<'a, Vec<Result<(), RecordsError>>> {
        Box::pin(async move {
            if self.fails.swap(false, Ordering::SeqCst) || self.keeps_failing.load(Ordering::SeqCst) {
                return appends.iter().map(|_| Err(RecordsError::Store("the disk is full".into()))).collect();
            }
            self.records.append(appends).await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn one_write_that_fails_leaves_a_waiting_execution_steerable() {
    for wanted in [Wanted::Pause, Wanted::Cancel] {
        let records = Arc::new(MemoryWorkflowRecords::default());
        let sink = Arc::<Sink>::default();
        put(&*records, json!({ "name": "w", "steps": [{ "id": "s", "type": "signal", "signal": "go", "next": null }] })).await;
        let moody = Arc::new(Moody { records: records.clone(), fails: AtomicBool::new(false), keeps_failing: AtomicBool::new(false) });
        let executor = EmbeddedExecutor::start(config("a"), moody.clone(), Arc::new(Operations(sink.clone()))).await.unwrap();
        let id = executor.start(start(json!(0))).await.unwrap().execution.id;
        while executor.current_steps(&id).is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        moody.fails.store(true, Ordering::SeqCst);
        assert_eq!(executor.command(&id, wanted).await.unwrap_err().code, "workflow.store");
        // The wish is kept, and seen to once the records answer again.
        let status = if wanted == Wanted::Pause { ExecutionStatus::Paused } else { ExecutionStatus::Cancelled };
        while executor.get(&id).await.unwrap().status != status {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if wanted == Wanted::Pause {
            executor.signal(&id, NewSignal::new("go", json!("now"))).await.unwrap();
            executor.command(&id, Wanted::Resume).await.unwrap();
            let ended = executor.wait(&id, Duration::from_secs(60)).await.unwrap();
            assert_eq!((ended.status, ended.output), (ExecutionStatus::Completed, Some(json!("now"))));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_cannot_be_written_is_told_and_one_that_can_again_is_gone_on_with() {
    let records = Arc::new(MemoryWorkflowRecords::default());
    let sink = Arc::<Sink>::default();
    put(&*records, json!({ "name": "w", "steps": [{ "id": "one", "operation": "add", "next": null }] })).await;
    let moody = Arc::new(Moody { records: records.clone(), fails: AtomicBool::new(true), keeps_failing: AtomicBool::new(false) });
    let executor = EmbeddedExecutor::start(config("a"), moody.clone(), Arc::new(Operations(sink.clone()))).await.unwrap();
    let patience = Duration::from_secs(5);
    // One write that fails is no outage.
    let id = executor.start(start(json!(1))).await.unwrap().execution.id;
    let told = tokio::time::timeout(Duration::from_secs(3600), executor.journal_fails_for(patience)).await;
    assert_eq!((told.ok(), executor.get(&id).await.unwrap().status), (None, ExecutionStatus::Completed));

    moody.keeps_failing.store(true, Ordering::SeqCst);
    let id = executor.start(start(json!(2))).await.unwrap().execution.id;
    let began = tokio::time::Instant::now();
    let reason = executor.journal_fails_for(patience).await;
    assert_eq!((began.elapsed().as_secs(), reason.as_str()), (5, "the store failed: the disk is full"));
    assert!(!executor.get(&id).await.unwrap().status.is_final());
    moody.keeps_failing.store(false, Ordering::SeqCst);
    assert_eq!(executor.wait(&id, Duration::from_secs(60)).await.unwrap().status, ExecutionStatus::Completed);
    assert_eq!(sink.operations(), ["add", "add"]);
    assert!(tokio::time::timeout(Duration::from_secs(3600), executor.journal_fails_for(patience)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_was_done_is_undone_also_when_the_time_ran_out_while_nobody_ran_it() {
    let records = Arc::new(MemoryWorkflowRecords::default());
    let sink = Arc::<Sink>::default();
    let steps = json!([{ "id": "room", "operation": "book", "compensate": { "operation": "release" }, "next": "long" },
        { "id": "long", "operation": "slow", "next": null }]);
    put(&*records, json!({ "name": "w", "timeout_ms": 60_000, "steps": steps })).await;
    let mortal =
        Arc::new(Mortal { records: records.clone(), left: AtomicUsize::new(1000), arrives: true, retried_at_once: AtomicBool::new(false) });
    let first = EmbeddedExecutor::start(config("first"), mortal.clone(), Arc::new(Operations(sink.clone()))).await.unwrap();
    let id = first.start(start(json!(0))).await.unwrap().execution.id;
    while sink.operations() != ["book", "slow"] {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    mortal.left.store(0, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(100)).await;
    let late = breakwater_workflow::EmbeddedConfig { clock: breakwater_workflow::Clock::beginning_at(1_200_000), ..config("second") };
    let second = EmbeddedExecutor::start(late, records.clone(), Arc::new(Operations(sink.clone()))).await.unwrap();
    let execution = second.wait(&id, Duration::from_secs(3600)).await.unwrap();
    assert_eq!(execution.error.unwrap().code, "execution.timeout");
    assert!(sink.operations().ends_with(&["release".to_owned()]), "{:?}", sink.operations());
}

#[tokio::test(start_paused = true)]
async fn a_retry_in_the_moment_of_the_end_is_not_lost() {
    let records = Arc::new(MemoryWorkflowRecords::default());
    let sink = Arc::<Sink>::default();
    let once = json!({ "max_retries": 0 });
    put(&*records, json!({ "name": "w", "steps": [{ "id": "one", "operation": "add", "retry": once, "next": null }] })).await;
    sink.fail("add", 1);
    let immortal =
        Mortal { records: records.clone(), left: AtomicUsize::new(usize::MAX), arrives: true, retried_at_once: AtomicBool::new(true) };
    let executor = EmbeddedExecutor::start(config("a"), Arc::new(immortal), Arc::new(Operations(sink.clone()))).await.unwrap();
    let id = executor.start(start(json!(1))).await.unwrap().execution.id;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let execution = executor.get(&id).await.unwrap();
    assert_eq!((execution.status, execution.output), (ExecutionStatus::Completed, Some(json!(2))), "{:?}", execution.error);
    assert_eq!(sink.operations(), ["add", "add"]);
}
