use std::path::PathBuf;
use std::time::Duration;

use crate::section::section;
use crate::units::ByteSize;
use crate::value::words;

words! {
    /// Where models run.
    Device {
        /// On a GPU if there is a usable one, else on the CPU.
        Auto = "auto",
        /// On a GPU; without one the start fails.
        Gpu = "gpu",
        /// On the CPU.
        Cpu = "cpu",
    }
}

section! {
    /// The models that look at images: what is in them, and what they look like.
    Inference = "inference" {
        /// Where models run: `auto` takes a GPU if there is a usable one.
        device: Device = r#""auto""# (Restart);
        /// Part of the name of the GPU to use. Not set: the first usable one.
        adapter: Option<String> = "" (Restart);
        /// Whether something that only imitates a GPU on the CPU may be used. Slow; for tests.
        allow_software: bool = "false" (Restart);
        /// The most images in one run of a model.
        max_batch: usize = "8" in "1" to "64" (Restart);
        /// How long the first image of a batch waits for others.
        max_delay: Duration = r#""2ms""# in r#""0s""# to r#""1s""# (Restart);
        /// Calls of one model that may wait; more are refused at once.
        queue: usize = "256" in "1" to "65536" (Restart);
        /// How long a call may wait for its turn; one that waits longer is refused.
        max_wait: Duration = r#""20s""# in r#""1ms""# to r#""1h""# (Restart);
        /// Pictures that one model computes side by side on the CPU; 0 takes as many as there are cores. Never more than `operations.cpu_threads`.
        threads: usize = "0" in "0" to "1024" (Restart);
        /// Memory for remembered detections and features.
        detection_cache: ByteSize = r#""32MiB""# in r#""0B""# to r#""64GiB""# (Restart);
        /// A folder with other weights for the same networks. Not set: the ones built in.
        models_dir: Option<PathBuf> = "" (Restart);
        /// The longest one inference may take, waiting included.
        budget: Duration = r#""30s""# in r#""10ms""# to r#""1h""# (Restart);
    }
}
