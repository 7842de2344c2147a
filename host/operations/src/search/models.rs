//! Which model a name stands for, and which space.

use std::collections::BTreeSet;
use std::sync::Arc;

use breakwater_core::{CallContext, Failure, FailureKind, Payload};
use breakwater_search::Space;
use serde_json::{Value, json};

use super::page::SearchArm;
use crate::features::{space_model, space_of};
use crate::json::features as wire;
use crate::operation::{EMBED_TEXT, EXTRACT_FEATURES};
use crate::operations::Operations;
use crate::strategies::closest;

/// The model that a call is given to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Chosen {
    /// None: whichever the chain takes.
    pub(crate) model: Option<String>,
    pub(crate) arm: Option<SearchArm>,
}

impl Operations {
    /// What the name of a model stands for. `forced` is which of the two models an alias stood for before.
    ///
    /// # Errors
    /// `embedder.unknown-model` (not found) when the name is too long to be one.
    pub(crate) fn chosen_model(&self, context: &CallContext, name: Option<&str>, forced: Option<bool>) -> Result<Chosen, Failure> {
        let Some(name) = name else { return Ok(Chosen::default()) };
        if name.is_empty() || name.len() > 128 {
            return Err(Failure::new(FailureKind::NotFound, "embedder.unknown-model", "the name of a model has 1 to 128 bytes"));
        }
        let Some(alias) = self.search_config().aliases.get(name) else {
            return Ok(Chosen { model: Some(name.to_owned()), arm: None });
        };
        let on = || self.flags().enabled(&alias.flag, &context.caller);
        let other = alias.other.as_ref().filter(|_| forced.unwrap_or_else(on));
        let model = other.unwrap_or(&alias.model).clone();
        let arm = SearchArm { alias: name.to_owned(), model: model.clone(), other: other.is_some() };
        Ok(Chosen { model: Some(model), arm: Some(arm) })
    }

    /// The space that a name means, a model's or a space's own; the default model's without a name.
    ///
    /// # Errors
    /// `search.space-unknown` (not found) with the known spaces and the closest one.
    pub(crate) fn space_named(&self, context: &CallContext, name: Option<&str>) -> Result<Space, Failure> {
        let chosen = self.chosen_model(context, name, None)?.model;
        let models = self.embedder().models();
        let name = chosen.unwrap_or_else(|| self.embedder().default_model().to_string());
        if let Some(info) = models.iter().find(|info| *info.id == *name) {
            return Ok(space_of(info));
        }
        let mut spaces: Vec<Space> = self.products().followed().into_iter().map(|(space, _)| space).collect();
        spaces.extend(models.iter().map(space_of));
        let wanted = space_model(&name);
        let named = spaces.iter().find(|space| space.slug() == name).or_else(|| spaces.iter().find(|space| space.model == wanted));
        named.cloned().ok_or_else(|| {
            let known: BTreeSet<String> = spaces.iter().map(Space::slug).chain(models.iter().map(|info| info.id.to_string())).collect();
            let shown: String = name.chars().take(64).collect();
            let suggestion = closest(&shown, known.iter().map(String::as_str)).map(str::to_owned);
            let failure = Failure::new(FailureKind::NotFound, "search.space-unknown", format!("there is no model or space {shown:?}"));
            failure.with_detail(json!({ "known": known, "closest": suggestion }))
        })
    }

    /// Whether features are wanted of a model that the host has itself: nobody else need be asked.
    pub(crate) fn is_for_a_model_of_the_host(&self, operation: &str, payload: &Payload) -> bool {
        gives_features(operation)
            && wire::wanted_model(&payload.json).is_some_and(|model| self.embedder().models().iter().any(|info| *info.id == *model))
    }

    /// Holds the answer of a provider of features against what was asked, if it must be by that model, and against what is known of
    /// the model that it names.
    ///
    /// # Errors
    /// `plugin.output-invalid`, `embedder.other-model`, `embedder.dimension-mismatch` (rejected).
    pub(crate) fn check_features(&self, operation: &str, asked: Option<&Value>, reply: &Value) -> Result<(), Failure> {
        if !gives_features(operation) {
            return Ok(());
        }
        let features = wire::from_payload(Payload::json(reply.clone()))?;
        let rejected = |code: &'static str, message: String| Err(Failure::new(FailureKind::Rejected, code, message));
        if let Some(model) = asked.and_then(wire::wanted_model).filter(|model| !wire::is_by(reply, model)) {
            let message = format!("the features are by {:.64?} and not by {model:.64?}", features.model);
            return rejected("embedder.other-model", message);
        }
        let models = self.embedder().models();
        let known = models.iter().map(space_of).find(|space| space.model == features.space.model);
        let followed = || self.products().followed().into_iter().map(|(space, _)| space);
        let same = |space: &Space| space.model == features.space.model && space.revision == features.space.revision;
        match known.or_else(|| followed().find(same)) {
            Some(space) if space.dimension != features.space.dimension => {
                let message = format!("{} features of a model that gives {}", features.space.dimension, space.dimension);
                rejected("embedder.dimension-mismatch", message)
            }
            _ => Ok(()),
        }
    }

    /// The models of the host that every product gets a vector of: the default one, those configured, and those of aliases.
    pub(crate) fn indexed_models(&self) -> Vec<Arc<str>> {
        let config = self.search_config();
        let aliased = config.aliases.values().flat_map(|alias| std::iter::once(&alias.model).chain(&alias.other));
        let mut models = vec![self.embedder().default_model()];
        for model in config.models.iter().chain(aliased) {
            if !models.iter().any(|known| **known == **model) {
                models.push(model.as_str().into());
            }
        }
        models
    }
}

fn gives_features(operation: &str) -> bool {
    operation == EXTRACT_FEATURES.name || operation == EMBED_TEXT.name
}
