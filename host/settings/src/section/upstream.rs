use std::path::PathBuf;
use std::time::Duration;

use crate::section::section;
use crate::units::ByteSize;
use crate::url::BaseUrl;
use crate::value::words;

words! {
    /// How the wait before a retry is chosen.
    Jitter {
        /// Evenly from nothing to the computed wait, so that clients do not come back together.
        Full = "full",
        /// The computed wait itself.
        None = "none",
    }
}

words! {
    /// What opens a breaker.
    BreakerTrip {
        /// Failures in a row.
        ConsecutiveFailures = "consecutive-failures",
        /// The share of failures among the calls of a rolling window.
        ErrorRate = "error-rate",
    }
}

words! {
    /// Which HTTP is spoken.
    HttpVersion {
        /// HTTP/2 where TLS negotiates it, else HTTP/1.1.
        Auto = "auto",
        /// HTTP/1.1.
        Http1 = "http1",
        /// HTTP/2, without TLS by prior knowledge.
        Http2 = "http2",
    }
}

words! {
    /// Which endpoint a call goes to.
    Balance {
        /// In turn, by weight.
        WeightedRoundRobin = "weighted-round-robin",
        /// The better of two random ones, by recent peaks of latency times calls under way.
        P2cEwma = "p2c-ewma",
        /// The one with the fewest calls under way.
        LeastPending = "least-pending",
    }
}

section! {
    /// A service that Breakwater calls, by name: where it is, how long and how often it is tried, when it is left alone. One without endpoints waits for services to register.
    Upstream = "upstreams" named {
        /// Where it is. A path is put before the paths of requests.
        endpoints: Vec<BaseUrl> = "[]" (Restart);
        /// Weights of the endpoints, in their order, 1 to 1000. Empty: all equal.
        weights: Vec<u32> = "[]" (Restart);
        /// The service of the registry whose instances are endpoints too. Not set: none if there are endpoints, else the one of the same name.
        service: Option<String> = "" (Restart);
        /// Plugins that may call it, by id. Not set: every plugin that asks for it.
        plugins: Option<Vec<String>> = "" (Restart);
        /// The longest one attempt may take.
        timeout: Duration = r#""30s""# in r#""1ms""# to r#""1h""# (Restart);
        /// The longest that connecting may take.
        connect_timeout: Duration = r#""5s""# in r#""1ms""# to r#""10m""# (Restart);
        /// The longest wait for the head of an answer. Not set: the time of the attempt.
        first_byte_timeout: Option<Duration> = "" in r#""1ms""# to r#""1h""# (Restart);
        /// Retries after the first attempt. Only what may be repeated is: idempotent methods, reads, requests with a key.
        retries: u32 = "3" in "0" to "100" (Restart);
        /// The wait before the first retry; it doubles with each one.
        retry_delay: Duration = r#""1s""# in r#""0s""# to r#""10m""# (Restart);
        /// The longest wait before a retry.
        max_retry_delay: Duration = r#""20s""# in r#""0s""# to r#""1h""# (Restart);
        /// How the wait is chosen: `full` spreads it evenly below the computed one, `none` waits exactly that long.
        retry_jitter: Jitter = r#""full""# (Restart);
        /// The longest that a `Retry-After` of the upstream is waited for.
        max_retry_after: Duration = r#""30s""# in r#""0s""# to r#""1h""# (Restart);
        /// As `retries`, for operations that create.
        create_retries: Option<u32> = "" in "0" to "100" (Restart);
        /// As `retry_delay`, for operations that create.
        create_retry_delay: Option<Duration> = "" in r#""0s""# to r#""10m""# (Restart);
        /// As `max_retry_delay`, for operations that create.
        create_max_retry_delay: Option<Duration> = "" in r#""0s""# to r#""1h""# (Restart);
        /// As `retries`, for operations that update.
        update_retries: Option<u32> = "" in "0" to "100" (Restart);
        /// As `retry_delay`, for operations that update.
        update_retry_delay: Option<Duration> = "" in r#""0s""# to r#""10m""# (Restart);
        /// As `max_retry_delay`, for operations that update.
        update_max_retry_delay: Option<Duration> = "" in r#""0s""# to r#""1h""# (Restart);
        /// As `retries`, for operations that delete.
        delete_retries: Option<u32> = "" in "0" to "100" (Restart);
        /// As `retry_delay`, for operations that delete.
        delete_retry_delay: Option<Duration> = "" in r#""0s""# to r#""10m""# (Restart);
        /// As `max_retry_delay`, for operations that delete.
        delete_max_retry_delay: Option<Duration> = "" in r#""0s""# to r#""1h""# (Restart);
        /// As `retries`, for operations that read.
        read_retries: Option<u32> = "" in "0" to "100" (Restart);
        /// As `retry_delay`, for operations that read.
        read_retry_delay: Option<Duration> = "" in r#""0s""# to r#""10m""# (Restart);
        /// As `max_retry_delay`, for operations that read.
        read_max_retry_delay: Option<Duration> = "" in r#""0s""# to r#""1h""# (Restart);
        /// Retries and hedges per call, over all calls: 0.2 is one for five calls.
        retry_ratio: f64 = "0.2" in "0.0" to "10.0" (Restart);
        /// Retries and hedges per second that are always allowed.
        retry_floor: u32 = "10" in "0" to "1000000" (Restart);
        /// Retries and hedges that may be saved up.
        retry_burst: u32 = "100" in "0" to "1000000" (Restart);
        /// What opens the breaker: failures in a row, or their share in a rolling window.
        breaker: BreakerTrip = r#""consecutive-failures""# (Restart);
        /// Failures in a row that open it.
        breaker_failures: u32 = "5" in "1" to "1000000" (Restart);
        /// The percentage of failures in the window that must be exceeded to open it.
        breaker_error_percentage: u32 = "50" in "1" to "100" (Restart);
        /// Length of the rolling window.
        breaker_window: Duration = r#""10s""# in r#""10ms""# to r#""1h""# (Restart);
        /// Parts of the window; it moves by one at a time.
        breaker_buckets: u32 = "10" in "1" to "1000" (Restart);
        /// Calls in the window below which the breaker stays closed.
        breaker_volume: u32 = "5" in "1" to "1000000" (Restart);
        /// How long an open breaker lets nothing through.
        breaker_reset: Duration = r#""30s""# in r#""10ms""# to r#""1h""# (Restart);
        /// Calls let through to find out whether it may close.
        breaker_probes: u32 = "1" in "1" to "1000" (Restart);
        /// A call that takes longer is slow. Not set: none is.
        breaker_slow_call: Option<Duration> = "" in r#""1ms""# to r#""1h""# (Restart);
        /// The percentage of slow calls in the window that opens the breaker.
        breaker_slow_percentage: u32 = "100" in "1" to "100" (Restart);
        /// Connections, and requests under way, at once.
        max_connections: u32 = "10" in "1" to "100000" (Restart);
        /// Calls that may wait for a place; more are refused.
        queue: u32 = "100" in "0" to "1000000" (Restart);
        /// How long an idle connection is kept.
        keep_alive: Duration = r#""90s""# in r#""0s""# to r#""1h""# (Restart);
        /// Which HTTP is spoken.
        http: HttpVersion = r#""auto""# (Restart);
        /// A file of certificates (PEM) that are trusted beside the system's.
        tls_ca: Option<PathBuf> = "" (Restart);
        /// The largest answer.
        max_response: ByteSize = r#""10MiB""# in r#""1KiB""# to r#""64GiB""# (Restart);
        /// Which endpoint a call goes to.
        balance: Balance = r#""weighted-round-robin""# (Restart);
        /// Failures in a row after which an endpoint is ejected; 0 ejects none.
        ejection_failures: u32 = "5" in "0" to "1000000" (Restart);
        /// How long an endpoint is ejected the first time; each further time in a row as much longer.
        ejection_time: Duration = r#""30s""# in r#""1ms""# to r#""1h""# (Restart);
        /// The largest percentage of endpoints that may be ejected at once; the last one never is.
        max_ejected_percentage: u32 = "10" in "0" to "100" (Restart);
        /// What is fetched to see whether an endpoint is well. Not set: nothing is.
        health_path: Option<String> = r#""/health""# (Restart);
        /// Time between two checks.
        health_interval: Duration = r#""1m""# in r#""10ms""# to r#""24h""# (Restart);
        /// Time between two checks of an endpoint that is not well.
        health_unhealthy_interval: Duration = r#""5s""# in r#""10ms""# to r#""24h""# (Restart);
        /// The longest a check may take.
        health_timeout: Duration = r#""5s""# in r#""1ms""# to r#""10m""# (Restart);
        /// Whether a second attempt is sent beside one that takes longer than nine in ten do.
        hedge: bool = "false" (Restart);
        /// The largest percentage of calls that are hedged.
        hedge_percentage: u32 = "10" in "0" to "100" (Restart);
        /// Whether the calls at once are limited below `max_connections` by what latency shows.
        adaptive_limit: bool = "false" (Restart);
        /// The environment variable that holds the API key.
        api_key_env: Option<String> = "" (Restart);
        /// The file that holds the API key.
        api_key_file: Option<PathBuf> = "" (Restart);
        /// The header that the API key is sent in.
        api_key_header: String = r#""x-api-key""# (Restart);
        /// The environment variable that holds a bearer token.
        bearer_env: Option<String> = "" (Restart);
        /// The file that holds a bearer token.
        bearer_file: Option<PathBuf> = "" (Restart);
        /// The name for basic authentication; without a colon.
        basic_user: Option<String> = "" (Restart);
        /// The environment variable that holds its password.
        basic_env: Option<String> = "" (Restart);
        /// The file that holds its password.
        basic_file: Option<PathBuf> = "" (Restart);
    }
}
