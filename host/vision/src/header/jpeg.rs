//! JPEG markers (ITU-T T.81, Annex B) up to the first scan, and whether the scans are complete.

use breakwater_core::Size;

use super::Header;
use crate::bytes_reader::BytesReader;
use crate::{Format, VisionError};

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
const TEMPORARY: u8 = 0x01;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP14: u8 = 0xee;
const ICC_PREFIX: &[u8] = b"ICC_PROFILE\0";

/// More scans than a sensible progressive file has; each costs a pass over every coefficient.
const MAX_SCANS: usize = 64;

/// The headers of a JPEG, with what its decoder wants to know.
#[derive(Debug)]
pub(crate) struct JpegHeader {
    pub(crate) header: Header,
    /// 1 grey, 3 colour, 4 CMYK or YCCK.
    pub(crate) components: u8,
    /// The transform of Adobe's APP14 segment, when there is one.
    pub(crate) adobe_transform: Option<u8>,
    /// Where the first scan's segment starts.
    first_scan: usize,
}

fn corrupt(reason: &str) -> VisionError {
    VisionError::corrupt(Format::Jpeg, reason)
}

fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// The next marker's code. Bytes before it and fill bytes are stepped over.
fn next_marker(reader: &mut BytesReader) -> Option<u8> {
    loop {
        while reader.u8()? != 0xff {}
        let mut code = reader.u8()?;
        while code == 0xff {
            code = reader.u8()?;
        }
        if code != 0 {
            return Some(code);
        }
    }
}

/// The content of a segment whose marker was just read.
fn segment<'a>(reader: &mut BytesReader<'a>) -> Option<&'a [u8]> {
    let length = reader.u16_be()?;
    reader.take(usize::from(length).checked_sub(2)?)
}

impl JpegHeader {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, VisionError> {
        let mut reader = BytesReader::new(bytes);
        let (mut frame, mut exif, mut adobe_transform) = (None, None, None);
        let mut profile: Vec<(u8, &[u8])> = Vec::new();
        let first_scan = loop {
            let marker = next_marker(&mut reader).ok_or_else(|| corrupt("it ends within its headers"))?;
            let start = reader.position();
            if matches!(marker, START | TEMPORARY | 0xd0..=0xd7) {
                continue;
            }
            if marker == END {
                return Err(corrupt("it holds no picture"));
            }
            if marker == START_OF_SCAN {
                break start;
            }
            let content = segment(&mut reader).ok_or_else(|| corrupt("a header reaches past its end"))?;
            match marker {
                _ if is_frame(marker) => frame = Some(Self::frame(marker, content)?),
                APP1 if exif.is_none() => exif = content.strip_prefix(crate::exif::PREFIX),
                APP2 => {
                    // The profile comes in numbered pieces of up to 65,519 bytes.
                    if let Some([number, _count, piece @ ..]) = content.strip_prefix(ICC_PREFIX) {
                        profile.push((*number, piece));
                    }
                }
                APP14 if content.starts_with(b"Adobe") => adobe_transform = content.get(11).copied(),
                _ => {}
            }
        };
        let (stored, components) = frame.ok_or_else(|| corrupt("no frame precedes its first scan"))?;
        let mut header = Header::new(Format::Jpeg, stored).with_exif(exif);
        if !profile.is_empty() {
            profile.sort_by_key(|(number, _)| *number);
            header.icc = Some(profile.into_iter().flat_map(|(_, piece)| piece).copied().collect());
        }
        Ok(Self { header, components, adobe_transform, first_scan })
    }

    fn frame(marker: u8, content: &[u8]) -> Result<(Size, u8), VisionError> {
        let mut reader = BytesReader::new(content);
        let mut fields = || Some((reader.u8()?, reader.u16_be()?, reader.u16_be()?, reader.u8()?));
        let (precision, height, width, components) = fields().ok_or_else(|| corrupt("its frame header is short"))?;
        if !matches!(marker, 0xc0..=0xc2) {
            return Err(VisionError::unsupported("lossless, hierarchical and arithmetic-coded JPEG are not supported"));
        }
        if precision != 8 {
            return Err(VisionError::unsupported(format!("JPEG with {precision} bits a channel is not supported")));
        }
        if !matches!(components, 1 | 3 | 4) {
            return Err(VisionError::unsupported(format!("JPEG with {components} components is not supported")));
        }
        Ok((Size::new(width.into(), height.into()), components))
    }

    /// The same picture without what is no part of it: EXIF, profiles, comments, and whatever follows its end. What its decoder goes by
    /// (JFIF's and Adobe's segments) stays. `end` is what [`Self::check_complete`] gave.
    pub(crate) fn without_metadata(&self, bytes: &[u8], end: usize) -> Vec<u8> {
        let mut kept = Vec::with_capacity(end);
        kept.extend_from_slice(&[0xff, START]);
        let mut reader = BytesReader::new(bytes);
        while let Some(marker) = next_marker(&mut reader).filter(|marker| *marker != START_OF_SCAN) {
            let start = reader.position();
            if matches!(marker, START | TEMPORARY | 0xd0..=0xd7) {
                continue;
            }
            let described = segment(&mut reader).is_some() && !matches!(marker, 0xe1..=0xed | 0xef | 0xfe);
            if let Some(segment) = bytes.get(start..reader.position()).filter(|_| described) {
                kept.extend_from_slice(&[0xff, marker]);
                kept.extend_from_slice(segment);
            }
        }
        kept.extend_from_slice(&[0xff, START_OF_SCAN]);
        kept.extend_from_slice(bytes.get(self.first_scan..end).unwrap_or_default());
        kept
    }

    /// Checks that the file goes on to its end marker, and does not hold an absurd number of scans. A decoder alone would fill
    /// what is missing with grey. Gives the position behind the end marker.
    pub(crate) fn check_complete(&self, bytes: &[u8]) -> Result<usize, VisionError> {
        let rest = bytes.get(self.first_scan..).unwrap_or_default();
        let mut reader = BytesReader::new(rest);
        let mut scans = 1;
        let truncated = || corrupt("it ends before its end marker");
        segment(&mut reader).ok_or_else(truncated)?;
        loop {
            skip_to_marker(&mut reader);
            match next_marker(&mut reader).ok_or_else(truncated)? {
                END => return Ok(self.first_scan + reader.position()),
                0xd0..=0xd7 | TEMPORARY => {}
                marker => {
                    scans += usize::from(marker == START_OF_SCAN);
                    if scans > MAX_SCANS {
                        return Err(VisionError::unsupported(format!("JPEG with more than {MAX_SCANS} scans is not supported")));
                    }
                    segment(&mut reader).ok_or_else(truncated)?;
                }
            }
        }
    }
}

/// Steps over whole blocks of coded data that hold no marker's first byte.
fn skip_to_marker(reader: &mut BytesReader) {
    let clear = |block: &&[u8; 64]| !block.iter().fold(false, |found, byte| found | (*byte == 0xff));
    let blocks = reader.rest().as_chunks::<64>().0.iter().take_while(clear).count();
    let _ = reader.skip(blocks * 64);
}
