//! Walking a folder and reading a list below the media root.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;

use breakwater_core::Failure;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::{MediaRoot, resolve};

/// The deepest folders that are walked: links are not followed, so that only somebody who wants to gets there.
const MAX_DEPTH: usize = 64;

/// Files in a folder and the folders in it, by the order of their paths' components. Files and folders whose names begin with a dot are
/// left out, links are not followed.
pub(crate) struct Walk {
    /// Folders on the way down, the innermost last.
    open: Vec<Folder>,
}

struct Folder {
    fd: OwnedFd,
    /// Below the media root, without a slash at either end.
    path: String,
    /// Names yet to come, the next last.
    names: Vec<(OsString, FileType)>,
}

/// A file, or why a folder or file cannot be read: its path below the media root.
pub(crate) type Found = Result<String, (String, Failure)>;

impl MediaRoot {
    /// Begins to walk a folder; `/` is the root itself, whose folder for results is left out.
    ///
    /// # Errors
    /// As [`MediaRoot::read`].
    pub(crate) fn walk(&self, path: &str) -> Result<Walk, Failure> {
        let whole = path.trim_matches('/').is_empty();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let (path, fd) = if whole {
            (String::new(), resolve::open_beneath(&self.shared.root, ".", flags).map_err(resolve::open_failure)?)
        } else {
            let relative = resolve::relative(path)?.trim_end_matches('/');
            (relative.to_owned(), resolve::open_beneath(&self.shared.root, relative, flags).map_err(resolve::open_failure)?)
        };
        let mut folder = Folder::read(fd, path)?;
        if whole {
            folder.names.retain(|(name, _)| *name != *self.shared.output_folder);
        }
        Ok(Walk { open: vec![folder] })
    }

    /// Opens a file to be read bit by bit.
    ///
    /// # Errors
    /// As [`MediaRoot::read`], without the limit of size.
    pub(crate) fn open_file(&self, path: &str) -> Result<File, Failure> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = resolve::open_beneath(&self.shared.root, resolve::relative(path)?, flags).map_err(resolve::open_failure)?;
        let file = File::from(file);
        if file.metadata().is_ok_and(|metadata| metadata.is_file()) { Ok(file) } else { Err(resolve::not_a_file()) }
    }
}

impl Folder {
    fn read(fd: OwnedFd, path: String) -> Result<Self, Failure> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd).map_err(resolve::open_failure)? {
            let entry = entry.map_err(resolve::open_failure)?;
            let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            // Some file systems do not say in the folder.
            let kind = match entry.file_type() {
                FileType::Unknown => match rustix::fs::statat(&fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    Err(_) => continue,
                },
                known => known,
            };
            if matches!(kind, FileType::Directory | FileType::RegularFile) {
                names.push((name, kind));
            }
        }
        names.sort_by(|a, b| b.0.cmp(&a.0));
        Ok(Self { fd, path, names })
    }

    fn child(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }

    fn enter(&self, name: &str) -> Result<Self, Failure> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty()).map_err(resolve::open_failure)?;
        Self::read(fd, self.child(name))
    }
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let depth = self.open.len();
            let folder = self.open.last_mut()?;
            let Some((name, kind)) = folder.names.pop() else {
                self.open.pop();
                continue;
            };
            let name = match name.into_string() {
                Ok(name) => name,
                Err(name) => {
                    let failure = Failure::invalid("media.path-invalid", "the name of a file or folder is no UTF-8");
                    return Some(Err((folder.child(&name.to_string_lossy()), failure)));
                }
            };
            let path = folder.child(&name);
            if kind == FileType::RegularFile {
                return Some(Ok(path));
            }
            if depth >= MAX_DEPTH {
                return Some(Err((path, Failure::limit("media.too-deep", format!("folders are walked {MAX_DEPTH} deep")))));
            }
            match folder.enter(&name) {
                Ok(inner) => self.open.push(inner),
                Err(failure) => return Some(Err((path, failure))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(media: &MediaRoot, path: &str) -> Vec<String> {
        media.walk(path).unwrap().map(|found| found.unwrap_or_else(|(path, failure)| format!("{path}: {}", failure.code))).collect()
    }

    #[test]
    fn files_come_in_the_order_of_their_paths_without_links_and_hidden_ones() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["b/2.jpg", "b/1.jpg", "b/c/x.jpg", "a.jpg", "z.jpg", ".hidden/x.jpg", "b/.x.jpg", "output/made.jpg"] {
            std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            std::fs::write(root.join(name), b"x").unwrap();
        }
        std::os::unix::fs::symlink("/etc", root.join("etc")).unwrap();
        std::os::unix::fs::symlink("a.jpg", root.join("link.jpg")).unwrap();
        let media = MediaRoot::open(root, "output", 10).unwrap();
        assert_eq!(walked(&media, "/"), ["a.jpg", "b/1.jpg", "b/2.jpg", "b/c/x.jpg", "z.jpg"]);
        assert_eq!(walked(&media, "/b/"), ["b/1.jpg", "b/2.jpg", "b/c/x.jpg"]);
        assert_eq!(walked(&media, "output"), ["output/made.jpg"]);
        for (path, code) in
            [("etc", "media.outside"), ("../x", "media.outside"), ("missing", "media.not-found"), ("a.jpg", "media.not-found")]
        {
            assert_eq!(media.walk(path).err().unwrap().code, code, "{path}");
        }
        assert_eq!(media.open_file("b").unwrap_err().code, "media.not-a-file");
        assert!(media.open_file("/a.jpg").is_ok());
    }

    #[test]
    fn folders_end_somewhere() {
        let folder = tempfile::tempdir().unwrap();
        let deep: String = std::iter::repeat_n("d/", MAX_DEPTH + 1).collect();
        std::fs::create_dir_all(folder.path().join(&deep)).unwrap();
        let media = MediaRoot::open(folder.path(), "output", 10).unwrap();
        let found = walked(&media, "/");
        assert_eq!(found.len(), 1);
        assert!(found[0].ends_with("media.too-deep"), "{found:?}");
    }
}
