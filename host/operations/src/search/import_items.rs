//! The items of an import, one after the other: pictures of a folder, lines of JSONL, records of CSV.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::rc::Rc;

use breakwater_core::Failure;
use serde::{Deserialize, Serialize};

use super::import::{ImportFormat, ImportSource, MAX_LINE};
use super::products::{GivenVector, ProductInput};
use crate::media::{MediaRoot, Walk};
use crate::source::ImageSource;

/// Endings of the names of pictures.
const PICTURES: [&str; 6] = ["jpg", "jpeg", "png", "webp", "avif", "gif"];

/// One item.
pub(super) struct Item {
    /// Its id or path, as far as it could be read.
    pub(super) name: String,
    /// By which a folder's item is found again.
    pub(super) marker: String,
    pub(super) product: Result<ProductInput, Failure>,
}

/// A source as it is stored with the import's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Stored {
    Folder(String),
    Jsonl(String),
    Csv(String),
}

/// One line of JSONL.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: Option<String>,
    #[serde(default)]
    title: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    quality: Option<f32>,
    image: Option<String>,
    vector: Option<Vec<f32>>,
    model: Option<String>,
}

impl ImportSource {
    /// As it is stored; the format of a file is settled.
    ///
    /// # Errors
    /// `import.source-invalid` when the format of a file cannot be told.
    pub(super) fn to_text(&self) -> Result<String, Failure> {
        let stored = match self {
            Self::Folder(path) => Stored::Folder(path.clone()),
            Self::File { path, format } => match format.or_else(|| told_by_ending(path)) {
                Some(ImportFormat::Jsonl) => Stored::Jsonl(path.clone()),
                Some(ImportFormat::Csv) => Stored::Csv(path.clone()),
                None => {
                    let message = "name the format of the list, or let its name end in .jsonl, .ndjson or .csv";
                    return Err(Failure::invalid("import.source-invalid", message));
                }
            },
        };
        serde_json::to_string(&stored).map_err(|error| Failure::internal("a source could not be written").caused_by(error))
    }

    /// From [`Self::to_text`]; none when another release wrote it.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        Some(match serde_json::from_str(text).ok()? {
            Stored::Folder(path) => Self::Folder(path),
            Stored::Jsonl(path) => Self::File { path, format: Some(ImportFormat::Jsonl) },
            Stored::Csv(path) => Self::File { path, format: Some(ImportFormat::Csv) },
        })
    }
}

fn told_by_ending(path: &str) -> Option<ImportFormat> {
    match ending(path).as_str() {
        "jsonl" | "ndjson" => Some(ImportFormat::Jsonl),
        "csv" => Some(ImportFormat::Csv),
        _ => None,
    }
}

fn ending(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or_else(String::new, |(_, ending)| ending.to_ascii_lowercase())
}

/// The items of a source. Fails as a whole with what ends the reading, such as a record without an end.
pub(super) type Items = Box<dyn Iterator<Item = Result<Item, Failure>>>;

/// Opens a source.
///
/// # Errors
/// `media.*`, and `import.source-invalid` for a head line that cannot be read.
pub(super) fn open(media: &MediaRoot, source: &ImportSource) -> Result<Items, Failure> {
    match source {
        ImportSource::Folder(path) => Ok(Box::new(Pictures { walk: media.walk(path)?, folder: path.trim_matches('/').to_owned() })),
        ImportSource::File { path, format } => {
            let file = media.open_file(path)?;
            match format.or_else(|| told_by_ending(path)) {
                Some(ImportFormat::Csv) => Ok(Box::new(Records::open(file)?)),
                _ => Ok(Box::new(Lines { reader: BufReader::new(file), number: 0 })),
            }
        }
    }
}

/// Whether the item with this marker comes after another in the order of a folder.
pub(super) fn is_after(marker: &str, other: &str) -> bool {
    marker.split('/').gt(other.split('/'))
}

struct Pictures {
    walk: Walk,
    folder: String,
}

impl Iterator for Pictures {
    type Item = Result<Item, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            return Some(Ok(match self.walk.next()? {
                Ok(path) if !PICTURES.contains(&ending(&path).as_str()) => continue,
                Ok(path) => Item { name: path.clone(), marker: path.clone(), product: Ok(self.put(path)) },
                Err((path, failure)) => Item { name: path.clone(), marker: path, product: Err(failure) },
            }));
        }
    }
}

impl Pictures {
    fn put(&self, path: String) -> ProductInput {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let title = name.rsplit_once('.').map_or(name, |(title, _)| title).to_owned();
        let category = if folder == self.folder { "" } else { folder.rsplit('/').next().unwrap_or_default() }.to_owned();
        ProductInput {
            id: path.clone(),
            title,
            category,
            attributes: BTreeMap::new(),
            quality: None,
            image: Some(ImageSource::Path(path)),
            image_name: None,
            store_image: false,
            vector: None,
        }
    }
}

struct Lines {
    reader: BufReader<File>,
    number: u64,
}

impl Iterator for Lines {
    type Item = Result<Item, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = Vec::new();
            match self.reader.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line) {
                Err(error) => return Some(Err(unreadable(error))),
                Ok(0) => return None,
                Ok(_) => self.number += 1,
            }
            let name = format!("line {}", self.number);
            if line.len() > MAX_LINE && line.last() != Some(&b'\n') {
                if let Err(error) = self.reader.skip_until(b'\n') {
                    return Some(Err(unreadable(error)));
                }
                return Some(Ok(Item { name, marker: String::new(), product: Err(too_long()) }));
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let read = serde_json::from_slice::<Line>(&line).map_err(|error| invalid(error.to_string()));
            let product = read.and_then(Line::product);
            let name = product.as_ref().map_or(name, |product| product.id.clone());
            return Some(Ok(Item { name, marker: String::new(), product }));
        }
    }
}

impl Line {
    fn product(self) -> Result<ProductInput, Failure> {
        let id = self.id.or_else(|| self.image.clone()).ok_or_else(|| invalid("it has neither an id nor an image".to_owned()))?;
        Ok(ProductInput {
            id,
            title: self.title,
            category: self.category,
            attributes: self.attributes,
            quality: self.quality,
            image: self.image.map(image),
            image_name: None,
            store_image: false,
            vector: self.vector.map(|values| GivenVector { values, model: self.model }),
        })
    }
}

/// A URL, or a path below the media root.
fn image(text: String) -> ImageSource {
    let lower = text.get(..8).unwrap_or(&text).to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") { ImageSource::Url(text) } else { ImageSource::Path(text) }
}

struct Records {
    head: csv::StringRecord,
    records: csv::StringRecordsIntoIter<Bounded<File>>,
    since: Rc<Cell<usize>>,
}

/// A reader that ends with an error when too much is read without a record's end.
struct Bounded<R> {
    inner: R,
    since: Rc<Cell<usize>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.since.get() > MAX_LINE {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a record has no end"));
        }
        let read = self.inner.read(buffer)?;
        self.since.set(self.since.get() + read);
        Ok(read)
    }
}

impl Records {
    fn open(file: File) -> Result<Self, Failure> {
        let since = Rc::new(Cell::new(0));
        let bounded = Bounded { inner: file, since: Rc::clone(&since) };
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(bounded);
        let unreadable = |error: csv::Error| Failure::invalid("import.source-invalid", format!("the head line cannot be read: {error}"));
        let head = reader.headers().map_err(unreadable)?.clone();
        if !head.iter().any(|name| name == "id" || name == "image") {
            return Err(Failure::invalid("import.source-invalid", "the head line names neither `id` nor `image`"));
        }
        Ok(Self { head, records: reader.into_records(), since })
    }

    fn put(&self, record: &csv::StringRecord) -> Result<ProductInput, Failure> {
        let (mut line, mut attributes) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in self.head.iter().zip(record).filter(|(_, value)| !value.is_empty()) {
            match name {
                "id" | "title" | "category" | "image" | "quality" => line.insert(name, value.to_owned()),
                _ => attributes.insert(name.to_owned(), value.to_owned()),
            };
        }
        let quality = line.remove("quality").map(|text| text.trim().parse()).transpose();
        let quality = quality.map_err(|_| invalid("its quality is no number".to_owned()))?;
        let mut take = |name: &str| line.remove(name);
        let (id, image, title, category) = (take("id"), take("image"), take("title"), take("category"));
        let (title, category) = (title.unwrap_or_default(), category.unwrap_or_default());
        Line { id, title, category, attributes, quality, image, vector: None, model: None }.product()
    }
}

impl Iterator for Records {
    type Item = Result<Item, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        self.since.set(0);
        let line = self.records.reader().position().line();
        let name = format!("line {line}");
        let product = match self.records.next()? {
            Ok(record) => self.put(&record),
            Err(error) if matches!(error.kind(), csv::ErrorKind::Io(_)) && self.since.get() > MAX_LINE => return Some(Err(too_long())),
            Err(error) => match error.into_kind() {
                csv::ErrorKind::Io(error) => return Some(Err(unreadable(error))),
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    Err(invalid(format!("it has {len} fields, the head line has {expected_len}")))
                }
                _ => Err(invalid("it is no UTF-8".to_owned())),
            },
        };
        let name = product.as_ref().map_or(name, |product| product.id.clone());
        Some(Ok(Item { name, marker: String::new(), product }))
    }
}

fn invalid(what: String) -> Failure {
    Failure::invalid("import.item-invalid", format!("the item cannot be read: {what}"))
}

fn too_long() -> Failure {
    Failure::limit("import.line-too-long", format!("a line or record has at most {MAX_LINE} bytes"))
}

fn unreadable(error: std::io::Error) -> Failure {
    Failure::new(breakwater_core::FailureKind::Unavailable, "media.read-failed", "the file could not be read").caused_by(error)
}
