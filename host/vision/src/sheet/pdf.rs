//! A sheet as a PDF, written photograph by photograph and page by page.

mod embed;
mod file;
mod fonts;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use breakwater_core::Size;
use pdf_writer::{Content, Finish as _, Name, Rect, Ref, Settings, Str};

use self::embed::{Colours, Stream};
use self::file::PdfFile;
use self::fonts::Fonts;
use super::captions::{Line, Typesetter};
use super::composer::PlacedPhotograph;
use super::layout::Area;
use super::placement::{self, Placement};
use super::{Layout, Length, Photograph, SheetError, SheetOptions};
use crate::orientation::Orientation;
use crate::{ContentDigest, Limits};

/// Guides are a quarter of a point wide and half grey: to be seen, not to be printed on what is cut out.
const GUIDE_WIDTH: f32 = 0.25;
const GUIDE_GREY: f32 = 0.5;

/// A photograph that is in the file.
#[derive(Clone, Copy)]
struct Embedded {
    id: Ref,
    orientation: Orientation,
}

/// What a photograph was embedded as: scaled, it is another one.
type Identity = (ContentDigest, Option<(u32, u32)>);

/// The page under way.
struct Page {
    content: Content,
    photographs: BTreeSet<Ref>,
}

impl Default for Page {
    fn default() -> Self {
        Self { content: Content::with_settings(Settings { pretty: false }), photographs: BTreeSet::new() }
    }
}

/// A sheet under way.
pub(super) struct PdfSheet<W: Write> {
    file: PdfFile<W>,
    options: SheetOptions,
    layout: Layout,
    limits: Limits,
    catalog: Ref,
    tree: Ref,
    pages: Vec<Ref>,
    embedded: BTreeMap<Identity, Embedded>,
    profiles: BTreeMap<ContentDigest, Ref>,
    fonts: Fonts,
    typesetter: Typesetter,
    page: Page,
}

impl<W: Write> PdfSheet<W> {
    pub(super) fn begin(out: W, options: SheetOptions, layout: Layout, limits: Limits) -> Result<Self, SheetError> {
        let mut file = PdfFile::begin(out)?;
        let (catalog, tree) = (file.reserve(), file.reserve());
        Ok(Self {
            file,
            options,
            layout,
            limits,
            catalog,
            tree,
            pages: Vec::new(),
            embedded: BTreeMap::new(),
            profiles: BTreeMap::new(),
            fonts: Fonts::default(),
            typesetter: Typesetter::new(),
            page: Page::default(),
        })
    }

    /// Puts a photograph into a cell of the page under way.
    pub(super) fn place(&mut self, cell: usize, photograph: &Photograph) -> Result<PlacedPhotograph, SheetError> {
        let Some(cell) = self.layout.cells.get(cell).copied() else { return Ok(PlacedPhotograph::default()) };
        let size = photograph.size();
        let turned = placement::is_turned(&cell, size, self.options.turn);
        let placement = placement::place(&cell, size, self.options.fit, photograph.crop, turned);
        let embedded = self.embed(photograph, &placement)?;
        self.page.photographs.insert(embedded.id);
        self.draw(&placement, embedded);
        let line = match cell.caption {
            Some(area) if !photograph.caption.trim().is_empty() => {
                let size = self.options.caption_size;
                let line = self.typesetter.line(&photograph.caption, size, area.width.in_points() as f32);
                self.write_line(&line, area);
                line
            }
            _ => Line::default(),
        };
        Ok(PlacedPhotograph { missing: line.missing })
    }

    /// Writes the page under way.
    pub(super) fn end_page(&mut self) -> Result<(), SheetError> {
        let mut page = std::mem::take(&mut self.page);
        if !self.layout.guides.is_empty() {
            page.content.save_state().set_line_width(GUIDE_WIDTH).set_stroke_gray(GUIDE_GREY);
            for guide in &self.layout.guides {
                let (left, top) = (points(guide.left), self.up(guide.top));
                page.content.move_to(left, top).line_to(points(guide.left + guide.across), self.up(guide.top + guide.down)).stroke();
            }
            page.content.restore_state();
        }
        let content = page.content.finish();
        let content = self.file.add(|chunk, id| drop(chunk.stream(id, content.as_slice())))?;
        let (media, trim) = (self.layout.media, self.layout.trim);
        let whole = Rect::new(0.0, 0.0, points(media.width), points(media.height));
        let trim = Rect::new(points(trim.left), self.up(trim.bottom()), points(trim.right()), self.up(trim.top));
        let (tree, fonts) = (self.tree, &self.fonts);
        let id = self.file.add(|chunk, id| {
            let mut written = chunk.page(id);
            written.parent(tree).media_box(whole).bleed_box(whole).trim_box(trim).contents(content);
            let mut resources = written.resources();
            let mut objects = resources.x_objects();
            for photograph in &page.photographs {
                objects.pair(Name(photograph_name(*photograph).as_bytes()), *photograph);
            }
            objects.finish();
            let mut names = resources.fonts();
            fonts.names().for_each(|(name, id)| {
                names.pair(Name(name.as_bytes()), id);
            });
        })?;
        self.pages.push(id);
        Ok(())
    }

    /// Writes what every page points at.
    pub(super) fn finish(mut self) -> Result<W, SheetError> {
        self.fonts.write(&mut self.file, &mut self.typesetter)?;
        let count = i32::try_from(self.pages.len()).unwrap_or(i32::MAX);
        let (tree, catalog, pages) = (self.tree, self.catalog, std::mem::take(&mut self.pages));
        self.file.write(tree, |chunk| {
            chunk.pages(tree).kids(pages).count(count);
        })?;
        self.file.write(catalog, |chunk| {
            chunk.indirect(catalog).start::<pdf_writer::writers::Catalog>().pages(tree);
        })?;
        Ok(self.file.finish(catalog)?)
    }

    /// The photograph in the file; it is written the first time only.
    fn embed(&mut self, photograph: &Photograph, placement: &Placement) -> Result<Embedded, SheetError> {
        let size = self.options.dpi.and_then(|dpi| scaled(photograph.size(), placement.dpi(photograph.size()), dpi));
        let identity = (photograph.digest, size.map(|size| (size.width, size.height)));
        if let Some(embedded) = self.embedded.get(&identity) {
            return Ok(*embedded);
        }
        let quality = self.options.jpeg_quality();
        let stream = embed::stream(&photograph.bytes, &photograph.header, size, quality, self.limits.start())?;
        let profile = stream.icc.as_deref().map(|icc| self.profile(icc, stream.colours)).transpose()?;
        let id = self.file.add(|chunk, id| write_stream(chunk, id, &stream, profile))?;
        let embedded = Embedded { id, orientation: stream.orientation };
        self.embedded.insert(identity, embedded);
        Ok(embedded)
    }

    fn profile(&mut self, icc: &[u8], colours: Colours) -> Result<Ref, SheetError> {
        let digest = ContentDigest::of(icc);
        if let Some(id) = self.profiles.get(&digest) {
            return Ok(*id);
        }
        let id = self.file.add(|chunk, id| {
            chunk.icc_profile(id, icc).n(colours.channels()).alternate_name(device(colours));
        })?;
        self.profiles.insert(digest, id);
        Ok(id)
    }

    fn draw(&mut self, placement: &Placement, embedded: Embedded) {
        let window: Area = placement.window;
        let clip = [points(window.left), self.up(window.bottom()), points(window.width), points(window.height)];
        let matrix = matrix(placement, embedded.orientation, self.layout.media.height);
        let [x, y, width, height] = clip;
        let content = &mut self.page.content;
        content.save_state().rect(x, y, width, height).clip_nonzero().end_path();
        content.transform(matrix).x_object(Name(photograph_name(embedded.id).as_bytes())).restore_state();
    }

    fn write_line(&mut self, line: &Line, area: Area) {
        let size = self.options.caption_size;
        let start = area.left.in_points() as f32 + (area.width.in_points() as f32 - line.width) / 2.0;
        // Capitals are about seven tenths of the size high; they stand in the middle of the line.
        let base = self.up(area.top) - (points(area.height) + size * 0.7) / 2.0;
        self.page.content.begin_text();
        for glyph in &line.glyphs {
            let number = self.fonts.glyph(&mut self.file, glyph.font, glyph.id, &glyph.text);
            let content = &mut self.page.content;
            content.set_font(Name(fonts::name(glyph.font).as_bytes()), size);
            content.set_text_matrix([1.0, 0.0, 0.0, 1.0, start + glyph.right, base + glyph.above]);
            content.show(Str(&number.to_be_bytes()));
        }
        self.page.content.end_text();
    }

    /// PDF counts from the bottom of the page.
    fn up(&self, top: Length) -> f32 {
        points(self.layout.media.height - top)
    }
}

fn points(length: Length) -> f32 {
    length.in_points() as f32
}

fn photograph_name(id: Ref) -> String {
    format!("P{}", id.get())
}

fn device(colours: Colours) -> Name<'static> {
    Name(match colours {
        Colours::Grey => b"DeviceGray",
        Colours::Rgb => b"DeviceRGB",
        Colours::Cmyk => b"DeviceCMYK",
    })
}

/// The size of a photograph at `dpi`, unless it has no more than that.
fn scaled(size: Size, has: f64, dpi: u32) -> Option<Size> {
    let scale = f64::from(dpi) / has;
    let edge = |length: u32| ((f64::from(length) * scale).ceil() as u32).max(1);
    (scale < 1.0).then(|| Size::new(edge(size.width), edge(size.height)))
}

fn write_stream(chunk: &mut pdf_writer::Chunk, id: Ref, stream: &Stream, profile: Option<Ref>) {
    let edge = |length: u32| i32::try_from(length).unwrap_or(i32::MAX);
    let mut image = chunk.image_xobject(id, &stream.data);
    image.width(edge(stream.stored.width)).height(edge(stream.stored.height)).bits_per_component(8);
    match profile {
        Some(profile) => image.color_space().icc_based(profile),
        None => drop(image.color_space_name(device(stream.colours))),
    }
    if stream.inverted {
        image.decode([1.0, 0.0].repeat(4));
    }
    if stream.is_jpeg {
        image.filter(pdf_writer::Filter::DctDecode);
    } else {
        image.filter(pdf_writer::Filter::FlateDecode);
        let mut parameters = image.decode_parms();
        parameters.predictor(pdf_writer::types::Predictor::PngOptimum).colors(3).columns(edge(stream.stored.width));
    }
}

/// Where the corners of a stored picture come to lie. A PDF draws a picture into the unit square, its bottom left corner at the origin.
fn matrix(placement: &Placement, orientation: Orientation, page_height: Length) -> [f32; 6] {
    let [left, top, width, height] = placement.whole;
    let to_page = |x: f64, y: f64| {
        let (u, v) = orientation.upright(x, 1.0 - y);
        let (u, v) = if placement.turned { (v, 1.0 - u) } else { (u, v) };
        let point = |micrometres: f64| micrometres * 72.0 / 25_400.0;
        (point(left + u * width), point(page_height.get() as f64 - top - v * height))
    };
    let (origin, right, up) = (to_page(0.0, 0.0), to_page(1.0, 0.0), to_page(0.0, 1.0));
    [right.0 - origin.0, right.1 - origin.1, up.0 - origin.0, up.1 - origin.1, origin.0, origin.1].map(|value| value as f32)
}
