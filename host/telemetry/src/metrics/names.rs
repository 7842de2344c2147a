//! Every metric's name, type, labels and meaning. `docs/metrics.md` is made of this table.

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises; its exposed name ends in `_total`.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Observations in buckets.
    Histogram,
    /// Constant 1 with labels; its exposed name ends in `_info`.
    Info,
}

impl Kind {
    /// As documentation writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Name without the suffix that the text format adds for counters and infos.
    pub name: &'static str,
    /// What kind of metric it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it measures.
    pub help: &'static str,
}

impl Metric {
    /// The name as a scrape shows it.
    #[must_use]
    pub fn exposed(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Info => format!("{}_info", self.name),
            Kind::Gauge | Kind::Histogram => self.name.to_owned(),
        }
    }
}

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:ident, [$($label:literal),*], $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: Metric = Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*
        /// Every metric, in the order of the documentation.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    BUILD = "breakwater_build", Info, ["version"], "The running build";
    HTTP_REQUESTS = "breakwater_http_requests", Counter, ["method", "route", "status"], "HTTP requests answered, by route template";
    HTTP_DURATION = "breakwater_http_request_duration_seconds", Histogram, ["route"], "From the request's head to the end of the answer's head";
    OPERATION_CALLS = "breakwater_operation_calls", Counter, ["operation", "outcome", "served_by", "degraded"], "Calls of an operation: outcome is ok or the failure's kind, served_by the kind of provider that answered";
    OPERATION_DURATION = "breakwater_operation_duration_seconds", Histogram, ["operation"], "Duration of a call of an operation";
    STAGE_DURATION = "breakwater_stage_duration_seconds", Histogram, ["stage"], "Duration of a stage of image work: decode, detect, plan, resize, encode";
    PLUGIN_CALLS = "breakwater_plugin_calls", Counter, ["plugin", "outcome"], "Calls of a plugin: outcome is ok or the failure's kind";
    PLUGIN_DURATION = "breakwater_plugin_call_duration_seconds", Histogram, ["plugin"], "Duration of a call of a plugin, host calls included";
    PLUGIN_GENERATIONS = "breakwater_plugin_generations", Gauge, ["plugin", "state"], "Generations of a plugin that are kept, by state";
    PLUGIN_CHANGES = "breakwater_plugin_changes", Counter, ["plugin", "change"], "Changes of the catalogue: deployed, activated, rolled-back, removed, refused";
    BREAKER_STATE = "breakwater_breaker_state", Gauge, ["breaker", "state"], "1 for the state a breaker is in";
    BREAKER_CHANGES = "breakwater_breaker_changes", Counter, ["breaker", "to"], "Changes of a breaker's state, by the state it went to";
    INFERENCE_DEVICE = "breakwater_inference_device", Gauge, ["kind", "name"], "1 for the device that inference runs on";
    INFERENCE_DEVICE_LOSSES = "breakwater_inference_device_losses", Counter, [], "Devices lost at run time";
    INFERENCE_RUNS = "breakwater_inference_runs", Counter, ["model"], "Times the model ran; more than batches when images of a failed batch ran again one by one";
    INFERENCE_BATCHES = "breakwater_inference_batches", Counter, ["model"], "Batches run";
    INFERENCE_IMAGES = "breakwater_inference_images", Counter, ["model"], "Images run; divided by batches, the mean size of a batch";
    INFERENCE_REJECTED = "breakwater_inference_rejected", Counter, ["model"], "Calls refused because the queue was full";
    INFERENCE_QUEUE = "breakwater_inference_queue_depth", Gauge, ["model"], "Calls waiting for a batch";
    INFERENCE_CACHE_HITS = "breakwater_inference_cache_hits", Counter, ["model"], "Calls answered by the detection cache";
    INFERENCE_CACHE_MISSES = "breakwater_inference_cache_misses", Counter, ["model"], "Calls the detection cache could not answer";
    CPU_POOL_PERMITS = "breakwater_cpu_pool_permits", Gauge, [], "Jobs the CPU pool runs at once at most";
    CPU_POOL_IN_USE = "breakwater_cpu_pool_in_use", Gauge, [], "Jobs the CPU pool runs now";
    CPU_POOL_QUEUED = "breakwater_cpu_pool_queued", Gauge, [], "Jobs waiting for the CPU pool";
    PROCESS_MEMORY = "process_resident_memory_bytes", Gauge, [], "Resident memory of the process";
    PROCESS_CPU = "process_cpu_seconds", Counter, [], "CPU time of the process, user and system";
    PROCESS_FDS = "process_open_fds", Gauge, [], "Open file descriptors of the process";
    PROCESS_START = "process_start_time_seconds", Gauge, [], "When the service started, in seconds since 1970";
}
