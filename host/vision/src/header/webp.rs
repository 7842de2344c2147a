//! WebP's RIFF chunks (RFC 9649) and the first bytes of its two bitstreams.

use breakwater_core::Size;

use super::Header;
use crate::bytes_reader::BytesReader;
use crate::{Format, VisionError};

pub(crate) fn read(bytes: &[u8]) -> Result<Header, VisionError> {
    let corrupt = |reason: &str| VisionError::corrupt(Format::WebP, reason);
    let mut reader = BytesReader::new(bytes);
    reader.skip(12).ok_or_else(|| corrupt("it ends within its signature"))?;
    let (name, content) = chunk(&mut reader).ok_or_else(|| corrupt("it ends within its first chunk"))?;
    let size = match name {
        b"VP8X" => extended(content),
        b"VP8 " => lossy(content),
        b"VP8L" => lossless(content),
        _ => None,
    };
    let mut header = Header::new(Format::WebP, size.ok_or_else(|| corrupt("its first chunk is no picture"))?);
    if name == b"VP8X" {
        let (mut exif, mut frames) = (None, 0u32);
        while let Some((name, content)) = chunk(&mut reader) {
            match name {
                b"ANMF" => frames = frames.saturating_add(1),
                b"EXIF" => exif = Some(content),
                b"ICCP" => header.icc = Some(content.to_vec()),
                _ => {}
            }
        }
        header = header.with_exif(exif);
        header.frames = frames.max(1);
    }
    Ok(header)
}

/// The next chunk's name and content. Content has an even length in the file.
fn chunk<'a>(reader: &mut BytesReader<'a>) -> Option<(&'a [u8; 4], &'a [u8])> {
    let name = reader.take(4)?.first_chunk()?;
    let length = reader.u32_le()? as usize;
    let content = reader.take(length)?;
    if length % 2 == 1 {
        // Some writers forget the padding of the last chunk.
        let _ = reader.skip(1);
    }
    Some((name, content))
}

fn extended(content: &[u8]) -> Option<Size> {
    let mut reader = BytesReader::new(content);
    reader.skip(4)?;
    Some(Size::new(reader.u24_le()? + 1, reader.u24_le()? + 1))
}

/// A key frame of VP8 (RFC 6386, section 9.1): the upper two bits of each edge ask for scaling, which nobody does.
fn lossy(content: &[u8]) -> Option<Size> {
    let mut reader = BytesReader::new(content);
    reader.skip(3)?;
    if reader.take(3)? != [0x9d, 0x01, 0x2a] {
        return None;
    }
    let (width, height) = (reader.u16_le()?, reader.u16_le()?);
    Some(Size::new(u32::from(width & 0x3fff), u32::from(height & 0x3fff)))
}

fn lossless(content: &[u8]) -> Option<Size> {
    let mut reader = BytesReader::new(content);
    if reader.u8()? != 0x2f {
        return None;
    }
    let bits = reader.u32_le()?;
    Some(Size::new((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
}
