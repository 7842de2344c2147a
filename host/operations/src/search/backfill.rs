//! Vectors for products that have none of a model yet: because the model is new, or because it did not answer when they were put.
//!
//! One task goes through the products that lack a vector in a space that searches use, looks at their pictures again, and adds the
//! vectors. It begins again when products or providers have changed; whatever is not there is tried again after a pause. A picture that
//! was only sent, or is another by now, cannot be looked at again: such products are counted, and get their vectors when they are put
//! again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use breakwater_core::{CallContext, Failure, Principal};
use breakwater_inference::Priority;
use breakwater_search::product::Stored;
use breakwater_search::records::NewVector;
use breakwater_search::{Key, Space};
use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::targets::Target;
use crate::invoke::HostSnapshot;
use crate::operations::Operations;
use crate::source::ImageSource;

/// How often it is looked whether anything has changed.
const INTERVAL: Duration = Duration::from_secs(5);
/// Rounds of [`INTERVAL`] after which everything is tried again though nothing has changed: a provider may be back.
const ROUNDS: u32 = 60;
/// Products that are read at once.
const BATCH: usize = 64;
/// The longest that one product may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What decides whether there is anything to do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    sequence: u64,
    targets: Vec<String>,
}

impl Operations {
    /// Goes on until it is told to stop.
    pub(super) async fn keep_filling(self: Arc<Self>, stop: &CancellationToken) {
        let (mut done, mut rounds) = (None, 0);
        while stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
            rounds += 1;
            match stop.run_until_cancelled(self.fill_if_changed(&done, rounds >= ROUNDS)).await {
                None => return,
                Some(Ok(None)) => {}
                Some(Ok(seen)) => (done, rounds) = (seen, 0),
                Some(Err(failure)) => {
                    tracing::debug!(code = %failure.code, error = failure.chain(), "products did not get the vectors that they lack");
                }
            }
        }
    }

    /// Returns what was there when it began, if there was anything to do.
    async fn fill_if_changed(&self, done: &Option<Seen>, anyway: bool) -> Result<Option<Seen>, Failure> {
        let context = CallContext::root(Principal::System, TIMEOUT);
        let (context, snapshot) = self.enter(&context);
        let targets = self.targets(&context, &snapshot)?;
        let sequence = self.products().records().sequence().await?;
        let models = self.embedder().models();
        let revision = |target: &Target| match target {
            // A model that was loaded anew may be another.
            Target::Model(id) => models.iter().find(|info| info.id == *id).map_or_else(String::new, |info| info.revision.to_string()),
            Target::Adapter(generation) | Target::Fallback(_, generation) => generation.digest().to_string(),
        };
        let targets_seen = targets.iter().map(|target| format!("{} {}", target.name(), revision(target))).collect();
        let seen = Seen { sequence, targets: targets_seen };
        if !anyway && done.as_ref() == Some(&seen) {
            return Ok(None);
        }
        for target in &targets {
            self.fill(&snapshot, target).await?;
        }
        // Its own changes are none to begin again for.
        Ok(Some(Seen { sequence: self.products().records().sequence().await?, ..seen }))
    }

    async fn fill(&self, snapshot: &Arc<HostSnapshot>, target: &Target) -> Result<(), Failure> {
        let mut after: Option<Key> = None;
        loop {
            let lacking = match self.known_space(target) {
                Some(space) => self.products().records().without_vector(&space, after, BATCH).await?,
                // Whoever was never asked says with the first product which space he answers in.
                None => self.products().records().list(first(after)).await?,
            };
            let Some(last) = lacking.last() else { return Ok(()) };
            after = Some(last.key);
            let one = async |stored: Stored| (self.look_again(snapshot, target, &stored).await, stored);
            let at_once = self.search_config().import_concurrency.max(1);
            let mut looked = std::pin::pin!(stream::iter(lacking).map(one).buffered(at_once));
            let mut vectors = Vec::new();
            let mut away = None;
            while let Some((result, stored)) = looked.next().await {
                match result {
                    Ok(Some((space, vector))) => vectors.push(NewVector { key: stored.key, of: stored.sequence, space, vector }),
                    Ok(None) => {
                        self.search_state().backfill_failed.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(failure) => {
                        away = Some(failure);
                        break;
                    }
                }
            }
            let added = if vectors.is_empty() { 0 } else { self.products().add_vectors(vectors).await? };
            self.search_state().backfilled.fetch_add(added as u64, Ordering::Relaxed);
            if let Some(failure) = away {
                return Err(failure);
            }
        }
    }

    /// The vector that somebody gives of a product's picture now; none if the picture cannot be looked at again.
    ///
    /// # Errors
    /// When that may be another time.
    async fn look_again(
        &self,
        snapshot: &Arc<HostSnapshot>,
        target: &Target,
        stored: &Stored,
    ) -> Result<Option<(Space, breakwater_search::Vector)>, Failure> {
        let context = CallContext {
            snapshot: breakwater_core::CallSnapshot::of(Arc::clone(snapshot)),
            ..CallContext::root(Principal::System, TIMEOUT)
        };
        let Some(digest) = &stored.product.image_digest else { return Ok(None) };
        let image = &stored.product.image;
        let source = if image.contains("://") { ImageSource::Url(image.clone()) } else { ImageSource::Path(image.clone()) };
        let Ok(bytes) = self.load(&context, source).await else { return Ok(None) };
        if self.digest(&bytes, &context).await?.to_string() != *digest {
            return Ok(None);
        }
        let targets = std::slice::from_ref(target);
        let Ok(picture) = self.picture(&context, bytes, targets).await else { return Ok(None) };
        match self.target_features(&context, snapshot, target, &picture, Priority::Bulk).await {
            Ok(features) => Ok(Some((features.space, (*features.vector).clone()))),
            Err(failure) if failure.retryable || failure.code.ends_with(".overloaded") => Err(failure),
            Err(failure) => {
                tracing::debug!(product = stored.product.id, code = %failure.code, "a product gets no vector of a model");
                Ok(None)
            }
        }
    }
}

fn first(after: Option<Key>) -> breakwater_search::records::ListRequest {
    breakwater_search::records::ListRequest { after, limit: 1, category: None }
}
