//! Models that answer as told, and plugins that ask them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use breakwater_core::{BoxFuture, CallContext, Deadline, Digest, Failure, FailureKind, Principal};
use breakwater_plugins::{ElementType, Embed, Infer, ModelDescription, ModelTensor, ModelVector, PluginPackage, Ports, RuntimeConfig};
use breakwater_resilience::Trip;
use breakwater_vision::Image;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::outside::{attachment, invoke_with};
use crate::support::{AtOnce, Detectors, Host, guest};

/// The revision of every model here.
pub(crate) fn revision() -> Digest {
    Digest::of(b"told")
}

/// `told` embeds what it is told; `slow` never answers; `images` has no texts. Of tensors, `told` doubles the bytes of one named `x`,
/// `large` answers with as many bytes as it was given numbers, and `slow` never answers.
#[derive(Default)]
pub(crate) struct Models {
    /// What was asked, such as `text told abc`.
    asked: Mutex<Vec<String>>,
}

impl Models {
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn known(model: &str) -> Result<(), Failure> {
        if ["told", "slow", "images", "large", "broken"].contains(&model) {
            return Ok(());
        }
        Err(Failure::new(FailureKind::NotFound, "embedder.unknown-model", "there is no such model"))
    }

    async fn vector(&self, model: &str, what: String, values: [f32; 2]) -> Result<ModelVector, Failure> {
        self.asked.lock().unwrap().push(what);
        Self::known(model)?;
        match model {
            "slow" => std::future::pending().await,
            "broken" => Err(Failure::internal("the weights of /srv/models are gone")),
            _ => Ok(ModelVector { model: model.into(), revision: revision(), values: Arc::from(values) }),
        }
    }
}

impl Embed for Models {
    fn describe(&self, model: &str) -> Result<ModelDescription, Failure> {
        Self::known(model)?;
        let texts = model != "images";
        Ok(ModelDescription {
            model: model.into(),
            revision: revision(),
            dimension: 2,
            images: true,
            texts,
            max_tokens: texts.then_some(77),
        })
    }

    fn embed_image<'a>(&'a self, model: &'a str, image: &'a Arc<Image>, _: Deadline) -> BoxFuture<'a, Result<ModelVector, Failure>> {
        let size = image.size();
        Box::pin(self.vector(model, format!("image {model} {}x{}", size.width, size.height), [0.6, 0.8]))
    }

    fn embed_text<'a>(&'a self, model: &'a str, text: &'a str, _: Deadline) -> BoxFuture<'a, Result<ModelVector, Failure>> {
        Box::pin(async move {
            if model == "images" {
                return Err(Failure::new(FailureKind::InvalidRequest, "embedder.no-text", "this model takes no text"));
            }
            self.vector(model, format!("text {model} {}", text.len()), [1.0, 0.0]).await
        })
    }
}

impl Infer for Models {
    fn find(&self, model: &str) -> Result<(), Failure> {
        Self::known(model)
    }

    fn infer<'a>(&'a self, model: &'a str, inputs: Vec<ModelTensor>, _: Deadline) -> BoxFuture<'a, Result<Vec<ModelTensor>, Failure>> {
        Box::pin(async move {
            let names: Vec<_> = inputs.iter().map(|tensor| tensor.name.as_str()).collect();
            self.asked.lock().unwrap().push(format!("infer {model} {}", names.join(",")));
            match (model, inputs.first()) {
                ("slow", _) => std::future::pending().await,
                ("broken", _) => Err(Failure::internal("the weights of /srv/models are gone")),
                ("large", Some(first)) => {
                    let length = first.dimensions.iter().product::<u32>();
                    let data = Bytes::from(vec![7; length as usize * 8]);
                    Ok(vec![ModelTensor { name: "y".to_owned(), dimensions: vec![length], element: ElementType::I64, data }])
                }
                (_, Some(first)) if first.name == "x" => {
                    let data = first.data.iter().map(|byte| byte.wrapping_mul(2)).collect();
                    Ok(vec![ModelTensor { name: "y".to_owned(), data, ..first.clone() }])
                }
                _ => Err(Failure::new(FailureKind::InvalidRequest, "embedder.input-unknown", "this model takes `x`")),
            }
        })
    }
}

/// A host with these models, whose plugins may do wrong as often as they like.
pub(crate) async fn host(models: &Arc<Models>, adjust: impl FnOnce(&mut RuntimeConfig)) -> Host {
    let (embed, infer) = (Arc::clone(models) as _, Arc::clone(models) as _);
    let ports = Ports { embed, infer, ..Ports::offline(Arc::new(Detectors::Find(Vec::new())), Arc::new(AtOnce)) };
    Host::with_ports(ports, |config| {
        config.breaker.trip = Trip::ConsecutiveFailures { threshold: u32::MAX };
        adjust(config);
    })
    .await
}

/// The capabilities and models that `model-probe` asks for.
pub(crate) const ASKS: &str = "capabilities = [\"blobs\", \"imaging\", \"embedder\", \"nn\"]\n\
                               models = [\"told\", \"slow\", \"images\", \"large\", \"broken\", \"absent\"]\n";

/// `model-probe` as a plugin with these lines in its manifest.
pub(crate) fn package(more: &str) -> PluginPackage {
    let world = "breakwater:plugin/adapter-plugin@0.1.0";
    let manifest = format!("id = \"models\"\nversion = \"1.0.0\"\nworld = \"{world}\"\n{more}");
    PluginPackage::from_parts(&manifest, guest("model-probe"), Vec::new()).unwrap()
}

/// A host with `model-probe` in front of these models.
pub(crate) async fn model_host(models: &Arc<Models>, adjust: impl FnOnce(&mut RuntimeConfig)) -> Host {
    let host = host(models, adjust).await;
    host.catalogue.deploy(package(ASKS)).await.unwrap();
    host
}

/// Asks `model-probe`, with the test picture attached.
pub(crate) async fn ask(host: &Host, operation: &str, input: Value) -> Result<Value, Failure> {
    ask_within(host, operation, input, Duration::from_secs(20)).await
}

pub(crate) async fn ask_within(host: &Host, operation: &str, input: Value, budget: Duration) -> Result<Value, Failure> {
    let picture = attachment("image/png", Bytes::from_static(include_bytes!("../../src/probe_picture.png")));
    let context = CallContext::root(Principal::System, budget);
    invoke_with(&context, &host.snapshot(), operation, input, &[picture]).await.map(|payload| payload.json)
}

/// One tensor.
pub(crate) fn tensor(name: &str, dimensions: &[u32], element: &str, bytes: &[u8]) -> Value {
    json!({ "name": name, "dimensions": dimensions, "type": element, "bytes": bytes })
}
