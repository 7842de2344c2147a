//! The ways out of the host, as the plugin runtime wants them.

use std::sync::{Arc, OnceLock};

use breakwater_core::{BoxFuture, CallContext, Failure, FailureKind, OutboundRequest, OutboundResponse};
use breakwater_flags::Flags;
use breakwater_plugins::{FlagReader, Outbound};
use breakwater_telemetry::OtlpTransport;
use breakwater_upstream::Upstreams;
use bytes::Bytes;

/// Requests of plugins go through the upstreams.
pub(super) struct ThroughUpstreams(pub(super) Arc<Upstreams>);

impl Outbound for ThroughUpstreams {
    fn send<'a>(
        &'a self,
        context: &'a CallContext,
        upstream: &'a str,
        request: OutboundRequest,
    ) -> BoxFuture<'a, Result<OutboundResponse, Failure>> {
        Box::pin(self.0.send(context, upstream, request))
    }

    fn send_to_url<'a>(
        &'a self,
        context: &'a CallContext,
        url: &'a str,
        request: OutboundRequest,
        hosts: &'a [String],
    ) -> BoxFuture<'a, Result<OutboundResponse, Failure>> {
        Box::pin(self.0.send_to_url(context, url, request, hosts))
    }
}

/// Flags as plugins read them.
pub(super) struct ReadFlags(pub(super) Arc<Flags>);

impl FlagReader for ReadFlags {
    fn enabled(&self, context: &CallContext, flag: &str) -> bool {
        self.0.enabled(flag, &context.caller)
    }
}

/// Spans go to their collector by a client of their own: a collector that is away must not use up places or budgets of calls.
#[derive(Default)]
pub(super) struct CollectorClient(OnceLock<reqwest::Client>);

impl OtlpTransport for CollectorClient {
    fn post(&self, url: &str, headers: Vec<(String, String)>, body: Bytes) -> BoxFuture<'_, Result<u16, String>> {
        let client = self.0.get_or_init(reqwest::Client::new);
        let request = headers.iter().fold(client.post(url).body(body), |request, (name, value)| request.header(name, value));
        Box::pin(async move { request.send().await.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string()) })
    }
}

/// A part that could not be set up, with the code that names it.
pub(super) fn setup(failure: Failure) -> anyhow::Error {
    match failure.kind {
        FailureKind::Internal => anyhow::anyhow!("{}", failure.chain()),
        _ => anyhow::anyhow!("{failure}"),
    }
}
