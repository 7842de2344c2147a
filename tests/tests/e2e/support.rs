//! What the tests share: one service for those that change nothing, and the checks they all make.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use breakwater_tests::artifacts::Artifacts;
use breakwater_tests::client::{Answer, Client};
use breakwater_tests::external::{ExternalService, program};
use breakwater_tests::service::{Launch, Service};
use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use serde_json::Value;

/// The ratios that every strategy is tried at.
pub(crate) const RATIOS: [(u32, u32); 5] = [(1, 1), (4, 6), (6, 4), (16, 9), (9, 16)];

/// A service that many tests ask at once. It ends with the test program.
pub(crate) fn shared() -> &'static Service {
    static SHARED: OnceLock<Service> = OnceLock::new();
    SHARED.get_or_init(|| Launch::with_plugins().unwrap().start().unwrap())
}

/// A client of the shared service.
pub(crate) fn client() -> Client {
    Client::new(shared().base())
}

/// A service of the test's own.
pub(crate) fn start(launch: Launch) -> (Service, Client) {
    let service = launch.start().unwrap();
    let client = Client::new(service.base());
    (service, client)
}

/// The image-processing service in Python; nothing, after saying so, on a machine without Python.
pub(crate) fn image_service(arguments: &[&str]) -> Option<ExternalService> {
    if program("python3").is_none() {
        println!("NOT RUN: tests beside a service in Python (there is no python3)");
        return None;
    }
    Some(ExternalService::image_service(arguments).unwrap())
}

/// The CLIP service in Python; nothing, after saying so, on a machine without Python.
pub(crate) fn clip_service(arguments: &[&str]) -> Option<ExternalService> {
    if program("python3").is_none() {
        println!("NOT RUN: tests beside a CLIP service in Python (there is no python3)");
        return None;
    }
    Some(ExternalService::clip_service(arguments).unwrap())
}

/// The service of texts in Python; nothing, after saying so, on a machine without Python.
pub(crate) fn text_service(arguments: &[&str]) -> Option<ExternalService> {
    if program("python3").is_none() {
        println!("NOT RUN: tests beside a service of texts in Python (there is no python3)");
        return None;
    }
    Some(ExternalService::text_service(arguments).unwrap())
}

/// The AI service in JavaScript; nothing, after saying so, on a machine without Node.
pub(crate) fn talent_service(arguments: &[&str]) -> Option<ExternalService> {
    if program("node").is_none() {
        println!("NOT RUN: tests beside a service in JavaScript (there is no node)");
        return None;
    }
    Some(ExternalService::talent_service(arguments).unwrap())
}

/// A rectangle of the answer, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct Area {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Area {
    pub(crate) fn right(&self) -> f64 {
        self.x + self.width
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.y + self.height
    }

    /// Whether `other` lies inside but for a pixel and a half: rectangles are whole pixels, boxes are not.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        let slack = 1.5;
        other.x >= self.x - slack
            && other.y >= self.y - slack
            && other.right() <= self.right() + slack
            && other.bottom() <= self.bottom() + slack
    }

    /// The part inside of an image.
    pub(crate) fn clipped(&self, width: u32, height: u32) -> Self {
        let (x, y) = (self.x.max(0.0), self.y.max(0.0));
        Self { x, y, width: self.right().min(f64::from(width)) - x, height: self.bottom().min(f64::from(height)) - y }
    }

    /// Area of the intersection over that of the union.
    pub(crate) fn iou(&self, other: &Self) -> f64 {
        let width = self.right().min(other.right()) - self.x.max(other.x);
        let height = self.bottom().min(other.bottom()) - self.y.max(other.y);
        let common = width.max(0.0) * height.max(0.0);
        common / (self.width * self.height + other.width * other.height - common)
    }
}

/// A detection of an answer.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Found {
    pub(crate) kind: String,
    pub(crate) label: String,
    pub(crate) confidence: f64,
    #[serde(rename = "box")]
    pub(crate) area: Area,
    pub(crate) landmarks: Vec<Value>,
}

/// The detections of an answer of `/v1/detect` or `/v1/crop`.
pub(crate) fn found(answer: &Value) -> Vec<Found> {
    Vec::deserialize(&answer["detections"]).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// The rectangle of an answer of `/v1/crop`.
pub(crate) fn crop_of(answer: &Value) -> Area {
    Area::deserialize(&answer["crop"]).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// The JSON of an answer that must be 200.
#[track_caller]
pub(crate) fn ok(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.beginning());
    answer.json().unwrap()
}

/// Asserts that an answer is a problem with this status and code, that it names its call, and that it tells no path.
#[track_caller]
pub(crate) fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.beginning());
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json().unwrap();
    assert_eq!(problem["correlation_id"], answer.header("x-correlation-id"), "{problem}");
    assert_eq!(problem["status"], status, "{problem}");
    let text = problem.to_string();
    for secret in ["/tmp", "/etc", "breakwater-", ".rs:", "SELECT"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

/// Whether a rectangle of whole pixels has a ratio: one edge is at most a pixel away from exact.
pub(crate) fn has_ratio(area: &Area, ratio: (u32, u32)) -> bool {
    let exact = f64::from(ratio.0) / f64::from(ratio.1);
    (area.width - area.height * exact).abs() <= 1.001 || (area.height - area.width / exact).abs() <= 1.001
}

/// Asserts that a rectangle is not empty, inside the image, and of the ratio.
#[track_caller]
pub(crate) fn assert_valid(area: &Area, size: (u32, u32), ratio: (u32, u32)) {
    assert!(area.width >= 1.0 && area.height >= 1.0, "{area:?}");
    assert!(area.right() <= f64::from(size.0) && area.bottom() <= f64::from(size.1), "{area:?} in {size:?}");
    assert!(has_ratio(area, ratio), "{area:?} is not {ratio:?}");
}

/// The manifest of a guest of the tests.
pub(crate) fn manifest(id: &str, version: &str, rest: &str) -> String {
    format!(
        "id = \"{id}\"\nversion = \"{version}\"\nworld = \"breakwater:plugin/crop-plugin@0.1.0\"\ncomponent = \"component.wasm\"\n\
         capabilities = [\"imaging\"]\n{rest}"
    )
}

/// Deploys a component over HTTP.
pub(crate) async fn deploy(client: &Client, manifest: &str, component: &Bytes) -> Answer {
    let component = Part::stream(component.clone()).file_name("component.wasm");
    let form = Form::new().text("manifest", manifest.to_owned()).part("component", component);
    client.send(client.request(reqwest::Method::POST, "/v1/plugins").multipart(form)).await.unwrap()
}

/// A component of tests/guests.
pub(crate) fn guest(name: &str) -> Bytes {
    Artifacts::locate().unwrap().guest(name).unwrap()
}

/// Asks again and again until the answer is the one that is waited for.
pub(crate) async fn eventually<T, F>(what: &str, mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let patience = Duration::from_secs(30);
    let started = Instant::now();
    loop {
        if let Some(value) = attempt().await {
            return value;
        }
        assert!(started.elapsed() < patience, "waited {patience:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
