//! CPU time of one network run, without queue, scaling and decoding:
//! `cargo bench --profile dev -p breakwater-benches --bench inference`.
//!
//! What is measured is the time that all threads of the process spent on a core, not the time on the clock: it is what a request
//! costs, and other work on the machine disturbs it less.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use breakwater_inference::array::Array;
use breakwater_inference::engine::burn::BurnEngine;
use breakwater_inference::engine::{Engine, EngineError};
use breakwater_inference::graph::shape::Shape;
use breakwater_inference::model::Model;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput};

/// Time that the threads of this process have spent on a core.
struct CpuTime;

impl CpuTime {
    fn spent() -> Duration {
        let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let times = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok());
        Duration::from_nanos(times.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum())
    }
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        Self::spent()
    }

    fn end(&self, start: Duration) -> Duration {
        Self::spent().saturating_sub(start)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// Values like those of a photograph; kernels are as fast on any others.
fn input(shape: Shape) -> Result<Array, EngineError> {
    let values = (0..shape.elements().unwrap_or(0)).map(|index| ((index * 2_654_435_761) >> 7 & 0xff) as f32);
    Ok(Array::new(shape, values.collect())?)
}

fn networks(c: &mut Criterion<CpuTime>) -> Result<(), Box<dyn Error>> {
    let cases = [(Model::YuNet, 448, 640), (Model::YuNet, 224, 320), (Model::NanoDet, 416, 416)];
    for (model, height, width) in cases {
        let mut group = c.benchmark_group(format!("{} {height}x{width}", model.name()));
        group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(6));
        for (threads, images) in [(1, 1), (2, 1), (2, 4)] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            let mut session = BurnEngine::cpu(Some(Arc::new(pool))).prepare(&model.load(None)?)?;
            let batch = input(Shape::new(images, 3, height, width))?;
            group.throughput(Throughput::Elements(images as u64));
            group.bench_function(format!("{threads} thread(s), batch of {images}"), |b| {
                b.iter(|| black_box(session.run(batch.clone().into()).is_ok()));
            });
        }
        group.finish();
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default().with_measurement(CpuTime).configure_from_args();
    networks(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
