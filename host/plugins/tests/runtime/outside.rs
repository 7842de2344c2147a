//! A host's services that answer as told and remember what they were asked; and adapters that ask them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use breakwater_core::{Attachment, Body, BoxFuture, CallContext, Failure, OutboundRequest, OutboundResponse, Part, Payload, Principal};
use breakwater_plugins::{FlagReader, NoModels, Outbound, PluginPackage, Ports, RuntimeConfig, Snapshot};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{AtOnce, Detectors, Host, context, guest};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The upstream's name, or the URL.
    pub(crate) target: String,
    /// Host patterns that came with a URL.
    pub(crate) hosts: Vec<String>,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) was_streamed: bool,
    pub(crate) form: Vec<Part>,
    pub(crate) key: Option<String>,
    pub(crate) is_read: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) context: CallContext,
    /// Time left when it arrived.
    pub(crate) remaining: Duration,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What the services do with a request.
#[derive(Clone)]
pub(crate) enum Does {
    Answer { status: u16, headers: Vec<(String, String)>, body: Bytes },
    Stream { status: u16, pieces: Vec<Bytes> },
    Fail(Failure),
    Never,
}

impl Does {
    pub(crate) fn text(body: impl Into<String>) -> Self {
        let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
        Self::Answer { status: 200, headers, body: body.into().into() }
    }
}

type Script = dyn Fn(&Seen) -> Does + Send + Sync;

/// The services and the feature flags.
pub(crate) struct Outside {
    script: Box<Script>,
    seen: Mutex<Vec<Seen>>,
    flags: Mutex<BTreeSet<String>>,
    /// Requests wait here for one permit each, if it is closed.
    pub(crate) gate: Option<Semaphore>,
}

impl Outside {
    pub(crate) fn new(script: impl Fn(&Seen) -> Does + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { script: Box::new(script), seen: Mutex::default(), flags: Mutex::default(), gate: None })
    }

    pub(crate) fn gated(script: impl Fn(&Seen) -> Does + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { script: Box::new(script), seen: Mutex::default(), flags: Mutex::default(), gate: Some(Semaphore::new(0)) })
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn turn_on(&self, flag: &str) {
        self.flags.lock().unwrap().insert(flag.to_owned());
    }

    /// Waits until so many requests have arrived.
    pub(crate) async fn has_seen(&self, count: usize) {
        let start = std::time::Instant::now();
        while self.seen.lock().unwrap().len() < count {
            assert!(start.elapsed() < Duration::from_secs(30), "{count} requests never arrived");
            tokio::task::yield_now().await;
        }
    }

    async fn ask(
        &self,
        context: &CallContext,
        target: &str,
        hosts: &[String],
        request: OutboundRequest,
    ) -> Result<OutboundResponse, Failure> {
        let OutboundRequest { method, path, headers, body, idempotency_key, is_read, timeout, .. } = request;
        let (mut whole, mut was_streamed, mut form) = (Vec::new(), false, Vec::new());
        match body {
            Body::Bytes(bytes) => whole = bytes.into(),
            Body::Form(parts) => form = parts,
            Body::Stream(mut pieces) => {
                was_streamed = true;
                while let Some(piece) = pieces.next().await {
                    whole.extend_from_slice(&piece?);
                }
            }
        }
        let seen = Seen {
            target: target.to_owned(),
            hosts: hosts.to_vec(),
            method: method.name(),
            path,
            headers,
            body: whole.into(),
            was_streamed,
            form,
            key: idempotency_key,
            is_read,
            timeout,
            context: context.clone(),
            remaining: context.deadline.remaining(),
        };
        let does = (self.script)(&seen);
        self.seen.lock().unwrap().push(seen);
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        match does {
            Does::Answer { status, headers, body } => Ok(OutboundResponse { status, headers, body: Body::Bytes(body), attempts: 1 }),
            Does::Stream { status, pieces } => {
                let body = Body::Stream(futures_util::stream::iter(pieces.into_iter().map(Ok)).boxed());
                Ok(OutboundResponse { status, headers: Vec::new(), body, attempts: 3 })
            }
            Does::Fail(failure) => Err(failure),
            Does::Never => std::future::pending().await,
        }
    }
}

/// The services as the runtime reaches them.
struct Way(Arc<Outside>);

impl Outbound for Way {
    fn send<'a>(
        &'a self,
        context: &'a CallContext,
        upstream: &'a str,
        request: OutboundRequest,
    ) -> BoxFuture<'a, Result<OutboundResponse, Failure>> {
        Box::pin(self.0.ask(context, upstream, &[], request))
    }

    fn send_to_url<'a>(
        &'a self,
        context: &'a CallContext,
        url: &'a str,
        request: OutboundRequest,
        hosts: &'a [String],
    ) -> BoxFuture<'a, Result<OutboundResponse, Failure>> {
        Box::pin(self.0.ask(context, url, hosts, request))
    }
}

impl FlagReader for Way {
    fn enabled(&self, _context: &CallContext, flag: &str) -> bool {
        self.0.flags.lock().unwrap().contains(flag)
    }
}

/// A host whose way out leads to these services.
pub(crate) async fn host(outside: &Arc<Outside>, adjust: impl FnOnce(&mut RuntimeConfig)) -> Host {
    let ports = Ports {
        detect: Arc::new(Detectors::Find(Vec::new())),
        cpu: Arc::new(AtOnce),
        outbound: Arc::new(Way(Arc::clone(outside))),
        flags: Arc::new(Way(Arc::clone(outside))),
        embed: Arc::new(NoModels),
        infer: Arc::new(NoModels),
    };
    Host::with_ports(ports, adjust).await
}

/// Everything that adapters of the tests ask for.
const ASKS: &str = "capabilities = [\"blobs\", \"config\", \"upstream\", \"feature-flags\"]\nupstreams = [\"service\", \"other\"]\n\
                    flags = [\"granted\"]\n";

/// `adapter-probe` as a plugin with these settings.
pub(crate) fn adapter(id: &str, version: &str, settings: &[(&str, &str)]) -> PluginPackage {
    let settings: Vec<_> = settings.iter().map(|(key, value)| format!("{key} = {value:?}\n")).collect();
    adapter_with(id, version, &format!("{ASKS}[config]\n{}", settings.concat()))
}

/// `adapter-probe` as a plugin with more lines in its manifest.
pub(crate) fn adapter_with(id: &str, version: &str, more: &str) -> PluginPackage {
    let world = "breakwater:plugin/adapter-plugin@0.1.0";
    let manifest = format!("id = \"{id}\"\nversion = \"{version}\"\nworld = \"{world}\"\n{more}");
    PluginPackage::from_parts(&manifest, guest("adapter-probe"), Vec::new()).unwrap()
}

/// A host with `adapter-probe` in front of these services.
pub(crate) async fn adapter_host(outside: &Arc<Outside>, adjust: impl FnOnce(&mut RuntimeConfig)) -> Host {
    let host = host(outside, adjust).await;
    host.catalogue.deploy(adapter("probe", "1.0.0", &[])).await.unwrap();
    host
}

/// Asks the first provider of an operation.
pub(crate) async fn invoke(snapshot: &Snapshot, operation: &str, input: Value) -> Result<Payload, Failure> {
    invoke_with(&context(), snapshot, operation, input, &[]).await
}

pub(crate) async fn invoke_with(
    context: &CallContext,
    snapshot: &Snapshot,
    operation: &str,
    input: Value,
    attachments: &[Attachment],
) -> Result<Payload, Failure> {
    let adapters = snapshot.adapters(operation);
    let first = adapters.first().unwrap_or_else(|| panic!("nobody offers {operation}"));
    first.invoke(context, operation, &input, attachments).await
}

/// Sends requests through the adapter and returns what it was told.
pub(crate) async fn ask(host: &Host, requests: Value) -> Vec<Value> {
    let answer = invoke(&host.snapshot(), "ask", json!({ "requests": requests })).await.unwrap();
    answer.json["answers"].as_array().unwrap().clone()
}

pub(crate) fn attachment(media_type: &str, bytes: impl Into<Bytes>) -> Attachment {
    Attachment { media_type: media_type.to_owned(), bytes: bytes.into() }
}

/// A call with so much time.
pub(crate) fn hurried(budget: Duration) -> CallContext {
    CallContext::root(Principal::System, budget)
}
