//! The fonts of captions in a PDF: only the glyphs that are used, with what they mean, so that captions can be searched and copied.

use std::collections::BTreeMap;
use std::io::Write;

use cosmic_text::skrifa::instance::{LocationRef, Size as FontSize};
use cosmic_text::skrifa::raw::TableProvider as _;
use cosmic_text::skrifa::{FontRef, GlyphId, MetadataProvider as _};
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Finish as _, Name, Rect, Ref, Str};
use subsetter::GlyphRemapper;

use super::file::PdfFile;
use crate::sheet::SheetError;
use crate::sheet::captions::{FontKey, Typesetter};

const SYSTEM: SystemInfo<'static> = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// A font and what was used of it.
struct Used {
    id: Ref,
    remapper: GlyphRemapper,
    /// What each glyph of the subset stands for.
    texts: BTreeMap<u16, String>,
}

/// The fonts of a file.
#[derive(Default)]
pub(super) struct Fonts {
    used: BTreeMap<FontKey, Used>,
}

impl Fonts {
    /// The number under which a subset shows a glyph.
    pub(super) fn glyph<W: Write>(&mut self, file: &mut PdfFile<W>, font: FontKey, glyph: u16, text: &str) -> u16 {
        let used =
            self.used.entry(font).or_insert_with(|| Used { id: file.reserve(), remapper: GlyphRemapper::new(), texts: BTreeMap::new() });
        let number = used.remapper.remap(glyph);
        if number > 0 && !text.is_empty() {
            used.texts.entry(number).or_insert_with(|| text.to_owned());
        }
        number
    }

    /// The name and object of each font so far.
    pub(super) fn names(&self) -> impl Iterator<Item = (String, Ref)> {
        self.used.iter().map(|(font, used)| (name(*font), used.id))
    }

    /// Writes the fonts, now that all that is used of them is known.
    pub(super) fn write<W: Write>(&self, file: &mut PdfFile<W>, typesetter: &mut Typesetter) -> Result<(), SheetError> {
        for (key, used) in &self.used {
            let failed = |reason: String| SheetError::FontFailed { reason };
            let (font, index) = typesetter.font(*key).ok_or_else(|| failed("it is not there any more".to_owned()))?;
            let subset = subsetter::subset(font.data(), index, &used.remapper).map_err(|error| failed(error.to_string()))?;
            let face = FontRef::from_index(font.data(), index).map_err(|error| failed(error.to_string()))?;
            write(file, used, &face, &subset)?;
        }
        Ok(())
    }
}

/// The name of a font in the resources of a page.
pub(super) fn name(font: FontKey) -> String {
    format!("F{}", font.number())
}

fn write<W: Write>(file: &mut PdfFile<W>, used: &Used, face: &FontRef, subset: &[u8]) -> Result<(), SheetError> {
    let metrics = face.metrics(FontSize::unscaled(), LocationRef::default());
    let to_thousandths = 1000.0 / f32::from(metrics.units_per_em.max(1));
    let widths = face.glyph_metrics(FontSize::unscaled(), LocationRef::default());
    let base = base_name(face, subset);
    let base = Name(base.as_bytes());
    // OpenType with CFF outlines begins with these letters.
    let is_cff = subset.starts_with(b"OTTO");

    let outlines = file.add(|chunk, id| {
        let mut stream = chunk.stream(id, subset);
        if is_cff {
            stream.pair(Name(b"Subtype"), Name(b"OpenType"));
        } else {
            stream.pair(Name(b"Length1"), i32::try_from(subset.len()).unwrap_or(i32::MAX));
        }
    })?;
    let descriptor = file.add(|chunk, id| {
        let bounds = metrics.bounds.unwrap_or_default();
        let scaled = |value: f32| value * to_thousandths;
        let mut descriptor = chunk.font_descriptor(id);
        descriptor.name(base).flags(FontFlags::SYMBOLIC).italic_angle(metrics.italic_angle).stem_v(80.0);
        descriptor.bbox(Rect::new(scaled(bounds.x_min), scaled(bounds.y_min), scaled(bounds.x_max), scaled(bounds.y_max)));
        descriptor.ascent(scaled(metrics.ascent)).descent(scaled(metrics.descent));
        descriptor.cap_height(scaled(metrics.cap_height.unwrap_or(metrics.ascent)));
        if is_cff {
            descriptor.font_file3(outlines)
        } else {
            descriptor.font_file2(outlines)
        };
    })?;
    let cid_font = file.add(|chunk, id| {
        let mut font = chunk.cid_font(id);
        font.subtype(if is_cff { CidFontType::Type0 } else { CidFontType::Type2 });
        font.base_font(base).system_info(SYSTEM).font_descriptor(descriptor).default_width(0.0);
        if !is_cff {
            font.cid_to_gid_map_predefined(Name(b"Identity"));
        }
        let advances =
            used.remapper.remapped_gids().map(|glyph| widths.advance_width(GlyphId::from(glyph)).unwrap_or(0.0) * to_thousandths);
        font.widths().consecutive(0, advances);
    })?;
    let meaning = {
        let mut map = UnicodeCmap::<u16>::new(Name(b"Captions"), SYSTEM);
        used.texts.iter().for_each(|(glyph, text)| map.pair_with_multiple(*glyph, text.chars()));
        map.finish()
    };
    let to_unicode = file.add(|chunk, id| drop(chunk.cmap(id, &meaning)))?;
    file.write(used.id, |chunk| {
        let mut font = chunk.type0_font(used.id);
        font.base_font(base).encoding_predefined(Name(b"Identity-H")).descendant_font(cid_font).to_unicode(to_unicode);
        font.finish();
    })?;
    Ok(())
}

/// The font's own name after six letters that say which subset it is.
fn base_name(face: &FontRef, subset: &[u8]) -> String {
    use cosmic_text::skrifa::string::StringId;
    let name = face.localized_strings(StringId::POSTSCRIPT_NAME).english_or_first();
    let name: String = name.map(|name| name.chars().filter(char::is_ascii_graphic).take(60).collect()).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let name: String =
        if name.is_empty() || face.head().is_err() { "Font".to_owned() } else { name.chars().filter(|c| plain(*c)).collect() };
    let letters = blake3::hash(subset).as_bytes().iter().take(6).map(|byte| char::from(b'A' + byte % 26)).collect::<String>();
    format!("{letters}+{name}")
}
