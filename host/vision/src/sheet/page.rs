//! Sizes of paper, by name and by measure.

use std::fmt;
use std::str::FromStr;

use super::{Length, SheetError};

/// Width and height of a sheet of paper or of a photograph on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PaperSize {
    /// From left to right.
    pub width: Length,
    /// From top to bottom.
    pub height: Length,
}

/// Names of paper in upright position, micrometres; the formats of ISO 216 and those of North America.
const NAMED: [(&str, i64, i64); 11] = [
    ("A3", 297_000, 420_000),
    ("A4", 210_000, 297_000),
    ("A5", 148_000, 210_000),
    ("A6", 105_000, 148_000),
    ("B4", 250_000, 353_000),
    ("B5", 176_000, 250_000),
    ("Letter", 215_900, 279_400),
    ("Legal", 215_900, 355_600),
    ("Tabloid", 279_400, 431_800),
    ("Executive", 184_150, 266_700),
    ("Statement", 139_700, 215_900),
];

/// Which edge of a page is the longer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PageOrientation {
    /// Upright.
    #[default]
    Portrait,
    /// On its side.
    Landscape,
}

impl PaperSize {
    /// The default: A4.
    pub const A4: Self = Self { width: Length::millimetres(210), height: Length::millimetres(297) };
    /// The least edge of a page, 10 mm.
    pub const MIN_EDGE: Length = Length::millimetres(10);
    /// The longest edge of a page, 2 m.
    pub const MAX_EDGE: Length = Length::millimetres(2000);

    /// The same paper, turned so that it lies this way.
    #[must_use]
    pub fn turned(self, orientation: PageOrientation) -> Self {
        let (short, long) = (self.width.min(self.height), self.width.max(self.height));
        match orientation {
            PageOrientation::Portrait => Self { width: short, height: long },
            PageOrientation::Landscape => Self { width: long, height: short },
        }
    }

    /// Width and height changed over.
    #[must_use]
    pub const fn swapped(self) -> Self {
        Self { width: self.height, height: self.width }
    }

    /// Every name of paper.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(name, ..)| *name)
    }
}

impl FromStr for PaperSize {
    type Err = SheetError;

    /// Reads a name in any case, such as `A4` or `letter`, or a measure such as `4x6in`, `10x15cm` or `35x45mm`; without a unit it is in
    /// millimetres.
    fn from_str(text: &str) -> Result<Self, SheetError> {
        let text = text.trim();
        if let Some((_, width, height)) = NAMED.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text)) {
            return Ok(Self { width: Length::micrometres(*width), height: Length::micrometres(*height) });
        }
        let invalid = || SheetError::SizeInvalid { text: text.chars().take(40).collect() };
        let spelled = text.replace('"', "in");
        let (width, height) = spelled.split_once(['x', 'X', '×']).ok_or_else(invalid)?;
        let unit: String =
            height.trim().to_ascii_lowercase().trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ' ').into();
        let unit = if unit.is_empty() { "mm" } else { unit.as_str() };
        let edge = |text| Length::parse(text, unit).ok().filter(|length| *length > Length::ZERO).ok_or_else(invalid);
        Ok(Self { width: edge(width)?, height: edge(height)? })
    }
}

impl fmt::Display for PaperSize {
    /// A name where there is one, else such as `101.6mm x 152.4mm`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = NAMED.iter().find(|(_, width, height)| (self.width.get(), self.height.get()) == (*width, *height));
        match named {
            Some((name, ..)) => f.write_str(name),
            None => write!(f, "{} x {}", self.width, self.height),
        }
    }
}

impl FromStr for PageOrientation {
    type Err = SheetError;

    fn from_str(text: &str) -> Result<Self, SheetError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "portrait" => Ok(Self::Portrait),
            "landscape" => Ok(Self::Landscape),
            _ => Err(SheetError::OrientationInvalid { text: text.chars().take(40).collect() }),
        }
    }
}

impl PageOrientation {
    /// `portrait` or `landscape`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portrait => "portrait",
            Self::Landscape => "landscape",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(text: &str) -> (i64, i64) {
        let size: PaperSize = text.parse().unwrap();
        (size.width.get(), size.height.get())
    }

    #[test]
    fn paper_is_known_by_name_and_by_measure() {
        for (text, expected) in [
            ("a4", (210_000, 297_000)),
            ("LETTER", (215_900, 279_400)),
            ("4x6in", (101_600, 152_400)),
            ("4 x 6 in", (101_600, 152_400)),
            ("4x6\"", (101_600, 152_400)),
            ("5in x 7in", (127_000, 177_800)),
            ("10x15cm", (100_000, 150_000)),
            ("35x45mm", (35_000, 45_000)),
            ("35x45", (35_000, 45_000)),
            ("3.5cm×45mm", (35_000, 45_000)),
        ] {
            assert_eq!(measure(text), expected, "{text}");
        }
        for name in PaperSize::names() {
            assert_eq!(name.parse::<PaperSize>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_no_paper_is_refused() {
        for text in ["", "A99", "x", "0x5mm", "4x6light-years", "4xx6", "-4x6in", "4x"] {
            assert_eq!(text.parse::<PaperSize>().unwrap_err().code(), "sheet.size-invalid", "{text}");
        }
    }

    #[test]
    fn paper_is_turned() {
        assert_eq!(PaperSize::A4.turned(PageOrientation::Landscape), PaperSize::A4.swapped());
        assert_eq!(PaperSize::A4.swapped().turned(PageOrientation::Portrait), PaperSize::A4);
        assert!("sideways".parse::<PageOrientation>().is_err());
    }
}
