//! GIF blocks (GIF89a specification).

use breakwater_core::Size;

use super::Header;
use crate::bytes_reader::BytesReader;
use crate::{Format, VisionError};

const EXTENSION: u8 = 0x21;
const IMAGE: u8 = 0x2c;

pub(crate) fn read(bytes: &[u8]) -> Result<Header, VisionError> {
    let mut reader = BytesReader::new(bytes);
    let screen = logical_screen(&mut reader).ok_or_else(|| VisionError::corrupt(Format::Gif, "it ends within its header"))?;
    let mut header = Header::new(Format::Gif, screen);
    // What follows a broken block is not counted; the decoder says what is wrong with it.
    header.frames = 0;
    while let Some(true) = block(&mut reader, &mut header.frames) {}
    if header.frames == 0 {
        return Err(VisionError::corrupt(Format::Gif, "it holds no picture"));
    }
    Ok(header)
}

fn logical_screen(reader: &mut BytesReader) -> Option<Size> {
    reader.skip(6)?;
    let size = Size::new(reader.u16_le()?.into(), reader.u16_le()?.into());
    let flags = reader.u8()?;
    reader.skip(2)?;
    skip_colours(reader, flags)?;
    Some(size)
}

/// Steps over the colour table these flags announce.
fn skip_colours(reader: &mut BytesReader, flags: u8) -> Option<()> {
    if flags & 0x80 == 0 { Some(()) } else { reader.skip(3 << ((flags & 7) + 1)) }
}

/// Steps over one block; `Some(false)` at the trailer.
fn block(reader: &mut BytesReader, frames: &mut u32) -> Option<bool> {
    match reader.u8()? {
        EXTENSION => {
            reader.skip(1)?;
            skip_data(reader)?;
        }
        IMAGE => {
            *frames = frames.saturating_add(1);
            reader.skip(8)?;
            let flags = reader.u8()?;
            skip_colours(reader, flags)?;
            reader.skip(1)?;
            skip_data(reader)?;
        }
        _ => return Some(false),
    }
    Some(true)
}

fn skip_data(reader: &mut BytesReader) -> Option<()> {
    loop {
        match reader.u8()? {
            0 => return Some(()),
            length => reader.skip(length.into())?,
        }
    }
}
