//! Sheets as files: what is in a PDF, and where the pixels of a page are.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use breakwater_core::{Rect, Size};
use breakwater_vision::sheet::{
    Arrangement, Composer, CutGuides, Fit, Length, Margins, PageOptions, PageOrientation, PaperSize, Photograph, SheetFormat, SheetOptions,
    Target, caption_height,
};
use breakwater_vision::{Detail, Image, Limits};
use jpeg_encoder::ColorType;

use crate::inputs;

/// Files in memory.
#[derive(Default, Clone)]
struct Files(Arc<Mutex<Vec<Vec<u8>>>>);

impl Target for Files {
    type File = Vec<u8>;

    fn begin(&mut self) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn finish(&mut self, file: Vec<u8>) -> io::Result<()> {
        self.0.lock().unwrap().push(file);
        Ok(())
    }
}

fn options(format: SheetFormat, arrangement: Arrangement) -> SheetOptions {
    let page = PageOptions {
        paper: "4x6in".parse().unwrap(),
        orientation: PageOrientation::Portrait,
        margins: Margins::default(),
        gap: Length::ZERO,
        bleed: Length::ZERO,
        caption: Length::ZERO,
        guides: CutGuides::None,
        arrangement,
    };
    SheetOptions { page, fit: Fit::Fill, turn: false, caption_size: 8.0, format, dpi: None, quality: None }
}

fn grid(rows: u32, columns: u32) -> Arrangement {
    Arrangement::Grid { rows, columns }
}

fn compose(options: &SheetOptions, photographs: &[Photograph]) -> Vec<Vec<u8>> {
    let files = Files::default();
    let mut composer = Composer::begin(options, options.layout().unwrap(), Limits::default(), files.clone()).unwrap();
    photographs.iter().for_each(|photograph| drop(composer.place(photograph).unwrap()));
    composer.finish().unwrap();
    Arc::try_unwrap(files.0).unwrap().into_inner().unwrap()
}

fn photograph(bytes: Vec<u8>) -> Photograph {
    Photograph::read(bytes.into(), &Limits::default()).unwrap()
}

/// A picture of one colour.
fn plain(colour: [u8; 3], size: Size) -> Photograph {
    let pixels = colour.repeat(size.pixels() as usize);
    photograph(inputs::png_of(&pixels, size, image::ExtendedColorType::Rgb8))
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).filter(|window| *window == needle).count()
}

/// Bounds of the pixels that are nearly of a colour: left, top, width, height.
fn bounds(page: &[u8], colour: [u8; 3]) -> Option<Rect> {
    let image = Image::decode(page.to_vec().into(), Detail::Full, &Limits::default()).unwrap();
    let width = image.size().width;
    let near = |pixel: &[u8]| pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 40);
    let found = image.raster().pixels().chunks(4).enumerate().filter(|(_, pixel)| near(&pixel[..3]));
    let found: Vec<(u32, u32)> = found.map(|(index, _)| (index as u32 % width, index as u32 / width)).collect();
    let (left, right) = (found.iter().map(|p| p.0).min()?, found.iter().map(|p| p.0).max()?);
    let (top, bottom) = (found.iter().map(|p| p.1).min()?, found.iter().map(|p| p.1).max()?);
    Some(Rect::new(left, top, right - left + 1, bottom - top + 1))
}

#[test]
fn a_jpeg_is_embedded_as_it_is_and_once_however_often_it_is_placed() {
    let jpeg = inputs::jpeg(Size::new(64, 48));
    let photograph = photograph(jpeg.clone());
    let sheet = compose(&options(SheetFormat::Pdf, grid(2, 2)), &vec![photograph; 10]);
    let [pdf] = &sheet[..] else { panic!("a PDF is one file") };
    assert_eq!(count(pdf, b"/Subtype/Image"), 1);
    assert_eq!(count(pdf, b"/Type/Page/"), 3, "four on a page");
    let scan = jpeg.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
    assert_eq!(count(pdf, &jpeg[scan..]), 1, "the coded picture is the same bytes");
}

#[test]
fn the_same_sheet_is_the_same_file() {
    let make = || {
        let photographs = [photograph(inputs::jpeg(Size::new(64, 48))), photograph(inputs::png(Size::new(20, 30))).captioned("Ärger שלום")];
        let mut options = options(SheetFormat::Pdf, grid(2, 1));
        options.page.caption = caption_height(8.0);
        compose(&options, &photographs)
    };
    assert_eq!(make(), make());
}

#[test]
fn colours_of_a_jpeg_are_named_as_they_are() {
    let size = Size::new(16, 16);
    for (channels, colour, name) in
        [(1, ColorType::Luma, &b"/DeviceGray"[..]), (3, ColorType::Rgb, b"/DeviceRGB"), (4, ColorType::Cmyk, b"/DeviceCMYK")]
    {
        let jpeg = inputs::jpeg_of(&vec![90; 256 * channels], size, colour, &inputs::PLAIN);
        let adobe = count(&jpeg, b"Adobe") > 0;
        let [pdf] = &compose(&options(SheetFormat::Pdf, grid(1, 1)), &[photograph(jpeg)])[..] else { panic!("a PDF is one file") };
        assert_eq!(count(pdf, name), 1);
        assert_eq!(count(pdf, b"/Decode["), usize::from(channels == 4 && adobe));
    }
}

#[test]
fn metadata_stays_out_of_a_sheet() {
    let jpeg = inputs::jpeg(Size::new(16, 16));
    let exif = [b"Exif\0\0".to_vec(), inputs::tiff(6), b"a secret place".to_vec()].concat();
    let segment = [&[0xff, 0xe1][..], &u16::try_from(exif.len() + 2).unwrap().to_be_bytes(), &exif].concat();
    let with = [&jpeg[..2], &segment, &jpeg[2..], b"and what a camera appends"].concat();
    let photograph = photograph(with);
    assert_eq!(photograph.size(), Size::new(16, 16));
    let [pdf] = &compose(&options(SheetFormat::Pdf, grid(1, 1)), &[photograph])[..] else { panic!("a PDF is one file") };
    assert_eq!((count(pdf, b"a secret place"), count(pdf, b"appends")), (0, 0));
}

#[test]
fn pixels_of_a_page_are_where_the_layout_says() {
    let photographs = [plain([200, 0, 0], Size::new(30, 40)), plain([0, 200, 0], Size::new(40, 30)), plain([0, 0, 200], Size::new(10, 10))];
    let mut options = options(SheetFormat::Png, Arrangement::Photographs { size: "35x45mm".parse().unwrap(), turn: true });
    options.dpi = Some(300);
    let pages = compose(&options, &photographs);
    let [page] = &pages[..] else { panic!("one page") };
    // 5.8 mm, 6.2 mm, then steps of 45 and 35 mm, at 300 dpi.
    let pixel = |mm: f64| (mm * 300.0 / 25.4).round() as u32;
    for (colour, left, top) in [([200, 0, 0], 5.8, 6.2), ([0, 200, 0], 50.8, 6.2), ([0, 0, 200], 5.8, 41.2)] {
        let (x, y) = (pixel(left), pixel(top));
        assert_eq!(bounds(page, colour), Some(Rect::new(x, y, pixel(left + 45.0) - x, pixel(top + 35.0) - y)));
    }
}

#[test]
fn a_turned_photograph_has_its_top_to_the_left() {
    // The upper half is red, the lower one blue.
    let size = Size::new(30, 40);
    let pixels: Vec<u8> = (0..1200).flat_map(|index| if index < 600 { [200, 0, 0] } else { [0, 0, 200] }).collect();
    let halves = photograph(inputs::png_of(&pixels, size, image::ExtendedColorType::Rgb8));
    let mut options = options(SheetFormat::Png, grid(1, 1));
    options.page.orientation = PageOrientation::Landscape;
    (options.turn, options.fit, options.dpi) = (true, Fit::Fit, Some(100));
    let [page] = &compose(&options, &[halves])[..] else { panic!("one page") };
    let (red, blue) = (bounds(page, [200, 0, 0]).unwrap(), bounds(page, [0, 0, 200]).unwrap());
    assert!(red.x + red.width <= blue.x && red.height == 400, "{red} and {blue}");
}

#[test]
fn every_page_is_a_picture_and_captions_are_drawn() {
    let photographs: Vec<_> = (0..5).map(|index| plain([250, 250, 0], Size::new(8, 8)).captioned(format!("{index}"))).collect();
    let mut options = options(SheetFormat::Jpeg, grid(1, 2));
    options.page.caption = caption_height(8.0);
    let pages = compose(&options, &photographs);
    assert_eq!(pages.len(), 3);
    let black = bounds(&pages[0], [0, 0, 0]).expect("letters");
    assert!(black.y > 1700 && black.height > 15 && black.height < 40, "{black}");
}

#[test]
fn a_page_of_too_many_pixels_is_refused_before_it_is_made() {
    let mut options = options(SheetFormat::Png, grid(1, 1));
    (options.page.paper, options.dpi) = (PaperSize { width: PaperSize::MAX_EDGE, height: PaperSize::MAX_EDGE }, Some(1200));
    let refused = Composer::begin(&options, options.layout().unwrap(), Limits::default(), Files::default());
    assert_eq!(refused.err().unwrap().code(), "sheet.too-many-pixels");
    for (dpi, quality, caption_size) in
        [(Some(35), None, 8.0), (Some(1201), None, 8.0), (None, Some(0), 8.0), (None, None, 3.9), (None, None, 73.0)]
    {
        let wrong = SheetOptions { dpi, quality, caption_size, ..options.clone() };
        assert_eq!(wrong.layout().unwrap_err().code(), "sheet.option-out-of-range");
    }
}

#[test]
fn photographs_above_the_resolution_asked_for_are_scaled() {
    let large = photograph(inputs::jpeg(Size::new(1200, 1800)));
    let mut options = options(SheetFormat::Pdf, grid(1, 1));
    options.dpi = Some(72);
    let [pdf] = &compose(&options, &[large])[..] else { panic!("a PDF is one file") };
    // 4 by 6 inches.
    assert_eq!((count(pdf, b"/Width 288"), count(pdf, b"/Height 432")), (1, 1));
}

#[test]
fn a_full_disk_is_an_error() {
    struct Full;
    struct Narrow(usize);
    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Target for Full {
        type File = Narrow;
        fn begin(&mut self) -> io::Result<Narrow> {
            Ok(Narrow(300))
        }
        fn finish(&mut self, _: Narrow) -> io::Result<()> {
            Ok(())
        }
    }
    for format in [SheetFormat::Pdf, SheetFormat::Png, SheetFormat::Jpeg] {
        let options = options(format, grid(1, 1));
        let composed = Composer::begin(&options, options.layout().unwrap(), Limits::default(), Full)
            .and_then(|mut composer| composer.place(&photograph(inputs::jpeg(Size::new(64, 48)))).map(|_| composer))
            .and_then(Composer::finish);
        assert_eq!(composed.err().unwrap().code(), "sheet.write-failed", "{format:?}");
    }
}

#[test]
fn damaged_photographs_are_told_whether_placed_or_only_checked() {
    let mut jpeg = inputs::jpeg(Size::new(64, 48));
    jpeg.truncate(jpeg.len() - 40);
    let mut png = inputs::png(Size::new(64, 48));
    png.truncate(png.len() / 2);
    for bytes in [jpeg, png] {
        let damaged = photograph(bytes);
        assert_eq!(damaged.check(&Limits::default()).unwrap_err().code(), "image.corrupt");
        for format in [SheetFormat::Pdf, SheetFormat::Png] {
            let options = options(format, grid(1, 1));
            let mut composer = Composer::begin(&options, options.layout().unwrap(), Limits::default(), Files::default()).unwrap();
            assert_eq!(composer.place(&damaged).unwrap_err().code(), "image.corrupt");
        }
    }
}
