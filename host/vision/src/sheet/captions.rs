//! Lines of text under photographs: shaped, in the order of their script, in fonts that have the characters.

use std::sync::Arc;

use cosmic_text::skrifa::FontRef;
use cosmic_text::skrifa::raw::TableProvider as _;
use cosmic_text::{Attrs, Buffer, Ellipsize, EllipsizeHeightLimit, Family, Font, FontSystem, Metrics, Shaping, Weight, Wrap, fontdb};

/// The font that captions are set in; others only help out where it lacks characters.
const FAMILY: &str = "DejaVu Sans";
const FONT: &[u8] = include_bytes!("../../../../models/fonts/DejaVuSans.ttf");

/// The most characters of a caption that are looked at; no line holds more.
pub(crate) const MAX_CHARACTERS: usize = 1000;

/// Which font. The number is that of its first use, so that it does not depend on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FontKey(usize);

impl FontKey {
    pub(super) fn number(self) -> usize {
        self.0
    }
}

/// A glyph of a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Glyph {
    pub(super) font: FontKey,
    pub(super) id: u16,
    /// To the right of the line's beginning, in points.
    pub(super) right: f32,
    /// Above the base line, in points.
    pub(super) above: f32,
    /// What it stands for; empty where the glyph before it stands for that already.
    pub(super) text: String,
}

/// A line of text.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Line {
    pub(super) glyphs: Vec<Glyph>,
    /// In points.
    pub(super) width: f32,
    /// Characters that no font has; each is drawn as the box that stands for one.
    pub(super) missing: Vec<char>,
}

/// Sets captions. The fonts of the machine are looked at only once a caption needs more than the font that is shipped.
pub(super) struct Typesetter {
    shipped: FontSystem,
    all: Option<FontSystem>,
    /// Whether it is one of `all`, its id there, and its index in its file.
    keys: Vec<(bool, fontdb::ID)>,
}

impl Typesetter {
    pub(super) fn new() -> Self {
        Self { shipped: system(false), all: None, keys: Vec::new() }
    }

    /// Sets a line of at most `width` points in letters of `size` points. What is too long ends in an ellipsis.
    pub(super) fn line(&mut self, text: &str, size: f32, width: f32) -> Line {
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        let text: String = text.trim().chars().take(MAX_CHARACTERS).map(visible).collect();
        let line = shaped(&mut self.shipped, &mut self.keys, false, &text, size, width);
        if line.missing.is_empty() {
            return line;
        }
        let all = self.all.get_or_insert_with(|| system(true));
        shaped(all, &mut self.keys, true, &text, size, width)
    }

    /// A font, and its index in its file.
    pub(super) fn font(&mut self, key: FontKey) -> Option<(Arc<Font>, u32)> {
        let (is_of_all, id) = *self.keys.get(key.0)?;
        let fonts = if is_of_all { self.all.as_mut()? } else { &mut self.shipped };
        let index = fonts.db().face(id)?.index;
        Some((fonts.get_font(id, Weight::NORMAL)?, index))
    }
}

/// The shipped font, perhaps with those of the machine that have outlines.
fn system(with_others: bool) -> FontSystem {
    let mut db = fontdb::Database::new();
    let ours: Vec<fontdb::ID> = db.load_font_source(fontdb::Source::Binary(Arc::new(FONT))).to_vec();
    if with_others {
        db.load_system_fonts();
        let unusable = |face: &fontdb::FaceInfo| {
            let same = face.families.iter().any(|(family, _)| family == FAMILY);
            let outlines =
                |data: &[u8], index| FontRef::from_index(data, index).is_ok_and(|font| font.glyf().is_ok() || font.cff().is_ok());
            !ours.contains(&face.id) && (same || !db.with_face_data(face.id, outlines).unwrap_or(false))
        };
        let removed: Vec<fontdb::ID> = db.faces().filter(|face| unusable(face)).map(|face| face.id).collect();
        removed.into_iter().for_each(|id| db.remove_face(id));
    }
    db.set_sans_serif_family(FAMILY);
    FontSystem::new_with_locale_and_db("en-US".to_owned(), db)
}

fn shaped(fonts: &mut FontSystem, keys: &mut Vec<(bool, fontdb::ID)>, is_of_all: bool, text: &str, size: f32, width: f32) -> Line {
    let mut buffer = Buffer::new(fonts, Metrics::new(size, size * 1.25));
    buffer.set_wrap(Wrap::None);
    buffer.set_ellipsize(Ellipsize::End(EllipsizeHeightLimit::Lines(1)));
    buffer.set_size(Some(width), None);
    buffer.set_text(text, &Attrs::new().family(Family::Name(FAMILY)), Shaping::Advanced, Some(cosmic_text::Align::Left));
    buffer.shape_until_scroll(fonts, false);
    let mut line = Line::default();
    let Some(run) = buffer.layout_runs().next() else { return line };
    let mut before = None;
    let start = run.glyphs.iter().map(|glyph| glyph.x).fold(f32::INFINITY, f32::min);
    for glyph in run.glyphs {
        let range = (glyph.start, glyph.end);
        let text = run.text.get(glyph.start..glyph.end).unwrap_or_default();
        if glyph.glyph_id == 0 {
            line.missing.extend(text.chars().filter(|c| !line.missing.contains(c)).collect::<Vec<_>>());
        }
        let key = (is_of_all, glyph.font_id);
        let font = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            keys.push(key);
            keys.len() - 1
        });
        line.glyphs.push(Glyph {
            font: FontKey(font),
            id: glyph.glyph_id,
            right: glyph.x - start + glyph.font_size * glyph.x_offset,
            above: glyph.font_size * glyph.y_offset - glyph.y,
            text: if before == Some(range) { String::new() } else { text.to_owned() },
        });
        before = Some(range);
        line.width = line.width.max(glyph.x - start + glyph.w);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shaped_and_measured() {
        let mut typesetter = Typesetter::new();
        let line = typesetter.line("Aa Ю ע", 10.0, 500.0);
        assert!(line.missing.is_empty() && line.glyphs.len() == 6, "{line:?}");
        assert_eq!(line.glyphs[0].text, "A");
        let twice = typesetter.line("Aa Ю ע", 20.0, 500.0);
        assert!((twice.width - 2.0 * line.width).abs() < 0.01);
    }

    #[test]
    fn letters_from_right_to_left_stand_in_the_order_they_are_read() {
        let line = Typesetter::new().line("שלום", 10.0, 500.0);
        let mut placed: Vec<_> = line.glyphs.iter().map(|glyph| (glyph.right, glyph.text.as_str())).collect();
        placed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let texts: Vec<_> = placed.iter().map(|(_, text)| *text).collect();
        assert_eq!(texts, ["ם", "ו", "ל", "ש"]);
    }

    #[test]
    fn arabic_letters_are_joined() {
        let mut typesetter = Typesetter::new();
        let (alone, joined) = (typesetter.line("ب", 10.0, 500.0), typesetter.line("ببب", 10.0, 500.0));
        assert_eq!(joined.glyphs.len(), 3);
        assert!(joined.glyphs.iter().all(|glyph| glyph.id != alone.glyphs[0].id), "initial, medial and final forms");
    }

    #[test]
    fn a_line_that_is_too_long_ends_in_an_ellipsis() {
        let mut typesetter = Typesetter::new();
        let text = "a very long name of a photograph ".repeat(20);
        let line = typesetter.line(&text, 10.0, 100.0);
        assert!(line.width <= 100.0 && line.width > 80.0, "{}", line.width);
        let ellipsis = typesetter.line("…", 10.0, 100.0).glyphs[0].id;
        assert_eq!(line.glyphs.last().unwrap().id, ellipsis);
    }

    #[test]
    fn what_no_font_has_is_told() {
        // A private character, and one that is not assigned: no font of the machine has them.
        let line = Typesetter::new().line("a\u{ffffd}b\u{10fffd}", 10.0, 500.0);
        assert_eq!(line.missing.len(), 2);
        assert_eq!(line.glyphs.iter().filter(|glyph| glyph.id == 0).count(), 2);
    }
}
