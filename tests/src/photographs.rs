//! The photographs that ship with the project, and those that only a developer has.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bytes::Bytes;

use crate::artifacts::root;

/// A photograph and what is known of it.
#[derive(Debug, Clone)]
pub struct Photograph {
    /// File name, such as `astronaut.png`.
    pub name: String,
    /// The file.
    pub bytes: Bytes,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Photograph {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is no picture.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = Bytes::from(fs::read(path).with_context(|| format!("could not read {}", path.display()))?);
        let size = image::ImageReader::new(std::io::Cursor::new(&bytes)).with_guessed_format()?.into_dimensions();
        let (width, height) = size.with_context(|| format!("{} is no picture", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, bytes, width, height })
    }

    /// One of the photographs that ship with the project.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn shipped(name: &str) -> Result<Self> {
        Self::read(&root().join("tests/images").join(name))
    }
}

/// Names of the photographs that ship with the project.
pub const SHIPPED: [&str; 5] = ["astronaut.png", "camera.png", "chelsea.png", "coffee.png", "china.jpg"];

/// All photographs that ship with the project.
///
/// # Errors
/// When one cannot be read.
pub fn shipped() -> Result<Vec<Photograph>> {
    SHIPPED.iter().map(|name| Photograph::shipped(name)).collect()
}

/// The folder of photographs that may be used but not shipped: `../shared/assets` beside the checkout, or what `BREAKWATER_ASSETS` names.
#[must_use]
pub fn development_folder() -> Option<PathBuf> {
    let folder = env::var_os("BREAKWATER_ASSETS").map_or_else(|| root().join("../shared/assets"), PathBuf::from);
    folder.join("images").is_dir().then_some(folder)
}
