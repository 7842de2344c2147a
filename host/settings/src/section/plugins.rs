use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::section::section;
use crate::units::ByteSize;
use crate::value::words;

words! {
    /// A group of host functions that a plugin may use.
    Capability {
        /// Byte strings held by the host.
        Blobs = "blobs",
        /// The plugin's own settings.
        Config = "config",
        /// Pictures, maps and detections.
        Imaging = "imaging",
        /// Log lines.
        Logging = "logging",
        /// Calls of named upstreams.
        Upstream = "upstream",
        /// Feature flags.
        FeatureFlags = "feature-flags",
        /// HTTP to the hosts its manifest names (`wasi:http`).
        Http = "http",
        /// Vectors of images and texts by the models its manifest names.
        Embedder = "embedder",
        /// Tensors through the models its manifest names (`wasi:nn`).
        Nn = "nn",
    }
}

section! {
    /// The sandboxed plugins: where they are found, what they may have, what a call of one may use.
    Plugins = "plugins" {
        /// A folder whose subfolders are plugins, deployed at the start. Not set: `breakwater-plugins` beside the executable, else `/usr/share/breakwater/plugins`.
        dir: Option<PathBuf> = "" (Restart);
        /// Whether a plugin is deployed again when its files in the folder change.
        watch: bool = "false" (Restart);
        /// Who wins when several plugins offer one strategy: the id named earlier. Plugins not named may not share names.
        order: Vec<String> = "[]" (Restart);
        /// What every plugin may have, if it asks.
        default_grants: Vec<Capability> = r#"["blobs", "config", "imaging", "logging", "upstream", "feature-flags", "embedder", "nn"]"# (Restart);
        /// What single plugins may have instead, by id.
        grants: BTreeMap<String, Vec<Capability>> = "{}" (Restart);
        /// Memory of one call.
        memory: ByteSize = r#""64MiB""# in r#""64KiB""# to r#""4GiB""# (Restart);
        /// Elements of each table of one call.
        table_elements: usize = "10000" in "0" to "10000000" (Restart);
        /// Stack of one call.
        stack: ByteSize = r#""512KiB""# in r#""64KiB""# to r#""8MiB""# (Restart);
        /// Time the plugin's own code may run in one call.
        cpu_time: Duration = r#""500ms""# in r#""1ms""# to r#""10m""# (Restart);
        /// The longest one call may take, waiting for the host included.
        timeout: Duration = r#""5s""# in r#""1ms""# to r#""10m""# (Restart);
        /// Calls of host functions in one call.
        host_calls: u32 = "1000" in "0" to "10000000" (Restart);
        /// Bytes that one call of a host function may take, and that a plugin may answer.
        host_call_bytes: ByteSize = r#""1MiB""# in r#""1KiB""# to r#""1GiB""# (Restart);
        /// Bytes that all calls of host functions in one call may pass in either direction.
        host_bytes: ByteSize = r#""32MiB""# in r#""1KiB""# to r#""16GiB""# (Restart);
        /// Calls of plugins at once.
        max_concurrent: usize = "64" in "1" to "4096" (Restart);
        /// Calls of one generation at once, so that a slow plugin cannot starve the others.
        max_concurrent_per_generation: usize = "48" in "1" to "4096" (Restart);
        /// Calls that may wait for a place; more are refused.
        queue: usize = "256" in "0" to "65536" (Restart);
        /// Generations kept per plugin, the active one included.
        keep_generations: usize = "10" in "1" to "1000" (Restart);
        /// The largest component.
        max_component: ByteSize = r#""32MiB""# in r#""1KiB""# to r#""1GiB""# (Restart);
        /// Memory of the process that compiles a component.
        compile_memory: ByteSize = r#""4GiB""# in r#""256MiB""# to r#""64GiB""# (Restart);
        /// The longest that compiling a component may take.
        compile_timeout: Duration = r#""1m""# in r#""1s""# to r#""1h""# (Restart);
        /// Failures in a row, by the plugin's own fault, after which a generation is not called any more.
        breaker_failures: u32 = "5" in "1" to "1000000" (Restart);
        /// How long such a generation is left alone before it is tried again.
        breaker_reset: Duration = r#""30s""# in r#""10ms""# to r#""1h""# (Restart);
    }
}
