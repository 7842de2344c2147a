//! From what a call brings to a decoded image.

use std::sync::Arc;
use std::time::{Duration, Instant};

use breakwater_core::{Body, CallContext, Deadline, Failure, FailureKind, Method, OutboundRequest, Size};
use breakwater_resilience::CpuPermits;
use breakwater_vision::{Detail, Image, Limits};
use bytes::Bytes;

use crate::operations::Operations;

/// The longer edge detectors and plugins may count on, in pixels: detectors scale larger pictures down to it. Those may be decoded at a reduced
/// scale down to this.
pub const ANALYSIS_EDGE: u32 = 640;

/// Where the picture comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// The encoded picture itself.
    Bytes(Bytes),
    /// A path below the media root, with or without a leading slash.
    Path(String),
    /// An `http` or `https` URL of a host that the operator allows.
    Url(String),
}

impl Operations {
    /// The encoded bytes.
    ///
    /// # Errors
    /// `media.not-configured`, and what [`MediaRoot::read`](crate::MediaRoot::read) and a request to a URL fail with.
    pub(crate) async fn load(&self, context: &CallContext, image: ImageSource) -> Result<Bytes, Failure> {
        match (image, self.media()) {
            (ImageSource::Bytes(bytes), _) => Ok(bytes),
            (ImageSource::Path(path), Some(media)) => media.read(&path, context.deadline).await,
            (ImageSource::Path(_), None) => {
                let message = "the service has no media root, so pictures cannot be named by path";
                Err(Failure::new(FailureKind::Denied, "media.not-configured", message))
            }
            (ImageSource::Url(url), _) => self.fetch(context, &url).await,
        }
    }

    /// A picture that is named by URL, as bytes: providers elsewhere take no URLs.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) async fn fetched(&self, context: &CallContext, image: ImageSource) -> Result<ImageSource, Failure> {
        match image {
            ImageSource::Url(url) => Ok(ImageSource::Bytes(self.fetch(context, &url).await?)),
            other => Ok(other),
        }
    }

    /// Through the guard for foreign URLs: only hosts that the operator allows, and no addresses inside unless they are allowed too.
    async fn fetch(&self, context: &CallContext, url: &str) -> Result<Bytes, Failure> {
        let most = self.limits().max_bytes;
        let request = OutboundRequest { max_response_bytes: Some(most), is_read: true, ..OutboundRequest::new(Method::Get, "") };
        let answer =
            self.upstreams().send_to_url(context, url, request, self.image_hosts()).await.map_err(|failure| match &*failure.code {
                "upstream.response-too-large" => {
                    Failure::limit("image.too-many-bytes", format!("the picture has more than {most} bytes")).caused_by(failure)
                }
                _ => failure,
            })?;
        match answer.body {
            Body::Bytes(bytes) => Ok(bytes),
            Body::Stream(_) | Body::Form(_) => Err(Failure::internal("a picture came in pieces though it was wanted whole")),
        }
    }
}

/// The smallest raster that detectors and plugins can work on for an image of this size.
pub(crate) fn smallest_for_analysis(size: Size) -> Size {
    size.fit_longer(ANALYSIS_EDGE)
}

/// Decodes on the CPU pool. `raster` says, from the size of the original, how large the raster must be at least; it may refuse.
pub(crate) async fn decode(
    cpu: &CpuPermits,
    bytes: Bytes,
    limits: Limits,
    deadline: Deadline,
    raster: impl FnOnce(&breakwater_vision::Info) -> Result<Size, Failure> + Send + 'static,
) -> Result<(Arc<Image>, Duration), Failure> {
    cpu.compute(deadline, move || {
        let started = Instant::now();
        let info = breakwater_vision::probe(&bytes, &limits)?;
        let wanted = raster(&info)?;
        let covers = wanted.width >= info.size.width && wanted.height >= info.size.height;
        let detail = if covers { Detail::Full } else { Detail::AtLeast(wanted) };
        let image = Image::decode(bytes, detail, &limits)?;
        Ok((Arc::new(image), started.elapsed()))
    })
    .await?
}
