//! What the mechanisms around a call cost while nothing fails. The whole way through a pipeline is to stay under 1 µs.
#![expect(clippy::unwrap_used, reason = "a benchmark that meets a surprise should stop there")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Deadline, Ledger};
use breakwater_resilience::{
    AdaptiveConfig, AttemptFailure, BalanceKind, Breaker, BreakerConfig, BudgetConfig, Bulkhead, BulkheadConfig, EndpointSpec, HedgeConfig,
    NoObserver, OpossumOptions, Pipeline, PipelineConfig, RetryBudget, RetryPolicy, ShedConfig, SlowCalls, Terms,
};
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn pipeline(config: PipelineConfig, endpoints: usize) -> Pipeline<Arc<str>> {
    let pipeline = Pipeline::new(config, Arc::new(NoObserver));
    let spec = |index: usize| EndpointSpec { id: index.to_string(), weight: 1, endpoint: Arc::from(format!("http://{index}.test")) };
    pipeline.set_endpoints((0..endpoints).map(spec).collect());
    pipeline
}

fn everything() -> PipelineConfig {
    PipelineConfig {
        breaker: BreakerConfig { slow: Some(SlowCalls::slower_than(Duration::from_secs(1))), ..OpossumOptions::default().into() },
        balance: BalanceKind::P2cPeakEwma,
        hedge: Some(HedgeConfig::default()),
        adaptive: Some(AdaptiveConfig::default()),
        shed: Some(ShedConfig::default()),
        ..PipelineConfig::default()
    }
}

/// A call that succeeds at once: what is measured is the way there and back.
fn happy_path(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resilience/call");
    for (name, config, endpoints) in [
        ("default, 1 endpoint", PipelineConfig::default(), 1),
        ("default, 3 endpoints", PipelineConfig::default(), 3),
        ("everything on, 3 endpoints", everything(), 3),
        ("everything on, 16 endpoints", everything(), 16),
    ] {
        let pipeline = pipeline(config, endpoints);
        let terms = Terms::read(Deadline::after(Duration::from_secs(86_400)), Ledger::default());
        group.bench_function(name, |bencher| {
            bencher.to_async(runtime()).iter(|| async {
                let completed = pipeline.call(&terms, |attempt| async move { Ok::<_, AttemptFailure>(attempt.number) }).await;
                black_box(completed.unwrap())
            });
        });
    }
    group.finish();
}

fn parts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resilience/part");
    group.bench_function("nothing, in the same harness", |bencher| bencher.to_async(runtime()).iter(|| async { black_box(1) }));
    let entered = runtime();
    let _entered = entered.enter();
    let soon = Deadline::after(Duration::from_secs(86_400));
    let breakers = [("breaker, consecutive", BreakerConfig::default()), ("breaker, opossum", OpossumOptions::default().into())];
    for (name, config) in breakers {
        let breaker = Breaker::new(config);
        group.bench_function(name, |bencher| bencher.iter(|| breaker.try_acquire().unwrap().success()));
    }
    let open = Breaker::new(BreakerConfig::default());
    open.force_open();
    group.bench_function("breaker, open", |bencher| bencher.iter(|| black_box(open.try_acquire().is_err())));
    let bulkhead = Bulkhead::new(BulkheadConfig { max_concurrent: 8, max_queue: 8 });
    group.bench_function("bulkhead", |bencher| bencher.iter(|| drop(black_box(bulkhead.try_acquire().unwrap()))));
    let budget = RetryBudget::new(BudgetConfig::default());
    group.bench_function("budget, full", |bencher| bencher.iter(|| budget.record_call()));
    let paying = RetryBudget::empty(BudgetConfig { ratio: 0.000_001, floor_per_second: 0, burst: u32::MAX });
    group.bench_function("budget, paid in", |bencher| bencher.iter(|| paying.record_call()));
    group.bench_function("clock", |bencher| bencher.iter(|| black_box(soon.remaining())));
    let policy = RetryPolicy::default();
    group.bench_function("wait, full jitter", |bencher| bencher.iter(|| black_box(policy.wait(black_box(2), None))));
    group.finish();
}

criterion_group!(benches, happy_path, parts);
criterion_main!(benches);
