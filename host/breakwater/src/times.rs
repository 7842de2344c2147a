//! Times as people say them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, now.
pub(crate) fn now_ms() -> u64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds, in the two largest units.
pub(crate) fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// How long before `now_ms` something happened, both in milliseconds since 1970.
pub(crate) fn ago(now_ms: u64, at_ms: u64) -> String {
    format!("{} ago", duration(now_ms.saturating_sub(at_ms) / 1000))
}

/// The time of day of milliseconds since 1970, in UTC, to the millisecond.
pub(crate) fn clock(at_ms: u64) -> String {
    let seconds = at_ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, at_ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_two_units() {
        for (seconds, said) in [(0, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3725, "1 h 2 min"), (90_000, "1 d 1 h")] {
            assert_eq!(duration(seconds), said);
        }
    }

    #[test]
    fn a_moment_is_said_by_its_distance_or_by_the_clock() {
        assert_eq!(ago(70_000, 10_999), "59 s ago");
        assert_eq!(ago(1, 10_000), "0 s ago", "clocks of two machines differ");
        assert_eq!(clock(86_400_000 + 3_723_004), "01:02:03.004");
    }
}
