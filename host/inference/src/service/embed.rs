//! Embeddings by whichever model a caller names.

use std::sync::Arc;

use breakwater_core::{Deadline, Digest, Failure, Size};
use breakwater_vision::Image;

use super::Inference;
use crate::embedder::{EmbedderInfo, Loaded, Overlong, Priority, quarantined};
use crate::embedding::Embedding;
use crate::found::{By, Found, Key, Subject};
use crate::statistics::add;
use crate::worker::Fault;

impl Inference {
    /// The embedders that serve, by the order of the configuration, the one that is built in first.
    #[must_use]
    pub fn embedders(&self) -> Vec<EmbedderInfo> {
        self.embedders.infos()
    }

    /// Id of the embedder that serves calls which name none.
    #[must_use]
    pub fn default_embedder(&self) -> Arc<str> {
        Arc::clone(self.embedders.default_id())
    }

    /// The features of an image by a model, or by the default one. Remembered by the image's content. Concurrent calls for one image
    /// share one inference, which goes on until the last of them has gone; it has the priority of the first.
    ///
    /// # Errors
    /// `embedder.unknown-model`, `embedder.unavailable` when the model does not serve now, `embedder.no-image` when it takes none,
    /// `embedder.overloaded` when too many calls wait, `embedder.failed` when no device can compute the image, `embedder.quarantined`
    /// when that happened before, `call.deadline` when the deadline comes first. None is remembered but quarantine.
    pub async fn embed_image(
        &self,
        model: Option<&str>,
        image: &Arc<Image>,
        priority: Priority,
        deadline: Deadline,
    ) -> Result<Arc<Embedding>, Failure> {
        let loaded = self.embedders.serving(model)?;
        loaded.takes_images()?;
        let key = (Subject::Image(self.digest(image, deadline).await?), By::Embedder(loaded.revision()));
        let (image, cpu) = (Arc::clone(image), Arc::clone(&self.cpu));
        self.embedding(&loaded, key, deadline, |loaded, deadline| async move { loaded.image(image, priority, &cpu, deadline).await }).await
    }

    /// The features of an image by a model, or by the default one, if they are still remembered.
    #[must_use]
    pub fn cached_embedding(&self, model: Option<&str>, image: &Image) -> Option<Arc<Embedding>> {
        let loaded = self.embedders.serving(model).ok()?;
        self.memory.get(&(Subject::Image(image.digest()), By::Embedder(loaded.revision())))?.embedding()
    }

    /// The smallest raster of an image of this size from which a model, or the default one, sees what it would see of the whole.
    ///
    /// # Errors
    /// `embedder.unknown-model`, `embedder.unavailable`.
    pub fn raster(&self, model: Option<&str>, image: Size) -> Result<Size, Failure> {
        Ok(self.embedders.serving(model)?.raster(image))
    }

    /// The features of a text by a model, or by the default one, comparable with those of images by the same model. One that has more
    /// tokens than the model takes is refused. Remembered and shared as images are.
    ///
    /// # Errors
    /// As [`Self::embed_image`]; `embedder.no-text` when the model takes no texts, `embedder.empty-text`, `embedder.text-too-long`.
    pub async fn embed_text(
        &self,
        model: Option<&str>,
        text: &str,
        priority: Priority,
        deadline: Deadline,
    ) -> Result<Arc<Embedding>, Failure> {
        self.embed_text_with(model, text, Overlong::Refuse, priority, deadline).await
    }

    /// As [`Self::embed_text`], with the choice of what becomes of a text with too many tokens.
    ///
    /// # Errors
    /// As [`Self::embed_text`].
    pub async fn embed_text_with(
        &self,
        model: Option<&str>,
        text: &str,
        overlong: Overlong,
        priority: Priority,
        deadline: Deadline,
    ) -> Result<Arc<Embedding>, Failure> {
        let loaded = self.embedders.serving(model)?;
        loaded.takes_text(text)?;
        let (reader, text) = (Arc::clone(&loaded), text.to_owned());
        let tokens = self.cpu.compute(deadline, move || reader.tokens(&text, overlong)).await??;
        self.embed_tokens(&loaded, tokens, priority, deadline).await
    }

    /// How many tokens a model, or the default one, makes of a text, those that begin and end it included.
    ///
    /// # Errors
    /// As [`Self::embed_text`] refuses texts.
    pub async fn token_count(&self, model: Option<&str>, text: &str, deadline: Deadline) -> Result<u32, Failure> {
        let loaded = self.embedders.serving(model)?;
        loaded.takes_text(text)?;
        let text = text.to_owned();
        let tokens = self.cpu.compute(deadline, move || loaded.tokens(&text, Overlong::Refuse)).await??;
        Ok(u32::try_from(tokens.len()).unwrap_or(u32::MAX))
    }

    /// The features of a text whose tokens are known.
    pub(super) async fn embed_tokens(
        &self,
        loaded: &Arc<Loaded>,
        tokens: Arc<[u32]>,
        priority: Priority,
        deadline: Deadline,
    ) -> Result<Arc<Embedding>, Failure> {
        let digest = Digest::of_parts(tokens.iter().map(|token| token.to_le_bytes()).collect::<Vec<_>>().iter().map(<[u8; 4]>::as_slice));
        let key = (Subject::Text(digest), By::Embedder(loaded.revision()));
        self.embedding(loaded, key, deadline, |loaded, deadline| async move { loaded.text(tokens, priority, deadline).await }).await
    }

    /// What is remembered, or else what `compute` gives, unless its input is in quarantine.
    async fn embedding<F>(
        &self,
        loaded: &Arc<Loaded>,
        key: Key,
        deadline: Deadline,
        compute: impl FnOnce(Arc<Loaded>, Deadline) -> F,
    ) -> Result<Arc<Embedding>, Failure>
    where
        F: Future<Output = Result<Embedding, Fault>> + Send + 'static,
    {
        let counters = loaded.worker().counters();
        if self.quarantine.holds(&key) {
            add(&counters.quarantine_hits, 1);
            return Err(quarantined(loaded.name()));
        }
        let start = |deadline| {
            let (quarantine, counters) = (Arc::clone(&self.quarantine), Arc::clone(counters));
            let work = compute(Arc::clone(loaded), deadline);
            async move {
                let embedding = work.await.map_err(|fault| {
                    if fault.poison {
                        quarantine.put(key);
                        add(&counters.quarantined, 1);
                    }
                    fault.failure
                })?;
                Ok(Found::Embedding(Arc::new(embedding)))
            }
        };
        let found = self.memory.find(key, counters, deadline, start).await?;
        found.embedding().ok_or_else(|| Failure::internal("the model for features gave none"))
    }
}
