use std::time::Duration;

use crate::section::section;

section! {
    /// Image work and the check of readiness.
    Operations = "operations" {
        /// Threads for all work of the processor: decoding, resizing, encoding, and models on the CPU; 0 takes as many as there are cores.
        cpu_threads: usize = "0" in "0" to "1024" (Restart);
        /// New jobs that may wait for a thread; more are refused.
        cpu_queue: usize = "256" in "1" to "65536" (Restart);
        /// Time between two checks of readiness.
        check_interval: Duration = r#""10s""# in r#""100ms""# to r#""1h""# (Restart);
        /// The longest a check of readiness may take.
        check_timeout: Duration = r#""10s""# in r#""100ms""# to r#""10m""# (Restart);
    }
}
