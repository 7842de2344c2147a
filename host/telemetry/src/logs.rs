//! Logs go to standard error: standard output belongs to answers and to the line that says where the service listens.

use std::fmt;
use std::str::FromStr;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object a line, the fields of the event at its top level.
    Json,
}

impl FromStr for LogFormat {
    type Err = TelemetryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(TelemetryError::Format(other.chars().take(40).collect())),
        }
    }
}

/// Settings of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// How a line looks.
    pub format: LogFormat,
    /// Which events are written: the directives of `tracing_subscriber::EnvFilter`, such as `info,breakwater_plugins=debug`.
    pub filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// Why logs or spans could not be set up, changed or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The format is neither `text` nor `json`.
    #[error("log formats are text and json; got {0:?}")]
    Format(String),
    /// The filter's directives make no sense.
    #[error("the log filter {filter:?} is invalid: {reason}")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Logs were set up before in this process.
    #[error("logs are set up already")]
    AlreadySet,
    /// The log is gone, or its lock is poisoned.
    #[error("the log filter cannot be changed: {0}")]
    Reload(String),
    /// Spans cannot be exported with these settings.
    #[error("spans cannot be exported: {0}")]
    Exporter(String),
    /// Spans were still waiting for their export when the time for it was over.
    #[error("{waiting} spans were not exported in time")]
    Flush {
        /// How many.
        waiting: usize,
    },
}

/// Checks a filter without using it.
///
/// # Errors
/// [`TelemetryError::Filter`] with the reason.
pub fn check_filter(filter: &str) -> Result<(), TelemetryError> {
    parse(filter).map(drop)
}

fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    let invalid =
        |error: tracing_subscriber::filter::ParseError| TelemetryError::Filter { filter: filter.to_owned(), reason: error.to_string() };
    EnvFilter::builder().parse(filter).map_err(invalid)
}

/// Changes the running log.
#[derive(Clone)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl LogHandle {
    /// Uses another filter from now on.
    ///
    /// # Errors
    /// [`TelemetryError::Filter`] or [`TelemetryError::Reload`]; the old filter stays.
    pub fn set_filter(&self, filter: &str) -> Result<(), TelemetryError> {
        self.filter.reload(parse(filter)?).map_err(|error| TelemetryError::Reload(error.to_string()))
    }
}

impl fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogHandle").finish_non_exhaustive()
    }
}

/// Sets up the log of this process, once.
///
/// # Errors
/// [`TelemetryError::Filter`] or [`TelemetryError::AlreadySet`].
pub fn init(config: &LogConfig) -> Result<LogHandle, TelemetryError> {
    let (filter, handle) = reload::Layer::new(parse(&config.filter)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines: Box<dyn Layer<_> + Send + Sync> = match config.format {
        LogFormat::Text => Box::new(lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))),
        LogFormat::Json => Box::new(lines.json().flatten_event(true).with_current_span(true).with_span_list(false)),
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init().map_err(|_| TelemetryError::AlreadySet)?;
    Ok(LogHandle { filter: handle })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_makes_no_sense_is_refused_with_its_reason() {
        let error = check_filter("breakwater=loud").unwrap_err().to_string();
        assert!(error.contains("breakwater=loud"), "{error}");
        check_filter("info,breakwater_plugins=debug").unwrap();
    }

    #[test]
    fn logs_are_set_up_once_and_their_filter_can_change() {
        let handle = init(&LogConfig { format: LogFormat::Json, filter: "off".into() }).unwrap();
        assert!(!tracing::enabled!(tracing::Level::ERROR));
        handle.set_filter("warn").unwrap();
        assert!(tracing::enabled!(tracing::Level::WARN) && !tracing::enabled!(tracing::Level::INFO));
        assert!(handle.set_filter("a=b=c").is_err());
        assert!(tracing::enabled!(tracing::Level::WARN), "the old filter stays");
        assert!(matches!(init(&LogConfig::default()), Err(TelemetryError::AlreadySet)));
        handle.set_filter("off").unwrap();
    }
}
