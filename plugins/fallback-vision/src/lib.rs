//! Answers about pictures when nobody who looked at them can: `center-crop` for `crop-image`, `whole-image` for `detect-objects`.

mod center_crop;
mod whole_image;

use breakwater_guest::{Failure, Fallback, Host, Invocation, Level, Reply};

pub use whole_image::{CONFIDENCE, LABEL};

/// Knows nothing but the picture's size.
pub struct Vision;

impl Fallback for Vision {
    const LEVELS: &'static [Level] = &[Level::new("crop-image", center_crop::NAME), Level::new("detect-objects", whole_image::NAME)];

    fn degrade<H: Host>(host: &H, call: Invocation, level: &str, _cause: &Failure) -> Result<Option<Reply>, Failure> {
        // A picture that is only named is not ours to open: the next provider is asked.
        let Some(picture) = call.attachments.first() else { return Ok(None) };
        let image = host.open(picture)?;
        match level {
            center_crop::NAME => center_crop::answer(&image, &call).map(Some),
            _ => whole_image::answer(&image, &call).map(Some),
        }
    }
}

breakwater_guest::export_fallback_plugin!(Vision);
