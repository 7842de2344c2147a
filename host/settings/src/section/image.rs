use std::time::Duration;

use crate::section::section;
use crate::units::ByteSize;

section! {
    /// What one picture may cost, checked before it is paid.
    Image = "image" {
        /// The largest encoded picture.
        max_bytes: ByteSize = r#""50MiB""# in r#""1KiB""# to r#""1GiB""# (Restart);
        /// Pixels, summed over the frames of an animation.
        max_pixels: u64 = "50000000" in "1" to "1000000000" (Restart);
        /// The longer edge, in pixels.
        max_edge: u32 = "30000" in "1" to "65535" (Restart);
        /// The longest that decoding, or cutting and encoding, may work on one picture.
        max_time: Duration = r#""10s""# in r#""10ms""# to r#""10m""# (Restart);
    }
}
