//! What stays free at the edges of a page.

use std::str::FromStr;

use super::layout::Area;
use super::{Length, SheetError};

/// What stays free at each edge of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Margins {
    /// At the top.
    pub top: Length,
    /// At the right.
    pub right: Length,
    /// At the bottom.
    pub bottom: Length,
    /// At the left.
    pub left: Length,
}

impl Margins {
    /// The same at every edge.
    #[must_use]
    pub const fn all(margin: Length) -> Self {
        Self { top: margin, right: margin, bottom: margin, left: margin }
    }

    /// What is left of an area; of negative width or height where the margins meet.
    pub(super) fn within(&self, area: Area) -> Area {
        Area {
            left: area.left + self.left,
            top: area.top + self.top,
            width: area.width - self.left - self.right,
            height: area.height - self.top - self.bottom,
        }
    }
}

impl FromStr for Margins {
    type Err = SheetError;

    /// Reads one to four lengths, in the order of CSS: `10mm`, `10mm 5mm` (top and bottom, sides), or top, right, bottom, left.
    fn from_str(text: &str) -> Result<Self, SheetError> {
        let lengths: Vec<Length> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        match *lengths.as_slice() {
            [all] => Ok(Self::all(all)),
            [ends, sides] => Ok(Self { top: ends, right: sides, bottom: ends, left: sides }),
            [top, sides, bottom] => Ok(Self { top, right: sides, bottom, left: sides }),
            [top, right, bottom, left] => Ok(Self { top, right, bottom, left }),
            _ => Err(SheetError::LengthInvalid { text: text.chars().take(40).collect() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_are_written_as_in_css() {
        let of = |text: &str| {
            let margins: Margins = text.parse().unwrap();
            [margins.top, margins.right, margins.bottom, margins.left].map(|length| length.get() / 1000)
        };
        assert_eq!(of("10mm"), [10; 4]);
        assert_eq!(of("10mm 5mm"), [10, 5, 10, 5]);
        assert_eq!(of("1 2 3"), [1, 2, 3, 2]);
        assert_eq!(of("1cm 2mm 3mm 4mm"), [10, 2, 3, 4]);
        for text in ["", "1 2 3 4 5", "wide"] {
            assert_eq!(text.parse::<Margins>().unwrap_err().code(), "sheet.length-invalid", "{text}");
        }
    }
}
