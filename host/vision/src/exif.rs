//! The one EXIF field that matters to pixels: the orientation, in TIFF's first directory.

use crate::bytes_reader::BytesReader;
use crate::orientation::Orientation;

const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;

/// What precedes the TIFF structure in JPEG, and by mistake in some WebP files.
pub(crate) const PREFIX: &[u8] = b"Exif\0\0";

/// The orientation in a TIFF structure; upright when there is none or the structure is broken.
pub(crate) fn orientation(tiff: &[u8]) -> Orientation {
    find_orientation(tiff).map_or(Orientation::UPRIGHT, |field| Orientation::from_exif(field.value))
}

/// The same structure saying that its pixels are upright; everything else as it was.
pub(crate) fn upright(tiff: &[u8]) -> Vec<u8> {
    let mut tiff = tiff.to_vec();
    if let Some(field) = find_orientation(&tiff) {
        let one: [u8; 2] = if field.big_endian { 1u16.to_be_bytes() } else { 1u16.to_le_bytes() };
        if let Some(place) = tiff.get_mut(field.at..field.at + 2) {
            place.copy_from_slice(&one);
        }
    }
    tiff
}

struct Field {
    value: u16,
    at: usize,
    big_endian: bool,
}

fn find_orientation(tiff: &[u8]) -> Option<Field> {
    let big_endian = match tiff.get(..4)? {
        b"MM\0*" => true,
        b"II*\0" => false,
        _ => return None,
    };
    let u16_of = |reader: &mut BytesReader| if big_endian { reader.u16_be() } else { reader.u16_le() };
    let mut reader = BytesReader::new(tiff);
    reader.skip(4)?;
    let directory = if big_endian { reader.u32_be()? } else { reader.u32_le()? } as usize;
    let mut reader = BytesReader::new(tiff);
    reader.skip(directory)?;
    let entries = u16_of(&mut reader)?;
    for _ in 0..entries {
        let (tag, kind) = (u16_of(&mut reader)?, u16_of(&mut reader)?);
        reader.skip(4)?;
        let at = reader.position();
        let value = u16_of(&mut reader)?;
        reader.skip(2)?;
        if tag == ORIENTATION && kind == SHORT {
            return Some(Field { value, at, big_endian });
        }
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A TIFF structure with a make, this orientation and nothing else.
    pub(crate) fn tiff(orientation: u16, big_endian: bool) -> Vec<u8> {
        let short = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let long = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut tiff = if big_endian { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
        tiff.extend(long(8));
        tiff.extend(short(2));
        tiff.extend([short(0x010f), short(2)].concat());
        tiff.extend(long(4));
        tiff.extend(b"Abc\0");
        tiff.extend([short(ORIENTATION), short(SHORT)].concat());
        tiff.extend(long(1));
        tiff.extend([short(orientation), short(0)].concat());
        tiff.extend(long(0));
        tiff
    }

    #[test]
    fn the_orientation_is_read_and_reset_in_both_byte_orders() {
        for big_endian in [false, true] {
            for value in 1..=8 {
                let source = tiff(value, big_endian);
                assert_eq!(u16::from(orientation(&source).exif()), value);
                assert_eq!(upright(&source), tiff(1, big_endian));
            }
        }
    }

    #[test]
    fn a_broken_structure_is_upright_and_unchanged() {
        let whole = tiff(6, true);
        for end in 0..34 {
            let cut = &whole[..end];
            assert_eq!(orientation(cut), Orientation::UPRIGHT, "{end}");
            assert_eq!(upright(cut), cut);
        }
        let mut far = whole.clone();
        far[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(orientation(&far), Orientation::UPRIGHT);
    }
}
