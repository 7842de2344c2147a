//! `breakwater index --server`: sends the pictures of a folder to a service. A picture that is there already is not sent again, so that an
//! interrupted command goes on where it was.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use breakwater_core::Digest;
use breakwater_vision::Format;
use futures_util::{StreamExt as _, stream};
use reqwest::Url;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use walkdir::WalkDir;

use crate::cli::IndexArguments;
use crate::output::{self, Progress};
use crate::server_client::Server;

/// Pictures on their way at the same time.
const AT_ONCE: usize = 4;
/// Bytes that say what a file is.
const HEAD: usize = 64;

/// A picture to send.
#[derive(Debug, PartialEq, Eq)]
struct Picture {
    file: PathBuf,
    /// Its path below the folder, with the folder's name in front.
    id: String,
    title: String,
    /// The folder it is in, unless that is the folder itself.
    category: String,
}

/// What became of a picture.
enum Sent {
    Stored,
    Unchanged,
}

pub(super) async fn run(arguments: &IndexArguments, server: &Url) -> Result<ExitCode> {
    let folder = arguments.folder.canonicalize().with_context(|| format!("there is no folder {}", arguments.folder.display()))?;
    if !folder.is_dir() {
        bail!("{} is no folder", folder.display());
    }
    let prefix = arguments.name.clone().or_else(|| folder.file_name().map(|name| name.to_string_lossy().into_owned())).unwrap_or_default();
    let pictures = pictures(&folder, &prefix)?;
    let server = Server::at(server)?;
    let progress = Progress::over(pictures.len());
    let (mut stored, mut unchanged, mut failed) = (0, 0, 0);
    let sent = pictures.iter().map(|picture| {
        let sending = send(&server, picture);
        async move { (picture, sending.await) }
    });
    let mut sent = std::pin::pin!(stream::iter(sent).buffered(AT_ONCE));
    while let Some((picture, result)) = sent.next().await {
        match &result {
            Ok(Sent::Stored) => stored += 1,
            Ok(Sent::Unchanged) => unchanged += 1,
            Err(_) => failed += 1,
        }
        progress.done(|| {
            if let Err(error) = result {
                output::error(&format!("{}: {error:#}", picture.file.display()));
            }
        });
    }
    drop(progress);
    let shown = if arguments.json {
        json!({ "stored": stored, "unchanged": unchanged, "failed": failed }).to_string()
    } else {
        format!("{stored} pictures indexed, {unchanged} there already, {failed} failed")
    };
    output::line(&shown);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every picture in a folder and the folders in it, by path.
fn pictures(folder: &Path, prefix: &str) -> Result<Vec<Picture>> {
    let mut found = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.context("the folder cannot be read")?;
        if !entry.file_type().is_file() || !is_picture(entry.path()) {
            continue;
        }
        let relative = entry.path().strip_prefix(folder)?;
        let id = Path::new(prefix).join(relative).to_string_lossy().into_owned();
        let title = entry.file_name().to_string_lossy().into_owned();
        let category = relative.parent().and_then(Path::file_name).map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        found.push(Picture { file: entry.path().to_owned(), id, title, category });
    }
    Ok(found)
}

/// By content: what only looks like a picture by its name fails where it is decoded.
fn is_picture(file: &Path) -> bool {
    use std::io::Read as _;
    let mut head = Vec::with_capacity(HEAD);
    let read = std::fs::File::open(file).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
    read.is_ok() && Format::sniff(&head).is_some()
}

async fn send(server: &Server, picture: &Picture) -> Result<Sent> {
    let bytes = std::fs::read(&picture.file).context("cannot be read")?;
    let digest = Digest::of(&bytes).to_string();
    let there = server.product(&picture.id).await?;
    if there.is_some_and(|product| product.get("image_digest").and_then(Value::as_str) == Some(digest.as_str())) {
        return Ok(Sent::Unchanged);
    }
    let form = Form::new()
        .text("title", picture.title.clone())
        .text("category", picture.category.clone())
        .part("image", Part::bytes(bytes).file_name(picture.title.clone()));
    server.put_product(&picture.id, form).await?;
    Ok(Sent::Stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_known_by_content_and_named_by_path() {
        let folder = tempfile::tempdir().unwrap();
        let png = b"\x89PNG\r\n\x1a\n----------------";
        std::fs::create_dir_all(folder.path().join("dogs/old")).unwrap();
        for (file, bytes) in [("b.png", &png[..]), ("dogs/a.dat", png), ("dogs/old/c.png", png), ("notes.png", b"text"), ("empty.jpg", b"")]
        {
            std::fs::write(folder.path().join(file), bytes).unwrap();
        }
        let found = pictures(folder.path(), "photos").unwrap();
        let named: Vec<_> = found.iter().map(|picture| (picture.id.as_str(), picture.title.as_str(), picture.category.as_str())).collect();
        assert_eq!(
            named,
            [("photos/b.png", "b.png", ""), ("photos/dogs/a.dat", "a.dat", "dogs"), ("photos/dogs/old/c.png", "c.png", "old")]
        );
    }
}
