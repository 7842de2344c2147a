//! PNG chunks (W3C PNG, third edition).

use breakwater_core::Size;

use super::Header;
use crate::bytes_reader::BytesReader;
use crate::{Format, VisionError};

pub(crate) fn read(bytes: &[u8]) -> Result<Header, VisionError> {
    let corrupt = |reason: &str| VisionError::corrupt(Format::Png, reason);
    let mut reader = BytesReader::new(bytes);
    reader.skip(8).ok_or_else(|| corrupt("it ends within its signature"))?;
    let (name, content) = chunk(&mut reader).ok_or_else(|| corrupt("it ends within its first chunk"))?;
    let mut header = BytesReader::new(content);
    let size = (name == b"IHDR").then(|| Some(Size::new(header.u32_be()?, header.u32_be()?))).flatten();
    let size = size.ok_or_else(|| corrupt("its first chunk is no header"))?;

    let (mut exif, mut frames) = (None, 1);
    while let Some((name, content)) = chunk(&mut reader) {
        match name {
            b"eXIf" => exif = Some(content),
            b"acTL" => frames = content.first_chunk().map_or(1, |count| u32::from_be_bytes(*count).max(1)),
            b"IEND" => break,
            _ => {}
        }
    }
    let mut header = Header::new(Format::Png, size).with_exif(exif);
    header.frames = frames;
    Ok(header)
}

/// The next chunk's name and content; its checksum is left to the decoder.
fn chunk<'a>(reader: &mut BytesReader<'a>) -> Option<(&'a [u8; 4], &'a [u8])> {
    let length = reader.u32_be()? as usize;
    let name = reader.take(4)?.first_chunk()?;
    let content = reader.take(length)?;
    reader.skip(4)?;
    Some((name, content))
}
