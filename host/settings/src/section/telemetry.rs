use crate::section::section;
use crate::value::words;

words! {
    /// How a log line looks.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object.
        Json = "json",
    }
}

section! {
    /// What the service says about itself, on standard error.
    Telemetry = "telemetry" {
        /// How a log line looks.
        log_format: LogFormat = r#""text""# (Restart);
        /// Which log lines are written: a level, or levels by module, such as `info,breakwater_plugins=debug`.
        log_filter: String = r#""info""# (Live);
    }
}
