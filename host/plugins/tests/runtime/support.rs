//! A catalogue to test with: components found on disk, a processor pool that runs at once, detectors that answer as told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{
    AspectRatio, Bounds, CallContext, CropPlan, Deadline, Detection, DetectionKind, Failure, FailureKind, PlanRequest, Principal,
};
use breakwater_plugins::{
    BoxFuture, Catalogue, CatalogueRecords, Compiler, CpuPool, Detect, MemoryRecords, PluginPackage, Ports, RuntimeConfig, Snapshot,
};
use breakwater_vision::{Detail, Image, Limits};
use bytes::Bytes;

/// Runs jobs where they are handed in.
pub(crate) struct AtOnce;

impl CpuPool for AtOnce {
    fn run(&self, job: Box<dyn FnOnce() + Send>, _deadline: Deadline) -> BoxFuture<'static, Result<(), Failure>> {
        job();
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What the detectors do.
#[derive(Clone)]
pub(crate) enum Detectors {
    Find(Vec<Detection>),
    Fail,
    TakeForever,
    Take(Duration),
}

impl Detect for Detectors {
    fn detect<'a>(
        &'a self,
        _image: &'a Arc<Image>,
        kind: DetectionKind,
        _deadline: Deadline,
    ) -> BoxFuture<'a, Result<Arc<[Detection]>, Failure>> {
        Box::pin(async move {
            match self {
                Self::Find(found) => Ok(found.iter().filter(|detection| detection.kind == kind).cloned().collect()),
                Self::Fail => Err(Failure::new(FailureKind::Internal, "detector.failed", "the detector broke")),
                Self::TakeForever => std::future::pending().await,
                Self::Take(duration) => {
                    tokio::time::sleep(*duration).await;
                    Ok(Arc::from([]))
                }
            }
        })
    }
}

/// A face at a place of the test picture.
pub(crate) fn face(x: f32, y: f32, edge: f32) -> Detection {
    let bounds = Bounds { x, y, width: edge, height: edge };
    Detection { kind: DetectionKind::Face, label: "face".to_owned(), confidence: 0.95, bounds, landmarks: Vec::new() }
}

/// The folder of test components.
fn guests() -> PathBuf {
    std::env::var_os("BREAKWATER_GUESTS").map_or_else(|| target().join("breakwater-guests"), PathBuf::from)
}

/// The folder that cargo builds into: tests run from `TARGET/debug/deps`.
fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}

fn read(path: &Path) -> Bytes {
    let read = std::fs::read(path);
    read.unwrap_or_else(|error| panic!("{}: {error}\nbuild the components first: cargo xtask build-plugins", path.display())).into()
}

/// A component of `tests/guests`.
pub(crate) fn guest(name: &str) -> Bytes {
    read(&guests().join(format!("{name}.wasm")))
}

/// A component of `tests/guests-js`, where Node was there to build it.
pub(crate) fn javascript_guest(name: &str) -> Option<Bytes> {
    let path = guests().join(format!("{name}.wasm"));
    path.is_file().then(|| read(&path))
}

/// The component of a shipped plugin, such as `crop-people`.
pub(crate) fn shipped(id: &str) -> Bytes {
    let file = format!("{}.wasm", id.replace('-', "_"));
    let built = target().join("breakwater-plugins").join(id).join(&file);
    if built.is_file() { read(&built) } else { read(&guests().join(file)) }
}

/// A shipped plugin with its manifest and fixtures.
pub(crate) fn shipped_package(id: &str) -> PluginPackage {
    let folder = target().join("breakwater-plugins").join(id);
    let package = PluginPackage::read_folder(&folder);
    package.unwrap_or_else(|error| panic!("{}: {error}\nbuild the plugins first: cargo xtask build-plugins", folder.display()))
}

/// A package of a component with a minimal manifest and more lines to it.
pub(crate) fn package_with(id: &str, version: &str, component: Bytes, more: &str) -> PluginPackage {
    let world = "breakwater:plugin/crop-plugin@0.1.0";
    let manifest = format!("id = \"{id}\"\nversion = \"{version}\"\nworld = \"{world}\"\n{more}");
    PluginPackage::from_parts(&manifest, component, Vec::new()).unwrap()
}

/// A package that asks for imaging.
pub(crate) fn package(id: &str, version: &str, component: Bytes) -> PluginPackage {
    package_with(id, version, component, "capabilities = [\"imaging\"]")
}

pub(crate) struct Host {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) records: Arc<dyn CatalogueRecords>,
    pub(crate) folder: Arc<tempfile::TempDir>,
    ports: Ports,
}

impl Host {
    pub(crate) async fn start() -> Self {
        Self::with(Detectors::Find(Vec::new()), |_| ()).await
    }

    pub(crate) async fn with(detectors: Detectors, adjust: impl FnOnce(&mut RuntimeConfig)) -> Self {
        Self::with_ports(Ports::offline(Arc::new(detectors), Arc::new(AtOnce)), adjust).await
    }

    pub(crate) async fn with_ports(ports: Ports, adjust: impl FnOnce(&mut RuntimeConfig)) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self::on(Arc::new(MemoryRecords::default()), folder, ports, adjust).await
    }

    /// Another process on the same records and folder.
    pub(crate) async fn restarted(&self, adjust: impl FnOnce(&mut RuntimeConfig)) -> Self {
        Self::on(Arc::clone(&self.records), Arc::clone(&self.folder), self.ports.clone(), adjust).await
    }

    async fn on(
        records: Arc<dyn CatalogueRecords>,
        folder: Arc<tempfile::TempDir>,
        ports: Ports,
        adjust: impl FnOnce(&mut RuntimeConfig),
    ) -> Self {
        let mut config = RuntimeConfig::new(folder.path().join("compiled"), Compiler::InProcess);
        config.limits.cpu = Duration::from_millis(200);
        adjust(&mut config);
        let catalogue = Catalogue::open(config, Arc::clone(&records), ports.clone()).await.unwrap();
        Self { catalogue, records, folder, ports }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.catalogue.snapshot()
    }

    /// A plan of a strategy for the test picture.
    pub(crate) async fn plan(&self, strategy: &str) -> Result<CropPlan, Failure> {
        plan(&self.snapshot(), strategy, &[]).await
    }
}

/// 64 by 48 pixels.
pub(crate) fn picture() -> Arc<Image> {
    static PICTURE: std::sync::OnceLock<Arc<Image>> = std::sync::OnceLock::new();
    let decode = || {
        let bytes = Bytes::from_static(include_bytes!("../../src/probe_picture.png"));
        Arc::new(Image::decode(bytes, Detail::Full, &Limits::default()).unwrap())
    };
    Arc::clone(PICTURE.get_or_init(decode))
}

pub(crate) fn request(strategy: &str) -> PlanRequest {
    PlanRequest { strategy: strategy.to_owned(), ratio: AspectRatio::new(1, 1).unwrap(), parameters: serde_json::json!({}) }
}

pub(crate) fn context() -> CallContext {
    CallContext::root(Principal::System, Duration::from_secs(20))
}

pub(crate) async fn plan(snapshot: &Snapshot, strategy: &str, given: &[Detection]) -> Result<CropPlan, Failure> {
    let (_, generation) = snapshot.strategy(strategy).unwrap_or_else(|| panic!("no strategy {strategy}"));
    generation.plan(&context(), &picture(), given, &request(strategy)).await
}

/// A term of a plan.
pub(crate) fn term(plan: &CropPlan, name: &str) -> f32 {
    let found = plan.reasons.iter().find(|term| term.name == name);
    found.unwrap_or_else(|| panic!("no term {name} in {:?}", plan.reasons)).value
}

/// This process's resident memory, in bytes.
pub(crate) fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}
