//! Runs CLIP's image tower again and again, and says what each call cost.
//!
//! `clip --model FOLDER [--input PLANES] [--threads N] [--isa NAME] [--rounds N] [--seconds S]` reads `config.json` and
//! `model.safetensors`, and images of normalised planes as plain numbers, all of which go into one call; a line of JSON per round.
//! `networks/clip` runs it beside onnxruntime.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use breakwater_benches::arguments::Arguments;
use breakwater_benches::laps::{Caller, Laps, Outcome};
use breakwater_benches::processor_time::PeakMemory;
use breakwater_convnet::Isa;
use breakwater_transformer::{ClipConfig, ClipWeights, Options, VisionTower};
use rayon::ThreadPoolBuilder;
use serde_json::{Map, Value, json};

const ARGUMENTS: &[&str] = &["model", "input", "threads", "isa", "rounds", "seconds"];

/// The tower of a folder. The file is given back once the tower has taken what it needs.
fn load(arguments: &Arguments, threads: usize) -> Outcome<VisionTower> {
    let folder = PathBuf::from(arguments.text("model").ok_or("--model is missing")?);
    let config = ClipConfig::read(&std::fs::read(folder.join("config.json"))?)?;
    let file = std::fs::read(folder.join("model.safetensors"))?;
    // One thread is the caller itself.
    let pool = (threads > 1).then(|| ThreadPoolBuilder::new().num_threads(threads).build()).transpose()?;
    let isa = arguments.text("isa").map(|name| name.parse::<Isa>()).transpose()?;
    Ok(VisionTower::new(&config, &ClipWeights::read(&[&file])?, Options { isa, threads: pool.map(Arc::new), busy: None })?)
}

/// Images in a file, or one of a pattern.
fn images(arguments: &Arguments, tower: &VisionTower) -> Outcome<Vec<f32>> {
    match arguments.text("input") {
        Some(path) => Ok(std::fs::read(path)?.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        None => Ok((0..tower.values()).map(|index| (index * 31 % 255) as f32 / 64.0 - 2.0).collect()),
    }
}

#[expect(clippy::print_stdout, reason = "the lines of JSON are what this program is for")]
fn main() -> Outcome<()> {
    let arguments = Arguments::read(ARGUMENTS)?;
    let threads = arguments.get("threads", 1)?;
    let memory = PeakMemory::from_here()?;
    let tower = load(&arguments, threads)?;
    let planes = images(&arguments, &tower)?;
    let outputs = tower.run(&planes)?;
    let magnitude: f64 = outputs.iter().map(|value| f64::from(value.abs())).sum();
    let what = json!({
        "isa": tower.isa().name(),
        "threads": threads,
        "images": planes.len() / tower.values(),
        "weight_bytes": tower.weight_bytes(),
        "outputs": { "values": outputs.len(), "magnitude": magnitude },
    });
    for _ in 0..arguments.get("rounds", 1usize)? {
        let caller: Caller<'_> = Box::new(|| {
            std::hint::black_box(tower.run(&planes)?);
            Ok(())
        });
        let measured = Laps::measure(vec![caller], Duration::from_secs_f64(arguments.get("seconds", 2.0)?))?.report();
        let parts = [what.clone(), measured, json!({ "peak_mib": memory.growth()?, "idle_bytes": tower.idle_bytes() })];
        let line: Map<String, Value> = parts.into_iter().filter_map(|part| part.as_object().cloned()).flatten().collect();
        println!("{}", Value::Object(line));
    }
    Ok(())
}
