//! Cutting a picture of a file into another file, as the step of a batch.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{BoxFuture, CallContext, CallSnapshot, Failure, FailureKind, OperationEffect, Principal};
use breakwater_http::CropAnswer;
use breakwater_operations::workflows::OperationSteps;
use breakwater_operations::{ImageSource, Operations, ProcessingOptions};
use breakwater_workflow::{StepAnswer, StepCall, StepOperation, StepRunner};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::CROP_FILE;
use super::sources::{Fingerprint, Sources};
use crate::command::local::Local;

/// Cuts pictures that are files.
pub(super) struct FileSteps {
    operations: Arc<Operations>,
    options: ProcessingOptions,
    out: PathBuf,
    /// Where each picture is, and its result's name without an end.
    files: HashMap<String, (PathBuf, String)>,
    max_bytes: u64,
    timeout: Duration,
    /// There is no room for results any more.
    pub(super) full: CancellationToken,
}

impl FileSteps {
    /// For these pictures. `taken` are the results that are there already.
    pub(super) fn new(
        local: &Local,
        options: &ProcessingOptions,
        out: &Path,
        sources: &Sources,
        taken: impl Iterator<Item = String>,
    ) -> Self {
        let mut taken: HashSet<String> = taken.map(|file| stem(&file).to_lowercase()).collect();
        let files = sources.iter().map(|source| (source.name.clone(), (source.path.clone(), free(stem(&source.name), &mut taken))));
        Self {
            operations: Arc::clone(&local.host.operations),
            options: options.clone(),
            out: out.to_owned(),
            files: files.collect(),
            max_bytes: local.settings.image.max_bytes.bytes(),
            timeout: local.settings.server.request_timeout,
            full: CancellationToken::new(),
        }
    }

    async fn crop(&self, call: StepCall<'_>) -> Result<StepAnswer, Failure> {
        let name = call.input.get("image_path").and_then(Value::as_str).unwrap_or_default();
        let (path, stem) = self.files.get(name).ok_or_else(|| Failure::internal("a picture of the batch is not in its list"))?;
        // Before it is read: a picture that changes meanwhile is done again by the next run.
        let source = Fingerprint::of(path);
        let input = self.options.crop_of(ImageSource::Bytes(self.read(path)?));
        let root = CallContext::root(Principal::System, self.timeout);
        let context = CallContext { snapshot: call.snapshot.clone(), ..root };
        let input = breakwater_operations::CropInput { store: false, ..input };
        let output = self.operations.crop(&context, input).await?;
        let file = format!("{stem}.{}", output.image.format.extension());
        self.write(&self.out.join(&file), &output.image.bytes)?;
        let (served_by, degraded) = (output.served_by.label(), output.is_degraded());
        let answer = serde_json::to_value(CropAnswer::from(output));
        let answer = answer.map_err(|error| Failure::internal("the answer cannot be written").caused_by(error))?;
        let field = |name: &str| answer.get(name).cloned().unwrap_or_default();
        let output = json!({ "source": source, "file": file, "crop": field("crop"), "output": field("output"), "image": field("image"), "score": field("score") });
        Ok(StepAnswer { output, served_by: Some(served_by), degraded })
    }

    fn read(&self, path: &Path) -> Result<Bytes, Failure> {
        let unreadable = |error: io::Error| Failure::invalid("file.unreadable", format!("cannot be read: {error}"));
        if !path.metadata().map_err(unreadable)?.is_file() {
            return Err(Failure::invalid("file.unreadable", "cannot be read: it is no file"));
        }
        let mut bytes = Vec::new();
        File::open(path).and_then(|file| file.take(self.max_bytes.saturating_add(1)).read_to_end(&mut bytes)).map_err(unreadable)?;
        Ok(bytes.into())
    }

    /// Under another name first, so that a result is there whole or not at all.
    fn write(&self, target: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let folder = target.parent().unwrap_or(&self.out);
        let written = std::fs::create_dir_all(folder).and_then(|()| {
            let mut part = tempfile::Builder::new().prefix(".batch-").suffix(".part").permissions(permissions()).tempfile_in(folder)?;
            part.write_all(bytes)?;
            part.persist(target).map(drop).map_err(|error| error.error)
        });
        written.map_err(|error| {
            if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                self.full.cancel();
            }
            Failure::new(FailureKind::Other, "file.unwritable", format!("the result cannot be written: {error}"))
        })
    }
}

/// What the user's mask leaves of it, as for every other file.
fn permissions() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::Permissions::from_mode(0o666)
}

/// A name without its end.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, end)) if !end.contains('/') && !stem.is_empty() && !stem.ends_with('/') => stem,
        _ => name,
    }
}

/// The name, or the first with a number that is not taken; file systems may know no case.
fn free(stem: &str, taken: &mut HashSet<String>) -> String {
    let numbered = std::iter::once(stem.to_owned()).chain((2_u64..).map(|number| format!("{stem}-{number}")));
    numbered.into_iter().find(|name| taken.insert(name.to_lowercase())).unwrap_or_else(|| stem.to_owned())
}

impl StepRunner for FileSteps {
    fn operation(&self, name: &str) -> Option<StepOperation> {
        (name == CROP_FILE).then_some(StepOperation {
            input_schema: Value::Bool(true),
            output_schema: Value::Bool(true),
            // The same file is written again.
            effect: OperationEffect::Read,
            idempotent: true,
        })
    }

    fn has_service(&self, _: &str) -> bool {
        false
    }

    fn fits(&self, _: &Value, _: &Value) -> Result<(), Failure> {
        // The definition has no schema.
        Ok(())
    }

    fn snapshot(&self) -> CallSnapshot {
        OperationSteps(Arc::clone(&self.operations)).snapshot()
    }

    fn call<'a>(&'a self, call: StepCall<'a>) -> BoxFuture<'a, Result<StepAnswer, Failure>> {
        Box::pin(self.crop(call))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_named_after_their_pictures_each_once() {
        let mut taken = HashSet::from(["a".to_owned()]);
        let names: Vec<String> =
            ["a.jpg", "b/c.png", "b/C.jpg", "d.e/f", "b/.jpg"].into_iter().map(|name| free(stem(name), &mut taken)).collect();
        assert_eq!(names, ["a-2", "b/c", "b/C-2", "d.e/f", "b/.jpg"]);
    }
}
