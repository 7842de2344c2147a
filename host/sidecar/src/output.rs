//! What sidecars write.

use std::sync::Arc;

use serde::Serialize;

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
    /// The host, about it.
    Host,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// Which instance wrote it.
    pub instance: u32,
    /// Where it comes from.
    pub stream: LogStream,
    /// The line without its end; what is no UTF-8 is replaced, what is longer than 8 KiB cut off.
    pub line: String,
}

/// The last lines of a sidecar and those to come.
#[derive(Debug)]
pub struct Logs {
    /// The last lines, the oldest first; at most 1000.
    pub recent: Vec<Arc<LogLine>>,
    /// Lines from now on. One who reads too slowly misses some and is told how many.
    pub following: tokio::sync::broadcast::Receiver<Arc<LogLine>>,
}
