//! A PDF that is written object by object. The library makes the objects but collects a whole file; here each is written as soon as it is
//! made, and of those written only the offsets are kept (ISO 32000-1, 7.5.4 and 7.5.5).

use std::io::{self, Write};

use pdf_writer::{Chunk, Ref, Settings};

/// The least version that has everything in it, and four bytes that say that the file is not text.
const HEADER: &[u8] = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n";

/// More bytes than an entry of a cross-reference table can point at.
const MAX_BYTES: u64 = 9_999_999_999;

/// A file under way.
pub(super) struct PdfFile<W> {
    out: W,
    position: u64,
    /// Of the objects from number 1 on; zero until one is written.
    offsets: Vec<u64>,
    /// The file's identity is its content's, so that the same sheet is the same file.
    content: blake3::Hasher,
}

impl<W: Write> PdfFile<W> {
    /// Begins a file.
    pub(super) fn begin(out: W) -> io::Result<Self> {
        let mut file = Self { out, position: 0, offsets: Vec::new(), content: blake3::Hasher::new() };
        file.put(HEADER)?;
        Ok(file)
    }

    /// The number of an object that is written later. Every one must be.
    pub(super) fn reserve(&mut self) -> Ref {
        self.offsets.push(0);
        Ref::new(i32::try_from(self.offsets.len()).unwrap_or(i32::MAX))
    }

    /// Writes an object under a reserved number.
    pub(super) fn write(&mut self, id: Ref, make: impl FnOnce(&mut Chunk)) -> io::Result<()> {
        let mut chunk = Chunk::with_settings(Settings { pretty: false });
        make(&mut chunk);
        let number = usize::try_from(id.get()).unwrap_or(0);
        if let Some(offset) = number.checked_sub(1).and_then(|index| self.offsets.get_mut(index)) {
            *offset = self.position;
        }
        self.put(chunk.as_bytes())
    }

    /// Writes an object under a new number.
    pub(super) fn add(&mut self, make: impl FnOnce(&mut Chunk, Ref)) -> io::Result<Ref> {
        let id = self.reserve();
        self.write(id, |chunk| make(chunk, id))?;
        Ok(id)
    }

    /// Writes the table of objects and what points at the first of them.
    pub(super) fn finish(mut self, catalog: Ref) -> io::Result<W> {
        let table = self.position;
        let digest = self.content.finalize();
        let identity: String = digest.as_bytes().iter().take(16).map(|byte| format!("{byte:02X}")).collect();
        let size = self.offsets.len() + 1;
        self.put(format!("xref\n0 {size}\n0000000000 65535 f \n").as_bytes())?;
        let offsets = std::mem::take(&mut self.offsets);
        for offset in offsets {
            self.put(format!("{offset:010} 00000 n \n").as_bytes())?;
        }
        let root = catalog.get();
        let trailer = format!("trailer\n<</Size {size}/Root {root} 0 R/ID[<{identity}><{identity}>]>>\nstartxref\n{table}\n%%EOF\n");
        self.put(trailer.as_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let after = self.position + bytes.len() as u64;
        if after > MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a PDF has at most 10 GB"));
        }
        self.content.update(bytes);
        self.out.write_all(bytes)?;
        self.position = after;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_points_at_its_object() {
        let mut file = PdfFile::begin(Vec::new()).unwrap();
        let later = file.reserve();
        let pages = file.add(|chunk, id| drop(chunk.pages(id))).unwrap();
        file.write(later, |chunk| drop(chunk.pages(later))).unwrap();
        let bytes = file.finish(later).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let table = bytes.windows(7).position(|bytes| bytes == b"xref\n0 ").unwrap();
        let entries: Vec<usize> =
            text[text.find("xref\n").unwrap()..].lines().skip(3).take(2).map(|line| line[..10].parse().unwrap()).collect();
        for (id, offset) in [later, pages].iter().zip(&entries) {
            assert!(bytes[*offset..].starts_with(format!("{} 0 obj", id.get()).as_bytes()), "{id:?}");
        }
        assert!(text.ends_with(&format!("startxref\n{table}\n%%EOF\n")));
    }

    #[test]
    fn a_target_that_takes_no_more_is_an_error() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert!(PdfFile::begin(Full(3)).is_err());
        let mut file = PdfFile::begin(Full(20)).unwrap();
        assert_eq!(file.add(|chunk, id| drop(chunk.pages(id))).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
