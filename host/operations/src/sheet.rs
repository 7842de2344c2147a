//! `compose-sheet`: photographs in, pages out. One photograph after the other is read, perhaps looked at by a strategy, and written.

mod files;
mod photographs;
mod spec;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use breakwater_core::{CallContext, Failure, FailureKind, Outcome, Reason, ServedBy};
use breakwater_plugins::Snapshot;
use breakwater_vision::sheet::{Composer, PageOrientation, SheetError, SheetFormat};

use self::files::Files;
pub use self::files::{SheetContent, SheetDestination, SheetFile};
use self::photographs::{Reader, Unreadable};
use self::spec::Resolved;
pub use self::spec::{GridLayout, MAX_IMAGES, MAX_PLACES, SheetSpec};
use crate::json;
use crate::operation::COMPOSE_SHEET;
use crate::operations::Operations;
use crate::source::ImageSource;
use crate::typed::Typed;

/// Where a photograph of a sheet comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SheetImage {
    /// As pictures of every call do.
    Given(ImageSource),
    /// From a file of this machine, read when its turn comes. Only the command line names them.
    File(PathBuf),
}

/// What `compose-sheet` takes.
#[derive(Debug, Clone)]
pub struct SheetInput {
    /// The photographs, in their order; at most [`MAX_IMAGES`].
    pub images: Vec<SheetImage>,
    /// What the sheet is to be like.
    pub spec: SheetSpec,
    /// Where it goes.
    pub destination: SheetDestination,
}

/// What `compose-sheet` gives.
#[derive(Debug)]
pub struct SheetOutput {
    /// One file for a PDF, one for each page of a sheet of pictures.
    pub files: Vec<SheetFile>,
    /// `pdf`, `png` or `jpeg`, or what another service made.
    pub format: String,
    /// Media type of each file.
    pub media_type: String,
    /// Pages; none when another service did not say.
    pub pages: Option<usize>,
    /// Places that were filled; none when another service did not say.
    pub placed: Option<usize>,
    /// Places on a page; none when another service did not say.
    pub places_per_page: Option<usize>,
    /// Which way the pages lie.
    pub orientation: Option<PageOrientation>,
    /// Whether photographs of an exact size lie on their sides, because more of them fit so.
    pub turned: bool,
    /// Captions with characters that no font has.
    pub missing_characters: Vec<MissingCharacters>,
}

/// Characters of a caption that no font has. Each is drawn as the box that stands for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingCharacters {
    /// Of the photograph.
    pub index: usize,
    /// Each once, in their order.
    pub characters: String,
}

impl Operations {
    /// Puts photographs on pages.
    ///
    /// # Errors
    /// For a wrong request: `sheet.images-missing`, `sheet.layout-missing`, `sheet.options-contradict`, `sheet.captions-mismatch`,
    /// `sheet.copies-invalid`, `sheet.grid-invalid`, `sheet.does-not-fit` and whatever else of the options cannot be meant;
    /// `sheet.images-unreadable` with the index of every photograph that cannot be read; `strategy.unknown`. For limits:
    /// `sheet.too-many-images`, `sheet.too-many-pixels`, `cpu.overloaded`. `sheet.write-failed` when the sheet cannot be written,
    /// `media.not-configured`, and `call.deadline`.
    pub async fn compose_sheet(&self, context: &CallContext, input: SheetInput) -> Result<Outcome<SheetOutput>, Failure> {
        let (context, snapshot) = self.enter(context);
        let entry = snapshot.table.get(COMPOSE_SHEET.name)?;
        spec::check_count(input.images.len())?;
        let here = async |context: CallContext| self.compose_here(&context, &snapshot.plugins, input.clone()).await;
        let failed =
            match self.typed(&context, entry, |outcome: &Outcome<SheetOutput>| (&outcome.served_by, outcome.is_degraded()), here).await {
                Typed::Ended(result) => return result,
                Typed::Continues(failed) => failed,
            };
        // Others are asked only for what makes sense here, too.
        input.spec.resolve(input.images.len())?;
        let payload = json::sheet::to_payload(&input)?;
        let outcome = self.answer(context.clone(), Arc::clone(&snapshot), COMPOSE_SHEET.name, payload, failed).await?;
        let Outcome { value, served_by, reasons, attempts, level, cached_age, elapsed } = outcome;
        let reply = json::sheet::Reply::of(value)?;
        let format = input.spec.output_format.as_deref().and_then(|name| name.parse().ok()).unwrap_or(SheetFormat::Pdf);
        let mut kept = Files::new(&input.destination, self.media(), format, reply.attachments.len()).ok_or_else(no_media)?;
        let value = self.delivered(&context, reply, &mut kept, &input.destination).await?;
        Ok(Outcome { value, served_by, reasons, attempts, level, cached_age, elapsed })
    }

    /// As [`Self::compose_sheet`], but nobody else is asked: for photographs that stay on this machine.
    ///
    /// # Errors
    /// As [`Self::compose_sheet`]; photographs in files may also be unreadable by `file.unreadable`.
    pub async fn compose_sheet_here(&self, context: &CallContext, input: SheetInput) -> Result<Outcome<SheetOutput>, Failure> {
        let (context, snapshot) = self.enter(context);
        self.compose_here(&context, &snapshot.plugins, input).await
    }

    /// With the host's own code.
    pub(crate) async fn compose_here(
        &self,
        context: &CallContext,
        plugins: &Snapshot,
        input: SheetInput,
    ) -> Result<Outcome<SheetOutput>, Failure> {
        let started = Instant::now();
        let SheetInput { images, spec, destination } = input;
        let Resolved { options, layout, copies, captions, strategy, pages } = spec.resolve(images.len())?;
        let limits = self.limits();
        let turned = layout.cells.first().is_some_and(|cell| cell.turned);
        let (cells, layout_for_strategy) = (layout.cells.len(), layout.clone());
        let reader = Reader::new(self, context, plugins, layout_for_strategy, options.turn, strategy)?;
        let target = Files::new(&destination, self.media(), options.format, pages).ok_or_else(no_media)?;

        let (format, orientation) = (options.format, options.page.orientation);
        let begin = move || Composer::begin(&options, layout, limits, target).map_err(Failure::from);
        let mut composer = self.cpu().compute(context.deadline, begin).await??;
        let mut missing_characters = Vec::new();
        let mut reasons: Vec<Reason> = Vec::new();
        let mut unreadable = Unreadable::default();
        let mut captions = captions.into_iter();
        for (index, image) in images.into_iter().enumerate() {
            let caption = captions.next();
            let name = photographs::name(&image);
            let (photograph, degraded) = match reader.read(image).await {
                Ok(read) => read,
                Err(failure) => {
                    unreadable.note(index, name, failure)?;
                    continue;
                }
            };
            reasons
                .extend(degraded.into_iter().filter(|reason| !reasons.iter().any(|known| known.code == reason.code)).collect::<Vec<_>>());
            let photograph = match caption {
                Some(caption) => photograph.captioned(caption),
                None => photograph,
            };
            if !unreadable.is_empty() {
                // The sheet fails; the rest is only looked at, so that everything wrong is told at once.
                let checked = self.cpu().go_on(context.deadline, move || photograph.check(&limits)).await?;
                checked.or_else(|error| unreadable.note(index, name, error.into()))?;
                continue;
            }
            let place = move || {
                let placed = (0..copies).map(|_| composer.place(&photograph)).collect::<Result<Vec<_>, SheetError>>();
                (composer, placed)
            };
            let placed;
            (composer, placed) = self.cpu().go_on(context.deadline, place).await?;
            match placed {
                Ok(placed) => {
                    let mut seen = BTreeSet::new();
                    let characters: String =
                        placed.iter().flat_map(|placed| &placed.missing).filter(|character| seen.insert(**character)).collect();
                    if !characters.is_empty() {
                        missing_characters.push(MissingCharacters { index, characters });
                    }
                }
                Err(SheetError::Photograph(error)) => unreadable.note(index, name, error.into())?,
                Err(error) => return Err(error.into()),
            }
        }
        unreadable.refuse()?;
        let (pages, placed) = (composer.pages(), composer.placed());
        let files = self.cpu().go_on(context.deadline, move || composer.finish().map_err(Failure::from)).await??.into_files();
        let value = SheetOutput {
            files,
            format: format.name().to_owned(),
            media_type: format.media_type().to_owned(),
            pages: Some(pages),
            placed: Some(placed),
            places_per_page: Some(cells),
            orientation: Some(orientation),
            turned,
            missing_characters,
        };
        let served_by = ServedBy::Host { name: "local".to_owned() };
        Ok(Outcome { reasons, elapsed: started.elapsed(), ..Outcome::new(value, served_by) })
    }

    /// Brings what another service made to where the sheet is wanted.
    async fn delivered(
        &self,
        context: &CallContext,
        reply: json::sheet::Reply,
        kept: &mut Files,
        destination: &SheetDestination,
    ) -> Result<SheetOutput, Failure> {
        let deadline = context.deadline;
        let mut output = reply.output;
        for path in reply.paths {
            let bytes = reply.bytes.unwrap_or_default();
            match (destination, self.media()) {
                (SheetDestination::Media, _) => output.files.push(SheetFile { bytes, content: SheetContent::Media(path) }),
                (_, Some(media)) => {
                    let bytes = media.read(&path, deadline).await?;
                    output.files.push(SheetFile { bytes: bytes.len() as u64, content: SheetContent::Bytes(bytes) });
                }
                (_, None) => return Err(no_media()),
            }
        }
        for bytes in reply.attachments {
            if *destination == SheetDestination::Unnamed {
                output.files.push(SheetFile { bytes: bytes.len() as u64, content: SheetContent::Bytes(bytes) });
            } else {
                kept.keep(&bytes).map_err(|error| Failure::from(SheetError::from(error)))?;
            }
        }
        output.files.extend(kept.take());
        Ok(output)
    }
}

fn no_media() -> Failure {
    let message = "the service has no media root to write the sheet to; ask for the sheet itself with Accept: application/pdf or image/*";
    Failure::new(FailureKind::Denied, "media.not-configured", message)
}
