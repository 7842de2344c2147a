//! The results of a batch as one zip file that is written while it is sent: each picture as it is, then the manifests.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Failure, FailureKind};
use breakwater_workflow::WorkflowRecords;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

use super::archive_manifest::{Manifests, Row};
use super::archive_names::Names;
use super::input::{Input, Item};
use super::results::result;
use super::{Batch, BatchResult, Batches, ItemState, MAX_ARCHIVES};
use crate::media::MediaRoot;

/// Bytes that are sent at a time.
const PIECE: usize = 256 << 10;
/// Pieces that wait for a slow reader.
const PIECES: usize = 4;
/// When it makes sense to ask again while too many are read.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// The manifests' names.
const MANIFEST_JSON: &str = "manifest.json";
const MANIFEST_CSV: &str = "manifest.csv";

/// A zip file on its way. It is written as fast as it is read, and no further once it is dropped.
#[derive(Debug)]
pub struct Archive {
    /// What the file may be called.
    pub name: String,
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    /// Given back when neither the reader nor the thread needs it any more.
    _place: Arc<OwnedSemaphorePermit>,
}

impl Archive {
    /// Its bytes. An error means that it is not whole.
    pub fn pieces(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        stream::unfold(self, async |mut archive| archive.pieces.recv().await.map(|piece| (piece, archive)))
    }
}

/// Everything that is put into one.
struct Contents {
    batch: Batch,
    items: Vec<Item>,
    states: Vec<ItemState>,
    media: Arc<MediaRoot>,
    records: Arc<dyn WorkflowRecords>,
}

impl Batches {
    /// Begins the archive of what a batch has given until now. Names are those of the images with the end of the result's format; where two are
    /// the same, the later one in the list is numbered. A result that is gone is named in the manifest.
    ///
    /// # Errors
    /// As [`Self::get`]; `media.not-configured`, `batch.overloaded` (limit) while [`MAX_ARCHIVES`] are read.
    #[expect(
        clippy::disallowed_methods,
        reason = "one thread for each of the few archives that are read; it waits for disk and reader, not for a processor"
    )]
    pub async fn archive(&self, id: &str) -> Result<Archive, Failure> {
        let none = || Failure::new(FailureKind::Denied, "media.not-configured", "the service has no media root to read from");
        let media = Arc::clone(self.operations().media().ok_or_else(none)?);
        let execution = self.execution(id).await?;
        let place = Arc::clone(&self.archives).try_acquire_owned().map_err(|_| {
            let message = format!("{MAX_ARCHIVES} archives are read already; try again later");
            Failure::limit("batch.overloaded", message).retry_after(TRY_AGAIN)
        })?;
        let place = Arc::new(place);
        let input = Input::of(&execution.input)?;
        let journal = self.journal(id, input.items.len()).await?;
        let states = journal.lock().await.items().to_vec();
        let batch = self.seen(execution).await?;
        let name = format!("batch-{id}.zip");
        let contents = Contents { batch, items: input.items, states, media, records: Arc::clone(self.workflows().records()) };
        let (sender, pieces) = mpsc::channel(PIECES);
        let (runtime, of_thread) = (Handle::current(), Arc::clone(&place));
        tokio::task::spawn_blocking(move || {
            let _place = of_thread;
            let sink = Pieces { sender, waiting: BytesMut::new() };
            let failed = sink.sender.clone();
            if let Err(error) = contents.write(&runtime, sink)
                && error.kind() != io::ErrorKind::BrokenPipe
            {
                tracing::warn!(batch = contents.batch.id, %error, "the archive of a batch breaks off");
                // Whoever reads must not take it for whole; one that has left is not told.
                let _ = failed.blocking_send(Err(error));
            }
        });
        Ok(Archive { name, pieces, _place: place })
    }
}

impl Contents {
    fn write(&self, runtime: &Handle, sink: Pieces) -> io::Result<()> {
        let mut archive = ZipWriter::new_stream(sink);
        let mut manifests = Manifests::begin(&self.batch)?;
        let mut names = Names::default();
        names.reserve(MANIFEST_JSON);
        names.reserve(MANIFEST_CSV);
        for (index, (item, state)) in self.items.iter().zip(&self.states).enumerate() {
            let found = runtime.block_on(result(&*self.records, &self.batch.id, index, item, *state));
            let found = found.map_err(|failure| io::Error::other(failure.chain()))?;
            let file = self.put(&mut archive, &mut names, &found)?;
            manifests.put(&Row::of(&found, file.as_deref()))?;
        }
        let (mut json, mut csv) = manifests.finish()?;
        archive.start_file(MANIFEST_JSON, options())?;
        io::copy(&mut json, &mut archive)?;
        archive.start_file(MANIFEST_CSV, options())?;
        io::copy(&mut csv, &mut archive)?;
        archive.finish()?.into_inner().send()
    }

    /// Writes a result and says under which name, if it is there. One that cannot be read for the moment breaks the archive off.
    fn put(&self, archive: &mut ZipWriter<StreamWriter<Pieces>>, names: &mut Names, found: &BatchResult) -> io::Result<Option<String>> {
        let path = found.output.as_ref().and_then(|output| output.get("output_path")?.as_str());
        let Some(path) = path else { return Ok(None) };
        let mut file = match self.media.open_file(path) {
            Ok(file) => file,
            Err(failure) if failure.kind == FailureKind::Unavailable => return Err(io::Error::other(failure.chain())),
            Err(_) => return Ok(None),
        };
        let end = path.rsplit_once('.').map_or("bin", |(_, end)| end);
        let name = names.of(&found.image_path, end);
        archive.start_file(name.as_str(), options())?;
        io::copy(&mut file, archive)?;
        Ok(Some(name))
    }
}

/// Pictures are compressed already.
fn options() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored).unix_permissions(0o644)
}

/// Sends what is written in pieces, and waits where the reader is slower.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    waiting: BytesMut,
}

impl Pieces {
    fn send(mut self) -> io::Result<()> {
        self.send_piece()
    }

    fn send_piece(&mut self) -> io::Result<()> {
        let piece = self.waiting.split().freeze();
        if piece.is_empty() {
            return Ok(());
        }
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE {
            self.send_piece()?;
        }
        Ok(bytes.len())
    }

    /// Pieces are sent when they are full, not file by file.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
