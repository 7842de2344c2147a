//! Lines in the host's log. They carry the plugin's id and the correlation id there.
//!
//! At most 4 KiB each and 100 per call; always granted.

pub use crate::bindings::wasi::logging::logging::Level;

/// Writes one line. The macro [`log!`](crate::log!) formats it first.
pub fn write(level: Level, message: &str) {
    crate::bindings::wasi::logging::logging::log(level, "", message);
}

/// Formats a line and writes it to the host's log.
///
/// ```no_run
/// breakwater_guest::log!(Warn, "no eyes in a face of {} pixels", 17);
/// ```
#[macro_export]
macro_rules! log {
    ($level:ident, $($message:tt)+) => {
        $crate::log::write($crate::log::Level::$level, &::std::format!($($message)+))
    };
}
