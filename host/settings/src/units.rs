//! Durations and sizes as people write them: `250ms`, `1m30s`, `50MiB`.

use std::fmt;
use std::time::Duration;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

const SIZES: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (unit, factor) = SIZES.into_iter().find(|(unit, _)| text.ends_with(unit))?;
        let number = text.strip_suffix(unit)?.trim_end();
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        number.parse::<u64>().ok()?.checked_mul(factor).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = SIZES.iter().take(3).find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor));
        let (unit, factor) = fitting.copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

const TIMES: [(&str, u64); 5] = [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// Reads `1m30s` and the like: whole numbers, each with its unit, from the largest to the smallest.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    let mut units = TIMES.iter().peekable();
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let (_, micros) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*micros)?)?;
        rest = tail;
    }
    (!text.trim().is_empty()).then_some(Duration::from_micros(total))
}

/// Writes a duration as [`parse_duration`] reads it.
pub(crate) fn format_duration(duration: Duration) -> String {
    let mut micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    if micros == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, size) in TIMES {
        if micros >= size {
            text += &format!("{}{unit}", micros / size);
            micros %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(micros in 0u64..100_000_000_000, bytes in any::<u64>()) {
            let duration = Duration::from_micros(micros);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
            prop_assert_eq!(ByteSize::parse(&ByteSize(bytes).to_string()), Some(ByteSize(bytes)));
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in ".{0,12}") {
            let _ = parse_duration(&text);
            let _ = ByteSize::parse(&text);
        }
    }

    #[test]
    fn units_are_what_they_say() {
        let duration = |text| parse_duration(text).map(|duration| duration.as_micros());
        assert_eq!(duration("2ms"), Some(2_000));
        assert_eq!(duration("1m30s"), Some(90_000_000));
        assert_eq!(duration("1h"), Some(3_600_000_000));
        for text in ["", "10", "s", "-1s", "1.5s", "1s1m", "1s1s", "1 s", "99999999999999999h", "1d"] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(ByteSize::parse("50MiB"), Some(ByteSize(50 << 20)));
        assert_eq!(ByteSize::parse("50 MB"), Some(ByteSize(50_000_000)));
        for text in ["", "50", "MiB", "-1MiB", "1.5MiB", "99999999999GiB", "1TiB"] {
            assert_eq!(ByteSize::parse(text), None, "{text}");
        }
    }
}
