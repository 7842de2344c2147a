//! `breakwater:plugin/imaging`: images whose pixels stay in the host.
//!
//! What computes goes to the processor pool; the image is shared, so nothing is copied to get there.

use std::sync::Arc;

use breakwater_core::{Detection, Failure};
use breakwater_vision::{Detail, HeatMap as VisionHeatMap, Image, VisionError};
use wasmtime::component::Resource;

use super::blobs::GuestBlob;
use crate::bindings::breakwater::plugin::imaging::{HeatMap, Host, HostImage, Thumbnail};
use crate::bindings::breakwater::plugin::{detections, geometry, types};
use crate::convert::{detection_to_guest, failure_to_guest, kind_from_guest, rect_from_guest, size_to_guest};
use crate::ports::on_pool;
use crate::state::CallState;

/// Answers up to this size are kept for the rest of the call; copying a larger one would cost more than most calls gain.
const MAX_KEPT: usize = 64 << 10;

/// An image as one guest call sees it.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct GuestImage {
    image: Arc<Image>,
    /// The image the call is about, which the request's own detections belong to.
    is_subject: bool,
    kept: Vec<(Question, Answer)>,
}

impl GuestImage {
    pub(crate) fn subject(image: Arc<Image>) -> Self {
        Self { image, is_subject: true, kept: Vec::new() }
    }

    /// The image itself, shared.
    pub(super) fn pixels(&self) -> Arc<Image> {
        Arc::clone(&self.image)
    }

    fn opened(image: Image) -> Self {
        Self { image: Arc::new(image), is_subject: false, kept: Vec::new() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Thumbnail(u32),
    Saliency(u32),
    Luminance(u32),
}

#[derive(Clone)]
enum Answer {
    Thumbnail(Thumbnail),
    Map(HeatMap),
}

impl Answer {
    fn bytes(&self) -> usize {
        match self {
            Self::Thumbnail(thumbnail) => thumbnail.rgb.len(),
            Self::Map(map) => map.values.len() * size_of::<f32>(),
        }
    }

    fn to(question: Question, image: &Image) -> Result<Self, VisionError> {
        let map = |map: VisionHeatMap| Self::Map(HeatMap { size: size_to_guest(map.size), values: map.values });
        match question {
            Question::Thumbnail(edge) => {
                let picture = image.thumbnail(edge)?;
                Ok(Self::Thumbnail(Thumbnail { size: size_to_guest(picture.size), rgb: picture.pixels }))
            }
            Question::Saliency(edge) => image.saliency(edge).map(map),
            Question::Luminance(edge) => image.luminance(edge).map(map),
        }
    }
}

impl CallState {
    async fn ask(&mut self, image: &Resource<GuestImage>, question: Question) -> wasmtime::Result<Result<Answer, Failure>> {
        self.charge_call()?;
        let subject = self.table.get(image)?;
        let kept = subject.kept.iter().find(|(asked, _)| *asked == question).map(|(_, answer)| answer.clone());
        let answer = match kept {
            Some(answer) => answer,
            None => {
                let pixels = Arc::clone(&subject.image);
                let (services, deadline) = (Arc::clone(&self.scope.services), self.host_deadline());
                let work = on_pool(&*services.ports.cpu, deadline, move || Answer::to(question, &pixels));
                match self.wait("looking at the image", work).await {
                    Ok(Ok(answer)) => {
                        if answer.bytes() <= MAX_KEPT {
                            self.table.get_mut(image)?.kept.push((question, answer.clone()));
                        }
                        answer
                    }
                    Ok(Err(error)) => return Ok(Err(error.into())),
                    Err(failure) => return Ok(Err(failure)),
                }
            }
        };
        Ok(self.charge_bytes(answer.bytes()).map(|()| answer).map_err(Failure::from))
    }

    async fn ask_map(&mut self, image: &Resource<GuestImage>, question: Question) -> wasmtime::Result<Result<HeatMap, types::Failure>> {
        Ok(match self.ask(image, question).await? {
            Ok(Answer::Map(map)) => Ok(map),
            Ok(Answer::Thumbnail(_)) => Err(failure_to_guest(&Failure::internal("a map was answered with a picture"))),
            Err(failure) => Err(failure_to_guest(&failure)),
        })
    }

    /// Detections of a kind: those that came with the request, or what the detectors find.
    async fn detections(
        &mut self,
        image: &Resource<GuestImage>,
        kind: detections::Kind,
    ) -> wasmtime::Result<Result<Vec<Detection>, Failure>> {
        let kind = kind_from_guest(kind);
        let subject = self.table.get(image)?;
        if let (true, Some(given)) = (subject.is_subject, &self.given) {
            return Ok(Ok(given.iter().filter(|detection| detection.kind == kind).cloned().collect()));
        }
        let pixels = Arc::clone(&subject.image);
        let (services, deadline) = (Arc::clone(&self.scope.services), self.host_deadline());
        let found = self.wait("detection", services.ports.detect.detect(&pixels, kind, deadline)).await;
        Ok(found.map(|found| found.to_vec()))
    }
}

impl HostImage for CallState {
    fn size(&mut self, image: Resource<GuestImage>) -> wasmtime::Result<geometry::Size> {
        Ok(size_to_guest(self.table.get(&image)?.image.size()))
    }

    async fn thumbnail(&mut self, image: Resource<GuestImage>, edge: u32) -> wasmtime::Result<Result<Thumbnail, types::Failure>> {
        Ok(match self.ask(&image, Question::Thumbnail(edge)).await? {
            Ok(Answer::Thumbnail(thumbnail)) => Ok(thumbnail),
            Ok(Answer::Map(_)) => Err(failure_to_guest(&Failure::internal("a picture was answered with a map"))),
            Err(failure) => Err(failure_to_guest(&failure)),
        })
    }

    async fn saliency(&mut self, image: Resource<GuestImage>, edge: u32) -> wasmtime::Result<Result<HeatMap, types::Failure>> {
        self.ask_map(&image, Question::Saliency(edge)).await
    }

    async fn luminance(&mut self, image: Resource<GuestImage>, edge: u32) -> wasmtime::Result<Result<HeatMap, types::Failure>> {
        self.ask_map(&image, Question::Luminance(edge)).await
    }

    async fn detect(
        &mut self,
        image: Resource<GuestImage>,
        kind: detections::Kind,
    ) -> wasmtime::Result<Result<Vec<detections::Detection>, types::Failure>> {
        self.charge_call()?;
        let found = match self.detections(&image, kind).await? {
            Ok(found) => found,
            Err(failure) => return Ok(Err(failure_to_guest(&failure))),
        };
        let bytes = |detection: &Detection| size_of::<Detection>() + detection.label.len() + detection.landmarks.len() * 8;
        if let Err(crossed) = self.charge_bytes(found.iter().map(bytes).sum()) {
            return Ok(Err(failure_to_guest(&crossed.into())));
        }
        Ok(Ok(found.iter().map(detection_to_guest).collect()))
    }

    async fn entropy(&mut self, image: Resource<GuestImage>, area: geometry::Rect) -> wasmtime::Result<Result<f32, types::Failure>> {
        self.charge_call()?;
        let (pixels, area) = (Arc::clone(&self.table.get(&image)?.image), rect_from_guest(area));
        let (services, deadline) = (Arc::clone(&self.scope.services), self.host_deadline());
        let work = on_pool(&*services.ports.cpu, deadline, move || pixels.entropy(area));
        let entropy = self.wait("looking at the image", work).await;
        Ok(entropy.and_then(|entropy| entropy.map_err(Failure::from)).map_err(|failure| failure_to_guest(&failure)))
    }

    fn drop(&mut self, image: Resource<GuestImage>) -> wasmtime::Result<()> {
        self.table.delete(image)?;
        Ok(())
    }
}

impl Host for CallState {
    /// All images that a call opens share the pixels that one image may have.
    async fn open(&mut self, source: Resource<GuestBlob>) -> wasmtime::Result<Result<Resource<GuestImage>, types::Failure>> {
        self.charge_call()?;
        let bytes = self.table.get(&source)?.bytes.clone();
        let (services, deadline) = (Arc::clone(&self.scope.services), self.host_deadline());
        let mut limits = services.image_limits;
        limits.max_pixels = limits.max_pixels.saturating_sub(self.meter.opened_pixels);
        limits.max_time = limits.max_time.min(deadline.remaining());
        let work = on_pool(&*services.ports.cpu, deadline, move || Image::decode(bytes, Detail::Full, &limits));
        let decoded = self.wait("decoding", work).await;
        match decoded.and_then(|decoded| decoded.map_err(Failure::from)) {
            Ok(image) => {
                self.meter.opened_pixels = self.meter.opened_pixels.saturating_add(image.size().pixels());
                Ok(Ok(self.table.push(GuestImage::opened(image))?))
            }
            Err(failure) => Ok(Err(failure_to_guest(&failure))),
        }
    }
}
