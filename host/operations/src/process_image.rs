//! Detect, then crop by what was found: the integration example of the image-processing client, in one call.

use breakwater_core::{AspectRatio, CallContext, DetectionKind, Failure, Outcome};

use crate::crop::{CropInput, CropOutput};
use crate::detect::{DetectInput, DetectOutput};
use crate::operations::Operations;
use crate::output_size::WantedSize;
use crate::source::ImageSource;

/// The strategy the example cuts by.
const STRATEGY: &str = "center_faces";

impl Operations {
    /// Finds faces and people in the picture at `path`, then cuts it to `ratio` around them. The result is written below the media root.
    ///
    /// # Errors
    /// As [`Self::detect`] and [`Self::crop`].
    pub async fn process_image(
        &self,
        context: &CallContext,
        path: String,
        ratio: AspectRatio,
    ) -> Result<(CropOutput, Outcome<DetectOutput>), Failure> {
        let (context, _snapshot) = self.enter(context);
        let nested = context.nested()?;
        let kinds = vec![DetectionKind::Face, DetectionKind::Person];
        let input = DetectInput { image: ImageSource::Path(path.clone()), kinds, threshold: None };
        let found = self.detect(&nested, input).await?;
        let input = CropInput {
            image: ImageSource::Path(path),
            ratio: Some(ratio),
            strategy: Some(STRATEGY.to_owned()),
            parameters: None,
            detections: found.value.detections.clone(),
            size: WantedSize::default(),
            format: None,
            quality: None,
            keep_metadata: false,
            store: true,
        };
        Ok((self.crop(&nested, input).await?, found))
    }
}
