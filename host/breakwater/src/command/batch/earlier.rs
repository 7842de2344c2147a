//! What earlier runs into the same folder have done.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use breakwater_operations::batches::definition::WORKFLOW;
use breakwater_operations::batches::{ItemState, Journal};
use breakwater_operations::workflows::{ExecutionFilter, Happened, Range, Wanted, WorkflowRecords as _};
use breakwater_store::SqliteStore;
use serde::Deserialize as _;
use serde_json::Value;

use super::sources::{Fingerprint, Source, Sources};

/// Results of earlier runs with the same options, by the pictures' names.
pub(super) struct Earlier {
    out: PathBuf,
    results: HashMap<String, Value>,
}

impl Earlier {
    /// Reads the journal. A run that was interrupted ends: what is left of it is part of the one that begins.
    pub(super) async fn read(store: &SqliteStore, about: &Value, out: &Path) -> Result<Self> {
        let filter = ExecutionFilter { workflow_id: Some(WORKFLOW.to_owned()), status: None };
        let mut results = HashMap::new();
        // The newest first, so that what it says counts.
        for skip in 0.. {
            let Some(execution) = store.executions(&filter, Range { skip, take: 1 }).await?.items.into_iter().next() else { break };
            if !execution.status.is_final() {
                store.want(&execution.id, Wanted::Cancel).await?;
            }
            if execution.input.get("about") != Some(about) {
                continue;
            }
            let names: Vec<&str> = items(&execution.input).collect();
            let mut journal = Journal::new(names.len());
            journal.read_on(store, &execution.id).await?;
            for (name, state) in names.iter().zip(journal.items()) {
                if let (ItemState::Succeeded(number), false) = (state, results.contains_key(*name))
                    && let Some(output) = output(store, &execution.id, *number).await?
                {
                    results.insert((*name).to_owned(), output);
                }
            }
        }
        Ok(Self { out: out.to_owned(), results })
    }

    /// Pictures whose results are there, and those that are to be done: new ones, those that have changed, and those whose results are gone.
    pub(super) fn divide(mut self, sources: Sources) -> (Vec<(Source, Value)>, Sources) {
        let (mut done, mut left) = (Vec::new(), Sources::new());
        for source in sources {
            match self.results.remove(&source.name).filter(|output| is_there(&self.out, &source, output)) {
                Some(output) => done.push((source, output)),
                None => left.push(source),
            }
        }
        (done, left)
    }
}

/// The names of the pictures of a run.
fn items(input: &Value) -> impl Iterator<Item = &str> {
    let items = input.get("items").and_then(Value::as_array).into_iter().flatten();
    items.map(|item| item.get("image_path").and_then(Value::as_str).unwrap_or_default())
}

/// What an event says of a picture.
pub(super) async fn output(store: &SqliteStore, id: &str, number: u64) -> Result<Option<Value>> {
    let event = store.events(id, number.saturating_sub(1), 1).await?.items.into_iter().next();
    Ok(match event.map(|event| event.what) {
        Some(Happened::Completed { output, .. }) => Some(output),
        _ => None,
    })
}

fn is_there(out: &Path, source: &Source, output: &Value) -> bool {
    let known = output.get("source").and_then(|known| Fingerprint::deserialize(known).ok());
    let file = output.get("file").and_then(Value::as_str).and_then(|file| out.join(file).metadata().ok());
    let bytes = output.pointer("/output/bytes").and_then(Value::as_u64);
    let whole = file.is_some_and(|file| file.is_file() && Some(file.len()) == bytes);
    whole && known.is_some() && known == Fingerprint::of(&source.path)
}
