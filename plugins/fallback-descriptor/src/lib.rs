//! Features of pictures when no model can be asked: `classical-descriptor` for `extract-features`, in a space of its own.
//!
//! See [`descriptor`](fn@descriptor) for the formula.

mod colours;
mod descriptor;
mod gradients;
mod grid;
mod mirror;

use breakwater_guest::{Failure, Fallback, Host, ImageView, Invocation, Level, Reply};
use image_model::FeaturesOutput;

pub use descriptor::{DIMENSION, MODEL, THUMBNAIL, descriptor};

/// Looks at gradients and colours.
pub struct Descriptor;

impl Fallback for Descriptor {
    const LEVELS: &'static [Level] = &[Level::new("extract-features", "classical-descriptor")];

    /// Whatever model was asked for: the answer says that it is of this one, and nobody compares it with another's.
    fn degrade<H: Host>(host: &H, call: Invocation, _level: &str, _cause: &Failure) -> Result<Option<Reply>, Failure> {
        // A picture that is only named is not ours to open: the next provider is asked.
        let Some(picture) = call.attachments.first() else { return Ok(None) };
        let thumbnail = host.open(picture)?.thumbnail(THUMBNAIL)?;
        let features = descriptor(&thumbnail).and_then(|numbers| FeaturesOutput::of(MODEL, &numbers));
        let features = features.ok_or_else(|| Failure::internal("descriptor.no-direction", "the picture has no colours and no edges"))?;
        Reply::of(&features).map(Some)
    }
}

breakwater_guest::export_fallback_plugin!(Descriptor);
