//! What the host offers to adapters, fallbacks and rankers.

use std::time::Duration;

use crate::bindings::adapter::breakwater::plugin::embedder;
use crate::bindings::breakwater::plugin::imaging;
use crate::blob::Blob;
use crate::embedding::{EmbedderDescription, Embedding};
use crate::failure::Failure;
use crate::image::ImageView;
use crate::log::Level;
use crate::request::Request;
use crate::response::Response;
use crate::{bindings, call, config, flags, log};

/// What every adapter, fallback and ranker may ask of the host: the real one inside a plugin, a [`FakeHost`](crate::testing::FakeHost) in tests.
///
/// A component needs a capability only for the methods it uses.
pub trait Host {
    /// A decoded image.
    type Image: ImageView;

    /// The plugin's own setting of this name, if there is one. Needs the capability `config`.
    ///
    /// # Errors
    /// `config.unavailable` when the host cannot tell.
    fn setting(&self, key: &str) -> Result<Option<String>, Failure>;

    /// Whether the feature flag is on for whom the call serves. Needs the capability `feature-flags` and the flag in the manifest's
    /// `flags`; a flag that does not exist, or is not granted, is off.
    fn flag(&self, name: &str) -> bool;

    /// How long the caller still waits. Zero means that nobody reads the answer any more.
    fn remaining(&self) -> Duration;

    /// Writes a line to the host's log, at most 4 KiB. Always granted.
    fn log(&self, level: Level, message: &str);

    /// Decodes a picture; EXIF orientation and colour profile are applied. Needs the capability `imaging`.
    ///
    /// # Errors
    /// Those of an upload: `image.unsupported`, `image.corrupt`, `image.too-many-bytes`, `image.too-many-pixels`,
    /// `image.edge-too-long`, `image.decode-timeout`.
    fn open(&self, picture: &Blob) -> Result<Self::Image, Failure>;

    /// What is known of one of the host's models. Needs the capability `embedder` and the model in the manifest's `models`, as the other
    /// two do.
    ///
    /// # Errors
    /// `embedder.not-granted`, `embedder.unknown-model`.
    fn embedder(&self, model: &str) -> Result<EmbedderDescription, Failure>;

    /// The vector of an image, by one of the host's models.
    ///
    /// # Errors
    /// As [`Self::embedder`]; `embedder.overloaded`, `embedder.unavailable`, `embedder.failed`, `call.deadline`.
    fn embed_image(&self, model: &str, image: &Self::Image) -> Result<Embedding, Failure>;

    /// The vector of a text of at most 64 KiB, by one of the host's models.
    ///
    /// # Errors
    /// As [`Self::embed_image`]; `embedder.no-text`, `embedder.text-too-long`.
    fn embed_text(&self, model: &str, text: &str) -> Result<Embedding, Failure>;
}

/// What an adapter may ask of the host besides: calls to named upstreams, through the host's pool, balancing, breaker, retries and budget.
///
/// Which endpoint is asked, with which credentials, how often and for how long is the host's business. Needs the capability `upstream`
/// and the upstream's name in the manifest's `upstreams`.
pub trait Upstreams: Host {
    /// Sends one request. It ends shortly (20 ms) before the call does, so that the plugin can still answer.
    ///
    /// # Errors
    /// Nothing was sent: `upstream.not-granted`, `upstream.unknown`, `upstream.request-invalid`, `upstream.circuit-open`,
    /// `upstream.overloaded`, `upstream.no-endpoint`. No answer came: `upstream.connection`, `upstream.timeout`, and
    /// `upstream.max-retries-exceeded` after retries. A status of 400 or more: `upstream.status`, with `status` and `body` in the detail.
    /// An answer that cannot be used: `upstream.response-too-large`, `upstream.response-invalid`. They may be passed on as they are.
    fn send(&self, upstream: &str, request: Request) -> Result<Response, Failure>;

    /// Sends several requests at once, at most 16, each to the upstream named with it, and answers in their order.
    fn send_all(&self, requests: Vec<(String, Request)>) -> Vec<Result<Response, Failure>>;

    /// The upstream of this name, to send several requests to.
    fn upstream<'a>(&'a self, name: &'a str) -> Upstream<'a, Self>
    where
        Self: Sized,
    {
        Upstream { host: self, name }
    }
}

/// A named upstream.
#[derive(Debug)]
pub struct Upstream<'a, H> {
    host: &'a H,
    name: &'a str,
}

impl<H: Upstreams> Upstream<'_, H> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name
    }

    /// As [`Upstreams::send`].
    ///
    /// # Errors
    /// As there.
    pub fn send(&self, request: Request) -> Result<Response, Failure> {
        self.host.send(self.name, request)
    }

    /// As [`Upstreams::send_all`], all to this upstream.
    pub fn send_all(&self, requests: Vec<Request>) -> Vec<Result<Response, Failure>> {
        self.host.send_all(requests.into_iter().map(|request| (self.name.to_owned(), request)).collect())
    }
}

/// The host that a component is linked to. Works inside a plugin only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkedHost;

impl Host for LinkedHost {
    type Image = imaging::Image;

    fn setting(&self, key: &str) -> Result<Option<String>, Failure> {
        config::get(key)
    }

    fn flag(&self, name: &str) -> bool {
        flags::enabled(name)
    }

    fn remaining(&self) -> Duration {
        call::remaining()
    }

    fn log(&self, level: Level, message: &str) {
        log::write(level, message);
    }

    fn open(&self, picture: &Blob) -> Result<Self::Image, Failure> {
        let blob = picture.host().ok_or_else(|| Failure::internal("blob.not-hosted", "only blobs of the host can be opened as images"))?;
        imaging::open(blob)
    }

    fn embedder(&self, model: &str) -> Result<EmbedderDescription, Failure> {
        embedder::describe(model)
    }

    fn embed_image(&self, model: &str, image: &Self::Image) -> Result<Embedding, Failure> {
        embedder::embed_image(model, image)
    }

    fn embed_text(&self, model: &str, text: &str) -> Result<Embedding, Failure> {
        embedder::embed_text(model, text)
    }
}

impl Upstreams for LinkedHost {
    fn send(&self, upstream: &str, request: Request) -> Result<Response, Failure> {
        bindings::adapter::breakwater::plugin::upstream::send(upstream, request.into()).map(Response::from)
    }

    fn send_all(&self, requests: Vec<(String, Request)>) -> Vec<Result<Response, Failure>> {
        let requests = requests.into_iter().map(|(upstream, request)| (upstream, request.into())).collect();
        let answers = bindings::adapter::breakwater::plugin::upstream::send_all(requests);
        answers.into_iter().map(|answer| answer.map(Response::from)).collect()
    }
}
