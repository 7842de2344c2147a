//! Images for the tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use breakwater_core::{Rect, Size};
use breakwater_vision::{Detail, Format, Image, Limits, OutputOptions, render};
use bytes::Bytes;

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(Path::parent).unwrap()
}

/// Photographs and reference detections that may not be shipped, if they are here; says loudly if not.
pub(crate) fn unshipped(what_is_missing: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("BREAKWATER_ASSETS").map_or_else(|| root().join("../shared/assets"), PathBuf::from);
    if folder.join("golden").is_dir() {
        return Some(folder);
    }
    eprintln!("NOT RUN: {what_is_missing}: {} is not there (set BREAKWATER_ASSETS)", folder.display());
    None
}

pub(crate) fn open(path: &Path) -> Arc<Image> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Arc::new(Image::decode(Bytes::from(bytes), Detail::Full, &Limits::default()).unwrap())
}

/// A photograph that is shipped, by its name without `.png`.
pub(crate) fn shipped(name: &str) -> Arc<Image> {
    open(&root().join("tests/images").join(format!("{name}.png")))
}

/// The `number`th of many different pictures of `edge` by `edge` pixels.
pub(crate) fn cut(number: u32, edge: u32) -> Arc<Image> {
    cut_to(number, Size::new(edge, edge))
}

/// As [`cut`], of any shape.
pub(crate) fn cut_to(number: u32, area: Size) -> Arc<Image> {
    let limits = Limits::default();
    let crop = Rect::new(number, number, area.width, area.height);
    let options = OutputOptions { format: Format::Png, quality: None, size: None, keep_metadata: false };
    let encoded = render(&shipped("coffee"), crop, &options, &limits).unwrap();
    Arc::new(Image::decode(encoded.bytes, Detail::Full, &limits).unwrap())
}
