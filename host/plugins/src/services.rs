//! What every call of every generation shares.

use crate::ports::Ports;

/// The host's side of a guest call.
pub(crate) struct Services {
    pub(crate) ports: Ports,
    /// Of images that a guest opens itself.
    pub(crate) image_limits: breakwater_vision::Limits,
    /// Bytes that one call may hold as blobs made of answers.
    pub(crate) blob_bytes: u64,
}
