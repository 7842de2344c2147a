//! What a guest call uses: measured from outside, by how its future behaves.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use breakwater_core::{CorrelationId, Digest, Failure, TraceContext};

use crate::plugin_id::PluginId;
use crate::ticker::Ticks;
use crate::world::World;

/// What one call of a guest used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallUsage {
    /// From the start of the call to its end, its wait for a place not counted.
    pub elapsed: Duration,
    /// Time that the guest, and what the host did for it in between, held a thread. Waiting is not part of it.
    pub cpu: Duration,
    /// The most bytes that its linear memories held.
    pub memory_bytes: usize,
    /// Calls of capability functions.
    pub host_calls: u32,
    /// Bytes that they passed in either direction.
    pub host_bytes: u64,
}

/// A call of a guest that has ended, however it did.
#[derive(Debug)]
pub struct GuestCall<'a> {
    /// The plugin.
    pub plugin: &'a PluginId,
    /// Its version.
    pub version: &'a str,
    /// The generation.
    pub generation: Digest,
    /// The plugin's world.
    pub world: World,
    /// The strategy or operation.
    pub operation: &'a str,
    /// The fallback's level.
    pub level: Option<&'a str>,
    /// The call it served.
    pub correlation_id: &'a CorrelationId,
    /// The span that caused it.
    pub parent: TraceContext,
    /// Its own span; requests it sent are children of this one.
    pub trace: TraceContext,
    /// When it began.
    pub started: Instant,
    /// What it used.
    pub usage: CallUsage,
    /// How it failed, where it did.
    pub failure: Option<&'a Failure>,
    /// Whether that was the guest's fault.
    pub is_fault: bool,
}

/// Tells the guest's own time from its waiting. Shared by the call's state and the future that runs it.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    busy_ns: AtomicU64,
    /// The guest gave way because its tick was over; the pause that follows is not a wait.
    yielded: AtomicBool,
    /// The guest waits for something outside.
    waiting: AtomicBool,
    /// A tick came while it waited: the next interruption is not the guest's.
    ticked_in_wait: AtomicBool,
}

impl Pace {
    /// The guest is about to give way to others.
    pub(crate) fn gives_way(&self) {
        self.yielded.store(true, Ordering::Relaxed);
    }

    /// Whether a tick came while the guest waited, since this was asked last.
    pub(crate) fn take_ticked_in_wait(&self) -> bool {
        self.ticked_in_wait.swap(false, Ordering::Relaxed)
    }

    /// A tick came while the host worked for the guest.
    pub(crate) fn ticked_in_wait(&self) {
        self.ticked_in_wait.store(true, Ordering::Relaxed);
    }

    /// Whether the guest waits for something outside.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Time spent so far.
    pub(crate) fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy_ns.load(Ordering::Relaxed))
    }

    /// Runs a guest's call and keeps the books. A future that pauses without having given way waits.
    pub(crate) async fn measure<T>(&self, ticks: &Ticks, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut paused_at = ticks.now();
        std::future::poll_fn(|context| {
            if self.waiting.swap(false, Ordering::Relaxed) && ticks.now() != paused_at {
                self.ticked_in_wait();
            }
            let start = Instant::now();
            let polled = work.as_mut().poll(context);
            let spent = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.busy_ns.fetch_add(spent, Ordering::Relaxed);
            let yielded = self.yielded.swap(false, Ordering::Relaxed);
            if matches!(polled, Poll::Pending) && !yielded {
                self.waiting.store(true, Ordering::Relaxed);
                paused_at = ticks.now();
            }
            polled
        })
        .await
    }
}
