//! From what a call brings to a decoded image.

use std::sync::Arc;
use std::time::{Duration, Instant};

use breakwater_core::{Deadline, Failure, FailureKind, Size};
use breakwater_resilience::CpuPermits;
use breakwater_vision::{Detail, Image, Limits};
use bytes::Bytes;

use crate::media::MediaRoot;

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
}

impl ImageSource {
    /// The encoded bytes.
    ///
    /// # Errors
    /// `media.not-configured`, or what [`MediaRoot::read`] fails with.
    pub async fn load(self, media: Option<&Arc<MediaRoot>>, deadline: Deadline) -> Result<Bytes, Failure> {
        match (self, media) {
            (Self::Bytes(bytes), _) => Ok(bytes),
            (Self::Path(path), Some(media)) => media.read(&path, deadline).await,
            (Self::Path(_), None) => {
                let message = "the service has no media root, so pictures cannot be named by path";
                Err(Failure::new(FailureKind::Denied, "media.not-configured", message))
            }
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
