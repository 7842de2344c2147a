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
    OPERATION_DISABLED = "breakwater_operation_disabled", Counter, ["operation", "flag"], "Calls that went to the operation's fallbacks because its flag is off";
    PROVIDER_CALLS = "breakwater_provider_calls", Counter, ["operation", "provider", "outcome"], "Calls of a provider by the operation's chain: outcome is ok or the failure's kind";
    PROVIDER_DURATION = "breakwater_provider_call_duration_seconds", Histogram, ["operation", "provider"], "Duration of a call of a provider";
    FALLBACK_ANSWERS = "breakwater_fallback_answers", Counter, ["operation", "level"], "Calls answered by a fallback, by its level; stale and static are the host's own";
    SINGLE_FLIGHT_WAITS = "breakwater_single_flight_waits", Counter, ["operation"], "Calls that waited for the answer of an equal call under way";
    STAGE_DURATION = "breakwater_stage_duration_seconds", Histogram, ["stage"], "Duration of a stage of image work: decode, detect, plan, resize, encode";
    PLUGIN_CALLS = "breakwater_plugin_calls", Counter, ["plugin", "outcome"], "Calls of a plugin: outcome is ok or the failure's kind";
    PLUGIN_DURATION = "breakwater_plugin_call_duration_seconds", Histogram, ["plugin"], "Duration of a call of a plugin, host calls included";
    PLUGIN_GENERATIONS = "breakwater_plugin_generations", Gauge, ["plugin", "state"], "Generations of a plugin that are kept, by state";
    GUEST_CPU = "breakwater_guest_cpu_seconds", Counter, ["plugin", "generation"], "CPU time of a plugin's own code, by the first digits of its generation's digest";
    GUEST_MEMORY = "breakwater_guest_memory_peak_bytes", Gauge, ["plugin", "generation"], "The most linear memory that one call of a plugin used";
    PLUGIN_CHANGES = "breakwater_plugin_changes", Counter, ["plugin", "change"], "Changes of the catalogue: deployed, activated, rolled-back, removed, refused";
    BREAKER_STATE = "breakwater_breaker_state", Gauge, ["breaker", "state"], "1 for the state a breaker is in";
    BREAKER_CHANGES = "breakwater_breaker_changes", Counter, ["breaker", "to"], "Changes of a breaker's state, by the state it went to";
    UPSTREAM_ATTEMPTS = "breakwater_upstream_attempts", Counter, ["upstream", "outcome"], "Requests sent to an upstream, retries and hedges included: outcome is ok, connection, timeout, server-error, throttled, client-error or cancelled";
    UPSTREAM_DURATION = "breakwater_upstream_attempt_duration_seconds", Histogram, ["upstream"], "Duration of a request to an upstream";
    UPSTREAM_RETRIES = "breakwater_upstream_retries", Counter, ["upstream"], "Retries sent to an upstream";
    UPSTREAM_HEDGES = "breakwater_upstream_hedges", Counter, ["upstream", "result"], "Hedges of an upstream: sent, and those that answered first (won)";
    UPSTREAM_REFUSALS = "breakwater_upstream_refusals", Counter, ["upstream", "reason"], "Calls of an upstream refused before anything was sent (circuit-open, queue-full, queue-deadline, overload, limit, no-endpoint), and retries and hedges (budget, ledger, hedge-cap)";
    UPSTREAM_BUDGET_EXHAUSTED = "breakwater_upstream_budget_exhausted", Counter, ["upstream"], "Times the retry budget of an upstream ran out";
    UPSTREAM_BUDGET = "breakwater_upstream_budget_balance", Gauge, ["upstream"], "Retries and hedges that the budget of an upstream has left";
    UPSTREAM_IN_FLIGHT = "breakwater_upstream_in_flight", Gauge, ["upstream"], "Calls of an upstream under way";
    UPSTREAM_QUEUED = "breakwater_upstream_queued", Gauge, ["upstream"], "Calls waiting for a place at an upstream";
    UPSTREAM_LIMIT = "breakwater_upstream_concurrency_limit", Gauge, ["upstream"], "Calls that an upstream takes at once at most, by configuration or as the adaptive limit found";
    UPSTREAM_ENDPOINT_HEALTHY = "breakwater_upstream_endpoint_healthy", Gauge, ["upstream", "endpoint"], "1 while the health checks of an endpoint pass";
    UPSTREAM_ENDPOINT_EJECTED = "breakwater_upstream_endpoint_ejected", Gauge, ["upstream", "endpoint"], "1 while an endpoint is ejected";
    UPSTREAM_ENDPOINT_LATENCY = "breakwater_upstream_endpoint_latency_seconds", Gauge, ["upstream", "endpoint", "quantile"], "Recent latency of an endpoint at 0.5, 0.9 and 0.99";
    UPSTREAM_ENDPOINT_CHANGES = "breakwater_upstream_endpoint_changes", Counter, ["upstream", "change"], "Endpoints of an upstream ejected and returned";
    UPSTREAM_HEALTH_CHANGES = "breakwater_upstream_health_changes", Counter, ["upstream", "to"], "Endpoints whose health checks began to fail, or pass again";
    SIDECAR_READY = "breakwater_sidecar_ready", Gauge, ["sidecar", "instance"], "1 while an instance of a sidecar can be used";
    SIDECAR_UPTIME = "breakwater_sidecar_uptime_seconds", Gauge, ["sidecar", "instance"], "How long an instance of a sidecar has been ready; no row while it is not";
    SIDECAR_MEMORY = "breakwater_sidecar_memory_bytes", Gauge, ["sidecar", "instance"], "Resident memory of an instance of a sidecar and its descendants, when it was last looked at";
    SIDECAR_RESTARTS = "breakwater_sidecar_restarts", Counter, ["sidecar", "instance"], "Starts of an instance of a sidecar after it failed";
    SIDECAR_CHANGES = "breakwater_sidecar_changes", Counter, ["sidecar", "change"], "What happened to instances of a sidecar: started, ready, failed, restarting, gave-up, stopped";
    REGISTRY_CHANGES = "breakwater_registry_changes", Counter, ["service", "change"], "Changes of the registry: registered, updated, healthy, unhealthy, deregistered, expired";
    FLAG_CHANGES = "breakwater_flag_changes", Counter, ["flag", "change"], "Changes of feature flags: put, removed";
    CACHE_LOOKUPS = "breakwater_cache_lookups", Counter, ["tier", "result"], "Lookups in a tier of the cache: hit, stale, miss, error";
    CACHE_BYTES = "breakwater_cache_bytes", Gauge, ["tier"], "Bytes that a tier of the cache holds, as far as it knows";
    CACHE_ENTRIES = "breakwater_cache_entries", Gauge, ["tier"], "Entries that a tier of the cache holds, as far as it knows";
    CACHE_TIER_UP = "breakwater_cache_tier_up", Gauge, ["tier"], "1 while a tier of the cache serves";
    CACHE_TIER_CHANGES = "breakwater_cache_tier_changes", Counter, ["tier", "change"], "Tiers of the cache lost and recovered";
    TRACE_SPANS = "breakwater_trace_spans", Counter, ["outcome"], "Spans: exported, failed (refused by the collector or not sent), dropped (the queue was full)";
    INFERENCE_DEVICE = "breakwater_inference_device", Gauge, ["kind", "name"], "1 for the device that inference runs on";
    INFERENCE_DEVICE_LOSSES = "breakwater_inference_device_losses", Counter, [], "Devices lost at run time";
    INFERENCE_RUNS = "breakwater_inference_runs", Counter, ["model"], "Times the model ran; more than batches when images of a failed batch ran again one by one";
    INFERENCE_BATCHES = "breakwater_inference_batches", Counter, ["model"], "Batches run";
    INFERENCE_IMAGES = "breakwater_inference_images", Counter, ["model"], "Images run; divided by batches, the mean size of a batch";
    INFERENCE_REJECTED = "breakwater_inference_rejected", Counter, ["model"], "Calls refused because the queue was full";
    INFERENCE_QUEUE = "breakwater_inference_queue_depth", Gauge, ["model"], "Calls waiting for a batch";
    INFERENCE_CACHE_HITS = "breakwater_inference_cache_hits", Counter, ["model"], "Calls answered by what the model found before";
    INFERENCE_CACHE_MISSES = "breakwater_inference_cache_misses", Counter, ["model"], "Calls for which the model had to run";
    INFERENCE_QUARANTINED = "breakwater_inference_quarantined", Counter, ["model"], "Images and texts that made the model fail by themselves and are refused for a while";
    SEARCHES = "breakwater_searches", Counter, ["model", "method"], "Searches answered, by the model whose vectors were compared and how the index did it: exact, approximate, iterative";
    SEARCH_DURATION = "breakwater_search_duration_seconds", Histogram, ["model"], "Duration of a search, features of the query included";
    SEARCH_SIMILARITY = "breakwater_search_best_similarity", Histogram, ["model"], "Similarity of the best product of a search's first page";
    SEARCH_VECTORS = "breakwater_search_vectors", Gauge, ["space"], "Vectors in the index of a space";
    SEARCH_BYTES = "breakwater_search_index_bytes", Gauge, ["space"], "Memory and storage of the index of a space, as far as it knows";
    SEARCH_LAG = "breakwater_search_index_lag", Gauge, ["space"], "Changes of products that the index of a space has not seen";
    SEARCH_RECALL = "breakwater_search_recall", Gauge, ["space", "over"], "Share of the true neighbours that recent approximate searches found, measured on a sample: mean, worst-decile";
    CPU_POOL_PERMITS = "breakwater_cpu_pool_permits", Gauge, [], "Jobs the CPU pool runs at once at most";
    CPU_POOL_IN_USE = "breakwater_cpu_pool_in_use", Gauge, [], "Jobs the CPU pool runs now";
    CPU_POOL_QUEUED = "breakwater_cpu_pool_queued", Gauge, [], "Jobs waiting for the CPU pool";
    PROCESS_MEMORY = "process_resident_memory_bytes", Gauge, [], "Resident memory of the process";
    PROCESS_CPU = "process_cpu_seconds", Counter, [], "CPU time of the process, user and system";
    PROCESS_FDS = "process_open_fds", Gauge, [], "Open file descriptors of the process";
    PROCESS_START = "process_start_time_seconds", Gauge, [], "When the service started, in seconds since 1970";
}
