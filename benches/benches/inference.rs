//! CPU time of one network run, without queue, scaling and decoding:
//! `cargo bench --profile dev --workspace --bench inference`.
//!
//! What is measured is the time that all threads of the process spent on a core, not the time on the clock: it is what a request
//! costs, and other work on the machine disturbs it less.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use breakwater_benches::cpu_time::CpuTime;
use breakwater_benches::laps::Outcome;
use breakwater_benches::subject::Subject;
use breakwater_convnet::{Executor, Input, Isa, Options};
use breakwater_inference::engine::Engine;
use breakwater_inference::engine::burn::BurnEngine;
use criterion::measurement::Measurement;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use rayon::ThreadPoolBuilder;

fn group<'a, M: Measurement>(c: &'a mut Criterion<M>, name: String) -> BenchmarkGroup<'a, M> {
    let mut group = c.benchmark_group(name);
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(6));
    group
}

/// The engine that the CPU uses, on each instruction set of this machine.
fn convnet(c: &mut Criterion<CpuTime>) -> Outcome<()> {
    for (subject, height, width) in Subject::CASES {
        let network = subject.load(height, width)?;
        let mut group = group(c, format!("{} {height}x{width} convnet", subject.name()));
        for isa in Isa::available() {
            let executor = Executor::new(&network, Options { isa: Some(isa), threads: None, ..Options::default() })?;
            let image = subject.input(1, height, width)?;
            group.throughput(Throughput::Elements(1));
            group.bench_function(format!("{isa}, 1 thread, batch of 1"), |b| {
                b.iter(|| black_box(executor.run(Input::Planes(&image)).is_ok()));
            });
        }
        for images in [1, 4] {
            let pool = ThreadPoolBuilder::new().num_threads(2).build()?;
            let executor = Executor::new(&network, Options { isa: None, threads: Some(Arc::new(pool)), ..Options::default() })?;
            let batch = subject.input(images, height, width)?;
            group.throughput(Throughput::Elements(images as u64));
            group.bench_function(format!("{}, 2 threads, batch of {images}", executor.isa()), |b| {
                b.iter(|| black_box(executor.run(Input::Planes(&batch)).is_ok()));
            });
        }
        group.finish();
    }
    Ok(())
}

/// The engine of graphics cards, on the CPU.
fn burn(c: &mut Criterion<CpuTime>) -> Outcome<()> {
    for (subject, height, width) in Subject::CASES {
        let mut group = group(c, format!("{} {height}x{width} burn", subject.name()));
        for (threads, images) in [(1, 1), (2, 1), (2, 4)] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
            let mut session = BurnEngine::cpu(Some(Arc::new(pool))).prepare(&subject.load(height, width)?)?;
            let batch = subject.input(images, height, width)?;
            group.throughput(Throughput::Elements(images as u64));
            group.bench_function(format!("{threads} thread(s), batch of {images}"), |b| {
                b.iter(|| black_box(session.run(batch.clone().into()).is_ok()));
            });
        }
        group.finish();
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let mut criterion = Criterion::default().with_measurement(CpuTime).configure_from_args();
    convnet(&mut criterion)?;
    burn(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
