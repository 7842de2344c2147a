//! Logs, metrics and typed events.
