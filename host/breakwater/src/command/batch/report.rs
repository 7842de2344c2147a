//! What became of every picture: the manifest, and what is printed at the end.

use std::io::Write as _;
use std::path::Path;

use anyhow::Result;
use breakwater_operations::batches::{ItemState, Journal};
use breakwater_operations::workflows::{Happened, WorkflowRecords as _};
use breakwater_store::SqliteStore;
use serde_json::{Map, Value, json};

use super::earlier::output;
use super::sources::{Source, Sources};
use crate::output as terminal;

/// The manifest's name.
const MANIFEST: &str = "manifest.json";

/// What became of the pictures until now.
pub(super) struct Report {
    about: Value,
    items: Vec<Item>,
}

struct Item {
    image: String,
    state: State,
}

enum State {
    /// What the step gave.
    Done(Value),
    /// Code and message.
    Failed(String, String),
    /// Its turn has not come.
    Left,
}

impl Report {
    /// Of pictures that were done before.
    pub(super) fn new(about: Value, done: Vec<(Source, Value)>) -> Self {
        let items = done.into_iter().map(|(source, output)| Item { image: source.name, state: State::Done(output) }).collect();
        Self { about, items }
    }

    /// Adds what became of the pictures of a run.
    pub(super) async fn add(&mut self, store: &SqliteStore, id: &str, sources: &Sources) -> Result<()> {
        let mut journal = Journal::new(sources.len());
        journal.read_on(store, id).await?;
        for (source, state) in sources.iter().zip(journal.items()) {
            let state = match *state {
                ItemState::Succeeded(number) => output(store, id, number).await?.map_or(State::Left, State::Done),
                ItemState::Failed(number) => failure(store, id, number).await?,
                ItemState::Pending | ItemState::Running => State::Left,
            };
            self.items.push(Item { image: source.name.clone(), state });
        }
        self.items.sort_by(|one, other| one.image.split('/').cmp(other.image.split('/')));
        Ok(())
    }

    /// The results' files.
    pub(super) fn files(&self) -> impl Iterator<Item = String> {
        self.items.iter().filter_map(|item| match &item.state {
            State::Done(output) => output.get("file").and_then(Value::as_str).map(str::to_owned),
            _ => None,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.items.iter().any(|item| matches!(item.state, State::Failed(..)))
    }

    /// Writes the manifest beside the results, whole or not at all.
    pub(super) fn write(&self, out: &Path) -> Result<()> {
        let items: Vec<Value> = self.items.iter().map(Item::row).collect();
        let mut manifest = self.summary();
        manifest.insert("items".to_owned(), items.into());
        let mut part = tempfile::Builder::new().prefix(".manifest-").suffix(".part").permissions(permissions()).tempfile_in(out)?;
        serde_json::to_writer_pretty(&mut part, &manifest)?;
        part.write_all(b"\n")?;
        part.persist(out.join(MANIFEST))?;
        Ok(())
    }

    fn summary(&self) -> Map<String, Value> {
        let count = |fits: fn(&State) -> bool| self.items.iter().filter(|item| fits(&item.state)).count();
        let about = |name: &str| self.about.get(name).cloned().unwrap_or_default();
        let fields = [
            ("folder", about("folder")),
            ("options", about("options")),
            ("total", self.items.len().into()),
            ("succeeded", count(|state| matches!(state, State::Done(_))).into()),
            ("failed", count(|state| matches!(state, State::Failed(..))).into()),
            ("left", count(|state| matches!(state, State::Left)).into()),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Prints the counts, and every picture that failed.
    pub(super) fn print(&self, as_json: bool, out: &Path) {
        let summary = self.summary();
        for item in &self.items {
            if let State::Failed(code, message) = &item.state {
                terminal::error(&format!("{}: {message} ({code})", item.image));
            }
        }
        if as_json {
            let mut summary = summary;
            summary.insert("out".to_owned(), out.to_string_lossy().into());
            let failed = self.items.iter().filter(|item| matches!(item.state, State::Failed(..)));
            summary.insert("failures".to_owned(), failed.map(Item::row).collect::<Vec<_>>().into());
            return terminal::line(&Value::Object(summary).to_string());
        }
        let count = |name: &str| summary.get(name).and_then(Value::as_u64).unwrap_or_default();
        let left = if count("left") > 0 { format!(", {} left", count("left")) } else { String::new() };
        let (succeeded, total, failed) = (count("succeeded"), count("total"), count("failed"));
        terminal::line(&format!("{succeeded} of {total} pictures cut, {failed} failed{left} -> {}", out.display()));
    }
}

impl Item {
    fn row(&self) -> Value {
        match &self.state {
            State::Done(output) => {
                let field = |name: &str| (name.to_owned(), output.get(name).cloned().unwrap_or_default());
                let named = [("image_path".to_owned(), self.image.as_str().into()), ("status".to_owned(), "succeeded".into())];
                Value::Object(named.into_iter().chain(["file", "crop", "output", "image", "score"].map(field)).collect())
            }
            State::Failed(code, message) => {
                json!({ "image_path": self.image, "status": "failed", "error": { "code": code, "message": message } })
            }
            State::Left => json!({ "image_path": self.image, "status": "pending" }),
        }
    }
}

async fn failure(store: &SqliteStore, id: &str, number: u64) -> Result<State> {
    let event = store.events(id, number.saturating_sub(1), 1).await?.items.into_iter().next();
    Ok(match event.map(|event| event.what) {
        Some(Happened::Failed { error }) => State::Failed(error.code, error.message),
        _ => State::Left,
    })
}

/// What the user's mask leaves of it, as for every other file.
fn permissions() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::Permissions::from_mode(0o666)
}
