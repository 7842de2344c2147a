//! Runs something again and again, by one caller or by several at once, and says what each run cost.
//!
//! The peers in `benches/networks/peers` are measured by this same file.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::processor_time;

/// A failure that may come from another thread.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// One run on one image.
pub type Caller<'a> = Box<dyn FnMut() -> Outcome<()> + Send + 'a>;

/// Callers start laps together, and a lap lasts about so long, so that waiting for the slowest of them hardly counts.
const LAP: Duration = Duration::from_millis(100);
/// Runs before anything is measured, at least: plans are made, memory is taken, caches are filled.
const WARM_UP_RUNS: u32 = 3;

/// A lap per element.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Laps {
    /// Callers at once.
    callers: usize,
    /// Milliseconds of processor time per image.
    cpu: Vec<f64>,
    /// Milliseconds that a caller waited for an image.
    wall: Vec<f64>,
}

impl Laps {
    /// Lets the callers warm up for a quarter of `time` before it begins, at least for three runs, then measures. A single caller runs on this thread and a lap is a
    /// run; several have a thread each, and a lap is as many runs of each as take about [`LAP`].
    ///
    /// # Errors
    /// The first failure of a caller.
    pub fn measure(mut callers: Vec<Caller<'_>>, time: Duration) -> Outcome<Self> {
        if let [only] = &mut callers[..] {
            repeat(only, time / 4, WARM_UP_RUNS)?;
            let mut laps = Self { callers: 1, ..Self::default() };
            let end = Instant::now() + time;
            while laps.cpu.is_empty() || Instant::now() < end {
                let start = Stamp::now();
                only()?;
                laps.push(&start, 1);
            }
            return Ok(laps);
        }
        together(callers, time)
    }

    fn push(&mut self, start: &Stamp, runs: u32) {
        let (cpu, wall) = (processor_time::spent() - start.cpu, start.wall.elapsed());
        let each = |time: Duration| time.as_secs_f64() * 1e3 / f64::from(runs);
        self.wall.push(each(wall));
        self.cpu.push(each(cpu) / self.callers as f64);
    }

    /// Medians and spreads over the laps: `cpu_ms` an image, `wall_ms` from call to result, `images_per_second` of all callers at the
    /// median, and how many `laps` there were.
    #[must_use]
    pub fn report(&self) -> Value {
        let wall = spread(&self.wall);
        let rate = wall.get("median").and_then(Value::as_f64).map(|median| self.callers as f64 * 1e3 / median);
        json!({ "laps": self.cpu.len(), "cpu_ms": spread(&self.cpu), "wall_ms": wall, "images_per_second": rate })
    }
}

struct Stamp {
    cpu: Duration,
    wall: Instant,
}

impl Stamp {
    fn now() -> Self {
        Self { cpu: processor_time::spent(), wall: Instant::now() }
    }
}

/// Runs for so long and so often, whichever takes longer, and says how long a run took.
fn repeat(caller: &mut Caller<'_>, time: Duration, least: u32) -> Outcome<Duration> {
    let (started, mut runs) = (Instant::now(), 0);
    while runs < least || started.elapsed() < time {
        caller()?;
        runs += 1;
    }
    Ok(started.elapsed() / runs.max(1))
}

/// What the callers of a lap agree on.
struct Race {
    barrier: Barrier,
    /// Nobody starts another lap.
    over: AtomicBool,
    /// The first failure.
    failure: Mutex<Outcome<()>>,
}

impl Race {
    fn fail(&self, outcome: Outcome<()>) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if outcome.is_err() && failure.is_ok() {
            *failure = outcome;
            self.over.store(true, Ordering::Relaxed);
        }
    }

    /// Laps until `end`. Everybody passes the barrier equally often, whatever fails. The one who counts stamps the laps.
    fn run(&self, caller: &mut Caller<'_>, runs: u32, end: Instant, mut counted: Option<&mut Laps>) {
        loop {
            self.barrier.wait();
            let start = Stamp::now();
            self.fail((0..runs).try_for_each(|_| caller()));
            self.barrier.wait();
            if let Some(laps) = &mut counted {
                laps.push(&start, runs);
                if Instant::now() >= end {
                    self.over.store(true, Ordering::Relaxed);
                }
            }
            self.barrier.wait();
            if self.over.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

fn together(mut callers: Vec<Caller<'_>>, time: Duration) -> Outcome<Laps> {
    let count = callers.len();
    let mut laps = Laps { callers: count, ..Laps::default() };
    let each: Vec<Outcome<Duration>> = std::thread::scope(|scope| {
        let warming: Vec<_> = callers.iter_mut().map(|caller| scope.spawn(move || repeat(caller, time / 4, WARM_UP_RUNS))).collect();
        warming.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("a caller panicked".into()))).collect()
    });
    let longest = each.into_iter().try_fold(Duration::ZERO, |longest, each| each.map(|each| longest.max(each)))?;
    let runs = (LAP.as_secs_f64() / longest.as_secs_f64().max(1e-6)).ceil() as u32;
    let race = Race { barrier: Barrier::new(count), over: AtomicBool::new(false), failure: Mutex::new(Ok(())) };
    let end = Instant::now() + time;
    std::thread::scope(|scope| {
        let mut counted = Some(&mut laps);
        for caller in &mut callers {
            let (race, counted) = (&race, counted.take());
            scope.spawn(move || race.run(caller, runs, end, counted));
        }
    });
    race.failure.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    Ok(laps)
}

/// The median, the tenths at both ends, and the least, to a microsecond.
fn spread(values: &[f64]) -> Value {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let place = part * sorted.len().saturating_sub(1) as f64;
        sorted.get(place.round() as usize).map(|value| (value * 1e3).round() / 1e3)
    };
    json!({ "median": at(0.5), "p10": at(0.1), "p90": at(0.9), "min": at(0.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_taken_from_the_sorted_values() {
        let values: Vec<f64> = (0..=10).rev().map(f64::from).collect();
        assert_eq!(spread(&values), json!({ "median": 5.0, "p10": 1.0, "p90": 9.0, "min": 0.0 }));
        assert_eq!(spread(&[])["median"], Value::Null);
    }

    #[test]
    fn the_rate_counts_all_callers() {
        let laps = Laps { callers: 2, cpu: vec![4.0; 3], wall: vec![5.0, 4.0, 9.0] };
        assert_eq!(laps.report()["images_per_second"], 400.0);
        assert_eq!(laps.report()["laps"], 3);
    }

    #[test]
    fn processor_time_of_callers_at_once_is_counted_per_image() {
        let work = || -> Caller<'static> {
            Box::new(|| {
                let started = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
                let spent = || {
                    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
                    (now.tv_sec - started.tv_sec) * 1_000_000_000 + now.tv_nsec - started.tv_nsec
                };
                while spent() < 5_000_000 {
                    std::hint::spin_loop();
                }
                Ok(())
            })
        };
        let laps = Laps::measure(vec![work(), work()], Duration::from_millis(1)).unwrap();
        // Other tests may run in this process at the same time, so there is no upper bound.
        assert!(laps.cpu.iter().all(|cpu| *cpu >= 5.0), "{laps:?}");
        assert!(laps.wall.iter().all(|wall| *wall >= 5.0), "{laps:?}");
    }

    #[test]
    fn a_failure_of_any_caller_ends_the_measurement() {
        let good = || -> Caller<'static> { Box::new(|| Ok(())) };
        let mut left = 10;
        let bad: Caller<'static> = Box::new(move || {
            left -= 1;
            if left > 0 { Ok(()) } else { Err("worn out".into()) }
        });
        let error = Laps::measure(vec![good(), good(), bad], Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "worn out");
        assert!(Laps::measure(vec![Box::new(|| Err("at once".into()))], Duration::ZERO).is_err());
    }
}
