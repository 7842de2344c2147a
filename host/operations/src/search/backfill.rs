//! Vectors for products that have none of a model yet: because the model is new, or because it did not answer when they were put.
//!
//! One task goes through the products that lack a vector in a space that searches use, looks at their pictures again, and adds the
//! vectors. It begins again when providers have changed or somebody did not answer for a product that was put; whatever is not there is
//! tried again after a pause. A picture that was only sent, or is another by now, cannot be looked at again: such products are counted,
//! and get their vectors when they are put again.

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

/// The longest pause after somebody did not answer, in rounds.
const MOST_PAUSE: u32 = 12;

impl Operations {
    /// Goes on until it is told to stop.
    pub(super) async fn keep_filling(self: Arc<Self>, stop: &CancellationToken) {
        let (mut done, mut rounds, mut pause, mut resting) = (None, 0, 1, 0);
        while stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
            rounds += 1;
            if resting > 0 {
                resting -= 1;
                continue;
            }
            match stop.run_until_cancelled(self.fill_if_needed(done.as_ref(), rounds >= ROUNDS)).await {
                None => return,
                Some(Ok(None)) => {}
                Some(Ok(seen)) => (done, rounds, pause) = (seen, 0, 1),
                Some(Err(failure)) => {
                    tracing::debug!(code = %failure.code, error = failure.chain(), "products did not get the vectors that they lack");
                    self.search_state().lacking.store(true, Ordering::Release);
                    resting = pause;
                    pause = (pause * 2).min(MOST_PAUSE);
                }
            }
        }
    }

    /// Returns who gave vectors, if there was a reason to look.
    async fn fill_if_needed(&self, done: Option<&Vec<String>>, anyway: bool) -> Result<Option<Vec<String>>, Failure> {
        let (context, snapshot) = self.enter(&CallContext::root(Principal::System, TIMEOUT));
        let targets = self.targets(&context, &snapshot)?;
        let models = self.embedder().models();
        let revision = |target: &Target| match target {
            // A model that was loaded anew may be another.
            Target::Model(id) => models.iter().find(|info| info.id == *id).map_or_else(String::new, |info| info.revision.to_string()),
            Target::Adapter(generation) | Target::Fallback(_, generation) => generation.digest().to_string(),
        };
        let seen: Vec<String> = targets.iter().map(|target| format!("{} {}", target.name(), revision(target))).collect();
        let lacking = self.search_state().lacking.swap(false, Ordering::AcqRel);
        if !anyway && !lacking && done == Some(&seen) {
            return Ok(None);
        }
        let mut failed = 0;
        for target in &targets {
            failed += self.fill(&snapshot, target).await?;
        }
        self.search_state().backfill_failed.store(failed, Ordering::Relaxed);
        Ok(Some(seen))
    }

    /// Returns of how many products the picture cannot be looked at again.
    async fn fill(&self, snapshot: &Arc<HostSnapshot>, target: &Target) -> Result<u64, Failure> {
        let (mut after, mut failed): (Option<Key>, u64) = (None, 0);
        loop {
            let lacking = match self.known_space(target) {
                Some(space) => self.products().records().without_vector(&space, after, BATCH).await?,
                // Whoever was never asked says with the first product which space he answers in.
                None => self.products().records().list(first(after)).await?,
            };
            let Some(last) = lacking.last() else { return Ok(failed) };
            after = Some(last.key);
            let one = async |stored: Stored| (self.look_again(snapshot, target, &stored).await, stored);
            let at_once = self.search_config().import_concurrency.max(1);
            let mut looked = std::pin::pin!(stream::iter(lacking).map(one).buffered(at_once));
            let mut vectors = Vec::new();
            let mut away = None;
            while let Some((result, stored)) = looked.next().await {
                match result {
                    Ok(Some((space, vector))) => vectors.push(NewVector { key: stored.key, of: stored.sequence, space, vector }),
                    Ok(None) => failed += 1,
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
