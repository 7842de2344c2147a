//! Bytes that stay in the host.

use crate::bindings::breakwater::plugin::blobs;
use crate::failure::Failure;

/// The most bytes that one [`read`](Blob::read) may ask for.
pub const MAX_READ: u32 = 1 << 20;

/// A photograph, a document, a large answer: immutable bytes that the host holds. Dropping it gives the memory back.
///
/// Sending one on, or giving it back, costs nothing; reading it copies bytes into the guest, which the operator limits.
/// Outside of a component, where no host is, the bytes are held here, so that the same code runs under `cargo test`:
///
/// ```
/// use breakwater_guest::Blob;
/// let note = Blob::new("text/plain", b"hello".to_vec());
/// assert_eq!((note.media_type().as_str(), note.length()), ("text/plain", 5));
/// assert_eq!(note.read(1, 3).unwrap(), b"ell");
/// ```
#[derive(Debug)]
pub struct Blob(Content);

#[derive(Debug)]
enum Content {
    Host(blobs::Blob),
    #[cfg(not(target_arch = "wasm32"))]
    Memory {
        media_type: String,
        bytes: std::rc::Rc<[u8]>,
    },
}

impl Blob {
    /// From bytes, at most the plugin's limit for one host call (1 MiB unless the operator set another): more ends the call.
    #[must_use]
    pub fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        #[cfg(target_arch = "wasm32")]
        let content = Content::Host(blobs::Blob::new(media_type, &bytes));
        #[cfg(not(target_arch = "wasm32"))]
        let content = Content::Memory { media_type: media_type.to_owned(), bytes: bytes.into() };
        Self(content)
    }

    /// As given by whoever made it, such as `image/jpeg`.
    #[must_use]
    pub fn media_type(&self) -> String {
        match &self.0 {
            Content::Host(blob) => blob.media_type(),
            #[cfg(not(target_arch = "wasm32"))]
            Content::Memory { media_type, .. } => media_type.clone(),
        }
    }

    /// In bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        match &self.0 {
            Content::Host(blob) => blob.length(),
            #[cfg(not(target_arch = "wasm32"))]
            Content::Memory { bytes, .. } => bytes.len() as u64,
        }
    }

    /// The bytes from `offset`, at most `length` of them: fewer at the end, none past it.
    ///
    /// # Errors
    /// `blob.read-too-large` (limit) when `length` is over [`MAX_READ`]; `plugin.host-bytes` (limit) when the call has passed as many
    /// bytes as the operator allows.
    pub fn read(&self, offset: u64, length: u32) -> Result<Vec<u8>, Failure> {
        match &self.0 {
            Content::Host(blob) => blob.read(offset, length),
            #[cfg(not(target_arch = "wasm32"))]
            Content::Memory { bytes, .. } => {
                if length > MAX_READ {
                    let message = format!("at most {MAX_READ} bytes can be read at once");
                    return Err(Failure::new(crate::FailureKind::Limit, "blob.read-too-large", &message));
                }
                let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
                Ok(rest.iter().take(length as usize).copied().collect())
            }
        }
    }

    /// All of it, in as few reads as it takes.
    ///
    /// # Errors
    /// `blob.too-large` (limit) when it is longer than `most` bytes, and those of [`read`](Self::read).
    pub fn bytes(&self, most: u64) -> Result<Vec<u8>, Failure> {
        let length = self.length();
        if length > most {
            let message = format!("it has {length} bytes, and at most {most} are read");
            return Err(Failure::new(crate::FailureKind::Limit, "blob.too-large", &message));
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < length {
            let part = self.read(bytes.len() as u64, MAX_READ)?;
            if part.is_empty() {
                break;
            }
            bytes.extend(part);
        }
        Ok(bytes)
    }

    pub(crate) fn host(&self) -> Option<&blobs::Blob> {
        match &self.0 {
            Content::Host(blob) => Some(blob),
            #[cfg(not(target_arch = "wasm32"))]
            Content::Memory { .. } => None,
        }
    }
}

impl From<blobs::Blob> for Blob {
    fn from(blob: blobs::Blob) -> Self {
        Self(Content::Host(blob))
    }
}

impl From<Blob> for blobs::Blob {
    fn from(blob: Blob) -> Self {
        match blob.0 {
            Content::Host(blob) => blob,
            #[cfg(not(target_arch = "wasm32"))]
            Content::Memory { media_type, bytes } => Self::new(&media_type, &bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_end_where_the_bytes_do() {
        let blob = Blob::new("image/png", vec![7; 10]);
        assert_eq!(blob.read(8, 100).unwrap(), [7, 7]);
        assert!(blob.read(10, 1).unwrap().is_empty());
        assert!(blob.read(u64::MAX, 1).unwrap().is_empty());
        assert_eq!(blob.read(0, MAX_READ + 1).unwrap_err().code, "blob.read-too-large");
    }

    #[test]
    fn all_of_it_is_read_in_parts_up_to_the_limit() {
        let length = 2 * u64::from(MAX_READ) + 5;
        let blob = Blob::new("image/png", (0..length).map(|at| (at % 251) as u8).collect());
        let bytes = blob.bytes(length).unwrap();
        assert_eq!((bytes.len() as u64, bytes.last()), (length, Some(&(((length - 1) % 251) as u8))));
        assert_eq!(blob.bytes(length - 1).unwrap_err().code, "blob.too-large");
    }
}
