//! Which format some bytes are, by their content; names and media types are never trusted.

use std::fmt;
use std::str::FromStr;

/// An image format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// ISO/IEC 10918-1 in JFIF, EXIF or Adobe clothes.
    Jpeg,
    /// Portable Network Graphics, third edition.
    Png,
    /// RIFF WebP, RFC 9649.
    WebP,
    /// AV1 Image File Format.
    Avif,
    /// GIF87a and GIF89a.
    Gif,
}

/// Text that names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no image format; known are jpeg (or jpg), png, webp, avif and gif")]
pub struct UnknownFormat(String);

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Jpeg, Self::Png, Self::WebP, Self::Avif, Self::Gif];

    /// Its name in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Avif => "avif",
            Self::Gif => "gif",
        }
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Avif => "image/avif",
            Self::Gif => "image/gif",
        }
    }

    /// The usual end of a file name, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            other => other.name(),
        }
    }

    /// Whether [`crate::render`] can write it.
    #[must_use]
    pub const fn can_be_written(self) -> bool {
        !matches!(self, Self::Gif)
    }

    /// The format these bytes begin like. A few dozen bytes are enough.
    #[must_use]
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        let at = |start: usize, magic: &[u8]| bytes.get(start..start + magic.len()) == Some(magic);
        if at(0, &[0xff, 0xd8, 0xff]) {
            Some(Self::Jpeg)
        } else if at(0, b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if at(0, b"RIFF") && at(8, b"WEBP") {
            Some(Self::WebP)
        } else if at(0, b"GIF87a") || at(0, b"GIF89a") {
            Some(Self::Gif)
        } else if at(4, b"ftyp") && Self::has_avif_brand(bytes) {
            Some(Self::Avif)
        } else {
            None
        }
    }

    /// Whether the file type box that these bytes begin with lists a brand of AVIF, as major or compatible.
    fn has_avif_brand(bytes: &[u8]) -> bool {
        let Some(length) = bytes.first_chunk::<4>().map(|length| u32::from_be_bytes(*length)) else { return false };
        // Brands: the major one at 8, its version at 12, the compatible ones from 16 to the end of the box.
        let end = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len()).min(512);
        let brands = bytes.get(8..end).unwrap_or_default().chunks_exact(4).enumerate();
        brands.filter(|(index, _)| *index != 1).any(|(_, brand)| brand == b"avif" || brand == b"avis")
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    /// Reads a name in any case; `jpg` is JPEG too.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.trim().to_ascii_lowercase();
        let known = Self::ALL.into_iter().find(|format| name == format.name() || name == format.extension());
        known.ok_or_else(|| UnknownFormat(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_in_any_case() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
            assert_eq!(format.extension().to_uppercase().parse(), Ok(format));
            assert_eq!(format.media_type().strip_prefix("image/"), Some(format.name()));
        }
        for text in ["", "bmp", "image/png", "jpeg2000"] {
            assert!(text.parse::<Format>().is_err(), "{text}");
        }
    }

    #[test]
    fn content_decides() {
        for (bytes, format) in [
            (&b"\xff\xd8\xff\xe0"[..], Some(Format::Jpeg)),
            (b"\x89PNG\r\n\x1a\n", Some(Format::Png)),
            (b"RIFF\0\0\0\0WEBP", Some(Format::WebP)),
            (b"GIF89a", Some(Format::Gif)),
            (b"\0\0\0\x14ftypavif\0\0\0\0mif1", Some(Format::Avif)),
            (b"\0\0\0\x18ftypmif1\0\0\0\0miafavif", Some(Format::Avif)),
            (b"\0\0\0\x14ftypheic\0\0\0\0mif1", None),
            (b"\0\0\0\x10ftypmif1avif", None),
            (b"RIFF\0\0\0\0WAVE", None),
            (b"BM", None),
            (b"", None),
        ] {
            assert_eq!(Format::sniff(bytes), format, "{bytes:?}");
        }
    }
}
