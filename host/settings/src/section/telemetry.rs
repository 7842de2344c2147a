use std::time::Duration;

use crate::section::section;
use crate::url::BaseUrl;
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
    /// What the service says about itself: logs on standard error, spans over OTLP.
    Telemetry = "telemetry" {
        /// How a log line looks.
        log_format: LogFormat = r#""text""# (Restart);
        /// Which log lines are written: a level, or levels by module, such as `info,breakwater_plugins=debug`.
        log_filter: String = r#""info""# (Live);
        /// The collector that spans are sent to (OTLP, http/protobuf), such as `http://localhost:4318`. Not set: none are recorded.
        otlp_endpoint: Option<BaseUrl> = "" (Restart);
        /// The share of new traces that are recorded. Traces that began elsewhere are recorded if they are there.
        otlp_sample_ratio: f64 = "1.0" in "0.0" to "1.0" (Restart);
        /// The longest that one export may take.
        otlp_timeout: Duration = r#""10s""# in r#""10ms""# to r#""10m""# (Restart);
        /// The name of this service in traces.
        service_name: String = r#""breakwater""# (Restart);
    }
}
