//! What every call of every generation shares.

use std::sync::Arc;

use crate::ports::{CpuPool, Detect};

/// The host's side of a guest call.
pub(crate) struct Services {
    pub(crate) detect: Arc<dyn Detect>,
    pub(crate) cpu: Arc<dyn CpuPool>,
    /// Of images that a guest opens itself.
    pub(crate) image_limits: breakwater_vision::Limits,
}
