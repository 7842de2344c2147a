//! `crop-image`: detect, plan, cut, encode. It composes the other operations and has no fallback of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use breakwater_core::{
    AspectRatio, CallContext, Deadline, Detection, DetectionKind, Failure, FailureKind, PlanRequest, Reason, Rect, ServedBy, Size, Term,
};
use breakwater_plugins::Snapshot;
use breakwater_telemetry::Stage;
use breakwater_vision::{Encoded, Format, Image, OutputOptions};
use bytes::Bytes;
use serde_json::Value;

use crate::detect::DEFAULT_THRESHOLD;
use crate::detectors;
use crate::json;
use crate::operation::CROP_IMAGE;
use crate::operations::Operations;
use crate::output_size::{self, WantedSize};
use crate::plan::{self, DEFAULT_STRATEGY, PlanInput, PluginIdentity};
use crate::source::{self, ImageSource};
use crate::typed::Typed;

/// The most time kept back from planning for cutting and encoding; a quarter of what is left when that is less.
const RENDER_RESERVE: Duration = Duration::from_secs(1);

/// What `crop-image` takes.
#[derive(Debug, Clone)]
pub struct CropInput {
    /// The picture.
    pub image: ImageSource,
    /// The ratio of the crop; absent, it is that of `size`'s two edges.
    pub ratio: Option<AspectRatio>,
    /// Name of the strategy; [`DEFAULT_STRATEGY`] when absent.
    pub strategy: Option<String>,
    /// Parameters of the strategy: an object.
    pub parameters: Option<Value>,
    /// Detections to plan by instead of detecting; empty detects as needed.
    pub detections: Vec<Detection>,
    /// Size of the result; absent, the crop keeps its own.
    pub size: WantedSize,
    /// Format of the result; absent, that of the input, or JPEG if that cannot be written.
    pub format: Option<Format>,
    /// 1..=100, for the lossy formats; absent, the encoder's default.
    pub quality: Option<u8>,
    /// Whether EXIF data is kept, where the format allows.
    pub keep_metadata: bool,
    /// Whether the result is also written below the media root.
    pub store: bool,
}

/// What `crop-image` gives.
#[derive(Debug, Clone)]
pub struct CropOutput {
    /// The strategy asked for.
    pub strategy: String,
    /// The ratio asked for.
    pub ratio: AspectRatio,
    /// Size of the original after orientation.
    pub source_size: Size,
    /// Where it was cut, in pixels of the original.
    pub crop: Rect,
    /// 0..=1, comparable only within one strategy.
    pub score: f32,
    /// Why there.
    pub reasons: Vec<Term>,
    /// What was known to be in the picture: what the caller brought, or what the strategy wanted to be found.
    pub detections: Vec<Detection>,
    /// The plugin that planned; none when the host did.
    pub plugin: Option<PluginIdentity>,
    /// Who planned.
    pub served_by: ServedBy,
    /// What failed before that; not empty means degraded.
    pub degraded_reasons: Vec<Reason>,
    /// The level of the fallback that answered, when one did.
    pub level: Option<String>,
    /// How many providers were asked.
    pub attempts: u32,
    /// How long each stage took.
    pub timings: CropTimings,
    /// The result.
    pub image: Encoded,
    /// Where the result was written, usable as an input path; when asked for.
    pub output_path: Option<String>,
}

impl CropOutput {
    /// Whether another provider than the strategy's plugin planned.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        !self.degraded_reasons.is_empty() || self.level.is_some()
    }
}

/// How long each stage of a crop took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CropTimings {
    /// Getting the bytes.
    pub read: Duration,
    /// Decoding, a second time at higher detail included.
    pub decode: Duration,
    /// Finding what the strategy needs; zero when detections were given or none are needed.
    pub detect: Duration,
    /// Asking the strategy.
    pub plan: Duration,
    /// Cutting and scaling.
    pub resize: Duration,
    /// Encoding.
    pub encode: Duration,
    /// Writing below the media root.
    pub write: Duration,
    /// All of it.
    pub total: Duration,
}

impl CropTimings {
    /// Those that metrics know.
    fn stages(&self) -> [(Stage, Duration); 5] {
        let Self { decode, detect, plan, resize, encode, .. } = *self;
        [(Stage::Decode, decode), (Stage::Detect, detect), (Stage::Plan, plan), (Stage::Resize, resize), (Stage::Encode, encode)]
    }
}

impl Operations {
    /// Cuts a picture where a strategy says. The whole call is served by one snapshot of the catalogue.
    ///
    /// # Errors
    /// For a wrong request: `crop.ratio-missing`, `crop.ratio-invalid`, `crop.size-invalid`, `crop.size-mismatch`,
    /// `crop.quality-invalid`, `strategy.unknown`, `strategy.parameters-invalid`, `detections.invalid`, or what the strategy itself
    /// calls invalid. For limits: `crop.output-too-large`, `detections.too-many`, `strategy.parameters-too-large`,
    /// `cpu.overloaded`. What loading, decoding and encoding fail with, and `call.deadline`. A failing plugin is no failure: the
    /// answer is degraded.
    pub async fn crop(&self, context: &CallContext, input: CropInput) -> Result<CropOutput, Failure> {
        let input = CropInput { image: self.fetched(context, input.image).await?, ..input };
        let (context, snapshot) = self.enter(context);
        let entry = snapshot.table.get(CROP_IMAGE.name)?;
        let here = async |context: CallContext| self.crop_here(&context, &snapshot.plugins, input.clone()).await;
        let failed = match self.typed(&context, entry, |output: &CropOutput| (&output.served_by, output.is_degraded()), here).await {
            Typed::Ended(result) => return result,
            Typed::Continues(failed) => failed,
        };
        let payload = json::crop::to_payload(&input);
        let outcome = self.answer(context.clone(), Arc::clone(&snapshot), CROP_IMAGE.name, payload, failed).await?;
        let history = outcome.clone().map(drop);
        let reply = json::crop::Reply::of(outcome.value)?;
        let (picture, path, size) = match self.picture_of(&reply, input.store, context.deadline).await? {
            Some((picture, path)) => (picture, path, reply.size()),
            None => self.cut_as_told(&context, &reply, &input).await?,
        };
        reply.into_output((picture, size), path, &input, history)
    }

    /// The picture that a provider attached or wrote, and its path below the media root when one is wanted.
    async fn picture_of(
        &self,
        reply: &json::crop::Reply,
        store: bool,
        deadline: Deadline,
    ) -> Result<Option<(Bytes, Option<String>)>, Failure> {
        Ok(match (&reply.picture, reply.path(), self.media()) {
            (Some(picture), None, Some(media)) if store => {
                let format = Format::sniff(picture).unwrap_or(Format::Jpeg);
                Some((picture.clone(), Some(media.write(picture.clone(), format, deadline).await?)))
            }
            (Some(picture), path, _) => Some((picture.clone(), path.map(str::to_owned))),
            (None, Some(path), Some(media)) => Some((media.read(path, deadline).await?, Some(path.to_owned()))),
            (None, ..) => None,
        })
    }

    /// Cuts where a provider says that makes no pictures itself, such as a fallback plugin.
    async fn cut_as_told(
        &self,
        context: &CallContext,
        reply: &json::crop::Reply,
        input: &CropInput,
    ) -> Result<(Bytes, Option<String>, Size), Failure> {
        let deadline = context.deadline;
        let bytes = self.load(context, input.image.clone()).await?;
        let (image, _) = source::decode(self.cpu(), bytes, self.limits(), deadline, |info| Ok(info.size)).await?;
        let crop = reply.crop();
        if !crop.lies_inside(image.size()) {
            let message = "a provider says to cut outside of the picture";
            return Err(Failure::new(FailureKind::Rejected, "plugin.output-invalid", message));
        }
        let format = input.format.unwrap_or_else(|| output_format(image.format()));
        let size = output_size::ratio(input.ratio, input.size).and_then(|ratio| output_size::resolve(input.size, ratio, &self.limits()))?;
        let options = OutputOptions { format, quality: input.quality, size, keep_metadata: input.keep_metadata };
        let limits = self.limits();
        let encoded = self.cpu().compute(deadline, move || breakwater_vision::render(&image, crop, &options, &limits)).await??;
        let path = match (input.store, self.media()) {
            (true, Some(media)) => Some(media.write(encoded.bytes.clone(), encoded.format, deadline).await?),
            _ => None,
        };
        Ok((encoded.bytes, path, encoded.size))
    }

    /// With the strategies and codecs of the host.
    pub(crate) async fn crop_here(&self, context: &CallContext, plugins: &Snapshot, input: CropInput) -> Result<CropOutput, Failure> {
        let result = self.cut(context, plugins, input, Instant::now()).await;
        if let Ok(output) = &result {
            output.timings.stages().into_iter().for_each(|(stage, elapsed)| self.metrics().stage(stage, elapsed));
        }
        result
    }

    /// Refuses what is wrong with a crop whatever its picture is.
    ///
    /// # Errors
    /// As [`Self::crop`] for a wrong request. A strategy may be unknown here where somebody else is asked first.
    pub(crate) fn check_crop(&self, input: &CropInput) -> Result<(), Failure> {
        let request = Checked::of(input, self)?;
        let snapshot = self.current();
        if self.is_answered_here(snapshot.table.get(CROP_IMAGE.name)?) {
            plan::strategy(&snapshot.plugins, &request.plan.strategy)?;
        }
        Ok(())
    }

    async fn cut(&self, context: &CallContext, plugins: &Snapshot, input: CropInput, started: Instant) -> Result<CropOutput, Failure> {
        let deadline = context.deadline;
        let request = Checked::of(&input, self)?;
        let (strategy, generation) = plan::strategy(plugins, &request.plan.strategy)?;
        let mut timings = CropTimings::default();

        let bytes = self.load(context, input.image).await?;
        timings.read = started.elapsed();
        let (ratio, output_size) = (request.plan.ratio, request.size);
        let raster = move |info: &breakwater_vision::Info| Ok(raster_size(info.size, ratio, output_size));
        let (image, decode) = source::decode(self.cpu(), bytes, self.limits(), deadline, raster).await?;
        timings.decode = decode;

        let planning = context.tightened(planning_budget(deadline.remaining()));
        let detecting = Instant::now();
        let detections =
            if input.detections.is_empty() { self.prefetch(&image, &strategy.needs, &planning).await } else { input.detections.clone() };
        timings.detect = detecting.elapsed();

        let asking = Instant::now();
        let plan_input = PlanInput { image: image.clone(), request: request.plan.clone(), given: input.detections };
        let outcome = self.plan(&planning, generation, plan_input).await?;
        timings.plan = asking.elapsed();
        let planned = outcome.value;

        let options = OutputOptions {
            format: input.format.unwrap_or_else(|| output_format(image.format())),
            quality: input.quality,
            size: request.size,
            keep_metadata: input.keep_metadata,
        };
        let (source_size, limits, crop) = (image.size(), self.limits(), planned.crop);
        let encoded = self.cpu().compute(deadline, move || breakwater_vision::render(&image, crop, &options, &limits)).await??;
        timings.decode += encoded.timings.decode;
        timings.resize = encoded.timings.resize;
        timings.encode = encoded.timings.encode;

        let writing = Instant::now();
        let output_path = match (input.store, self.media()) {
            (true, Some(media)) => Some(media.write(encoded.bytes.clone(), encoded.format, deadline).await?),
            _ => None,
        };
        timings.write = writing.elapsed();
        timings.total = started.elapsed();
        let plugin = matches!(outcome.served_by, ServedBy::Plugin { .. }).then(|| PluginIdentity::of(generation));
        Ok(CropOutput {
            strategy: request.plan.strategy,
            ratio,
            source_size,
            crop,
            score: planned.score,
            reasons: planned.reasons,
            detections,
            plugin,
            served_by: outcome.served_by,
            degraded_reasons: outcome.reasons,
            level: outcome.level,
            attempts: outcome.attempts,
            timings,
            image: encoded,
            output_path,
        })
    }

    /// Finds at once what the strategy is going to ask for, so that the detectors can batch. The strategy then gets it from the
    /// detectors' cache. A failure here is not the end: the strategy asks again, is told, and decides.
    pub(crate) async fn prefetch(&self, image: &Arc<Image>, needs: &[DetectionKind], context: &CallContext) -> Vec<Detection> {
        let searched = detectors::search(self.detectors().as_ref(), image, needs, context.deadline).await;
        let mut found = Vec::new();
        for (kind, result) in needs.iter().zip(searched) {
            match result {
                Ok(detections) => found.extend(detections.iter().filter(|detection| detection.confidence >= DEFAULT_THRESHOLD).cloned()),
                Err(failure) => {
                    tracing::debug!(kind = kind.name(), code = &*failure.code, correlation_id = %context.correlation_id, "prefetch failed");
                }
            }
        }
        found
    }
}

/// What was asked, checked before anything is read.
struct Checked {
    plan: PlanRequest,
    size: Option<Size>,
}

impl Checked {
    fn of(input: &CropInput, operations: &Operations) -> Result<Self, Failure> {
        if input.quality.is_some_and(|quality| !(1..=100).contains(&quality)) {
            return Err(Failure::invalid("crop.quality-invalid", "quality is a whole number from 1 to 100"));
        }
        if input.store && operations.media().is_none() {
            let message = "the service has no media root to write the picture to; ask for the picture itself with Accept: image/*";
            return Err(Failure::new(FailureKind::Denied, "media.not-configured", message));
        }
        plan::check_detections(&input.detections)?;
        let ratio = output_size::ratio(input.ratio, input.size)?;
        let size = output_size::resolve(input.size, ratio, &operations.limits())?;
        let strategy = input.strategy.clone().unwrap_or_else(|| DEFAULT_STRATEGY.to_owned());
        let parameters = plan::checked_parameters(input.parameters.clone())?;
        Ok(Self { plan: PlanRequest { strategy, ratio, parameters }, size })
    }
}

/// Large enough to be analysed and to be rendered without enlarging.
fn raster_size(original: Size, ratio: AspectRatio, output: Option<Size>) -> Size {
    let (rendered, analysed) = (output_size::raster_for(original, ratio, output), source::smallest_for_analysis(original));
    Size::new(rendered.width.max(analysed.width), rendered.height.max(analysed.height))
}

fn planning_budget(remaining: Duration) -> Duration {
    remaining.saturating_sub(RENDER_RESERVE.min(remaining / 4))
}

/// The input's own format if it can be written, otherwise JPEG.
fn output_format(input: Format) -> Format {
    if input.can_be_written() { input } else { Format::Jpeg }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_result_still_leaves_enough_to_analyse() {
        let original = Size::new(6000, 4000);
        let square = AspectRatio::new(1, 1).unwrap();
        assert_eq!(raster_size(original, square, Some(Size::new(100, 100))), Size::new(640, 427));
        assert_eq!(raster_size(original, square, Some(Size::new(2000, 2000))), Size::new(3000, 2000));
        assert_eq!(raster_size(original, square, None), original);
        assert_eq!(raster_size(Size::new(10, 10), square, Some(Size::new(100, 100))), Size::new(10, 10));
    }

    #[test]
    fn planning_leaves_time_to_render() {
        assert_eq!(planning_budget(Duration::from_secs(30)), Duration::from_secs(29));
        assert_eq!(planning_budget(Duration::from_millis(400)), Duration::from_millis(300));
        assert_eq!(planning_budget(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn what_cannot_be_written_becomes_jpeg() {
        assert_eq!(output_format(Format::Gif), Format::Jpeg);
        assert_eq!(output_format(Format::WebP), Format::WebP);
    }
}
