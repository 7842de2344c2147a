//! `breakwater:plugin/embedder`: vectors by the models that the plugin was granted.

use std::sync::Arc;

use breakwater_core::{Failure, FailureKind};
use wasmtime::component::Resource;

use super::imaging::GuestImage;
use crate::bindings::breakwater::plugin::embedder::{Description, Embedding, Host};
use crate::bindings::breakwater::plugin::types;
use crate::convert::failure_to_guest;
use crate::ports::ModelVector;
use crate::state::CallState;

/// The longest text, in bytes.
const MAX_TEXT: usize = 64 << 10;

type Told<T> = wasmtime::Result<Result<T, types::Failure>>;

impl CallState {
    /// Whether the plugin may name this model.
    pub(crate) fn may_use(&self, model: &str) -> Result<(), Failure> {
        if self.scope.reach.models.contains(model) {
            return Ok(());
        }
        let shown: String = model.escape_debug().take(64).collect();
        let message =
            format!("the plugin may not use the model `{shown}`: its manifest does not name it, or the operator does not grant it");
        Err(Failure::new(FailureKind::Denied, "embedder.not-granted", message))
    }

    fn described(&mut self, model: &str) -> Result<Description, Failure> {
        self.may_use(model)?;
        let known = self.scope.services.ports.embed.describe(model)?;
        let revision = known.revision.to_string();
        self.charge_bytes(known.model.len() + revision.len())?;
        Ok(Description {
            model: known.model.as_ref().to_owned(),
            revision,
            dimension: known.dimension,
            images: known.images,
            texts: known.texts,
            max_tokens: known.max_tokens,
        })
    }

    fn embedding(&mut self, vector: &ModelVector) -> Result<Embedding, Failure> {
        let revision = vector.revision.to_string();
        self.charge_bytes(vector.model.len() + revision.len() + size_of_val(&*vector.values))?;
        Ok(Embedding { model: vector.model.as_ref().to_owned(), revision, values: vector.values.to_vec() })
    }

    fn accept_text(&mut self, model: &str, text: &str) -> Result<(), Failure> {
        self.may_use(model)?;
        if text.len() > MAX_TEXT {
            let message = format!("the text has {} bytes; at most {MAX_TEXT} are embedded", text.len());
            return Err(Failure::limit("embedder.text-too-long", message));
        }
        Ok(self.charge_bytes(text.len())?)
    }
}

impl Host for CallState {
    fn describe(&mut self, model: String) -> Told<Description> {
        self.charge_call()?;
        Ok(self.described(&model).map_err(|failure| failure_to_guest(&failure)))
    }

    async fn embed_image(&mut self, model: String, subject: Resource<GuestImage>) -> Told<Embedding> {
        self.charge_call()?;
        let pixels = self.table.get(&subject)?.pixels();
        let vector = match self.may_use(&model) {
            Ok(()) => {
                let (services, deadline) = (Arc::clone(&self.scope.services), self.host_deadline());
                self.wait("the vector of an image", services.ports.embed.embed_image(&model, &pixels, deadline)).await
            }
            Err(failure) => Err(failure),
        };
        Ok(vector.and_then(|vector| self.embedding(&vector)).map_err(|failure| failure_to_guest(&failure)))
    }

    async fn embed_text(&mut self, model: String, text: String) -> Told<Embedding> {
        self.charge_call()?;
        let vector = match self.accept_text(&model, &text) {
            Ok(()) => {
                let (services, deadline) = (Arc::clone(&self.scope.services), self.host_deadline());
                self.wait("the vector of a text", services.ports.embed.embed_text(&model, &text, deadline)).await
            }
            Err(failure) => Err(failure),
        };
        Ok(vector.and_then(|vector| self.embedding(&vector)).map_err(|failure| failure_to_guest(&failure)))
    }
}
