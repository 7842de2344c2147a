//! `extract-features` and `embed-text`: what a picture or a text is like, as numbers that can be compared.

use std::sync::Arc;
use std::time::Instant;

use breakwater_core::{CallContext, Deadline, Digest, Failure, Outcome, Payload, ServedBy, Size};
use breakwater_inference::{EmbedderInfo, Embedding, Inference, Priority};
use breakwater_search::{Space, Vector, VectorError};
use breakwater_telemetry::Stage;
use breakwater_vision::Image;
use futures_util::future::BoxFuture;
use serde_json::Map;

use crate::invoke::HostSnapshot;
use crate::json;
use crate::operation::{EMBED_TEXT, EXTRACT_FEATURES};
use crate::operations::Operations;
use crate::source::{self, ImageSource};
use crate::typed::Typed;

/// The models of the host that give features, by id.
pub trait Embedder: Send + Sync + 'static {
    /// Those that serve, the built-in one first.
    fn models(&self) -> Vec<EmbedderInfo>;
    /// The model that is asked when a call names none.
    fn default_model(&self) -> Arc<str>;
    /// The features of an image.
    fn embed_image<'a>(
        &'a self,
        model: Option<&'a str>,
        image: &'a Arc<Image>,
        priority: Priority,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Arc<Embedding>, Failure>>;
    /// The features of a text.
    fn embed_text<'a>(
        &'a self,
        model: Option<&'a str>,
        text: &'a str,
        priority: Priority,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Arc<Embedding>, Failure>>;
    /// Tokens of a text, those that begin and end it included; 0 when the model takes no texts.
    fn tokens<'a>(&'a self, model: Option<&'a str>, text: &'a str, deadline: Deadline) -> BoxFuture<'a, Result<u32, Failure>>;
    /// Whether the features of this image are known already, so that asking again costs nothing.
    fn has_cached(&self, model: Option<&str>, image: &Image) -> bool;
    /// The smallest raster of an image of this size from which the features are those of the whole.
    fn raster(&self, model: Option<&str>, image: Size) -> Size;
}

/// The models of the inference engine.
#[derive(Clone)]
pub struct ModelEmbedder(Arc<Inference>);

impl ModelEmbedder {
    /// The models of `inference`.
    #[must_use]
    pub fn new(inference: Arc<Inference>) -> Self {
        Self(inference)
    }
}

impl Embedder for ModelEmbedder {
    fn models(&self) -> Vec<EmbedderInfo> {
        self.0.embedders()
    }

    fn default_model(&self) -> Arc<str> {
        self.0.default_embedder()
    }

    fn embed_image<'a>(
        &'a self,
        model: Option<&'a str>,
        image: &'a Arc<Image>,
        priority: Priority,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Arc<Embedding>, Failure>> {
        Box::pin(self.0.embed_image(model, image, priority, deadline))
    }

    fn embed_text<'a>(
        &'a self,
        model: Option<&'a str>,
        text: &'a str,
        priority: Priority,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Arc<Embedding>, Failure>> {
        Box::pin(self.0.embed_text(model, text, priority, deadline))
    }

    fn tokens<'a>(&'a self, model: Option<&'a str>, text: &'a str, deadline: Deadline) -> BoxFuture<'a, Result<u32, Failure>> {
        Box::pin(self.0.token_count(model, text, deadline))
    }

    fn has_cached(&self, model: Option<&str>, image: &Image) -> bool {
        self.0.cached_embedding(model, image).is_some()
    }

    fn raster(&self, model: Option<&str>, image: Size) -> Size {
        // Without a model that serves there is nothing to save for.
        self.0.raster(model, image).unwrap_or(image)
    }
}

impl std::fmt::Debug for ModelEmbedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelEmbedder").finish_non_exhaustive()
    }
}

/// Features of one image or text.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// The model that gave them, as it names itself.
    pub model: String,
    /// The space they are in: the model, its revision and its dimension.
    pub space: Space,
    /// A direction of length one.
    pub vector: Arc<Vector>,
    /// Tokens of the text, as far as the model says; 0 for images.
    pub tokens: u32,
}

impl Features {
    /// Features as somebody gives them. Without a revision, that of a remote model: the digest of its name.
    ///
    /// # Errors
    /// When they have no direction, or are none or too many.
    pub(crate) fn given(model: String, revision: Option<Digest>, values: &[f32], tokens: u32) -> Result<Self, VectorError> {
        let vector = Arc::new(Vector::new(values)?);
        let revision = revision.unwrap_or_else(|| Digest::of(model.as_bytes()));
        let dimension = u32::try_from(vector.dimension()).map_err(|_| VectorError::Dimension(vector.dimension()))?;
        let space = Space { model: space_model(&model), revision, dimension };
        Ok(Self { model, space, vector, tokens })
    }

    /// Features by a model of the host.
    fn of(embedding: &Embedding, tokens: u32) -> Result<Self, Failure> {
        let features = Self::given(embedding.model().to_owned(), Some(embedding.revision()), embedding.values(), tokens);
        features.map_err(|error| Failure::internal("a model gave features that are no vector").caused_by(error))
    }
}

/// The space of a model of the host.
pub(crate) fn space_of(info: &EmbedderInfo) -> Space {
    Space { model: space_model(&info.id), revision: info.revision, dimension: info.dimension }
}

/// A model's name as spaces write it: remote models may be called `openai/clip-vit-base-patch32`.
pub(crate) fn space_model(name: &str) -> Arc<str> {
    let letter = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '-' | '_' | '.') => c,
        _ => '-',
    };
    name.chars().map(letter).take(128).collect::<String>().into()
}

impl Operations {
    /// The features of a picture by the chain of `extract-features`: remote models, those of the host, what is kept, the fallback's
    /// descriptor. Whoever answers says in which space they are.
    ///
    /// # Errors
    /// `embedder.unknown-model` (not found), and what loading, decoding and the last provider fail with.
    pub(crate) async fn features(
        &self,
        context: &CallContext,
        image: ImageSource,
        model: Option<&str>,
    ) -> Result<Outcome<Features>, Failure> {
        let image = self.fetched(context, image).await?;
        let (context, snapshot) = self.enter(context);
        let here = async |context: CallContext| self.features_here(&context, image.clone(), model).await;
        let failed = match self.typed(&context, snapshot.table.get(EXTRACT_FEATURES.name)?, history, here).await {
            Typed::Ended(result) => return result,
            Typed::Continues(failed) => failed,
        };
        let mut fields = Map::new();
        fields.extend(model.map(|model| ("model".to_owned(), model.into())));
        self.features_by_chain(context, snapshot, EXTRACT_FEATURES.name, json::payload(&image, fields), failed).await
    }

    /// The features of a text by the chain of `embed-text`.
    ///
    /// # Errors
    /// `embedder.unknown-model` (not found), `embedder.no-text`, `embedder.text-too-long` (invalid request), and what the last provider
    /// fails with.
    pub(crate) async fn text_features(&self, context: &CallContext, text: &str, model: Option<&str>) -> Result<Outcome<Features>, Failure> {
        let (context, snapshot) = self.enter(context);
        let here = async |context: CallContext| self.text_features_here(&context, text, model).await;
        let failed = match self.typed(&context, snapshot.table.get(EMBED_TEXT.name)?, history, here).await {
            Typed::Ended(result) => return result,
            Typed::Continues(failed) => failed,
        };
        let payload = json::features::text_payload(text, model);
        self.features_by_chain(context, snapshot, EMBED_TEXT.name, payload, failed).await
    }

    async fn features_by_chain(
        &self,
        context: CallContext,
        snapshot: Arc<HostSnapshot>,
        operation: &str,
        payload: Payload,
        failed: Option<Failure>,
    ) -> Result<Outcome<Features>, Failure> {
        let outcome = self.answer(context, snapshot, operation, payload, failed).await?;
        let history = outcome.clone().map(drop);
        let features = json::features::from_payload(outcome.value)?;
        Ok(history.map(|()| features))
    }

    /// A picture's features by a model of the host.
    ///
    /// # Errors
    /// What loading, decoding and the model fail with.
    pub(crate) async fn features_here(
        &self,
        context: &CallContext,
        image: ImageSource,
        model: Option<&str>,
    ) -> Result<Outcome<Features>, Failure> {
        let (started, deadline) = (Instant::now(), context.deadline);
        let bytes = self.load(context, image).await?;
        let (embedder, named) = (Arc::clone(self.embedder()), model.map(str::to_owned));
        let smallest = move |info: &breakwater_vision::Info| Ok(embedder.raster(named.as_deref(), info.size));
        let (image, decode) = source::decode(self.cpu(), bytes, self.limits(), deadline, smallest).await?;
        self.metrics().stage(Stage::Decode, decode);
        let known = self.embedder().has_cached(model, &image);
        let features = self.model_features(&image, model, Priority::Interactive, deadline).await?;
        let served_by = self.served_by_model(&features.model, known);
        Ok(Outcome { elapsed: started.elapsed(), ..Outcome::new(features, served_by) })
    }

    /// A decoded picture's features by a model of the host.
    ///
    /// # Errors
    /// What the model fails with.
    pub(crate) async fn model_features(
        &self,
        image: &Arc<Image>,
        model: Option<&str>,
        priority: Priority,
        deadline: Deadline,
    ) -> Result<Features, Failure> {
        let embedding = self.embedder().embed_image(model, image, priority, deadline);
        Features::of(&*deadline.bound("the features of an image", embedding).await??, 0)
    }

    /// A text's features by a model of the host; without a model, by the default one if it takes texts, else by the first that does.
    ///
    /// # Errors
    /// What the model fails with.
    pub(crate) async fn text_features_here(
        &self,
        context: &CallContext,
        text: &str,
        model: Option<&str>,
    ) -> Result<Outcome<Features>, Failure> {
        let (started, deadline) = (Instant::now(), context.deadline);
        let chosen = model.map(Arc::from).or_else(|| self.text_model());
        let embedder = self.embedder();
        let embedding = embedder.embed_text(chosen.as_deref(), text, Priority::Interactive, deadline);
        let embedding = deadline.bound("the features of a text", embedding).await??;
        let tokens = embedder.tokens(chosen.as_deref(), text, deadline).await?;
        let features = Features::of(&embedding, tokens)?;
        let served_by = self.served_by_model(&features.model, false);
        Ok(Outcome { elapsed: started.elapsed(), ..Outcome::new(features, served_by) })
    }

    /// The model for texts when a call names none.
    fn text_model(&self) -> Option<Arc<str>> {
        let (models, default) = (self.embedder().models(), self.embedder().default_model());
        let of_default = models.iter().find(|info| info.id == default && info.texts);
        of_default.or_else(|| models.iter().find(|info| info.texts)).map(|info| Arc::clone(&info.id))
    }

    fn served_by_model(&self, model: &str, known: bool) -> ServedBy {
        let name = model.to_owned();
        if known {
            return ServedBy::Cache { name };
        }
        let info = self.embedder().models().into_iter().find(|info| *info.id == *model);
        ServedBy::Model { name, device: info.map_or_else(String::new, |info| info.device) }
    }
}

fn history(outcome: &Outcome<Features>) -> (&ServedBy, bool) {
    (&outcome.served_by, outcome.is_degraded())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_remote_models_become_names_of_spaces() {
        assert_eq!(&*space_model("openai/CLIP-ViT_b.32"), "openai-clip-vit_b.32");
        assert_eq!(&*space_model("modèle 1"), "mod-le-1");
        assert_eq!(space_model(&"x".repeat(500)).len(), 128);
        // Two names that become one stay two spaces, because their revisions differ.
        let [a, b] = ["a/b", "a-b"].map(|name| Features::given(name.to_owned(), None, &[1.0, 0.0], 0).unwrap().space);
        assert_eq!(a.model, b.model);
        assert_ne!(a, b);
    }

    #[test]
    fn features_without_a_direction_are_none() {
        assert_eq!(Features::given("m".into(), None, &[0.0, 0.0], 0), Err(VectorError::NoDirection));
        assert_eq!(Features::given("m".into(), None, &[f32::NAN], 0), Err(VectorError::NotFinite { at: 0 }));
        let features = Features::given("m".into(), Some(Digest::of(b"weights")), &[3.0, 4.0], 0).unwrap();
        assert_eq!((features.space.dimension, features.space.revision), (2, Digest::of(b"weights")));
        assert_eq!(features.vector.values(), [0.6, 0.8]);
    }
}
