//! Who gives the vectors of a product: everyone whose features a search may end up with.

use std::sync::Arc;

use breakwater_core::{CallContext, Failure, OperationEffect, Payload};
use breakwater_inference::Priority;
use breakwater_plugins::{FallbackLevel, Generation};
use breakwater_search::Space;
use breakwater_vision::Image;
use bytes::Bytes;
use serde_json::Map;

use crate::chain::{self, Chain, Provider};
use crate::features::{Features, space_of};
use crate::invoke::{Call, HostSnapshot};
use crate::json;
use crate::operation::EXTRACT_FEATURES;
use crate::operations::Operations;
use crate::providers::{Answer, flattened};
use crate::source::{self, ImageSource};
use crate::table::Live;

/// One that gives vectors.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// A remote model behind an adapter.
    Adapter(Arc<Generation>),
    /// A model of the host.
    Model(Arc<str>),
    /// The descriptor of a fallback.
    Fallback(FallbackLevel, Arc<Generation>),
}

/// A picture with what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub(super) bytes: Bytes,
    pub(super) image: Arc<Image>,
    pub(super) hash: Option<u64>,
}

impl Target {
    /// For reasons and for what is remembered.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Adapter(generation) => format!("plugin:{}", generation.id()),
            Self::Model(model) => format!("model:{model}"),
            Self::Fallback(level, generation) => format!("plugin:{} ({})", generation.id(), level.name),
        }
    }

    /// Whether it answers in full: a product of which nobody has is not stored.
    pub(super) fn is_live(&self) -> bool {
        !matches!(self, Self::Fallback(..))
    }
}

impl Operations {
    /// Everyone whose features a search may end up with, in the order of the chain. None that answers in full while the operation is
    /// switched off.
    pub(super) fn targets(&self, context: &CallContext, snapshot: &HostSnapshot) -> Result<Vec<Target>, Failure> {
        let entry = snapshot.table.get(EXTRACT_FEATURES.name)?;
        let mut targets = Vec::new();
        if entry.enabled && self.is_switched_on(&entry.flag, context) {
            for live in entry.live.iter().filter(|live| self.is_available(live)) {
                match live {
                    Live::Adapter { generation, .. } => targets.push(Target::Adapter(Arc::clone(generation))),
                    Live::Local(_) => targets.extend(self.indexed_models().into_iter().map(Target::Model)),
                    // The action of a service is an operation of its own.
                    Live::Service(_) => {}
                }
            }
        }
        if self.search_config().descriptor
            && let Some((level, generation)) = entry.fallbacks.first()
        {
            targets.push(Target::Fallback(level.clone(), Arc::clone(generation)));
        }
        Ok(targets)
    }

    /// The space that somebody answers in, as far as it is known before he is asked.
    pub(super) fn known_space(&self, target: &Target) -> Option<Space> {
        match target {
            Target::Model(model) => self.embedder().models().iter().find(|info| info.id == *model).map(space_of),
            Target::Adapter(_) | Target::Fallback(..) => self.search_state().spaces().get(&target.name()).cloned(),
        }
    }

    /// The spaces that searches of now end up in, as far as they are known, the most likely first.
    pub(super) fn answering_spaces(&self) -> Vec<Space> {
        let context = CallContext::root(breakwater_core::Principal::System, std::time::Duration::ZERO);
        let targets = self.targets(&context, &self.current()).unwrap_or_default();
        targets.iter().filter_map(|target| self.known_space(target)).collect()
    }

    /// The same, then all others that are followed.
    pub(super) fn used_spaces(&self) -> Vec<Space> {
        let mut spaces = self.answering_spaces();
        for (space, _) in self.products().followed() {
            if !spaces.contains(&space) {
                spaces.push(space);
            }
        }
        spaces
    }

    /// Decodes a picture as finely as every model of the host wants it, and hashes it.
    pub(super) async fn picture(&self, context: &CallContext, bytes: Bytes, targets: &[Target]) -> Result<Picture, Failure> {
        let (embedder, models) = (Arc::clone(self.embedder()), models(targets));
        let raster = move |info: &breakwater_vision::Info| {
            let analysed = source::smallest_for_analysis(info.size);
            Ok(models
                .iter()
                .map(|model| embedder.raster(Some(model), info.size))
                .fold(analysed, |a, b| breakwater_core::Size::new(a.width.max(b.width), a.height.max(b.height))))
        };
        let (image, _) = source::decode(self.cpu(), bytes.clone(), self.limits(), context.deadline, raster).await?;
        let hashed = Arc::clone(&image);
        let hash = self.cpu().go_on(context.deadline, move || hashed.perceptual_hash()).await?;
        Ok(Picture { bytes, image, hash })
    }

    /// The features that somebody gives of a picture.
    ///
    /// # Errors
    /// What he fails with.
    pub(super) async fn target_features(
        &self,
        context: &CallContext,
        snapshot: &Arc<HostSnapshot>,
        target: &Target,
        picture: &Picture,
        priority: Priority,
    ) -> Result<Features, Failure> {
        let entry = snapshot.table.get(EXTRACT_FEATURES.name)?;
        let features = match target {
            Target::Model(model) => self.model_features(&picture.image, Some(model), priority, context.deadline).await?,
            Target::Adapter(generation) => {
                let call = call(context, snapshot, picture);
                self.alone(context, self.adapter_provider(&call, entry, generation)).await?
            }
            Target::Fallback(level, generation) => {
                let call = call(context, snapshot, picture);
                self.alone(context, self.fallback_provider(&call, entry, level, generation)).await?
            }
        };
        if !matches!(target, Target::Model(_)) {
            self.search_state().spaces().insert(target.name(), features.space.clone());
        }
        Ok(features)
    }

    async fn alone(&self, context: &CallContext, provider: Provider<'_, Answer<Payload>>) -> Result<Features, Failure> {
        let chain = Chain { effect: OperationEffect::Read, providers: vec![provider], refused: None };
        let outcome = chain::run(chain, context.deadline).await.map(flattened)?;
        json::features::from_payload(outcome.value)
    }
}

fn models(targets: &[Target]) -> Vec<Arc<str>> {
    let model = |target: &Target| match target {
        Target::Model(model) => Some(Arc::clone(model)),
        Target::Adapter(_) | Target::Fallback(..) => None,
    };
    targets.iter().filter_map(model).collect()
}

fn call(context: &CallContext, snapshot: &Arc<HostSnapshot>, picture: &Picture) -> Call {
    let payload = json::payload(&ImageSource::Bytes(picture.bytes.clone()), Map::new());
    Call { context: context.clone(), snapshot: Arc::clone(snapshot), operation: EXTRACT_FEATURES.name.into(), payload: Arc::new(payload) }
}
