//! Sheets of photographs.

use std::path::PathBuf;

use breakwater_operations::GridLayout;
use clap::{ArgGroup, Args, ValueEnum};

use super::{Places, values};

/// Lengths are written with a unit, such as 10mm, 1.5cm, 4in or 12pt; without one they are millimetres
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("arrangement").required(true).args(["grid", "photo"])))]
pub(crate) struct SheetArguments {
    /// Pictures, in the order of the sheet
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Where the sheet goes; pictures of several pages are numbered
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Columns and rows of each page, such as 4x5
    #[arg(long, value_name = "COLUMNSxROWS", value_parser = grid)]
    pub(crate) grid: Option<GridLayout>,
    /// Exact size of each photograph, such as 35x45mm, as many as fit
    #[arg(long, value_name = "SIZE")]
    pub(crate) photo: Option<String>,
    /// Paper: a name such as A4 or Letter, or a measure such as 4x6in
    #[arg(long, value_name = "PAPER", default_value = "A4")]
    pub(crate) page: String,
    /// Lay the pages on their sides
    #[arg(long)]
    pub(crate) landscape: bool,
    /// pdf, png or jpeg; without it, what the end of the name of --out says
    #[arg(long, value_name = "FORMAT")]
    pub(crate) output_format: Option<String>,
    /// What stays free at the edges of a page: one to four lengths in the order of CSS; 10mm without it, with --photo none
    #[arg(long, value_name = "LENGTHS")]
    pub(crate) margin: Option<String>,
    /// Between pictures; 4mm or twice the bleed without it, with --photo none
    #[arg(long, value_name = "LENGTH")]
    pub(crate) gap: Option<String>,
    /// How far pictures that fill their cells reach beyond the cut
    #[arg(long, value_name = "LENGTH")]
    pub(crate) bleed: Option<String>,
    /// Lines to cut along: none, marks or lines
    #[arg(long, value_name = "KIND")]
    pub(crate) cut_guides: Option<String>,
    /// fit shows all of a picture, fill cuts off evenly, crop cuts where a strategy says
    #[arg(long, value_name = "HOW")]
    pub(crate) fit: Option<String>,
    /// Strategy that chooses where to cut; means --fit crop
    #[arg(long, value_name = "NAME")]
    pub(crate) strategy: Option<String>,
    /// Lay pictures on their sides: each that is larger so (auto), or none even where more of an exact size fit (never)
    #[arg(long, value_name = "WHEN")]
    pub(crate) rotate: Option<Rotate>,
    /// How often each picture is placed; without it once, with --photo as often as fills a page
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) copies: Option<u32>,
    /// Write the name of each file below its picture
    #[arg(long)]
    pub(crate) captions: bool,
    /// Height of the letters of captions in points, 4 to 72
    #[arg(long, value_name = "POINTS", requires = "captions", value_parser = values::number(4.0, 72.0))]
    pub(crate) caption_size: Option<f32>,
    /// Resolution of png and jpeg pages (300 without it), and the highest of pictures in a pdf (any without it), 36 to 1200
    #[arg(long, value_parser = clap::value_parser!(u32).range(36..=1200))]
    pub(crate) dpi: Option<u32>,
    /// Quality of what is written as JPEG, 1 to 100
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) quality: Option<u8>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) places: Places,
}

/// When pictures are laid on their sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rotate {
    Auto,
    Never,
}

/// Reads `4x5`: four columns, five rows. How many there may be is decided where sheets are made.
fn grid(text: &str) -> Result<GridLayout, String> {
    let wrong = || format!("{text:?} is no grid; write columns and rows, such as 4x5");
    let (columns, rows) = text.split_once(['x', 'X', '×']).ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<u32>().map_err(|_| wrong());
    Ok(GridLayout { rows: number(rows)?, columns: number(columns)? })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::{Cli, Command};

    #[test]
    fn a_sheet_is_a_grid_or_photographs_of_a_size() {
        let parse = |arguments: &[&str]| Cli::try_parse_from([&["breakwater", "sheet", "a.jpg", "--out", "s.pdf"], arguments].concat());
        let Ok(Cli { command: Command::Sheet(sheet) }) = parse(&["--grid", "4x5", "--page", "A5"]) else { panic!("a sheet") };
        let grid = sheet.grid.unwrap();
        assert_eq!((grid.columns, grid.rows, sheet.page.as_str()), (4, 5, "A5"));
        assert!(parse(&["--photo", "35x45mm", "--rotate", "never"]).is_ok());
        assert!(parse(&["--grid", "4x5", "--captions", "--caption-size", "72", "--copies", "1", "--dpi", "36", "--quality", "1"]).is_ok());
        for wrong in [
            &[][..],
            &["--grid", "4x5", "--photo", "35x45mm"],
            &["--grid", "four"],
            &["--grid", "4x-5"],
            &["--grid", "4x5", "--caption-size", "9"],
            &["--grid", "4x5", "--captions", "--caption-size", "3"],
            &["--grid", "4x5", "--copies", "0"],
            &["--grid", "4x5", "--dpi", "35"],
            &["--grid", "4x5", "--dpi", "1201"],
            &["--grid", "4x5", "--quality", "0"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
