//! The boxes of AVIF (ISO/IEC 14496-12, ISO/IEC 23008-12, AV1 Image File Format) that say how the primary item is to be shown.
//!
//! `avif-parse` finds the coded data; it does not tell orientation and colour, so they are read here.

use breakwater_core::Size;

use super::Header;
use crate::bytes_reader::BytesReader;
use crate::orientation::Orientation;
use crate::{Format, VisionError};

/// Coding-independent code points (ITU-T H.273).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CodePoints {
    pub(crate) primaries: u8,
    pub(crate) transfer: u8,
    pub(crate) matrix: u8,
    pub(crate) full_range: bool,
}

/// The headers of an AVIF, with what its decoder wants to know.
#[derive(Debug)]
pub(crate) struct AvifHeader {
    pub(crate) header: Header,
    /// From the container; they win over those of the bitstream.
    pub(crate) code_points: Option<CodePoints>,
}

/// What boxes a file may have and still be believed to be one.
const MAX_PROPERTIES: usize = 1024;

impl AvifHeader {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, VisionError> {
        let corrupt = |reason: &str| VisionError::corrupt(Format::Avif, reason);
        if bytes.get(8..12) == Some(b"avis") {
            return Err(VisionError::unsupported("animated AVIF is not supported"));
        }
        let meta = find(bytes, b"meta").and_then(|meta| meta.get(4..)).ok_or_else(|| corrupt("it has no complete meta box"))?;
        let primary = find(meta, b"pitm").and_then(primary_item).ok_or_else(|| corrupt("it names no primary item"))?;
        let properties = find(meta, b"iprp").ok_or_else(|| corrupt("its items have no properties"))?;
        let indices = find(properties, b"ipma").and_then(|ipma| associations(ipma, primary)).unwrap_or_default();
        let container = find(properties, b"ipco").unwrap_or_default();
        let all: Vec<_> = Boxes(BytesReader::new(container)).take(MAX_PROPERTIES).collect();

        let (mut size, mut turns, mut mirror) = (None, 0, None);
        let (mut icc, mut code_points) = (None, None);
        for index in indices {
            let Some((name, content)) = usize::from(index).checked_sub(1).and_then(|index| all.get(index)) else { continue };
            match *name {
                b"ispe" => size = extents(content),
                b"irot" => turns = content.first().copied().unwrap_or_default(),
                b"imir" => mirror = content.first().copied(),
                b"clap" => return Err(VisionError::unsupported("AVIF with a clean aperture is not supported")),
                b"colr" => match content.split_first_chunk::<4>() {
                    Some((b"prof" | b"rICC", profile)) => icc = Some(profile.to_vec()),
                    Some((b"nclx", points)) => code_points = self::code_points(points),
                    _ => {}
                },
                _ => {}
            }
        }
        let size = size.ok_or_else(|| corrupt("its primary item has no size"))?;
        let mut header = Header::new(Format::Avif, size);
        header.orientation = Orientation::from_heif(turns, mirror);
        header.icc = icc;
        Ok(Self { header, code_points })
    }
}

/// The boxes in some bytes; ends at the first that is broken.
struct Boxes<'a>(BytesReader<'a>);

impl<'a> Iterator for Boxes<'a> {
    type Item = (&'a [u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let reader = &mut self.0;
        let length = u64::from(reader.u32_be()?);
        let name = reader.take(4)?.first_chunk()?;
        let content = match length {
            0 => reader.rest().len() as u64,
            1 => reader.u64_be()?.checked_sub(16)?,
            _ => length.checked_sub(8)?,
        };
        Some((name, reader.take(usize::try_from(content).ok()?)?))
    }
}

/// The content of the first box of this name.
fn find<'a>(bytes: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
    Boxes(BytesReader::new(bytes)).find(|(name, _)| *name == wanted).map(|(_, content)| content)
}

fn primary_item(content: &[u8]) -> Option<u32> {
    let mut reader = BytesReader::new(content);
    let version = reader.u32_be()? >> 24;
    if version == 0 { reader.u16_be().map(u32::from) } else { reader.u32_be() }
}

/// The numbers, from 1, of the properties of `item`.
fn associations(content: &[u8], item: u32) -> Option<Vec<u16>> {
    let mut reader = BytesReader::new(content);
    let flags = reader.u32_be()?;
    let (version, wide) = (flags >> 24, flags & 1 == 1);
    for _ in 0..reader.u32_be()? {
        let id = if version == 0 { reader.u16_be()?.into() } else { reader.u32_be()? };
        let count = reader.u8()?;
        let mut index =
            || if wide { reader.u16_be().map(|index| index & 0x7fff) } else { reader.u8().map(|index| u16::from(index & 0x7f)) };
        let indices: Option<Vec<u16>> = (0..count).map(|_| index()).collect();
        if id == item {
            return indices;
        }
        indices?;
    }
    None
}

fn extents(content: &[u8]) -> Option<Size> {
    let mut reader = BytesReader::new(content);
    reader.skip(4)?;
    Some(Size::new(reader.u32_be()?, reader.u32_be()?))
}

fn code_points(content: &[u8]) -> Option<CodePoints> {
    let mut reader = BytesReader::new(content);
    let mut point = || reader.u16_be().and_then(|value| u8::try_from(value).ok());
    let (primaries, transfer, matrix) = (point()?, point()?, point()?);
    Some(CodePoints { primaries, transfer, matrix, full_range: reader.u8()? & 0x80 != 0 })
}
