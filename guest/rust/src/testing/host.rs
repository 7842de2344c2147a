//! A made-up host.

use std::cell::{Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::FakeImage;
use crate::blob::Blob;
use crate::embedding::{EmbedderDescription, Embedding};
use crate::failure::Failure;
use crate::host::{Host, Upstreams};
use crate::log::Level;
use crate::request::{Body, Form, Request};
use crate::response::Response;

type Answer = dyn Fn(&Sent) -> Result<Response, Failure>;
type Embed = dyn Fn(&str, Option<&str>) -> Result<Vec<f32>, Failure>;

/// A host for tests: settings, flags, one image, and a function that answers for every upstream.
///
/// ```
/// use breakwater_guest::testing::FakeHost;
/// use breakwater_guest::{Failure, Host, Request, Upstreams};
///
/// let host = FakeHost::new()
///     .with_setting("detect_path", "/v2/detect")
///     .with_flag("ai-analytics")
///     .answering(|_| Err(Failure::unavailable("upstream.connection", "nobody is there")));
/// assert!(host.flag("ai-analytics") && !host.flag("another"));
/// assert_eq!(host.send("a-service", Request::get("/x")).unwrap_err().code, "upstream.connection");
/// assert_eq!(host.sent().first().unwrap().request.path, "/x");
/// ```
pub struct FakeHost {
    settings: BTreeMap<String, String>,
    flags: BTreeSet<String>,
    image: Result<Rc<FakeImage>, Failure>,
    remaining: Duration,
    answer: Box<Answer>,
    embed: Box<Embed>,
    sent: RefCell<Vec<Sent>>,
    lines: RefCell<Vec<String>>,
}

/// A request that a plugin sent.
#[derive(Debug)]
pub struct Sent {
    /// To whom.
    pub upstream: String,
    /// What.
    pub request: Request,
}

impl Sent {
    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        match &self.request.body {
            Body::Bytes(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
            _ => Value::Null,
        }
    }

    /// The body as a form, if it is one.
    #[must_use]
    pub fn form(&self) -> Option<&Form> {
        if let Body::Form(form) = &self.request.body { Some(form) } else { None }
    }
}

impl Default for FakeHost {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeHost {
    /// A host without settings, flags and images, whose upstreams do not exist.
    #[must_use]
    pub fn new() -> Self {
        Self {
            settings: BTreeMap::new(),
            flags: BTreeSet::new(),
            image: Err(Failure::invalid_request("image.unsupported", "this test has no image")),
            remaining: Duration::from_secs(30),
            answer: Box::new(|sent| {
                let message = format!("this test has no upstream {}", sent.upstream);
                Err(Failure::new(crate::FailureKind::NotFound, "upstream.unknown", &message))
            }),
            embed: Box::new(|model, _| {
                let message = format!("this test has no model {model}");
                Err(Failure::new(crate::FailureKind::NotFound, "embedder.unknown-model", &message))
            }),
            sent: RefCell::default(),
            lines: RefCell::default(),
        }
    }

    /// Sets a setting.
    #[must_use]
    pub fn with_setting(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Switches a flag on.
    #[must_use]
    pub fn with_flag(mut self, name: &str) -> Self {
        self.flags.insert(name.to_owned());
        self
    }

    /// What every blob decodes to.
    #[must_use]
    pub fn with_image(self, image: FakeImage) -> Self {
        Self { image: Ok(Rc::new(image)), ..self }
    }

    /// Makes every blob fail to decode.
    #[must_use]
    pub fn with_broken_images(self, failure: Failure) -> Self {
        Self { image: Err(failure), ..self }
    }

    /// How long the caller still waits; 30 s unless set.
    #[must_use]
    pub fn with_remaining(self, remaining: Duration) -> Self {
        Self { remaining, ..self }
    }

    /// Answers for every upstream.
    #[must_use]
    pub fn answering(self, answer: impl Fn(&Sent) -> Result<Response, Failure> + 'static) -> Self {
        Self { answer: Box::new(answer), ..self }
    }

    /// Gives vectors for every model: of the text, or of the image when there is no text. They are brought to length one.
    #[must_use]
    pub fn embedding(self, embed: impl Fn(&str, Option<&str>) -> Result<Vec<f32>, Failure> + 'static) -> Self {
        Self { embed: Box::new(embed), ..self }
    }

    fn embedded(&self, model: &str, text: Option<&str>) -> Result<Embedding, Failure> {
        let mut values = (self.embed)(model, text)?;
        let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
        values.iter_mut().for_each(|value| *value /= length);
        Ok(Embedding { model: model.to_owned(), revision: "0".repeat(64), values })
    }

    /// The requests sent so far, in order.
    #[must_use]
    pub fn sent(&self) -> Ref<'_, [Sent]> {
        Ref::map(self.sent.borrow(), Vec::as_slice)
    }

    /// The lines logged so far, in order.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }
}

impl Host for FakeHost {
    type Image = Rc<FakeImage>;

    fn setting(&self, key: &str) -> Result<Option<String>, Failure> {
        Ok(self.settings.get(key).cloned())
    }

    fn flag(&self, name: &str) -> bool {
        self.flags.contains(name)
    }

    fn remaining(&self) -> Duration {
        self.remaining
    }

    fn log(&self, _: Level, message: &str) {
        self.lines.borrow_mut().push(message.to_owned());
    }

    fn open(&self, _: &Blob) -> Result<Self::Image, Failure> {
        self.image.clone()
    }

    fn embedder(&self, model: &str) -> Result<EmbedderDescription, Failure> {
        let Embedding { model, revision, values } = self.embedded(model, None)?;
        let dimension = u32::try_from(values.len()).unwrap_or(u32::MAX);
        Ok(EmbedderDescription { model, revision, dimension, images: true, texts: true, max_tokens: None })
    }

    fn embed_image(&self, model: &str, _: &Self::Image) -> Result<Embedding, Failure> {
        self.embedded(model, None)
    }

    fn embed_text(&self, model: &str, text: &str) -> Result<Embedding, Failure> {
        self.embedded(model, Some(text))
    }
}

impl Upstreams for FakeHost {
    fn send(&self, upstream: &str, request: Request) -> Result<Response, Failure> {
        let sent = Sent { upstream: upstream.to_owned(), request };
        let answer = (self.answer)(&sent);
        self.sent.borrow_mut().push(sent);
        answer
    }

    fn send_all(&self, requests: Vec<(String, Request)>) -> Vec<Result<Response, Failure>> {
        let too_many = requests.len() > 16;
        let answer = |(upstream, request): (String, Request)| {
            if too_many {
                return Err(Failure::invalid_request("upstream.request-invalid", "at most 16 requests can be sent at once"));
            }
            self.send(&upstream, request)
        };
        requests.into_iter().map(answer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_requests_at_once_than_the_host_takes_all_fail() {
        let host = FakeHost::new().answering(|_| Ok(Response::of_json(&Value::Bool(true))));
        let ask = |count: usize| host.upstream("a").send_all((0..count).map(|_| Request::get("/")).collect());
        assert!(ask(16).iter().all(Result::is_ok));
        let refused = ask(17);
        assert_eq!(refused.len(), 17);
        assert!(refused.iter().all(|one| one.as_ref().is_err_and(|failure| failure.code == "upstream.request-invalid")));
        assert_eq!(host.sent().len(), 16);
    }

    #[test]
    fn vectors_have_length_one_and_come_from_the_test() {
        let host = FakeHost::new().embedding(|_, text| Ok(vec![3.0, text.map_or(0.0, |text| text.len() as f32)]));
        assert_eq!(host.embed_text("m", "four").unwrap().values, [0.6, 0.8]);
        assert_eq!(host.embedder("m").unwrap().dimension, 2);
        assert_eq!(FakeHost::new().embed_text("m", "four").unwrap_err().code, "embedder.unknown-model");
    }

    #[test]
    fn an_upstream_that_the_test_does_not_answer_for_is_unknown() {
        assert_eq!(FakeHost::new().send("a", Request::get("/")).unwrap_err().code, "upstream.unknown");
    }
}
