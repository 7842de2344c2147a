//! Time that threads spent on a core, and the memory that the process took at most.

use std::io;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time that all threads of this process, those that have ended included, have spent on a core. Exact to the nanosecond, unlike
/// `/proc`, where running threads are brought up to date at each tick of the scheduler only.
#[must_use]
pub fn spent() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// How far the resident memory of this process rose above what it was at some point.
#[derive(Debug, Clone, Copy)]
pub struct PeakMemory {
    /// KiB that were resident then.
    before: u64,
}

impl PeakMemory {
    /// From here on. The highest point so far is forgotten where the kernel allows that; where it does not, memory only counts once it
    /// is more than the process ever had.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn from_here() -> io::Result<Self> {
        // 5 is the kernel's word for "reset the peak"; see proc_pid_clear_refs(5).
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Ok(Self { before: highest()? })
    }

    /// MiB above where it began, at the highest point since.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn growth(&self) -> io::Result<f64> {
        Ok(highest()?.saturating_sub(self.before) as f64 / 1024.0)
    }
}

/// KiB.
fn highest() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/self/status has no VmHWM"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn work_of_other_threads_counts_even_after_they_have_ended() {
        let before = spent();
        let worker = std::thread::spawn(|| {
            let started = spent();
            while spent() - started < Duration::from_millis(20) {
                black_box(0);
            }
        });
        worker.join().unwrap();
        assert!(spent() - before >= Duration::from_millis(20));
    }

    #[test]
    fn memory_that_was_given_back_still_counts() {
        let peak = PeakMemory::from_here().unwrap();
        drop(black_box(vec![1u8; 64 << 20]));
        let growth = peak.growth().unwrap();
        assert!((48.0..512.0).contains(&growth), "{growth}");
    }
}
