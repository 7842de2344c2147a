//! Runs a network with Breakwater's own engine or with burn, again and again, and says what each image cost.
//!
//! `networks [--engine convnet|burn] [--network NAME] [--height ROWS] [--width COLUMNS] [--threads N] [--images N] [--isa NAME] [--rounds N]
//! [--seconds S]` prints a line of JSON per round. `--images` many callers run the network at once; where images are spread over more than
//! one thread, the callers of convnet share those threads.
//! `networks/run` runs it beside other engines.

use std::sync::Arc;
use std::time::Duration;

use breakwater_benches::arguments::Arguments;
use breakwater_benches::laps::{Caller, Laps, Outcome};
use breakwater_benches::processor_time::PeakMemory;
use breakwater_benches::subject::Subject;
use breakwater_convnet::array::{Array, Outputs};
use breakwater_convnet::graph::weights::Network;
use breakwater_convnet::{Executor, Input, Isa, Options};
use breakwater_inference::engine::burn::BurnEngine;
use breakwater_inference::engine::{Engine, Session};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde_json::{Map, Value, json};

const ARGUMENTS: &[&str] = &["engine", "network", "height", "width", "threads", "images", "isa", "rounds", "seconds"];

/// What is run.
struct Job {
    network: Network,
    image: Array,
    /// Threads that an image is spread over.
    threads: usize,
    isa: Option<Isa>,
}

impl Job {
    /// Threads of their own; one thread is the caller itself.
    fn pool(&self) -> Outcome<Option<Arc<ThreadPool>>> {
        let pool = (self.threads > 1).then(|| ThreadPoolBuilder::new().num_threads(self.threads).build());
        Ok(pool.transpose()?.map(Arc::new))
    }
}

/// A network that is ready to run.
trait Runner {
    /// One run, for what comes out.
    fn outputs(&self) -> Outcome<Outputs>;
    /// One caller of many.
    fn caller(&self) -> Outcome<Caller<'_>>;
    /// What it says of itself.
    fn describe(&self) -> Outcome<Value>;
}

struct Convnet {
    executor: Executor,
    job: Job,
}

impl Convnet {
    fn load(job: Job) -> Outcome<Self> {
        let executor = Executor::new(&job.network, Options { isa: job.isa, threads: job.pool()?, ..Options::default() })?;
        Ok(Self { executor, job })
    }
}

impl Runner for Convnet {
    fn outputs(&self) -> Outcome<Outputs> {
        Ok(self.executor.run(Input::Planes(&self.job.image))?)
    }

    fn caller(&self) -> Outcome<Caller<'_>> {
        Ok(Box::new(|| {
            std::hint::black_box(self.outputs()?);
            Ok(())
        }))
    }

    fn describe(&self) -> Outcome<Value> {
        let run_bytes = self.executor.run_bytes(self.job.image.shape())?;
        Ok(json!({ "isa": self.executor.isa().name(), "run_bytes": run_bytes, "weight_bytes": self.executor.weight_bytes() }))
    }
}

struct Burn {
    job: Job,
}

impl Burn {
    fn session(&self) -> Outcome<Box<dyn Session>> {
        // Without a pool of its own it would use one with a thread for each core.
        let pool = ThreadPoolBuilder::new().num_threads(self.job.threads).build()?;
        Ok(BurnEngine::cpu(Some(Arc::new(pool))).prepare(&self.job.network)?)
    }
}

impl Runner for Burn {
    fn outputs(&self) -> Outcome<Outputs> {
        Ok(self.session()?.run(self.job.image.clone().into())?)
    }

    fn caller(&self) -> Outcome<Caller<'_>> {
        let mut session = self.session()?;
        Ok(Box::new(move || {
            std::hint::black_box(session.run(self.job.image.clone().into())?);
            Ok(())
        }))
    }

    fn describe(&self) -> Outcome<Value> {
        Ok(json!({}))
    }
}

/// Number of values and the sum of their magnitudes, so that engines can be held against each other.
fn sum(outputs: &Outputs) -> Value {
    let values = || outputs.iter().flat_map(|(_, array)| array.values());
    json!({ "values": values().count(), "magnitude": values().map(|value| f64::from(value.abs())).sum::<f64>() })
}

#[expect(clippy::print_stdout, reason = "the lines of JSON are what this program is for")]
fn main() -> Outcome<()> {
    let arguments = Arguments::read(ARGUMENTS)?;
    let subject: Subject = arguments.text("network").unwrap_or("yunet").parse()?;
    let standard = Subject::CASES.into_iter().find(|case| case.0 == subject).map_or((224, 224), |case| (case.1, case.2));
    let (height, width) = (arguments.get("height", standard.0)?, arguments.get("width", standard.1)?);
    let (threads, images) = (arguments.get("threads", 1)?, arguments.get("images", 1)?);
    let isa = arguments.text("isa").map(|name| name.parse::<Isa>()).transpose()?;
    let image = subject.input(1, height, width)?;

    let memory = PeakMemory::from_here()?;
    let job = Job { network: subject.load(height, width)?, image, threads, isa };
    let engine = arguments.text("engine").unwrap_or("convnet");
    let runner: Box<dyn Runner> = match engine {
        "convnet" => Box::new(Convnet::load(job)?),
        "burn" => Box::new(Burn { job }),
        _ => return Err(format!("an engine is convnet or burn; got {engine:?}").into()),
    };
    let outputs = sum(&runner.outputs()?);
    let what =
        json!({ "engine": engine, "network": subject.name(), "height": height, "width": width, "threads": threads, "images": images });
    for _ in 0..arguments.get("rounds", 1usize)? {
        let callers = (0..images).map(|_| runner.caller()).collect::<Outcome<Vec<_>>>()?;
        let measured = Laps::measure(callers, Duration::from_secs_f64(arguments.get("seconds", 2.0)?))?.report();
        let rest = json!({ "peak_mib": memory.growth()?, "outputs": outputs });
        let parts = [what.clone(), runner.describe()?, measured, rest];
        let line: Map<String, Value> = parts.into_iter().filter_map(|part| part.as_object().cloned()).flatten().collect();
        println!("{}", Value::Object(line));
    }
    Ok(())
}
