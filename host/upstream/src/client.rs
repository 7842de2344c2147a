//! The client that sends an upstream's requests: one each, so that its connections are shared by every call.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Failure, FailureKind};
use reqwest::{Certificate, Client, ClientBuilder};

use crate::config::{HttpVersion, UpstreamConfig, UrlPolicy};
use crate::guard::{AddressPolicy, GuardedResolver};

/// How the host names itself to upstreams.
const USER_AGENT: &str = concat!("breakwater/", env!("CARGO_PKG_VERSION"));
/// The most headers of an answer over HTTP/1.
const MAX_ANSWER_HEADERS: usize = 128;
/// The largest header list of an answer over HTTP/2, in bytes.
const MAX_ANSWER_HEADER_BYTES: u32 = 64 * 1024;
/// How soon a connection on which nothing happens is asked whether it still is one.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// `upstream.config`: the client cannot be made.
fn unusable(what: &'static str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::new(FailureKind::InvalidRequest, "upstream.config", what).caused_by(error)
}

/// What all clients have in common. Whoever sends a request bounds its time, follows its redirects and repeats it.
fn builder(connect_timeout: Duration, idle_timeout: Duration, max_idle: usize) -> ClientBuilder {
    // A process has one provider of cryptography; whoever came first has set the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(USER_AGENT)
        .no_proxy()
        .referer(false)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(idle_timeout)
        .pool_max_idle_per_host(max_idle)
        .tcp_keepalive(KEEPALIVE)
        .http1_max_headers(MAX_ANSWER_HEADERS)
        .http2_max_header_list_size(MAX_ANSWER_HEADER_BYTES)
}

/// The client of a named upstream.
///
/// # Errors
/// `upstream.config` when the file of certificate authorities cannot be used.
pub(crate) async fn of_upstream(config: &UpstreamConfig, is_tls: bool) -> Result<Client, Failure> {
    let authorities = match &config.ca_file {
        Some(file) => {
            let pem = tokio::fs::read(file).await.map_err(|error| unusable("the file of certificate authorities cannot be read", error))?;
            let found = Certificate::from_pem_bundle(&pem);
            let found = found.map_err(|error| unusable("the file of certificate authorities holds none in PEM", error))?;
            if found.is_empty() {
                return Err(unusable("the file of certificate authorities holds none in PEM", "no certificate"));
            }
            found
        }
        None => Vec::new(),
    };
    let build = |system: bool| {
        let builder = builder(config.connect_timeout, config.idle_timeout, config.pipeline.bulkhead.max_concurrent);
        let builder = match config.http_version {
            HttpVersion::Auto => builder,
            HttpVersion::Http1 => builder.http1_only(),
            HttpVersion::Http2 => builder.http2_prior_knowledge(),
        };
        match (system, authorities.is_empty()) {
            (true, true) => builder,
            (true, false) => builder.tls_certs_merge(authorities.clone()),
            (false, _) => builder.tls_certs_only(authorities.clone()),
        }
        .build()
    };
    with_or_without_system_authorities(build, is_tls && authorities.is_empty())
}

/// The client of every URL that callers give.
///
/// # Errors
/// `upstream.config` when no client can be made.
pub(crate) fn of_urls(policy: &UrlPolicy, addresses: Arc<AddressPolicy>) -> Result<Client, Failure> {
    let build = |system: bool| {
        let builder = builder(policy.connect_timeout, policy.idle_timeout, policy.pipeline.bulkhead.max_concurrent);
        let builder = builder.dns_resolver(GuardedResolver::new(Arc::clone(&addresses)));
        if system { builder } else { builder.tls_certs_only([]) }.build()
    };
    with_or_without_system_authorities(build, false)
}

/// The client of requests that only ask whether somebody answers: a connection each.
///
/// # Errors
/// `upstream.config` when no client can be made.
pub(crate) fn of_probes() -> Result<Client, Failure> {
    let wait = Duration::from_secs(30);
    with_or_without_system_authorities(
        |system| {
            let builder = builder(wait, wait, 0);
            if system { builder } else { builder.tls_certs_only([]) }.build()
        },
        false,
    )
}

/// A system without any certificate authority, such as a bare container, can still speak to upstreams without TLS.
fn with_or_without_system_authorities(build: impl Fn(bool) -> reqwest::Result<Client>, needed: bool) -> Result<Client, Failure> {
    match build(true) {
        Ok(client) => Ok(client),
        Err(error) if needed => Err(unusable("this system has no certificate authorities; install them or set `ca_file`", error)),
        Err(error) => {
            tracing::warn!(target: "upstream", %error, "this system has no certificate authorities: only those that are configured are trusted");
            build(false).map_err(|error| unusable("no HTTP client can be made", error))
        }
    }
}
