//! Files that are there as a whole or not at all, and are what they were when they were written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use breakwater_core::Digest;
use uuid::Uuid;

use crate::index::IndexError;

/// Bytes that are hashed at once.
const BLOCK: usize = 1 << 20;

/// Files by what they hold: names and digests.
type Names = BTreeMap<String, (String, Digest)>;

/// Writes the files of one snapshot.
pub(super) struct Writer<'a> {
    folder: &'a Path,
    id: Uuid,
    written: Names,
    finished: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(folder: &'a Path) -> Self {
        Self { folder, id: Uuid::now_v7(), written: Names::new(), finished: false }
    }

    /// Writes a file.
    pub(super) fn write(&mut self, what: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let (name, path) = self.name(what);
        let mut out = BufWriter::with_capacity(BLOCK, File::create(&path)?);
        self.written.insert(what.to_owned(), (name, Digest::of(b"")));
        write(&mut out)?;
        out.into_inner()?.sync_all()?;
        self.note(what, &path)
    }

    /// Has a file written at a path.
    pub(super) fn write_with(&mut self, what: &str, write: impl FnOnce(&str) -> Result<(), IndexError>) -> Result<(), IndexError> {
        let failed = |source: io::Error| IndexError::Unavailable { what: "saving an index".to_owned(), source: Box::new(source) };
        let (name, path) = self.name(what);
        self.written.insert(what.to_owned(), (name, Digest::of(b"")));
        write(text(&path)?)?;
        File::open(&path).and_then(|file| file.sync_all()).map_err(failed)?;
        self.note(what, &path).map_err(failed)
    }

    /// What was written so far.
    pub(super) fn written(&self) -> Names {
        self.written.clone()
    }

    /// Makes these files the snapshot, and deletes those of the one before.
    pub(super) fn finish(mut self, name: &str, manifest: &[u8]) -> io::Result<()> {
        let fresh = self.folder.join(format!("{name}.new"));
        let mut file = File::create(&fresh)?;
        file.write_all(manifest)?;
        file.sync_all()?;
        fs::rename(&fresh, self.folder.join(name))?;
        self.finished = true;
        File::open(self.folder)?.sync_all()?;
        let named: BTreeSet<_> = self.written.values().map(|(name, _)| name.as_str()).chain([name]).collect();
        for entry in fs::read_dir(self.folder)? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| named.contains(name)) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn name(&self, what: &str) -> (String, PathBuf) {
        let name = format!("{what}-{}", self.id.simple());
        let path = self.folder.join(&name);
        (name, path)
    }

    fn note(&mut self, what: &str, path: &Path) -> io::Result<()> {
        let digest = digest_of(path)?;
        if let Some((_, noted)) = self.written.get_mut(what) {
            *noted = digest;
        }
        Ok(())
    }
}

impl Drop for Writer<'_> {
    /// What no manifest names is of no use.
    fn drop(&mut self) {
        if !self.finished {
            for (name, _) in self.written.values() {
                // What cannot be deleted now is deleted with the next snapshot.
                drop(fs::remove_file(self.folder.join(name)));
            }
        }
    }
}

/// Reads the files of a snapshot.
pub(super) struct Reader<'a> {
    folder: &'a Path,
    names: &'a Names,
}

impl<'a> Reader<'a> {
    pub(super) fn new(folder: &'a Path, names: &'a Names) -> Self {
        Self { folder, names }
    }

    /// Opens a file that is as it was written.
    pub(super) fn open(&self, what: &str) -> Result<impl Read, IndexError> {
        let file = File::open(self.checked(what)?).map_err(|error| IndexError::Corrupt(error.to_string()))?;
        Ok(BufReader::with_capacity(BLOCK, file))
    }

    /// Where a file is that is as it was written.
    pub(super) fn path(&self, what: &str) -> Result<String, IndexError> {
        Ok(text(&self.checked(what)?)?.to_owned())
    }

    fn checked(&self, what: &str) -> Result<PathBuf, IndexError> {
        let Some((name, digest)) = self.names.get(what) else { return Err(IndexError::Corrupt(format!("it has no {what}"))) };
        // A manifest names files beside it, never others.
        if Path::new(name).file_name().is_none_or(|last| last != name.as_str()) {
            return Err(IndexError::Corrupt(format!("{name:?} is no name of a file")));
        }
        let path = self.folder.join(name);
        match digest_of(&path) {
            Ok(found) if found == *digest => Ok(path),
            Ok(_) => Err(IndexError::Corrupt(format!("{name} has changed"))),
            Err(error) => Err(IndexError::Corrupt(format!("{name}: {error}"))),
        }
    }
}

/// The digest of the digests of a file's blocks: a file need not be in memory.
fn digest_of(path: &Path) -> io::Result<Digest> {
    let (mut file, mut block, mut digests) = (File::open(path)?, Vec::with_capacity(BLOCK), Vec::new());
    loop {
        block.clear();
        Read::by_ref(&mut file).take(BLOCK as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(Digest::of_parts(digests.iter().map(|digest: &Digest| digest.as_bytes().as_slice())));
        }
        digests.push(Digest::of(&block));
    }
}

fn text(path: &Path) -> Result<&str, IndexError> {
    let refused =
        || IndexError::Unavailable { what: "a path".to_owned(), source: "the index's folder has a name that is not UTF-8".into() };
    path.to_str().ok_or_else(refused)
}
