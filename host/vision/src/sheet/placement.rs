//! How a photograph lies in its cell.

use std::str::FromStr;

use breakwater_core::{AspectRatio, Rect, Size};

use super::layout::{Area, Cell};
use super::{Length, SheetError};

/// How a photograph fills its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fit {
    /// All of it is shown, as large as it fits, in the middle.
    #[default]
    Fit,
    /// It fills the cell; what is too much is cut off evenly at both sides.
    Fill,
    /// It fills the cell, cut where a strategy says.
    Crop,
}

impl Fit {
    /// `fit`, `fill` or `crop`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fit => "fit",
            Self::Fill => "fill",
            Self::Crop => "crop",
        }
    }
}

impl FromStr for Fit {
    type Err = SheetError;

    fn from_str(text: &str) -> Result<Self, SheetError> {
        let known = [Self::Fit, Self::Fill, Self::Crop].into_iter().find(|fit| fit.name() == text.trim());
        known.ok_or_else(|| SheetError::FitInvalid { text: text.chars().take(40).collect() })
    }
}

/// What of a photograph is shown where. Lengths are micrometres as doubles: a photograph's pixels rarely fall on whole ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placement {
    /// What of the page it covers at most; the rest is cut off.
    pub(super) window: Area,
    /// Left, top, width and height of the whole photograph on the page, as it lies there.
    pub(super) whole: [f64; 4],
    /// Whether it lies on its side, its top edge to the left.
    pub(super) turned: bool,
}

/// The ratio that a strategy has to cut for a cell, upright.
pub(super) fn ratio(cell: &Cell, turned: bool) -> Option<AspectRatio> {
    let (width, height) = (cell.bleed.width.get(), cell.bleed.height.get());
    let (width, height) = if turned { (height, width) } else { (width, height) };
    // As near as parts of at most 10,000 come.
    let scale = (width.max(height) as f64 / 10_000.0).max(1.0);
    let part = |length: i64| ((length as f64 / scale).round() as u32).max(1);
    AspectRatio::new(part(width), part(height)).ok()
}

/// Whether a photograph lies on its side in a cell: where the layout says so, or where it may be turned and is larger that way.
pub(super) fn is_turned(cell: &Cell, picture: Size, may_turn: bool) -> bool {
    let wide_cell = cell.cut.width > cell.cut.height;
    let differs = (picture.width > picture.height) != wide_cell && picture.width != picture.height && cell.cut.width != cell.cut.height;
    cell.turned || (may_turn && differs)
}

/// Places a picture of this size. `crop` is what of it must fill the cell.
pub(super) fn place(cell: &Cell, picture: Size, fit: Fit, crop: Option<Rect>, turned: bool) -> Placement {
    let lying = |rect: Rect| {
        // A quarter turn to the left: the top edge comes to lie at the left, the right edge at the top.
        let below = f64::from(picture.width) - f64::from(rect.x) - f64::from(rect.width);
        let upright = [f64::from(rect.x), f64::from(rect.y), f64::from(rect.width), f64::from(rect.height)];
        if turned { [f64::from(rect.y), below, upright[3], upright[2]] } else { upright }
    };
    let [_, _, across, down] = lying(picture.rect());
    let filled = fit != Fit::Fit;
    let area = if filled { cell.bleed } else { cell.cut };
    let [left, top, width, height] = [area.left, area.top, area.width, area.height].map(|length| length.get() as f64);
    let (shown_left, shown_top, shown_width, shown_height) = match crop.filter(|_| filled).map(lying) {
        Some([x, y, width, height]) => (x, y, width, height),
        None => (0.0, 0.0, across, down),
    };
    let scales = (width / shown_width, height / shown_height);
    let scale = if filled { scales.0.max(scales.1) } else { scales.0.min(scales.1) };
    let whole_left = left + (width - shown_width * scale) / 2.0 - shown_left * scale;
    let whole_top = top + (height - shown_height * scale) / 2.0 - shown_top * scale;
    Placement { window: area, whole: [whole_left, whole_top, across * scale, down * scale], turned }
}

impl Placement {
    /// Pixels of the photograph an inch on the page.
    pub(super) fn dpi(&self, picture: Size) -> f64 {
        let [.., width, height] = self.whole;
        let across = if self.turned { height } else { width };
        f64::from(picture.width) * 25_400.0 / across
    }

    /// Where the visible part lies on the page: the window, or the photograph where that is smaller.
    pub(super) fn visible(&self) -> [f64; 4] {
        let [left, top, width, height] = self.whole;
        let edge = |length: Length| length.get() as f64;
        let (x, y) = (left.max(edge(self.window.left)), top.max(edge(self.window.top)));
        let (right, bottom) = ((left + width).min(edge(self.window.right())), (top + height).min(edge(self.window.bottom())));
        [x, y, right - x, bottom - y]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(width: i64, height: i64) -> Cell {
        let mm = Length::millimetres;
        let cut = Area { left: mm(10), top: mm(20), width: mm(width), height: mm(height) };
        Cell { cut, bleed: cut, caption: None, turned: false }
    }

    #[test]
    fn a_photograph_fits_or_fills_its_cell() {
        let (cell, picture) = (cell(40, 40), Size::new(200, 100));
        let fit = place(&cell, picture, Fit::Fit, None, false);
        assert_eq!(fit.whole, [10_000.0, 30_000.0, 40_000.0, 20_000.0]);
        let fill = place(&cell, picture, Fit::Fill, None, false);
        assert_eq!(fill.whole, [-10_000.0, 20_000.0, 80_000.0, 40_000.0]);
        assert_eq!(fill.visible(), [10_000.0, 20_000.0, 40_000.0, 40_000.0]);
        assert_eq!(fill.dpi(picture), 200.0 * 25.4 / 80.0);
        let crop = place(&cell, picture, Fit::Crop, Some(Rect::new(100, 0, 100, 100)), false);
        assert_eq!(crop.whole, [-30_000.0, 20_000.0, 80_000.0, 40_000.0]);
    }

    #[test]
    fn a_photograph_lies_on_its_side_where_that_is_larger() {
        let (wide, picture) = (cell(40, 20), Size::new(100, 200));
        assert!(is_turned(&wide, picture, true) && !is_turned(&wide, picture, false));
        assert!(!is_turned(&wide, Size::new(200, 100), true) && !is_turned(&wide, Size::new(10, 10), true));
        let placed = place(&wide, picture, Fit::Fit, None, true);
        assert_eq!(placed.whole, [10_000.0, 20_000.0, 40_000.0, 20_000.0]);
        // Its upper half lies to the left.
        let crop = place(&cell(20, 20), picture, Fit::Crop, Some(Rect::new(0, 0, 100, 100)), true);
        assert_eq!(crop.whole, [10_000.0, 20_000.0, 40_000.0, 20_000.0]);
    }

    #[test]
    fn the_ratio_for_a_strategy_is_that_of_the_upright_cell() {
        let ratio_of = |turned| ratio(&cell(45, 35), turned).unwrap();
        assert_eq!((ratio_of(false).width, ratio_of(false).height), (10_000, 7_778));
        assert_eq!((ratio_of(true).width, ratio_of(true).height), (7_778, 10_000));
    }
}
