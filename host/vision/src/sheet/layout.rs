//! Where things lie on a page. Pure arithmetic in micrometres; nothing is drawn here.

use super::guides::{self, CutGuides, Segment};
use super::{Length, Margins, PageOrientation, PaperSize, SheetError};

/// The most rows, and the most columns.
pub const MAX_LINES: u32 = 100;

/// The least edge of a cell's picture, 1 mm: what is smaller is a mistake.
const MIN_CELL: Length = Length::millimetres(1);

/// A rectangle on a page; the origin is the top left corner of what is drawn, the bleed included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Area {
    /// Distance of its left edge.
    pub left: Length,
    /// Distance of its top edge.
    pub top: Length,
    /// Its width.
    pub width: Length,
    /// Its height.
    pub height: Length,
}

impl Area {
    /// Distance of its right edge.
    #[must_use]
    pub fn right(&self) -> Length {
        self.left + self.width
    }

    /// Distance of its bottom edge.
    #[must_use]
    pub fn bottom(&self) -> Length {
        self.top + self.height
    }
}

/// How photographs are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrangement {
    /// Cells of equal size that fill the page between the margins.
    Grid {
        /// 1 to [`MAX_LINES`].
        rows: u32,
        /// 1 to [`MAX_LINES`].
        columns: u32,
    },
    /// As many photographs of an exact size as fit, in the middle of the page.
    Photographs {
        /// Of each, upright.
        size: PaperSize,
        /// Whether all of them may be laid on their sides if more fit so.
        turn: bool,
    },
}

/// What a page is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageOptions {
    /// The paper after trimming.
    pub paper: PaperSize,
    /// Which way the paper lies.
    pub orientation: PageOrientation,
    /// What stays free at each edge.
    pub margins: Margins,
    /// Between cells.
    pub gap: Length,
    /// How far pictures that fill their cells reach beyond the cut, so that a cut that is a little off shows no paper. A grid's page is larger
    /// by it at every edge.
    pub bleed: Length,
    /// Height of the line below each cell; zero without captions.
    pub caption: Length,
    /// Lines to cut along.
    pub guides: CutGuides,
    /// How photographs are arranged.
    pub arrangement: Arrangement,
}

/// A place for one photograph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Where it is cut.
    pub cut: Area,
    /// What the picture may cover: the cut and the bleed around it.
    pub bleed: Area,
    /// Where its caption goes.
    pub caption: Option<Area>,
    /// Whether photographs lie on their sides here, their top edge to the left.
    pub turned: bool,
}

/// Every page of a sheet is laid out alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// What is drawn, the bleed of the page included.
    pub media: PaperSize,
    /// The paper after trimming.
    pub trim: Area,
    /// Row by row.
    pub cells: Vec<Cell>,
    /// Lines to cut along.
    pub guides: Vec<Segment>,
}

impl Layout {
    /// Lays out a page.
    ///
    /// # Errors
    /// `sheet.grid-invalid`, `sheet.page-invalid`, `sheet.bleed-invalid` and `sheet.does-not-fit`.
    pub fn new(options: &PageOptions) -> Result<Self, SheetError> {
        let paper = options.paper.turned(options.orientation);
        let edges = [paper.width, paper.height];
        if edges.iter().any(|edge| !(PaperSize::MIN_EDGE..=PaperSize::MAX_EDGE).contains(edge)) {
            return Err(SheetError::PageInvalid { size: paper });
        }
        if options.gap > Length::ZERO && options.gap < options.bleed * 2 {
            return Err(SheetError::BleedInvalid { bleed: options.bleed, gap: options.gap });
        }
        // Paper that photographs are printed on is not trimmed: the sheet is cut apart along the photographs.
        let outer = if matches!(options.arrangement, Arrangement::Grid { .. }) { options.bleed } else { Length::ZERO };
        let trim = Area { left: outer, top: outer, width: paper.width, height: paper.height };
        let media = PaperSize { width: paper.width + outer * 2, height: paper.height + outer * 2 };
        let free = options.margins.within(trim);
        let cells = match options.arrangement {
            Arrangement::Grid { rows, columns } => grid(options, free, rows, columns)?,
            Arrangement::Photographs { size, turn } => photographs(options, free, size, turn)?,
        };
        let guides = guides::lines(options.guides, media, &cells);
        Ok(Self { media, trim, cells, guides })
    }
}

/// Where the edges of `count` equal parts lie. Parts that do not divide evenly differ by a micrometre, and no error adds up.
fn parts(start: Length, length: Length, gap: Length, count: u32) -> impl Iterator<Item = (Length, Length)> {
    let count = i64::from(count);
    let filled = length - gap * (count - 1);
    let edge = move |index: i64| (filled * index) / count;
    (0..count).map(move |index| (start + edge(index) + gap * index, edge(index + 1) - edge(index)))
}

fn grid(options: &PageOptions, free: Area, rows: u32, columns: u32) -> Result<Vec<Cell>, SheetError> {
    if ![rows, columns].iter().all(|lines| (1..=MAX_LINES).contains(lines)) {
        return Err(SheetError::GridInvalid { rows, columns });
    }
    let mut cells = Vec::with_capacity((rows * columns) as usize);
    for (top, height) in parts(free.top, free.height, options.gap, rows) {
        for (left, width) in parts(free.left, free.width, options.gap, columns) {
            let cut = Area { left, top, width, height: height - options.caption };
            if cut.width < MIN_CELL || cut.height < MIN_CELL {
                return Err(SheetError::DoesNotFit { what: format!("{rows} rows and {columns} columns leave no room for pictures") });
            }
            cells.push(Cell { cut, bleed: cut, caption: caption(options, cut), turned: false });
        }
    }
    Ok(with_bleed(cells, options))
}

fn photographs(options: &PageOptions, free: Area, size: PaperSize, turn: bool) -> Result<Vec<Cell>, SheetError> {
    if size.width < MIN_CELL || size.height < MIN_CELL {
        return Err(SheetError::DoesNotFit { what: format!("a photograph of {size} is too small to be cut out") });
    }
    let fitting = |size: PaperSize| {
        let along =
            |length: Length, each: Length| ((length + options.gap).get().max(0) / (each + options.gap).get()).min(i64::from(MAX_LINES));
        (along(free.height, size.height + options.caption), along(free.width, size.width))
    };
    let (upright, lying) = (fitting(size), fitting(size.swapped()));
    let turned = turn && lying.0 * lying.1 > upright.0 * upright.1;
    let ((rows, columns), size) = if turned { (lying, size.swapped()) } else { (upright, size) };
    if rows * columns == 0 {
        return Err(SheetError::DoesNotFit { what: format!("a photograph of {size} is larger than the page between its margins") });
    }
    let step = PaperSize { width: size.width + options.gap, height: size.height + options.caption + options.gap };
    let left = free.left + (free.width - (step.width * columns - options.gap)) / 2;
    let top = free.top + (free.height - (step.height * rows - options.gap)) / 2;
    let place = |row: i64, column: i64| {
        let cut = Area { left: left + step.width * column, top: top + step.height * row, width: size.width, height: size.height };
        Cell { cut, bleed: cut, caption: caption(options, cut), turned }
    };
    let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| place(row, column))).collect();
    Ok(with_bleed(cells, options))
}

fn caption(options: &PageOptions, cut: Area) -> Option<Area> {
    (options.caption > Length::ZERO).then(|| Area { top: cut.bottom(), height: options.caption, ..cut })
}

/// Lets pictures reach over the cut wherever no other cell or caption begins there.
fn with_bleed(mut cells: Vec<Cell>, options: &PageOptions) -> Vec<Cell> {
    let cuts: Vec<Area> = cells.iter().map(|cell| cell.cut).collect();
    let first = |edge: fn(&Area) -> Length| cuts.iter().map(edge).min().unwrap_or_default();
    let last = |edge: fn(&Area) -> Length| cuts.iter().map(edge).max().unwrap_or_default();
    let outer = (first(|cut| cut.left), last(Area::right), first(|cut| cut.top), last(Area::bottom));
    let side = |is_outer: bool| if is_outer || options.gap > Length::ZERO { options.bleed } else { Length::ZERO };
    for cell in &mut cells {
        let cut = cell.cut;
        let (left, right) = (side(cut.left == outer.0), side(cut.right() == outer.1));
        let top = side(cut.top == outer.2);
        let bottom = if cell.caption.is_some() { Length::ZERO } else { side(cut.bottom() == outer.3) };
        // In photo mode the paper ends somewhere, too.
        let (left, top) = (left.min(cut.left), top.min(cut.top));
        cell.bleed = Area { left: cut.left - left, top: cut.top - top, width: cut.width + left + right, height: cut.height + top + bottom };
    }
    cells
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
