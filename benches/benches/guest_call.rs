//! What a plugin call costs: a fresh instance, the plan, and its end; beside other generations, on busy cores, per host call; and how
//! long a swap takes.
//!
//! Needs the components: `cargo xtask build-plugins`.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark that meets a surprise stops there")]

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use breakwater_core::{AspectRatio, Bounds, CallContext, Deadline, Detection, DetectionKind, Failure, PlanRequest, Point, Principal};
use breakwater_plugins::{
    BoxFuture, Catalogue, Compiler, CpuPool, Detect, Generation, MemoryRecords, PluginId, PluginPackage, PoolConfig, Ports, RuntimeConfig,
};
use breakwater_resilience::Trip;
use breakwater_vision::{Detail, Image, Limits};
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;

const GENERATIONS: usize = 50;
/// A 1x1 GIF: nothing to compute in it.
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";
const PICTURE: &[u8] = include_bytes!("../../plugins/crop-people/fixtures/group.png");

/// Runs jobs where they are handed in, so that what is measured is the runtime and not a thread pool.
struct AtOnce;

impl CpuPool for AtOnce {
    fn run(&self, job: Box<dyn FnOnce() + Send>, _deadline: Deadline) -> BoxFuture<'static, Result<(), Failure>> {
        job();
        Box::pin(std::future::ready(Ok(())))
    }
}

struct Nothing;

impl Detect for Nothing {
    fn detect<'a>(&'a self, _: &'a Arc<Image>, _: DetectionKind, _: Deadline) -> BoxFuture<'a, Result<Arc<[Detection]>, Failure>> {
        Box::pin(std::future::ready(Ok(Arc::from([]))))
    }
}

fn component(name: &str) -> Bytes {
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let guests = std::env::var_os("BREAKWATER_GUESTS").map_or_else(|| target.join("breakwater-guests"), PathBuf::from);
    let shipped = target.join("breakwater-plugins").join(name.replace('_', "-")).join(format!("{name}.wasm"));
    let file = if shipped.is_file() { shipped } else { guests.join(format!("{name}.wasm")) };
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; run cargo xtask build-plugins", file.display())).into()
}

fn package(id: &str, version: &str, component: &Bytes) -> PluginPackage {
    let world = "breakwater:plugin/crop-plugin@0.1.0";
    let manifest = format!("id = \"{id}\"\nversion = \"{version}\"\nworld = \"{world}\"\ncapabilities = [\"imaging\"]");
    PluginPackage::from_parts(&manifest, component.clone(), Vec::new()).unwrap()
}

fn picture() -> Arc<Image> {
    Arc::new(Image::decode(Bytes::from_static(PICTURE), Detail::Full, &Limits::default()).unwrap())
}

fn faces() -> Vec<Detection> {
    let face = |x: f32, y: f32| Detection {
        kind: DetectionKind::Face,
        label: "face".to_owned(),
        confidence: 0.95,
        bounds: Bounds { x, y, width: 40.0, height: 40.0 },
        landmarks: vec![Point { x: x + 20.0, y: y + 20.0 }; 5],
    };
    vec![face(100.0, 60.0), face(220.0, 80.0), face(340.0, 70.0)]
}

struct Bench {
    runtime: Runtime,
    catalogue: Arc<Catalogue>,
    image: Arc<Image>,
    faces: Vec<Detection>,
    context: CallContext,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(adjust: impl FnOnce(&mut RuntimeConfig)) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut config = RuntimeConfig::new(folder.path().to_owned(), Compiler::InProcess);
        adjust(&mut config);
        let records = Arc::new(MemoryRecords::default());
        let catalogue = runtime.block_on(Catalogue::open(config, records, Ports::offline(Arc::new(Nothing), Arc::new(AtOnce)))).unwrap();
        let context = CallContext::root(Principal::System, Duration::from_secs(86_400));
        Self { runtime, catalogue, image: picture(), faces: faces(), context, _folder: folder }
    }

    fn deploy(&self, id: &str, version: &str, component: &Bytes) -> Arc<Generation> {
        self.runtime.block_on(self.catalogue.deploy(package(id, version, component))).expect("deployed");
        let id: PluginId = id.parse().unwrap();
        Arc::clone(self.catalogue.snapshot().generation(&id).expect("active"))
    }

    async fn plan(&self, generation: &Generation, strategy: &PlanRequest) {
        black_box(generation.plan(&self.context, &self.image, &self.faces, strategy).await.expect("a plan"));
    }
}

fn request(strategy: &str) -> PlanRequest {
    PlanRequest { strategy: strategy.to_owned(), ratio: AspectRatio::new(4, 6).unwrap(), parameters: serde_json::json!({}) }
}

/// Keeps every core busy while it lives.
struct Busy(Arc<AtomicBool>, Vec<std::thread::JoinHandle<()>>);

impl Busy {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let spin = |stop: Arc<AtomicBool>| {
            move || {
                while !stop.load(Ordering::Relaxed) {
                    black_box((0..1000_u64).sum::<u64>());
                }
            }
        };
        Self(Arc::clone(&stop), (0..cores).map(|_| std::thread::spawn(spin(Arc::clone(&stop)))).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

fn calls(criterion: &mut Criterion) {
    let component_bytes = component("crop_people");
    let wanted = request("center_faces");
    let mut group = criterion.benchmark_group("guest_call");
    group.measurement_time(Duration::from_secs(5));

    let bench = Bench::new(|_| ());
    let only = bench.deploy("crop-people", "0.1.0", &component_bytes);
    group.bench_function("center_faces", |bencher| bencher.to_async(&bench.runtime).iter(|| bench.plan(&only, &wanted)));
    {
        let _busy = Busy::start();
        group.bench_function("center_faces/every_core_busy", |bencher| {
            bencher.to_async(&bench.runtime).iter(|| bench.plan(&only, &wanted));
        });
    }

    let bench = Bench::new(|config| config.pool.linear_memory_keep_resident = PoolConfig::MAX_KEEP_RESIDENT);
    let kept = bench.deploy("crop-people", "0.1.0", &component_bytes);
    group.bench_function("center_faces/64_kib_kept_resident", |bencher| {
        bencher.to_async(&bench.runtime).iter(|| bench.plan(&kept, &wanted));
    });
    // A plan without any computing: what an instance and a call cost alone.
    let bench = Bench::new(|_| ());
    let (centered, center) = (bench.deploy("misbehaving", "0.1.0", &component("misbehaving")), request("well"));
    group.bench_function("well", |bencher| bencher.to_async(&bench.runtime).iter(|| bench.plan(&centered, &center)));

    let ids: Vec<PluginId> = (0..GENERATIONS).map(|number| format!("crop-{}", letters(number)).parse().unwrap()).collect();
    let bench = Bench::new(|config| config.order = ids.clone());
    let generations: Vec<_> = ids.iter().map(|id| bench.deploy(id.as_str(), "0.1.0", &component_bytes)).collect();
    group.bench_function("center_faces/50_loaded", |bencher| {
        bencher.to_async(&bench.runtime).iter(|| bench.plan(generations.first().expect("loaded"), &wanted));
    });
    let mut next = 0;
    group.bench_function("center_faces/50_in_turn", |bencher| {
        bencher.to_async(&bench.runtime).iter(|| {
            next = (next + 1) % GENERATIONS;
            bench.plan(generations.get(next).expect("loaded"), &wanted)
        });
    });

    let bench = Bench::new(|_| ());
    let generation = bench.deploy("crop-people", "0.1.0", &component_bytes);
    let dirty = bench.deploy("misbehaving", "0.1.0", &component("misbehaving"));
    let dirties = request("dirty");
    group.bench_function("center_faces/after_dirty_memory", |bencher| {
        bencher.to_async(&bench.runtime).iter_custom(|iterations| {
            let (bench, generation, dirty, wanted, dirties) = (&bench, &generation, &dirty, &wanted, &dirties);
            async move {
                let mut measured = Duration::ZERO;
                for _ in 0..iterations {
                    bench.plan(dirty, dirties).await;
                    let start = Instant::now();
                    bench.plan(generation, wanted).await;
                    measured += start.elapsed();
                }
                measured
            }
        });
    });
    group.finish();
}

fn letters(number: usize) -> String {
    format!("n{number}")
}

/// The guest asks for the entropy of an image of one pixel until it is stopped: what that takes is the way into the host and back.
fn host_calls(criterion: &mut Criterion) {
    const CALLS: u32 = 10_000;
    let bench = Bench::new(|config| {
        config.limits.host_calls = CALLS;
        // Its deployment asks every strategy once, the endless loop too.
        config.limits.cpu = Duration::from_secs(1);
        config.limits.timeout = Duration::from_secs(60);
        config.breaker.trip = Trip::ConsecutiveFailures { threshold: u32::MAX };
    });
    let generation = bench.deploy("misbehaving", "0.1.0", &component("misbehaving"));
    let flood = request("host_call_flood");
    let pixel = Arc::new(Image::decode(Bytes::from_static(PIXEL), Detail::Full, &Limits::default()).unwrap());
    let mut group = criterion.benchmark_group("host_call");
    group.sample_size(20);
    group.bench_function("image_capability", |bencher| {
        bencher.to_async(&bench.runtime).iter_custom(|iterations| {
            let (bench, generation, flood, pixel) = (&bench, &generation, &flood, &pixel);
            async move {
                let start = Instant::now();
                let failure = generation.plan(&bench.context, pixel, &[], flood).await.expect_err("stopped");
                assert_eq!(&*failure.code, "plugin.host-calls");
                // Ten thousand host calls were made; criterion wants the time of `iterations`.
                start.elapsed().mul_f64(iterations as f64 / f64::from(CALLS))
            }
        });
    });
    group.finish();
}

fn swaps(criterion: &mut Criterion) {
    let component = component("crop_people");
    let bench = Bench::new(|_| ());
    let first = bench.deploy("crop-people", "0.1.0", &component).digest();
    let second = bench.deploy("crop-people", "0.1.1", &component).digest();
    let id: PluginId = "crop-people".parse().unwrap();
    let mut group = criterion.benchmark_group("swap");
    group.sample_size(20);
    let mut patch = 2;
    group.bench_function("deploy_of_compiled_code", |bencher| {
        bencher.iter(|| {
            patch += 1;
            bench.deploy("crop-people", &format!("0.1.{patch}"), &component)
        });
    });
    let bench = Bench::new(|_| ());
    bench.deploy("crop-people", "0.1.0", &component);
    bench.deploy("crop-people", "0.1.1", &component);
    let mut back = false;
    group.bench_function("activate_kept", |bencher| {
        bencher.iter(|| {
            back = !back;
            bench.runtime.block_on(bench.catalogue.activate(&id, if back { first } else { second })).expect("activated")
        });
    });
    group.bench_function("deploy_with_compilation_in_process", |bencher| {
        bencher.iter_batched(
            || Bench::new(|_| ()),
            |fresh| {
                fresh.deploy("crop-people", "0.1.0", &component);
                fresh
            },
            criterion::BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, calls, host_calls, swaps);
criterion_main!(benches);
