//! `extract-features`: what a picture looks like, as numbers.

use std::sync::Arc;
use std::time::Instant;

use breakwater_core::{CallContext, Deadline, Failure, Outcome, ServedBy, Size};
use breakwater_inference::{Embedding, Inference, Priority};
use breakwater_telemetry::Stage;
use breakwater_vision::Image;
use futures_util::future::BoxFuture;

use crate::operations::Operations;
use crate::source::{self, ImageSource};

/// A model that gives the features of images, and what is known about it.
pub trait Embedder: Send + Sync + 'static {
    /// The features of an image.
    fn embed<'a>(&'a self, image: &'a Arc<Image>, deadline: Deadline) -> BoxFuture<'a, Result<Arc<Embedding>, Failure>>;
    /// Whether the features of this image are known already, so that asking again costs nothing.
    fn has_cached(&self, image: &Image) -> bool;
    /// The smallest raster of an image of this size from which the features are those of the whole.
    fn raster(&self, image: Size) -> Size;
    /// Where it runs now.
    fn device(&self) -> String;
}

/// The model of the inference engine.
#[derive(Clone)]
pub struct ModelEmbedder(Arc<Inference>);

impl ModelEmbedder {
    /// The model of `inference`.
    #[must_use]
    pub fn new(inference: Arc<Inference>) -> Self {
        Self(inference)
    }
}

impl Embedder for ModelEmbedder {
    fn embed<'a>(&'a self, image: &'a Arc<Image>, deadline: Deadline) -> BoxFuture<'a, Result<Arc<Embedding>, Failure>> {
        Box::pin(self.0.embed_image(None, image, Priority::Interactive, deadline))
    }

    fn has_cached(&self, image: &Image) -> bool {
        self.0.cached_embedding(None, image).is_some()
    }

    fn raster(&self, image: Size) -> Size {
        // Without a model that serves there is nothing to save for.
        self.0.raster(None, image).unwrap_or(image)
    }

    fn device(&self) -> String {
        self.0.device().name
    }
}

impl std::fmt::Debug for ModelEmbedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelEmbedder").finish_non_exhaustive()
    }
}

impl Operations {
    /// With the model of the host.
    ///
    /// # Errors
    /// What loading, decoding and the model fail with.
    pub(crate) async fn features_here(&self, context: &CallContext, image: ImageSource) -> Result<Outcome<Arc<Embedding>>, Failure> {
        let (started, deadline) = (Instant::now(), context.deadline);
        let bytes = image.load(self.media(), deadline).await?;
        let embedder = Arc::clone(self.embedder());
        let smallest = move |info: &breakwater_vision::Info| Ok(embedder.raster(info.size));
        let (image, decode) = source::decode(self.cpu(), bytes, self.limits(), deadline, smallest).await?;
        self.metrics().stage(Stage::Decode, decode);
        let (embedder, known) = (self.embedder(), self.embedder().has_cached(&image));
        let embedding = deadline.bound("the features of an image", embedder.embed(&image, deadline)).await??;
        let name = embedding.model().to_owned();
        let served_by = if known { ServedBy::Cache { name } } else { ServedBy::Model { name, device: embedder.device() } };
        Ok(Outcome { elapsed: started.elapsed(), ..Outcome::new(embedding, served_by) })
    }
}
