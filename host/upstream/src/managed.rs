//! Endpoints that somebody in this process looks after.

/// An endpoint that comes and goes as somebody in this process says, such as a sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedEndpoint {
    /// Names it, in the upstream and in every status.
    pub id: String,
    /// Its base URL.
    pub url: String,
    /// Its share of the calls; 1 to 1000.
    pub weight: u32,
    /// Whether it gets calls. One that is about to end goes on with those that run.
    pub accepting: bool,
}
