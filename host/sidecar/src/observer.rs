//! What sidecars tell whoever wants to know.

use std::time::Duration;

/// What happened to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// Its process was started.
    Started,
    /// It can be used.
    Ready,
    /// It failed.
    Failed,
    /// It is about to be started again after a failure.
    Restarting,
    /// It failed and is not started again by itself.
    GaveUp,
    /// It ended as it was told to.
    Stopped,
}

/// Something that happened to an instance.
#[derive(Debug, Clone)]
pub struct SidecarEvent<'a> {
    /// The sidecar.
    pub sidecar: &'a str,
    /// The instance.
    pub instance: u32,
    /// What happened.
    pub change: Change,
    /// Why, in a sentence; for failures it begins with the kind of error.
    pub detail: &'a str,
    /// Its process, if there is one.
    pub pid: Option<u32>,
    /// How long it had been ready, or how long that took for [`Change::Ready`].
    pub elapsed: Option<Duration>,
    /// Starts after a failure, since it was last stable.
    pub restart_attempts: u32,
}

/// Hears what happens. Called in the task of the instance: it must not block.
pub trait SidecarObserver: Send + Sync + 'static {
    /// Something happened.
    fn happened(&self, event: &SidecarEvent<'_>);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSidecarObserver;

impl SidecarObserver for NoSidecarObserver {
    fn happened(&self, _event: &SidecarEvent<'_>) {}
}
