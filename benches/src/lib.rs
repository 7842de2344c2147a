//! What the benches share.

pub mod arguments;
pub mod cpu_time;
pub mod laps;
pub mod processor_time;
pub mod subject;
