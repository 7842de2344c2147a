//! The pictures of a folder below the media root.

use breakwater_core::Failure;
use breakwater_vision::Format;

use super::{BatchEntry, MAX_IMAGES};
use crate::media::MediaRoot;
use crate::process_batch::check_count;

/// Every picture of a folder and the folders in it, in the order of their paths. What cannot be read is an image too: it fails by its name, so
/// that nothing is left out without a word. Blocks.
///
/// # Errors
/// As [`MediaRoot::read`], `media.not-a-folder`, `batch.empty`, `batch.too-many-images` (limit).
pub(super) fn pictures(media: &MediaRoot, folder: &str) -> Result<Vec<BatchEntry>, Failure> {
    let mut entries = Vec::new();
    let walk = media.walk(folder).map_err(|failure| if is_else(media, folder, &failure) { not_a_folder() } else { failure })?;
    for found in walk {
        let path = match found {
            Ok(path) if !is_picture(&path) => continue,
            Ok(path) | Err((path, _)) => path,
        };
        entries.push(BatchEntry::of_path(path));
        if entries.len() > MAX_IMAGES {
            break;
        }
    }
    check_count(entries.len(), MAX_IMAGES)?;
    Ok(entries)
}

/// Whether what cannot be found as a folder is there as something else.
fn is_else(media: &MediaRoot, path: &str, failure: &Failure) -> bool {
    failure.code == "media.not-found"
        && match media.open_file(path.trim_end_matches('/')) {
            Ok(_) => true,
            Err(failure) => failure.code == "media.not-a-file",
        }
}

fn not_a_folder() -> Failure {
    Failure::invalid("media.not-a-folder", "the path does not name a folder")
}

/// Whether a file's name ends like that of a picture.
#[must_use]
pub fn is_picture(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').is_some_and(|(_, end)| end.to_ascii_lowercase().parse::<Format>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_in_order_and_what_cannot_be_read_is_named() {
        use std::os::unix::ffi::OsStrExt as _;
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("photos");
        std::fs::create_dir_all(folder.join("b")).unwrap();
        for name in ["c.JPG", "b/ü n.png", "a.webp", "notes.txt", "b/jpg"] {
            std::fs::write(folder.join(name), b"x").unwrap();
        }
        std::fs::write(folder.join(std::ffi::OsStr::from_bytes(b"d\xff.jpg")), b"x").unwrap();
        let media = MediaRoot::open(root.path(), "output", 10).unwrap();
        let paths = |folder: &str| -> Result<Vec<String>, Failure> {
            Ok(pictures(&media, folder)?.into_iter().map(|entry| entry.item(None).image_path).collect())
        };
        assert_eq!(paths("/photos").unwrap(), ["photos/a.webp", "photos/b/ü n.png", "photos/c.JPG", "photos/d\u{fffd}.jpg"]);
        std::fs::create_dir(root.path().join("empty")).unwrap();
        assert_eq!(paths("empty").unwrap_err().code, "batch.empty");
        for path in ["/photos/a.webp", "photos/notes.txt/"] {
            assert_eq!(paths(path).unwrap_err().code, "media.not-a-folder", "{path}");
        }
        for path in ["none", "photos/a.webp/x"] {
            assert_eq!(paths(path).unwrap_err().code, "media.not-found", "{path}");
        }
        assert_eq!(paths("../etc").unwrap_err().code, "media.outside");
    }
}
