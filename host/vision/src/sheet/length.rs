//! Lengths on paper, exact.

use std::fmt;
use std::str::FromStr;

use super::SheetError;

/// A length in whole micrometres: an inch is 25,400 of them, so that millimetres and inches are both exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Length(i64);

/// Micrometres of each unit that can be written.
const UNITS: [(&str, f64); 5] = [("mm", 1000.0), ("cm", 10_000.0), ("inches", 25_400.0), ("in", 25_400.0), ("pt", 25_400.0 / 72.0)];

impl Length {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The longest that is accepted: ten metres.
    pub const MAX: Self = Self(10_000_000);

    /// That many micrometres.
    #[must_use]
    pub const fn micrometres(count: i64) -> Self {
        Self(count)
    }

    /// That many millimetres.
    #[must_use]
    pub const fn millimetres(count: i64) -> Self {
        Self(count * 1000)
    }

    /// That many points (72 an inch), to the nearest micrometre.
    #[must_use]
    pub fn points(count: f32) -> Self {
        Self((f64::from(count) * 25_400.0 / 72.0).round() as i64)
    }

    /// Micrometres.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Points, the unit of PDF.
    #[must_use]
    pub fn in_points(self) -> f64 {
        self.0 as f64 * 72.0 / 25_400.0
    }

    /// The pixel boundary nearest to this distance from an edge.
    #[must_use]
    pub const fn in_pixels(self, dpi: u32) -> i64 {
        (self.0 * dpi as i64 * 2 + 25_400).div_euclid(2 * 25_400)
    }

    /// Reads a length; a number without a unit counts as `unit`.
    pub(super) fn parse(text: &str, unit: &str) -> Result<Self, SheetError> {
        let invalid = || SheetError::LengthInvalid { text: text.chars().take(40).collect() };
        let lower = text.trim().to_ascii_lowercase();
        let lower = lower.strip_suffix('"').map_or(lower.clone(), |number| format!("{number}in"));
        let split = lower.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(lower.len());
        let (number, named) = lower.split_at(split);
        let named = if named.is_empty() { unit } else { named.trim() };
        let (_, micrometres) = UNITS.iter().find(|(name, _)| *name == named).ok_or_else(invalid)?;
        let number: f64 = number.trim().parse().map_err(|_| invalid())?;
        let length = number * micrometres;
        // Also refuses what is no number.
        let possible = (0.0..=Self::MAX.0 as f64).contains(&length);
        possible.then(|| Self(length.round() as i64)).ok_or_else(invalid)
    }
}

impl std::ops::Add for Length {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl std::ops::Sub for Length {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl std::ops::Mul<i64> for Length {
    type Output = Self;
    fn mul(self, times: i64) -> Self {
        Self(self.0 * times)
    }
}

impl std::ops::Div<i64> for Length {
    type Output = Self;
    fn div(self, parts: i64) -> Self {
        Self(self.0.checked_div(parts).unwrap_or(0))
    }
}

impl FromStr for Length {
    type Err = SheetError;

    /// Reads `35mm`, `3.5cm`, `4in` or `10pt`; a number alone is millimetres.
    fn from_str(text: &str) -> Result<Self, SheetError> {
        Self::parse(text, "mm")
    }
}

impl fmt::Display for Length {
    /// In millimetres, such as `35mm` or `101.6mm`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}mm", self.0 as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_exact() {
        for (text, micrometres) in
            [("35mm", 35_000), ("3.5 cm", 35_000), ("4in", 101_600), ("4\"", 101_600), ("72pt", 25_400), ("10", 10_000), ("0", 0)]
        {
            assert_eq!(text.parse::<Length>().unwrap().get(), micrometres, "{text}");
        }
        assert_eq!(Length::micrometres(101_600).to_string(), "101.6mm");
        assert_eq!(Length::points(72.0), "1in".parse().unwrap());
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for text in ["", "mm", "-1mm", "nan", "inf", "1e9mm", "10001mm", "1 furlong", "1mm2"] {
            assert_eq!(text.parse::<Length>().unwrap_err().code(), "sheet.length-invalid", "{text}");
        }
    }

    #[test]
    fn pixels_are_the_nearest_boundary() {
        assert_eq!(Length::millimetres(210).in_pixels(300), 2480);
        assert_eq!(Length::millimetres(297).in_pixels(300), 3508);
        assert_eq!("4in".parse::<Length>().unwrap().in_pixels(300), 1200);
        assert_eq!(Length::micrometres(-42).in_pixels(300), 0);
    }
}
