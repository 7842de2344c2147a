//! Where sheets are written: below the media root, into a file that has no name, or beside the file they become.

use std::fs::File;
use std::io::{self, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use breakwater_core::Digest;
use breakwater_vision::sheet::{SheetFormat, Target};
use bytes::Bytes;
use tempfile::NamedTempFile;

use crate::media::{MediaRoot, Part};

/// Bytes that are written at a time.
const BLOCK: usize = 1 << 20;

/// Where a sheet goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SheetDestination {
    /// Below the media root, under a name made of its content.
    Media,
    /// A file without a name, that is gone once nobody reads it any more.
    Unnamed,
    /// This file; pictures of several pages get the number of the page before the end of the name.
    File(PathBuf),
}

/// A file of a sheet: the only one of a PDF, or a picture of a page.
#[derive(Debug)]
pub struct SheetFile {
    /// Its size.
    pub bytes: u64,
    /// Where it is.
    pub content: SheetContent,
}

/// Where a file of a sheet is.
#[derive(Debug)]
pub enum SheetContent {
    /// At this path below the media root, usable as an input path.
    Media(String),
    /// In this file of the machine.
    File(PathBuf),
    /// In this file, which has no name; it is read from its beginning.
    Unnamed(File),
    /// Here: another service made it.
    Bytes(Bytes),
}

/// The files of one sheet.
pub(crate) struct Files {
    place: Place,
    extension: &'static str,
    /// How many there are going to be.
    expected: usize,
    done: Vec<SheetFile>,
}

enum Place {
    Media(Arc<MediaRoot>),
    Unnamed,
    File(PathBuf),
}

impl Files {
    pub(crate) fn new(destination: &SheetDestination, media: Option<&Arc<MediaRoot>>, format: SheetFormat, pages: usize) -> Option<Self> {
        let place = match destination {
            SheetDestination::Media => Place::Media(Arc::clone(media?)),
            SheetDestination::Unnamed => Place::Unnamed,
            SheetDestination::File(path) => Place::File(path.clone()),
        };
        let expected = if format == SheetFormat::Pdf { 1 } else { pages };
        Some(Self { place, extension: format.extension(), expected, done: Vec::new() })
    }

    pub(crate) fn take(&mut self) -> Vec<SheetFile> {
        std::mem::take(&mut self.done)
    }

    pub(crate) fn into_files(self) -> Vec<SheetFile> {
        self.done
    }

    /// Keeps a file that somebody else made.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.begin()?;
        file.write_all(bytes)?;
        self.finish(file)
    }
}

/// A file under way; gone when it is dropped.
pub(crate) struct Under {
    sink: Sink,
    block: Vec<u8>,
    digest: Digest,
    bytes: u64,
}

enum Sink {
    Media(Part),
    Unnamed(File),
    Named(NamedTempFile),
}

impl Target for Files {
    type File = Under;

    fn begin(&mut self) -> io::Result<Under> {
        let sink = match &self.place {
            Place::Media(media) => Sink::Media(media.begin_part()?),
            Place::Unnamed => Sink::Unnamed(tempfile::tempfile()?),
            Place::File(path) => Sink::Named(beside(path)?),
        };
        Ok(Under { sink, block: Vec::with_capacity(BLOCK), digest: Digest::of(b""), bytes: 0 })
    }

    fn finish(&mut self, mut file: Under) -> io::Result<()> {
        file.write_block()?;
        let Under { sink, digest, bytes, .. } = file;
        let content = match (sink, &self.place) {
            (Sink::Media(part), Place::Media(media)) => {
                let name = format!("{digest}.{}", self.extension);
                part.keep(&name)?;
                SheetContent::Media(media.output_path(&name))
            }
            (Sink::Named(file), Place::File(path)) => {
                let path = if self.expected > 1 { numbered(path, self.done.len() + 1) } else { path.clone() };
                file.persist(&path).map_err(|error| error.error)?;
                SheetContent::File(path)
            }
            (Sink::Unnamed(mut file), _) => {
                file.rewind()?;
                SheetContent::Unnamed(file)
            }
            (Sink::Media(_) | Sink::Named(_), _) => return Err(io::Error::other("a file of a sheet came back from elsewhere")),
        };
        self.done.push(SheetFile { bytes, content });
        Ok(())
    }
}

impl Under {
    fn write_block(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Media(part) => {
                // Only there is the content the name.
                self.digest = Digest::of_parts([self.digest.as_bytes().as_slice(), &self.block]);
                part.file().write_all(&self.block)?;
            }
            Sink::Unnamed(file) => file.write_all(&self.block)?,
            Sink::Named(file) => file.write_all(&self.block)?,
        }
        self.bytes += self.block.len() as u64;
        self.block.clear();
        Ok(())
    }
}

impl Write for Under {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if self.block.len() == BLOCK {
            self.write_block()?;
        }
        Ok(taken)
    }

    /// Blocks are of one size, so that the name does not depend on how a sheet came; the last one is written when the file is whole.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file in the same folder, so that it can be renamed.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // What the user's mask leaves of it, as for every other file.
    let permissions = std::fs::Permissions::from_mode(0o666);
    tempfile::Builder::new().prefix(".sheet-").suffix(".part").permissions(permissions).tempfile_in(folder)
}

/// `sheet.png` as `sheet-2.png`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}-{number}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn files(destination: SheetDestination, media: Option<&Arc<MediaRoot>>, pages: usize) -> Files {
        Files::new(&destination, media, SheetFormat::Png, pages).unwrap()
    }

    #[test]
    fn below_the_media_root_the_content_is_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let media = MediaRoot::open(folder.path(), "output", 1).unwrap();
        let keep = |bytes: &[u8]| {
            let mut files = files(SheetDestination::Media, Some(&media), 1);
            files.keep(bytes).unwrap();
            let SheetContent::Media(path) = files.into_files().remove(0).content else { panic!("below the media root") };
            path
        };
        let large = vec![7; 3 * BLOCK + 5];
        let path = keep(&large);
        assert_eq!(keep(&large), path);
        assert_ne!(keep(&large[1..]), path);
        assert_eq!(std::fs::read(folder.path().join(&path[1..])).unwrap(), large);
        assert_eq!(std::fs::read_dir(folder.path().join("output")).unwrap().count(), 2);
    }

    #[test]
    fn several_pages_are_numbered_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut several = files(SheetDestination::File(folder.path().join("a.png")), None, 2);
        several.keep(b"one").unwrap();
        several.keep(b"two").unwrap();
        drop(several.begin().unwrap());
        assert_eq!(std::fs::read(folder.path().join("a-2.png")).unwrap(), b"two");
        let mut one = files(SheetDestination::File(folder.path().join("b")), None, 1);
        one.keep(b"only").unwrap();
        assert_eq!(one.into_files()[0].bytes, 4);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_file_without_a_name_is_read_from_its_beginning() {
        let mut files = files(SheetDestination::Unnamed, None, 1);
        files.keep(b"sheet").unwrap();
        let SheetContent::Unnamed(mut file) = files.into_files().remove(0).content else { panic!("without a name") };
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "sheet");
    }
}
