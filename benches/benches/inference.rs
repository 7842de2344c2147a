//! Time of one network run on the CPU, without queue, scaling and decoding: `cargo bench -p breakwater-benches --bench inference`.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use breakwater_inference::array::Array;
use breakwater_inference::engine::burn::BurnEngine;
use breakwater_inference::engine::{Engine, EngineError};
use breakwater_inference::graph::shape::Shape;
use breakwater_inference::model::Model;
use criterion::{Criterion, Throughput};

/// Values like those of a photograph; kernels are as fast on any others.
fn input(shape: Shape) -> Result<Array, EngineError> {
    let values = (0..shape.elements().unwrap_or(0)).map(|index| ((index * 2_654_435_761) >> 7 & 0xff) as f32);
    Array::new(shape, values.collect())
}

fn networks(c: &mut Criterion) -> Result<(), Box<dyn Error>> {
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
                b.iter(|| black_box(session.run(batch.clone()).is_ok()));
            });
        }
        group.finish();
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default().configure_from_args();
    networks(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
