//! `wasi:logging/logging`: a guest's log lines in the host's log. Always linked.

use crate::bindings::wasi::logging::logging::{Host, Level};
use crate::convert::truncated;
use crate::state::CallState;

/// The longest message kept, in bytes.
pub(super) const MAX_MESSAGE: usize = 4096;
/// The longest context kept, in bytes.
const MAX_CONTEXT: usize = 256;
/// The most lines of one call that are written.
pub(super) const MAX_LINES: u32 = 100;

impl Host for CallState {
    fn log(&mut self, level: Level, context: String, message: String) -> wasmtime::Result<()> {
        self.meter.log_lines = self.meter.log_lines.saturating_add(1);
        let (plugin, correlation_id) = (self.scope.id.as_str(), self.context.correlation_id.as_str());
        if self.meter.log_lines > MAX_LINES {
            if self.meter.log_lines == MAX_LINES + 1 {
                tracing::warn!(plugin, correlation_id, "the plugin wrote {MAX_LINES} log lines in one call; the rest is dropped");
            }
            return Ok(());
        }
        // Written with `?`, so that a line break of a guest does not start a line of the log.
        let (context, message) = (truncated(context, MAX_CONTEXT), truncated(message, MAX_MESSAGE));
        match level {
            Level::Trace => tracing::trace!(plugin, correlation_id, ?context, ?message, "plugin"),
            Level::Debug => tracing::debug!(plugin, correlation_id, ?context, ?message, "plugin"),
            Level::Info => tracing::info!(plugin, correlation_id, ?context, ?message, "plugin"),
            Level::Warn => tracing::warn!(plugin, correlation_id, ?context, ?message, "plugin"),
            Level::Error | Level::Critical => tracing::error!(plugin, correlation_id, ?context, ?message, "plugin"),
        }
        Ok(())
    }
}
