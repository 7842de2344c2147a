//! Mechanisms that keep one failing part from taking the rest along. Generic over the call they protect: nothing here
//! knows HTTP, plugins or upstreams.
//!
//! Each stands on its own:
//! - [`retry`]: how often to try again, and how long to wait before.
//! - [`budget`]: keeps extra attempts a fixed share of the calls, however much fails.
//! - [`breaker`]: stops calling what keeps failing, and probes it again later.
//! - [`bulkhead`]: bounds how many calls run at once and how many may wait.
//! - [`cpu`]: one pool for all work of the processor, as many permits as threads, and a bounded queue.
//! - [`adaptive`]: a limit of calls that follows the latency.
//! - [`shed`]: turns calls away by priority while the other side is overloaded.
//! - [`balance`], [`ejection`] and [`hedge`]: which endpoint an attempt goes to, which one gets none for a while, and when a second
//!   attempt runs beside a slow one.
//!
//! [`Pipeline`] is all of them around one call; [`layer`] is the same for users of tower.
//!
//! All of them read tokio's clock, so that a test on paused time sees minutes pass in no time.

#![forbid(unsafe_code)]

pub mod adaptive;
pub mod balance;
pub mod breaker;
pub mod budget;
pub mod bulkhead;
mod clock;
pub mod cpu;
pub mod ejection;
mod endpoint;
pub mod hedge;
mod latency;
pub mod layer;
pub mod observer;
pub mod pipeline;
pub mod retry;
mod rolling;
pub mod shed;

pub use adaptive::AdaptiveConfig;
pub use balance::BalanceKind;
pub use breaker::{Breaker, BreakerConfig, OpossumOptions, Permit, Rejected, SlowCalls, State, Trip};
pub use budget::{BudgetConfig, RetryBudget};
pub use bulkhead::{Bulkhead, BulkheadConfig, BulkheadError, BulkheadPermit};
pub use cpu::{CpuJob, CpuPermit, CpuPermits, CpuStatistics};
pub use ejection::EjectionConfig;
pub use endpoint::EndpointSpec;
pub use hedge::HedgeConfig;
pub use layer::{PipelineLayer, PipelineService};
pub use observer::{AttemptEnded, AttemptOutcome, BudgetRefused, NoObserver, Payer, PipelineObserver, RetryScheduled, ShedReason};
pub use pipeline::{
    Attempt, AttemptFailure, Completed, EndpointStatus, FailureClass, LastError, Pipeline, PipelineConfig, PipelineStatus, Terms,
};
pub use retry::{Jitter, RetryPolicies, RetryPolicy};
pub use shed::{Priority, ShedConfig};
