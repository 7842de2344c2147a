//! Mechanisms that keep one failing part from taking the rest along. Generic over the call they protect: nothing here
//! knows HTTP, plugins or upstreams.
//!
//! - [`breaker`]: stops calling what keeps failing, and probes it again later.
//! - [`bulkhead`]: bounds how many calls run at once and how many may wait.
//!
//! All of them read tokio's clock, so that a test on paused time sees minutes pass in no time.

#![forbid(unsafe_code)]

pub mod breaker;
pub mod bulkhead;

pub use breaker::{Breaker, BreakerConfig, Permit, Rejected, State, Trip};
pub use bulkhead::{Bulkhead, BulkheadConfig, BulkheadError, BulkheadPermit};
