//! The clock that interrupts guests: an operating system thread, so that a busy executor cannot hold it up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use wasmtime::Engine;

/// Ticks without a guest before the thread goes to sleep.
const IDLE_TICKS: u32 = 100;

/// Counts ticks; shared with every call.
#[derive(Debug)]
pub(crate) struct Ticks {
    count: AtomicU64,
    length: Duration,
}

impl Ticks {
    /// How many ticks there were.
    pub(crate) fn now(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The time between two ticks.
    pub(crate) fn length(&self) -> Duration {
        self.length
    }
}

#[derive(Debug, Default)]
struct Control {
    running: AtomicUsize,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// Advances the engine's epoch once per tick while guests run, and sleeps while none does.
///
/// Owned by the engine's owner: dropping it ends the thread. The thread cannot fail.
pub(crate) struct Ticker {
    ticks: Arc<Ticks>,
    control: Arc<Control>,
    thread: Option<(Thread, JoinHandle<()>)>,
}

/// A guest runs as long as this lives.
pub(crate) struct Running<'a>(&'a Control);

impl Ticker {
    pub(crate) fn start(engine: Engine, length: Duration) -> io::Result<Self> {
        let ticks = Arc::new(Ticks { count: AtomicU64::new(0), length });
        let control = Arc::new(Control::default());
        let (thread_ticks, thread_control) = (Arc::clone(&ticks), Arc::clone(&control));
        let handle =
            std::thread::Builder::new().name("plugin-ticker".to_owned()).spawn(move || run(&engine, &thread_ticks, &thread_control))?;
        Ok(Self { ticks, control, thread: Some((handle.thread().clone(), handle)) })
    }

    pub(crate) fn ticks(&self) -> &Arc<Ticks> {
        &self.ticks
    }

    /// Says that a guest starts; the clock runs until the value is dropped.
    pub(crate) fn guest_runs(&self) -> Running<'_> {
        self.control.running.fetch_add(1, Ordering::SeqCst);
        // Ordered after the count: either this sees the thread asleep, or the thread sees the count.
        if self.control.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
        Running(&self.control)
    }

    /// How many guests run now.
    pub(crate) fn running(&self) -> usize {
        self.control.running.load(Ordering::SeqCst)
    }

    fn wake(&self) {
        if let Some((thread, _)) = &self.thread {
            thread.unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.control.stop.store(true, Ordering::SeqCst);
        self.wake();
        if let Some((_, handle)) = self.thread.take() {
            // The thread has nothing that could panic; there is nobody to tell if it did.
            drop(handle.join());
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn run(engine: &Engine, ticks: &Ticks, control: &Control) {
    let mut idle = 0;
    while !control.stop.load(Ordering::SeqCst) {
        idle = if control.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        if idle > IDLE_TICKS {
            control.asleep.store(true, Ordering::SeqCst);
            if control.running.load(Ordering::SeqCst) == 0 && !control.stop.load(Ordering::SeqCst) {
                std::thread::park();
            }
            control.asleep.store(false, Ordering::SeqCst);
            idle = 0;
            continue;
        }
        std::thread::sleep(ticks.length);
        ticks.count.fetch_add(1, Ordering::Relaxed);
        engine.increment_epoch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_until(what: &str, condition: impl Fn() -> bool) {
        let start = std::time::Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(10), "{what} did not happen");
            std::thread::yield_now();
        }
    }

    #[test]
    fn it_sleeps_without_guests_and_wakes_with_one() {
        let ticker = Ticker::start(Engine::default(), Duration::from_micros(50)).unwrap();
        wait_until("falling asleep", || ticker.control.asleep.load(Ordering::SeqCst));
        let before = ticker.ticks().now();
        let running = ticker.guest_runs();
        wait_until("ticking", || ticker.ticks().now() > before + 3);
        assert_eq!(ticker.running(), 1);
        drop(running);
        wait_until("falling asleep again", || ticker.control.asleep.load(Ordering::SeqCst));
    }
}
