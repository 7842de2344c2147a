//! Lines to cut along.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::layout::{Area, Cell};
use super::{Length, PaperSize, SheetError};

/// Which lines are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CutGuides {
    /// None.
    #[default]
    None,
    /// Short marks outside of the pictures, beside each cut.
    Marks,
    /// Lines across the whole page along each cut.
    Lines,
}

/// A hairline on a page, horizontal or vertical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Segment {
    /// Distance of its beginning from the left.
    pub left: Length,
    /// Distance of its beginning from the top.
    pub top: Length,
    /// Its length from left to right; zero when it is vertical.
    pub across: Length,
    /// Its length from top to bottom; zero when it is horizontal.
    pub down: Length,
}

/// How long a mark is, and how far it stays away from the picture.
const MARK: Length = Length::millimetres(4);
const AWAY: Length = Length::millimetres(1);

impl CutGuides {
    /// `none`, `marks` or `lines`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Marks => "marks",
            Self::Lines => "lines",
        }
    }
}

impl FromStr for CutGuides {
    type Err = SheetError;

    fn from_str(text: &str) -> Result<Self, SheetError> {
        let known = [Self::None, Self::Marks, Self::Lines].into_iter().find(|guides| guides.name() == text.trim());
        known.ok_or_else(|| SheetError::GuidesInvalid { text: text.chars().take(40).collect() })
    }
}

/// The lines for these cells.
pub(super) fn lines(guides: CutGuides, media: PaperSize, cells: &[Cell]) -> Vec<Segment> {
    let edges = |of: fn(&Area) -> [Length; 2]| cells.iter().flat_map(|cell| of(&cell.cut)).collect::<BTreeSet<_>>();
    let (columns, rows) = (edges(|cut| [cut.left, cut.right()]), edges(|cut| [cut.top, cut.bottom()]));
    let zero = Length::ZERO;
    let vertical = |left: Length, top: Length, bottom: Length| Segment { left, top, across: zero, down: bottom - top };
    let horizontal = |top: Length, left: Length, right: Length| Segment { left, top, across: right - left, down: zero };
    match guides {
        CutGuides::None => Vec::new(),
        CutGuides::Lines => {
            let down = columns.iter().map(|left| vertical(*left, zero, media.height));
            down.chain(rows.iter().map(|top| horizontal(*top, zero, media.width))).collect()
        }
        CutGuides::Marks => {
            let bound = |of: fn(&Area) -> Length| cells.iter().map(move |cell| of(&cell.bleed));
            let (left, right) = (bound(|area| area.left).min().unwrap_or_default(), bound(Area::right).max().unwrap_or_default());
            let captions = cells.iter().filter_map(|cell| cell.caption.as_ref().map(Area::bottom));
            let (top, bottom) =
                (bound(|area| area.top).min().unwrap_or_default(), bound(Area::bottom).chain(captions).max().unwrap_or_default());
            let before = |end: Length| ((end - AWAY - MARK).max(zero), end - AWAY);
            let after = |start: Length, end: Length| (start + AWAY, (start + AWAY + MARK).min(end));
            let (above, below) = (before(top), after(bottom, media.height));
            let (beside, beyond) = (before(left), after(right, media.width));
            let down = columns.iter().flat_map(|left| [above, below].map(|(from, to)| vertical(*left, from, to)));
            let across = rows.iter().flat_map(|top| [beside, beyond].map(|(from, to)| horizontal(*top, from, to)));
            // Where pictures reach to the edge of the page there is no room for a mark.
            down.chain(across).filter(|segment| segment.across > zero || segment.down > zero).collect()
        }
    }
}
