use proptest::prelude::*;

use super::*;

fn options(arrangement: Arrangement) -> PageOptions {
    PageOptions {
        paper: PaperSize::A4,
        orientation: PageOrientation::Portrait,
        margins: Margins::default(),
        gap: Length::ZERO,
        bleed: Length::ZERO,
        caption: Length::ZERO,
        guides: CutGuides::None,
        arrangement,
    }
}

fn passport(turn: bool, orientation: PageOrientation) -> PageOptions {
    let arrangement = Arrangement::Photographs { size: "35x45mm".parse().unwrap(), turn };
    PageOptions { paper: "4x6in".parse().unwrap(), orientation, ..options(arrangement) }
}

fn overlap(a: &Area, b: &Area) -> bool {
    a.left < b.right() && b.left < a.right() && a.top < b.bottom() && b.top < a.bottom()
}

#[test]
fn eight_passport_photographs_fit_when_turned_and_six_upright() {
    let turned = Layout::new(&passport(true, PageOrientation::Portrait)).unwrap();
    assert_eq!(turned.cells.len(), 8);
    assert!(turned.cells.iter().all(|cell| cell.turned));
    let (cut, last) = (turned.cells[0].cut, turned.cells[7].cut);
    // (101.6 - 2 × 45) / 2 and (152.4 - 4 × 35) / 2 millimetres stay free at each side.
    assert_eq!([cut.left, cut.top, cut.width, cut.height].map(Length::get), [5_800, 6_200, 45_000, 35_000]);
    assert_eq!([last.right(), last.bottom()].map(Length::get), [101_600 - 5_800, 152_400 - 6_200]);
    let upright = Layout::new(&passport(false, PageOrientation::Portrait)).unwrap();
    assert_eq!((upright.cells.len(), upright.cells[0].turned), (6, false));
    let wide = Layout::new(&passport(true, PageOrientation::Landscape)).unwrap();
    assert_eq!((wide.cells.len(), wide.cells[0].turned), (8, false), "nothing is turned that fits as well upright");
}

#[test]
fn a_grid_fills_the_page_between_its_margins_exactly() {
    let page = PageOptions {
        margins: Margins::all(Length::millimetres(10)),
        gap: Length::millimetres(5),
        caption: Length::millimetres(6),
        ..options(Arrangement::Grid { rows: 5, columns: 4 })
    };
    let layout = Layout::new(&page).unwrap();
    assert_eq!(layout.cells.len(), 20);
    let first = layout.cells[0];
    // (190 - 3 × 5) / 4 and (277 - 4 × 5) / 5 - 6 millimetres.
    assert_eq!([first.cut.left, first.cut.top, first.cut.width, first.cut.height].map(Length::get), [10_000, 10_000, 43_750, 45_400]);
    let last = layout.cells[19];
    assert_eq!((last.cut.right().get(), last.caption.unwrap().bottom().get()), (200_000, 287_000));
}

#[test]
fn a_bleed_enlarges_the_page_and_reaches_over_each_cut() {
    let bleed = Length::millimetres(3);
    let page = PageOptions { bleed, ..options(Arrangement::Grid { rows: 1, columns: 2 }) };
    let layout = Layout::new(&page).unwrap();
    assert_eq!((layout.media.width.get(), layout.media.height.get()), (216_000, 303_000));
    assert_eq!((layout.trim.left, layout.trim.width.get()), (bleed, 210_000));
    let [left, right] = layout.cells[..] else { panic!("two cells") };
    assert_eq!([left.bleed.left, left.bleed.right(), left.bleed.bottom()].map(Length::get), [0, 108_000, 303_000]);
    assert_eq!([right.bleed.left, right.bleed.right()].map(Length::get), [108_000, 216_000]);
    let close = PageOptions { gap: Length::millimetres(5), ..page };
    assert_eq!(Layout::new(&close).unwrap_err().code(), "sheet.bleed-invalid");
    assert!(Layout::new(&PageOptions { gap: Length::millimetres(6), ..page }).is_ok());
}

#[test]
fn what_cannot_be_laid_out_is_refused() {
    for (rows, columns) in [(0, 1), (1, 0), (101, 1), (1, 101), (u32::MAX, 1)] {
        assert_eq!(Layout::new(&options(Arrangement::Grid { rows, columns })).unwrap_err().code(), "sheet.grid-invalid");
    }
    let grid = options(Arrangement::Grid { rows: 2, columns: 2 });
    for margin in [104, 105, 200, 9_999] {
        let page = PageOptions { margins: Margins::all(Length::millimetres(margin)), gap: Length::millimetres(1), ..grid };
        assert_eq!(Layout::new(&page).unwrap_err().code(), "sheet.does-not-fit", "{margin}");
    }
    for paper in ["9x9mm", "2001x100mm"] {
        assert_eq!(Layout::new(&PageOptions { paper: paper.parse().unwrap(), ..grid }).unwrap_err().code(), "sheet.page-invalid");
    }
    let large = Arrangement::Photographs { size: "300x300mm".parse().unwrap(), turn: true };
    assert_eq!(Layout::new(&options(large)).unwrap_err().code(), "sheet.does-not-fit");
}

#[test]
fn guides_lie_on_the_cuts() {
    let page = PageOptions { guides: CutGuides::Marks, ..passport(true, PageOrientation::Portrait) };
    let layout = Layout::new(&page).unwrap();
    // Three vertical cuts with a mark above and below, five horizontal ones with marks at both sides.
    assert_eq!(layout.guides.len(), 3 * 2 + 5 * 2);
    for mark in &layout.guides {
        let area = Area { left: mark.left, top: mark.top, width: mark.across, height: mark.down };
        assert!(layout.cells.iter().all(|cell| !overlap(&cell.cut, &area)), "{mark:?}");
        assert!(area.left >= Length::ZERO && area.right() <= layout.media.width && area.bottom() <= layout.media.height);
    }
    let lines = Layout::new(&PageOptions { guides: CutGuides::Lines, ..page }).unwrap().guides;
    assert_eq!(lines.len(), 3 + 5);
    assert!(lines.iter().any(|line| (line.left.get(), line.down) == (5_800, layout.media.height)));
}

proptest! {
    #[test]
    fn cells_lie_within_the_margins_and_apart(
        (rows, columns) in (1u32..12, 1u32..12), paper in (50_000i64..500_000, 50_000i64..500_000),
        margins in (0i64..9_000, 0i64..9_000, 0i64..9_000, 0i64..9_000), (gap, bleed, caption) in (0i64..3_000, 0i64..1_500, 0i64..3_000),
        photographs in proptest::bool::ANY, turn in proptest::bool::ANY, landscape in proptest::bool::ANY,
    ) {
        let um = Length::micrometres;
        let size = PaperSize { width: um(paper.0 / i64::from(columns)), height: um(paper.1 / i64::from(rows)) };
        let arrangement = if photographs { Arrangement::Photographs { size, turn } } else { Arrangement::Grid { rows, columns } };
        let page = PageOptions {
            paper: PaperSize { width: um(paper.0), height: um(paper.1) },
            orientation: if landscape { PageOrientation::Landscape } else { PageOrientation::Portrait },
            margins: Margins { top: um(margins.0), right: um(margins.1), bottom: um(margins.2), left: um(margins.3) },
            gap: um(gap), bleed: um(bleed), caption: um(caption), guides: CutGuides::Lines, arrangement,
        };
        let Ok(layout) = Layout::new(&page) else { return Ok(()) };
        let free = page.margins.within(layout.trim);
        for (index, cell) in layout.cells.iter().enumerate() {
            let end = cell.caption.map_or(cell.cut.bottom(), |caption| caption.bottom());
            prop_assert!(cell.cut.left >= free.left && cell.cut.right() <= free.right());
            prop_assert!(cell.cut.top >= free.top && end <= free.bottom());
            prop_assert!(cell.bleed.left <= cell.cut.left && cell.bleed.right() >= cell.cut.right());
            for other in &layout.cells[index + 1..] {
                prop_assert!(!overlap(&cell.cut, &other.cut) && !overlap(&cell.bleed, &other.bleed));
                if let Some(caption) = cell.caption {
                    prop_assert!(!overlap(&caption, &other.cut) && !overlap(&caption, &other.bleed));
                }
            }
        }
        if !photographs {
            prop_assert_eq!(layout.cells.len() as u32, rows * columns);
            prop_assert_eq!(layout.cells.last().map(|cell| cell.cut.right()), Some(free.right()), "no error adds up");
        } else {
            let first = layout.cells[0];
            let expected = if first.turned { size.swapped() } else { size };
            prop_assert!(layout.cells.iter().all(|cell| (cell.cut.width, cell.cut.height) == (expected.width, expected.height)));
        }
    }
}
