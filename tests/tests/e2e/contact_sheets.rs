//! Sheets of photographs, looked at by tools that know nothing of this project: qpdf and Poppler.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use breakwater_tests::artifacts::Artifacts;
use breakwater_tests::external::program;
use breakwater_tests::forged;
use image::{DynamicImage, ImageFormat, RgbImage};
use serde_json::Value;

use crate::contact_sheets_large::photographs;

const RED: [u8; 3] = [220, 20, 20];
const GREEN: [u8; 3] = [20, 200, 20];
const BLUE: [u8; 3] = [20, 20, 220];

/// `breakwater sheet` in a folder.
pub(crate) fn sheet(folder: &Path, arguments: &[&str]) -> Output {
    let artifacts = Artifacts::locate().unwrap();
    let mut command = Command::new(artifacts.binary);
    command.current_dir(folder).env("BREAKWATER__DATA__DIR", folder.join("data")).env("BREAKWATER__PLUGINS__DIR", artifacts.plugins);
    command.arg("sheet").args(arguments).output().unwrap()
}

#[track_caller]
pub(crate) fn succeeded(output: &Output) -> String {
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}{errors}");
    text.into_owned()
}

/// What a tool says; nothing, after saying so, on a machine without it.
pub(crate) fn tool(name: &str, folder: &Path, arguments: &[&str]) -> Option<String> {
    let Some(path) = program(name) else {
        println!("NOT RUN: sheets looked at with {name} (it is not there)");
        return None;
    };
    let output = Command::new(path).current_dir(folder).args(arguments).output().unwrap();
    Some(succeeded(&output))
}

/// Writes a picture of one colour.
fn plain(folder: &Path, name: &str, colour: [u8; 3], size: (u32, u32)) -> String {
    let picture = DynamicImage::ImageRgb8(RgbImage::from_pixel(size.0, size.1, colour.into()));
    let format = if name.ends_with("png") { ImageFormat::Png } else { ImageFormat::Jpeg };
    std::fs::write(folder.join(name), forged::encode(&picture, format).unwrap()).unwrap();
    name.to_owned()
}

/// Bounds of the pixels that are nearly of a colour: left, top, right, bottom.
fn bounds(page: &RgbImage, colour: [u8; 3]) -> [u32; 4] {
    let near = |pixel: &image::Rgb<u8>| pixel.0.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 50);
    let found: Vec<(u32, u32)> = page.enumerate_pixels().filter(|(.., pixel)| near(pixel)).map(|(x, y, _)| (x, y)).collect();
    assert!(!found.is_empty(), "nothing is of the colour {colour:?}");
    let (left, right) = (found.iter().map(|p| p.0).min().unwrap(), found.iter().map(|p| p.0).max().unwrap());
    let (top, bottom) = (found.iter().map(|p| p.1).min().unwrap(), found.iter().map(|p| p.1).max().unwrap());
    [left, top, right + 1, bottom + 1]
}

/// Where millimetres on paper are at 300 dpi.
fn pixels(millimetres: [f64; 4]) -> [u32; 4] {
    millimetres.map(|length| (length * 300.0 / 25.4).round() as u32)
}

/// Poppler widens a picture to whole pixels, so that an edge may be one pixel off; never two.
#[track_caller]
fn assert_at(page: &RgbImage, colour: [u8; 3], millimetres: [f64; 4]) {
    let (found, expected) = (bounds(page, colour), pixels(millimetres));
    assert!(found.iter().zip(expected).all(|(found, expected)| found.abs_diff(expected) <= 1), "{colour:?} at {found:?}, not {expected:?}");
}

fn pages(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut pages: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(prefix));
    pages.sort();
    pages
}

#[test]
fn eight_passport_photographs_lie_on_a_print_to_the_pixel() {
    let folder = tempfile::tempdir().unwrap();
    let colours = [("a.jpg", RED), ("b.png", GREEN), ("c.jpg", BLUE)];
    let names: Vec<String> = colours.iter().map(|(name, colour)| plain(folder.path(), name, *colour, (350, 450))).collect();
    let files: Vec<&str> = names.iter().map(String::as_str).collect();
    let common = ["--photo", "35x45mm", "--page", "4x6in", "--cut-guides", "marks", "--json", "--copies", "1"];
    let answer = succeeded(&sheet(folder.path(), &[&files[..], &common, &["--out", "sheet.pdf"]].concat()));
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((&answer["places_per_page"], &answer["turned"], &answer["pages"]), (&8.into(), &true.into(), &1.into()), "{answer}");
    let upright = succeeded(&sheet(folder.path(), &[&files[..], &common, &["--out", "upright.pdf", "--rotate", "never"]].concat()));
    assert_eq!(serde_json::from_str::<Value>(&upright).unwrap()["places_per_page"], 6);

    // 2 × 45 and 4 × 35 mm in the middle of 101.6 × 152.4 mm.
    let places = [(RED, [5.8, 6.2, 50.8, 41.2]), (GREEN, [50.8, 6.2, 95.8, 41.2]), (BLUE, [5.8, 41.2, 50.8, 76.2])];
    if tool("pdftoppm", folder.path(), &["-r", "300", "-png", "sheet.pdf", "page"]).is_some() {
        let page = image::open(&pages(folder.path(), "page")[0]).unwrap().into_rgb8();
        assert_eq!(page.dimensions(), (1200, 1800));
        places.iter().for_each(|(colour, place)| assert_at(&page, *colour, *place));
    }
    succeeded(&sheet(folder.path(), &[&files[..], &common, &["--out", "sheet.png", "--dpi", "300"]].concat()));
    let page = image::open(folder.path().join("sheet.png")).unwrap().into_rgb8();
    assert_eq!(page.dimensions(), (1200, 1800));
    places.iter().for_each(|(colour, place)| assert_eq!(bounds(&page, *colour), pixels(*place)));
}

#[test]
fn a_grid_with_captions_goes_over_several_pages() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["rot.jpg", "grün.png", "ירוק.jpg"].map(|name| plain(folder.path(), name, BLUE, (300, 200)));
    let mut files: Vec<&str> = names.iter().cycle().take(43).map(String::as_str).collect();
    let red = plain(folder.path(), "last.png", RED, (300, 200));
    files.push(&red);
    let arguments = ["--grid", "4x5", "--page", "A4", "--output-format", "pdf", "--captions", "--fit", "fill", "--out", "sheet.pdf"];
    let said = succeeded(&sheet(folder.path(), &[&files[..], &arguments].concat()));
    assert!(said.starts_with("44 photographs on 3 pages"), "{said}");
    let first = std::fs::read(folder.path().join("sheet.pdf")).unwrap();
    succeeded(&sheet(folder.path(), &[&files[..], &arguments].concat()));
    assert_eq!(std::fs::read(folder.path().join("sheet.pdf")).unwrap(), first, "the same sheet is the same file");

    if let Some(checked) = tool("qpdf", folder.path(), &["--check", "sheet.pdf"]) {
        assert!(checked.contains("No syntax or stream encoding errors"), "{checked}");
    }
    if let Some(fonts) = tool("pdffonts", folder.path(), &["sheet.pdf"]) {
        let font = fonts.lines().nth(2).unwrap();
        let (name, rest) = font.split_once(' ').unwrap();
        assert!(name.contains("+DejaVuSans") && rest.split_whitespace().filter(|word| *word == "yes").count() == 3, "{fonts}");
    }
    if let Some(text) = tool("pdftotext", folder.path(), &["sheet.pdf", "-"]) {
        assert!(text.contains("rot.jpg") && text.contains("grün.png") && text.contains("ירוק"), "{text}");
    }
    if let Some(images) = tool("pdfimages", folder.path(), &["-list", "sheet.pdf"]) {
        let objects: std::collections::BTreeSet<&str> = images.lines().skip(2).filter_map(|line| line.split_whitespace().nth(10)).collect();
        // The two blue JPEGs have the same bytes.
        assert_eq!(objects.len(), 3, "{images}");
    }
    if tool("pdftoppm", folder.path(), &["-r", "300", "-f", "3", "-png", "sheet.pdf", "page"]).is_some() {
        let page = image::open(&pages(folder.path(), "page")[0]).unwrap().into_rgb8();
        // The fourth cell of the page: three cells of (190 - 3 × 4) / 4 mm and three gaps to the left; the caption is 1.7 × 8 points high.
        let (left, height) = (10.0 + 3.0 * (44.5 + 4.0), (277.0 - 4.0 * 4.0) / 5.0 - 1.7 * 8.0 * 25.4 / 72.0);
        assert_at(&page, RED, [left, 10.0, 200.0, 10.0 + height]);
    }
}

#[test]
fn boxes_of_a_page_say_where_to_trim_it() {
    let folder = tempfile::tempdir().unwrap();
    let name = plain(folder.path(), "a.jpg", GREEN, (300, 200));
    let arguments = ["--grid", "1x1", "--page", "100x100mm", "--margin", "0", "--bleed", "3mm", "--fit", "fill", "--out", "sheet.pdf"];
    succeeded(&sheet(folder.path(), &[&[name.as_str()][..], &arguments].concat()));
    let Some(said) = tool("pdfinfo", folder.path(), &["-box", "sheet.pdf"]) else { return };
    let of = |name: &str| -> Vec<f64> {
        let line = said.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().skip(1).map(|number| number.parse().unwrap()).collect()
    };
    let (whole, bleed) = (106.0 * 72.0 / 25.4, 3.0 * 72.0 / 25.4);
    let close = |found: Vec<f64>, expected: [f64; 4]| found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.006);
    assert!(close(of("MediaBox"), [0.0, 0.0, whole, whole]) && close(of("BleedBox"), [0.0, 0.0, whole, whole]), "{said}");
    assert!(close(of("TrimBox"), [bleed, bleed, whole - bleed, whole - bleed]), "{said}");
    tool("pdftoppm", folder.path(), &["-r", "300", "-png", "sheet.pdf", "page"]).unwrap();
    let page = image::open(&pages(folder.path(), "page")[0]).unwrap().into_rgb8();
    assert_at(&page, GREEN, [0.0, 0.0, 106.0, 106.0]);
}

#[test]
fn orientation_and_inks_of_a_jpeg_are_shown_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ink.jpg"), forged::cmyk_jpeg(160, 160)).unwrap();
    // Stored with blue above green; EXIF says that its right is up.
    let picture = RgbImage::from_fn(160, 160, |_, y| if y < 80 { BLUE } else { GREEN }.into());
    let stored = forged::encode(&DynamicImage::ImageRgb8(picture), ImageFormat::Jpeg).unwrap();
    let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    std::fs::write(folder.path().join("turned.jpg"), [&stored[..2], &[0xff, 0xe1], &length, exif, &stored[2..]].concat()).unwrap();
    let arguments = ["ink.jpg", "turned.jpg", "--grid", "1x2", "--page", "100x200mm", "--margin", "0", "--gap", "0", "--out", "sheet.pdf"];
    succeeded(&sheet(folder.path(), &arguments));
    if tool("pdftoppm", folder.path(), &["-r", "300", "-png", "sheet.pdf", "page"]).is_none() {
        return;
    }
    let page = image::open(&pages(folder.path(), "page")[0]).unwrap().into_rgb8();
    assert_at(&page, [255, 0, 0], [0.0, 0.0, 100.0, 100.0]);
    // A quarter turn to the right brings what was above to the right.
    assert_at(&page, GREEN, [0.0, 100.0, 50.0, 200.0]);
    assert_at(&page, BLUE, [50.0, 100.0, 100.0, 200.0]);
}

#[test]
fn every_photograph_that_cannot_be_read_is_named_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let good = plain(folder.path(), "good.jpg", RED, (30, 20));
    std::fs::write(folder.path().join("text.jpg"), "no picture").unwrap();
    let cut = std::fs::read(folder.path().join(&good)).unwrap();
    std::fs::write(folder.path().join("cut.jpg"), &cut[..cut.len() / 2]).unwrap();
    let output = sheet(folder.path(), &[&good, "text.jpg", &good, "none.jpg", "cut.jpg", "--grid", "1x1", "--out", "sheet.pdf", "--json"]);
    assert!(!output.status.success());
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(error["error"]["code"], "sheet.images-unreadable");
    let indices: Vec<_> = error["error"]["details"]["images"].as_array().unwrap().iter().map(|image| image["index"].clone()).collect();
    assert_eq!(indices, [1, 3, 4]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(["text.jpg", "none.jpg", "cut.jpg"].iter().all(|name| said.contains(name)), "{said}");
    assert!(pages(folder.path(), "sheet").is_empty() && pages(folder.path(), ".sheet").is_empty());
}

#[test]
fn a_full_disk_fails_the_sheet_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    photographs(folder.path(), 20);
    let binary = Artifacts::locate().unwrap().binary;
    // Files may have a megabyte; what goes over is refused to the program, as by a full disk.
    let script = format!("trap '' XFSZ; ulimit -f 2048; exec {} sheet 00*.jpg --grid 4x5 --out sheet.pdf", binary.display());
    let output = Command::new("sh").arg("-c").arg(script).current_dir(folder.path()).env("BREAKWATER__DATA__DIR", "data").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the sheet cannot be written"), "{said}");
    assert!(pages(folder.path(), "sheet").is_empty() && pages(folder.path(), ".sheet").is_empty());
}
