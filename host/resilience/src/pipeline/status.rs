//! What a pipeline looks like from outside.

use std::time::Duration;

use tokio::time::Instant;

use crate::breaker::State;
use crate::pipeline::FailureClass;

/// A pipeline at one moment.
#[derive(Debug, Clone)]
pub struct PipelineStatus {
    /// The state of the breaker.
    pub breaker: State,
    /// Calls that run.
    pub in_flight: usize,
    /// Calls that wait for a place in the bulkhead.
    pub queued: usize,
    /// Extra attempts that could be made now.
    pub budget_balance: f64,
    /// Calls that failed in a row up to now; a request that was wrong itself counts as none.
    pub consecutive_failures: u32,
    /// The adaptive limit, if there is one.
    pub adaptive_limit: Option<u32>,
    /// In the order they were given.
    pub endpoints: Vec<EndpointStatus>,
}

/// An endpoint at one moment.
#[derive(Debug, Clone)]
pub struct EndpointStatus {
    /// Its name.
    pub id: String,
    /// Its share of the calls.
    pub weight: u32,
    /// What health checks found last.
    pub healthy: bool,
    /// Until when it gets no calls because it failed too often.
    pub ejected_until: Option<Instant>,
    /// How often it was ejected lately; each time it stays away longer.
    pub ejections: u32,
    /// Attempts that failed in a row.
    pub consecutive_failures: u32,
    /// Attempts that run.
    pub pending: u32,
    /// Latency as balancing sees it: up at once, down slowly.
    pub ewma: Duration,
    /// Half of the attempts were faster. Nothing before the first answer.
    pub p50: Option<Duration>,
    /// Nine of ten attempts were faster.
    pub p90: Option<Duration>,
    /// All but one of a hundred attempts were faster.
    pub p99: Option<Duration>,
    /// The newest failure that speaks against it.
    pub last_error: Option<LastError>,
}

/// The newest failure of an endpoint.
#[derive(Debug, Clone)]
pub struct LastError {
    /// What it was.
    pub class: FailureClass,
    /// Its code.
    pub code: String,
    /// Its message.
    pub message: String,
    /// When.
    pub at: Instant,
}
