//! The pictures of a folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use breakwater_operations::batches::is_picture;
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

/// By which a picture is known that has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    bytes: u64,
    /// Since 1970.
    modified_ns: u64,
}

impl Fingerprint {
    /// Of a file as it is now; none when it cannot be looked at.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Self { bytes: metadata.len(), modified_ns: u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX) })
    }
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Its path below the folder, as text. What is no UTF-8 is replaced, and numbered where two become the same.
    pub(super) name: String,
    /// Where it is.
    pub(super) path: PathBuf,
}

/// Pictures in the order of their paths.
pub(super) type Sources = Vec<Source>;

/// The pictures of a folder, and of the folders in it if wanted. Hidden files, links and the results' own folder are left out. What cannot be
/// read is a picture too: it fails by its name, so that nothing is left out without a word.
pub(super) fn find(folder: &Path, out: &Path, recursive: bool) -> Sources {
    let depth = if recursive { usize::MAX } else { 1 };
    let hidden = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b".");
    let walk = WalkDir::new(folder).min_depth(1).max_depth(depth).sort_by_file_name().into_iter();
    let walk = walk.filter_entry(|entry| !hidden(entry.file_name()) && entry.path() != out);
    let mut names = HashSet::new();
    let mut sources = Sources::new();
    for found in walk {
        let path = match found {
            Ok(entry) if entry.file_type().is_file() && is_picture(&entry.file_name().to_string_lossy()) => entry.into_path(),
            Ok(_) => continue,
            Err(error) => match error.path() {
                Some(path) => path.to_owned(),
                None => continue,
            },
        };
        let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        let numbered = std::iter::once(name.clone()).chain((2_u64..).map(|number| format!("{name}#{number}")));
        let free = numbered.into_iter().find(|name| names.insert(name.clone())).unwrap_or(name);
        sources.push(Source { name: free, path });
    }
    sources
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn pictures_are_found_in_order_whatever_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["b/2.jpg", "a.PNG", "c d.webp", "notes.txt", ".hidden.jpg", ".git/x.jpg", "done/made.jpg"] {
            std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            std::fs::write(root.join(name), b"x").unwrap();
        }
        for odd in [&b"o\xff.jpg"[..], b"o\xfe.jpg"] {
            std::fs::write(root.join(std::ffi::OsStr::from_bytes(odd)), b"x").unwrap();
        }
        std::os::unix::fs::symlink("a.PNG", root.join("link.png")).unwrap();
        let names =
            |recursive| -> Vec<String> { find(root, &root.join("done"), recursive).into_iter().map(|source| source.name).collect() };
        assert_eq!(names(true), ["a.PNG", "b/2.jpg", "c d.webp", "o\u{fffd}.jpg", "o\u{fffd}.jpg#2"]);
        assert_eq!(names(false), ["a.PNG", "c d.webp", "o\u{fffd}.jpg", "o\u{fffd}.jpg#2"]);
    }

    #[test]
    fn a_picture_that_changed_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        std::fs::write(&path, b"x").unwrap();
        let before = Fingerprint::of(&path).unwrap();
        assert_eq!(Fingerprint::of(&path), Some(before));
        std::fs::write(&path, b"xy").unwrap();
        assert_ne!(Fingerprint::of(&path), Some(before));
        assert_eq!(Fingerprint::of(&folder.path().join("none.jpg")), None);
    }
}
