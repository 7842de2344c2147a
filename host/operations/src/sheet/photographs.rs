//! Getting the photographs of a sheet, and keeping account of those that cannot be read.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use breakwater_core::{CallContext, Failure, PlanRequest, Reason};
use breakwater_plugins::{Generation, Snapshot};
use breakwater_vision::sheet::{Layout, Photograph};
use bytes::Bytes;
use serde_json::{Value, json};

use super::SheetImage;
use crate::operations::Operations;
use crate::plan::{self, PlanInput};
use crate::source::{self, ImageSource};

/// Failures of files, beside those whose code begins with `image.`.
const OF_FILES: [&str; 6] =
    ["file.unreadable", "media.not-found", "media.not-a-file", "media.path-invalid", "media.outside", "media.read-failed"];

/// What a photograph is called in failures: the path that the caller gave.
pub(super) fn name(image: &SheetImage) -> Option<String> {
    match image {
        SheetImage::Given(ImageSource::Path(text) | ImageSource::Url(text)) => Some(text.clone()),
        SheetImage::Given(ImageSource::Bytes(_)) => None,
        SheetImage::File(path) => Some(path.display().to_string()),
    }
}

/// The bytes of a file of the machine, no more of them than pictures may have.
fn read(path: &Path, limit: u64) -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes));
    read.map_err(|error| Failure::invalid("file.unreadable", format!("cannot be read: {error}")))?;
    Ok(bytes.into())
}

/// Photographs that cannot be read.
#[derive(Default)]
pub(super) struct Unreadable(Vec<Value>);

impl Unreadable {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes a failure, if it is one of the photograph. Others end the call.
    pub(super) fn note(&mut self, index: usize, path: Option<String>, failure: Failure) -> Result<(), Failure> {
        let code = &*failure.code;
        if !code.starts_with("image.") && !OF_FILES.contains(&code) {
            return Err(failure);
        }
        let mut noted = json!({ "index": index, "code": code, "message": failure.message });
        if let (Some(fields), Some(path)) = (noted.as_object_mut(), path) {
            fields.insert("path".to_owned(), path.into());
        }
        self.0.push(noted);
        Ok(())
    }

    /// Fails if there are any, and says which.
    pub(super) fn refuse(self) -> Result<(), Failure> {
        let Some(first) = self.0.first() else { return Ok(()) };
        let indices: Vec<String> = self.0.iter().take(20).filter_map(|noted| Some(noted.get("index")?.to_string())).collect();
        let more = if self.0.len() > indices.len() { " and more" } else { "" };
        let reason = first.get("message").and_then(Value::as_str).unwrap_or_default();
        let message = format!("photographs that cannot be read: {}{more}; of the first: {reason}", indices.join(", "));
        Err(Failure::invalid("sheet.images-unreadable", message).with_detail(json!({ "images": self.0 })))
    }
}

/// Reads photographs, and asks the strategy where there is one.
pub(super) struct Reader<'a> {
    operations: &'a Operations,
    context: &'a CallContext,
    strategy: Option<Strategy<'a>>,
}

struct Strategy<'a> {
    name: String,
    generation: &'a Arc<Generation>,
    needs: &'a [breakwater_core::DetectionKind],
    layout: Layout,
    turn: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        operations: &'a Operations,
        context: &'a CallContext,
        plugins: &'a Snapshot,
        layout: Layout,
        turn: bool,
        strategy: Option<String>,
    ) -> Result<Self, Failure> {
        let strategy = match strategy {
            Some(name) => {
                let (strategy, generation) = plan::strategy(plugins, &name)?;
                Some(Strategy { generation, needs: &strategy.needs, name, layout, turn })
            }
            None => None,
        };
        Ok(Self { operations, context, strategy })
    }

    /// A photograph, and why its strategy did not choose the crop, if it did not.
    pub(super) async fn read(&self, image: SheetImage) -> Result<(Photograph, Vec<Reason>), Failure> {
        let (operations, context) = (self.operations, self.context);
        let limits = operations.limits();
        let bytes = match image {
            SheetImage::Given(source) => operations.load(context, source).await?,
            SheetImage::File(path) => operations.cpu().go_on(context.deadline, move || read(&path, limits.max_bytes)).await??,
        };
        let copy = bytes.clone();
        let photograph = operations.cpu().go_on(context.deadline, move || Photograph::read(copy, &limits)).await??;
        match &self.strategy {
            Some(strategy) => self.cropped(strategy, photograph, bytes).await,
            None => Ok((photograph, Vec::new())),
        }
    }

    async fn cropped(&self, strategy: &Strategy<'_>, photograph: Photograph, bytes: Bytes) -> Result<(Photograph, Vec<Reason>), Failure> {
        let (operations, context) = (self.operations, self.context);
        let Some(ratio) = photograph.ratio_in(&strategy.layout, strategy.turn) else { return Ok((photograph, Vec::new())) };
        let smallest = |info: &breakwater_vision::Info| Ok(source::smallest_for_analysis(info.size));
        let (image, _) = source::decode(operations.cpu(), bytes, operations.limits(), context.deadline, smallest).await?;
        // The strategy then gets what it needs from the detectors' cache.
        operations.prefetch(&image, strategy.needs, context).await;
        let request = PlanRequest { strategy: strategy.name.clone(), ratio, parameters: plan::checked_parameters(None)? };
        let outcome = operations.plan(context, strategy.generation, PlanInput { image, request, given: Vec::new() }).await?;
        Ok((photograph.cropped(outcome.value.crop)?, outcome.reasons))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_photograph_that_cannot_be_read_is_named() {
        let mut unreadable = Unreadable::default();
        assert!(unreadable.is_empty());
        unreadable.note(3, Some("a.jpg".into()), Failure::invalid("image.corrupt", "it ends early")).unwrap();
        unreadable.note(7, None, Failure::invalid("media.not-found", "there is none")).unwrap();
        let failure = unreadable.refuse().unwrap_err();
        assert_eq!(failure.code, "sheet.images-unreadable");
        assert!(failure.message.contains("3, 7") && failure.message.contains("it ends early"), "{}", failure.message);
        let expected = json!({ "images": [
            { "index": 3, "path": "a.jpg", "code": "image.corrupt", "message": "it ends early" },
            { "index": 7, "code": "media.not-found", "message": "there is none" }
        ] });
        assert_eq!(failure.detail, Some(expected));
        assert!(Unreadable::default().refuse().is_ok());
    }

    #[test]
    fn what_is_not_the_photographs_fault_ends_the_call() {
        let failure = Failure::limit("cpu.overloaded", "too much to do");
        assert_eq!(Unreadable::default().note(0, None, failure).unwrap_err().code, "cpu.overloaded");
    }
}
