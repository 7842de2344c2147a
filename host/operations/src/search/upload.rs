//! Lists of products that are sent instead of named.

use breakwater_core::{Deadline, Failure, FailureKind};
use bytes::Bytes;
use futures_util::Stream;

use super::import::{ImportFormat, ImportSource};
use crate::operations::Operations;

impl Operations {
    /// Keeps a list below the media root, from where an import can read it and go on with it after a crash. Sending the same list again gives
    /// the same source. Nothing removes it.
    ///
    /// # Errors
    /// `media.not-configured` (denied), and what [`crate::MediaRoot::receive`] fails with.
    pub async fn receive_list(
        &self,
        format: ImportFormat,
        pieces: impl Stream<Item = Result<Bytes, Failure>> + Send,
        deadline: Deadline,
    ) -> Result<ImportSource, Failure> {
        let Some(media) = self.media() else {
            let message = "the service has no media root, so it cannot keep a list to import";
            return Err(Failure::new(FailureKind::Denied, "media.not-configured", message));
        };
        let extension = match format {
            ImportFormat::Jsonl => "jsonl",
            ImportFormat::Csv => "csv",
        };
        let path = media.receive(extension, pieces, deadline).await?;
        Ok(ImportSource::File { path, format: Some(format) })
    }
}
