//! Lossy WebP through libwebp, and the container that carries metadata.

use breakwater_core::Size;
use webp::{Encoder, WebPConfig};

use super::failed;
use crate::bytes_reader::BytesReader;
use crate::raster::Raster;
use crate::{Format, VisionError};

const HAS_ALPHA: u8 = 0x10;
const HAS_EXIF: u8 = 0x08;

pub(super) fn encode(picture: &Raster, quality: u8, exif: Option<&[u8]>) -> Result<Vec<u8>, VisionError> {
    let size = picture.size();
    let mut config = WebPConfig::new().map_err(|()| failed(Format::WebP, "its settings could not be made"))?;
    config.quality = f32::from(quality);
    let rgb;
    let encoder = if picture.is_opaque() {
        rgb = picture.to_rgb();
        Encoder::from_rgb(&rgb.pixels, size.width, size.height)
    } else {
        Encoder::from_rgba(picture.pixels(), size.width, size.height)
    };
    let file = encoder.encode_advanced(&config).map_err(|error| failed(Format::WebP, format!("{error:?}")))?;
    match exif {
        Some(exif) => extended(&file, size, !picture.is_opaque(), exif).ok_or_else(|| failed(Format::WebP, "its chunks are broken")),
        None => Ok(file.to_vec()),
    }
}

/// The file again with its pictures and `exif` in an extended container (RFC 9649, section 2.7).
fn extended(file: &[u8], size: Size, alpha: bool, exif: &[u8]) -> Option<Vec<u8>> {
    let mut chunks = BytesReader::new(file);
    chunks.skip(12)?;
    let mut body = Vec::with_capacity(file.len() + exif.len() + 64);
    body.extend_from_slice(b"WEBP");
    let mut flags = vec![HAS_EXIF | if alpha { HAS_ALPHA } else { 0 }, 0, 0, 0];
    for edge in [size.width, size.height] {
        flags.extend(edge.checked_sub(1)?.to_le_bytes().iter().take(3));
    }
    put_chunk(&mut body, b"VP8X", &flags)?;
    while !chunks.is_at_end() {
        let name = chunks.take(4)?;
        let length = chunks.u32_le()? as usize;
        let content = chunks.take(length)?;
        let _ = chunks.skip(length % 2);
        if name != b"VP8X" {
            put_chunk(&mut body, name.first_chunk()?, content)?;
        }
    }
    put_chunk(&mut body, b"EXIF", exif)?;
    let mut whole = b"RIFF".to_vec();
    whole.extend(u32::try_from(body.len()).ok()?.to_le_bytes());
    whole.extend(body);
    Some(whole)
}

fn put_chunk(body: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) -> Option<()> {
    body.extend_from_slice(name);
    body.extend(u32::try_from(content.len()).ok()?.to_le_bytes());
    body.extend_from_slice(content);
    body.extend(std::iter::repeat_n(0, content.len() % 2));
    Some(())
}
