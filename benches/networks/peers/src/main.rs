//! Runs an ONNX network with tract or rten, by one caller on some threads or by several callers with one thread each.
//!
//! `peers ENGINE MODEL.onnx INPUT HEIGHT WIDTH THREADS CALLERS SECONDS` prints one line of JSON like the other programs of this bench. INPUT
//! holds an image of three planes of little-endian `f32`.

// The measurement is the very same file that Breakwater's engine is measured by.
#[path = "../../../src/laps.rs"]
mod laps;
#[path = "../../../src/processor_time.rs"]
mod processor_time;
mod rten_peer;
mod tract_peer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use laps::{Caller, Laps, Outcome};
use processor_time::PeakMemory;
use serde_json::json;

/// What is to be run, and how.
struct Job {
    model: PathBuf,
    /// Three planes.
    image: Vec<f32>,
    height: usize,
    width: usize,
    /// Threads that one image is spread over.
    threads: usize,
    /// Images at once.
    callers: usize,
}

/// What a network gave for one image, summed up so that engines can be held against each other.
#[derive(Default)]
struct Outputs {
    values: usize,
    magnitude: f64,
}

impl Outputs {
    fn add(&mut self, values: &[f32]) {
        self.values += values.len();
        self.magnitude += values.iter().map(|value| f64::from(value.abs())).sum::<f64>();
    }
}

/// A network that is ready to run.
trait Engine {
    /// One run, for what comes out.
    fn outputs(&self) -> Outcome<Outputs>;
    /// One caller of many.
    fn caller(&self) -> Outcome<Caller<'_>>;
}

fn image(path: &Path, length: usize) -> Outcome<Vec<f32>> {
    let bytes = std::fs::read(path)?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if numbers.len() != length || !rest.is_empty() {
        return Err(format!("{} holds {} bytes, not {length} numbers", path.display(), bytes.len()).into());
    }
    Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

fn main() -> Outcome<()> {
    let usage = "usage: peers tract|rten MODEL.onnx INPUT HEIGHT WIDTH THREADS CALLERS SECONDS";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [engine, model, input, height, width, threads, callers, seconds] = &arguments[..] else { return Err(usage.into()) };
    let (height, width): (usize, usize) = (height.parse()?, width.parse()?);
    let image = image(Path::new(input), 3 * height * width)?;
    let job = Job { model: model.into(), image, height, width, threads: threads.parse()?, callers: callers.parse()? };
    let memory = PeakMemory::from_here()?;
    let network: Box<dyn Engine> = match engine.as_str() {
        "tract" => Box::new(tract_peer::Tract::load(&job)?),
        "rten" => Box::new(rten_peer::Rten::load(&job)?),
        _ => return Err(usage.into()),
    };
    let outputs = network.outputs()?;
    let callers = (0..job.callers).map(|_| network.caller()).collect::<Outcome<Vec<_>>>()?;
    let mut report = Laps::measure(callers, Duration::from_secs_f64(seconds.parse()?))?.report();
    if let Some(report) = report.as_object_mut() {
        report.insert("peak_mib".to_owned(), json!(memory.growth()?));
        report.insert("outputs".to_owned(), json!({ "values": outputs.values, "magnitude": outputs.magnitude }));
    }
    println!("{report}");
    Ok(())
}
