//! Where the pictures of products lie on this machine.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use breakwater_core::Digest;
use breakwater_settings::Settings;

use crate::places::Surroundings;

/// A folder of pictures, as an import names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Folder {
    /// Where it is.
    pub(super) path: PathBuf,
    /// The media root that it is below: the configured one, or the root of the file system.
    pub(super) root: PathBuf,
    /// The same folder as a path below that root, with a slash in front.
    pub(super) below: String,
}

impl Folder {
    /// Finds a folder.
    ///
    /// # Errors
    /// When it is none, or its name is not UTF-8.
    pub(super) fn of(folder: &Path, settings: &Settings, surroundings: &Surroundings) -> Result<Self> {
        let path = folder.canonicalize().with_context(|| format!("there is no folder {}", folder.display()))?;
        if !path.is_dir() {
            bail!("{} is no folder; name the one that the picture is in", folder.display());
        }
        let configured = media_root(settings, surroundings).canonicalize().ok();
        let root = configured.filter(|root| path.starts_with(root)).unwrap_or_else(|| PathBuf::from("/"));
        let below = path.strip_prefix(&root).context("the folder cannot be named below its root")?;
        let below = below.to_str().with_context(|| format!("the name of {} is not UTF-8", path.display()))?;
        let below = format!("/{}", if below.is_empty() { "." } else { below });
        Ok(Self { root, below, path })
    }

    /// A name for the import of this folder: always the same one.
    pub(super) fn import_name(&self) -> String {
        format!("folder-{}", Digest::of(self.path.as_os_str().as_encoded_bytes()).short())
    }
}

/// The configured media root, or where it is when nobody says.
fn media_root(settings: &Settings, surroundings: &Surroundings) -> PathBuf {
    let data_dir = || settings.data.dir.clone().unwrap_or_else(|| surroundings.data_dir());
    settings.media.root.clone().unwrap_or_else(|| data_dir().join("media"))
}

/// Finds the files of products' pictures: below the media root, or below the root of the file system, where `index` names them from.
#[derive(Debug)]
pub(super) struct Finder {
    roots: [PathBuf; 2],
}

impl Finder {
    pub(super) fn new(settings: &Settings, surroundings: &Surroundings) -> Self {
        Self { roots: [media_root(settings, surroundings), PathBuf::from("/")] }
    }

    /// The file of a picture, if it is on this machine. An address or a name is none.
    pub(super) fn file(&self, image: &str) -> Option<PathBuf> {
        let relative = Path::new(image.trim_start_matches('/'));
        let plain = relative.components().all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
        let mut found = self.roots.iter().map(|root| root.join(relative)).filter(|file| file.is_file());
        found.next().filter(|_| plain && !image.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(root: &Path) -> Settings {
        let text = format!("[media]\nroot = {:?}\n", root.to_str().unwrap());
        Settings::parse(Path::new("b.toml"), &text, [], &[]).unwrap()
    }

    #[test]
    fn a_folder_is_named_below_the_media_root_or_else_from_the_top() {
        let (media, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let inside = media.path().join("photos");
        std::fs::create_dir(&inside).unwrap();
        let (settings, surroundings) = (settings(media.path()), Surroundings::default());
        let folder = Folder::of(&inside, &settings, &surroundings).unwrap();
        assert_eq!((folder.root, folder.below.as_str()), (media.path().canonicalize().unwrap(), "/photos"));
        let outside = Folder::of(other.path(), &settings, &surroundings).unwrap();
        assert_eq!(
            (outside.root.as_path(), outside.below.as_str()),
            (Path::new("/"), other.path().canonicalize().unwrap().to_str().unwrap())
        );
        assert_eq!(Folder::of(media.path(), &settings, &surroundings).unwrap().below, "/.");
        let again = Folder::of(&other.path().join("."), &settings, &surroundings).unwrap();
        assert_eq!(again.import_name(), outside.import_name());
        assert!(again.import_name().len() < 64);
    }

    #[test]
    fn what_is_no_folder_is_said_so() {
        let media = tempfile::tempdir().unwrap();
        let file = media.path().join("a.jpg");
        std::fs::write(&file, b"x").unwrap();
        let of = |path: &Path| Folder::of(path, &settings(media.path()), &Surroundings::default()).unwrap_err().to_string();
        assert!(of(&file).contains("is no folder"));
        assert!(of(&media.path().join("none")).contains("there is no folder"));
    }

    #[test]
    fn pictures_are_found_where_their_products_name_them() {
        let media = tempfile::tempdir().unwrap();
        let file = media.path().join("a.jpg");
        std::fs::write(&file, b"x").unwrap();
        let finder = Finder::new(&settings(media.path()), &Surroundings::default());
        for image in ["a.jpg", "/a.jpg"] {
            assert_eq!(finder.file(image), Some(file.clone()), "{image}");
        }
        assert_eq!(finder.file(file.to_str().unwrap()), Some(file));
        for image in ["", "/", "b.jpg", "../a.jpg", "https://a.example/a.jpg"] {
            assert_eq!(finder.file(image), None, "{image}");
        }
    }
}
