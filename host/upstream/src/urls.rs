//! Requests to URLs that callers give: guarded, each host with mechanisms of its own, redirects followed under the same guard.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use breakwater_core::{Body, CallContext, Failure, FailureKind, Method, OutboundRequest, OutboundResponse};
use breakwater_resilience::{EndpointSpec, NoObserver, Pipeline};
use http::header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, HeaderName};
use reqwest::Url;

use crate::classify::{self, url_denied};
use crate::client;
use crate::config::UrlPolicy;
use crate::endpoint::Endpoint;
use crate::guard::{AddressPolicy, HostPattern, literal_address};
use crate::line::Line;
use crate::observer::UpstreamObserver;
use crate::request::is_credential;
use crate::upstream::places;

/// The longest URL, in bytes.
pub const MAX_URL: usize = 8 * 1024;

/// A line and when it was last asked for.
struct Remembered {
    line: Arc<Line>,
    used: u64,
}

#[derive(Default)]
struct Lines {
    by_origin: HashMap<String, Remembered>,
    /// Counts requests; the order in which lines were used.
    clock: u64,
}

/// The way to URLs that callers give.
pub(crate) struct Urls {
    policy: UrlPolicy,
    addresses: Arc<AddressPolicy>,
    client: reqwest::Client,
    lines: Mutex<Lines>,
    observer: Arc<dyn UpstreamObserver>,
}

/// A request as it goes from one redirect to the next.
struct Hop {
    method: Method,
    headers: Vec<(String, String)>,
    /// What can be sent again; `None` for a stream.
    body: Option<Body>,
}

/// The same content, unless it is a stream.
fn again(body: &Body) -> Option<Body> {
    match body {
        Body::Bytes(bytes) => Some(Body::Bytes(bytes.clone())),
        Body::Form(parts) => Some(Body::Form(parts.clone())),
        Body::Stream(_) => None,
    }
}

impl Urls {
    pub(crate) fn new(policy: UrlPolicy, observer: Arc<dyn UpstreamObserver>) -> Result<Self, Failure> {
        let addresses = Arc::new(AddressPolicy::allowing(policy.allowed.clone()));
        let client = client::of_urls(&policy, Arc::clone(&addresses))?;
        Ok(Self { policy, addresses, client, lines: Mutex::default(), observer })
    }

    pub(crate) async fn send(
        &self,
        context: &CallContext,
        url: &str,
        request: OutboundRequest,
        hosts: &[String],
    ) -> Result<OutboundResponse, Failure> {
        // A pattern that cannot be read grants nothing.
        let granted: Vec<HostPattern> = hosts.iter().filter_map(|pattern| pattern.parse().ok()).collect();
        let mut url = parse(url)?;
        let OutboundRequest {
            method,
            headers,
            body,
            length,
            own_credentials,
            idempotency_key,
            is_read,
            effect,
            timeout,
            max_response_bytes,
            stream_response,
            any_status,
            answer_is_final,
            ..
        } = request;
        let context = timeout.map_or_else(|| context.clone(), |timeout| context.tightened(timeout));
        let mut hop = Hop { method, headers, body: again(&body) };
        let mut first = Some(body);
        let mut attempts = 0;
        for redirects in 0.. {
            self.check(&url, &granted)?;
            let body = first.take().or_else(|| again(hop.body.as_ref()?)).unwrap_or_default();
            let request = OutboundRequest {
                method: hop.method,
                path: path_and_query(&url),
                headers: hop.headers.clone(),
                body,
                length,
                own_credentials,
                idempotency_key: idempotency_key.clone(),
                is_read,
                effect,
                timeout: None,
                max_response_bytes,
                stream_response,
                any_status,
                answer_is_final,
            };
            let answer = self.line(&url)?.send(&context, request).await?;
            attempts += answer.attempts;
            let Some(target) = target(&url, &answer, &hop)? else { return Ok(OutboundResponse { attempts, ..answer }) };
            if redirects >= self.policy.max_redirects {
                let message = format!("more than {} redirects", self.policy.max_redirects);
                return Err(Failure::new(FailureKind::Rejected, "upstream.redirects", message));
            }
            hop.follow(answer.status, url.origin() != target.origin());
            url = target;
        }
        Err(Failure::internal("redirects came to no end"))
    }

    /// Refuses a URL that was not granted or leads to an address that callers must not reach. A name's addresses are checked when they
    /// are resolved, by whoever connects to them.
    fn check(&self, url: &Url, granted: &[HostPattern]) -> Result<(), Failure> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(url_denied("only http and https URLs can be asked for"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(url_denied("a URL must not hold a user name or password"));
        }
        if !granted.iter().any(|pattern| pattern.matches(url)) {
            return Err(url_denied("the URL's host and port are not among those that were granted"));
        }
        if literal_address(url).is_some_and(|address| !self.addresses.permits(address)) {
            return Err(url_denied("the host's address is not one that callers may reach"));
        }
        Ok(())
    }

    /// The line to the URL's scheme, host and port; one that was not used the longest makes room for a new one.
    fn line(&self, url: &Url) -> Result<Arc<Line>, Failure> {
        let origin = url.origin().ascii_serialization();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.clock += 1;
        let used = lines.clock;
        if let Some(remembered) = lines.by_origin.get_mut(&origin) {
            remembered.used = used;
            return Ok(Arc::clone(&remembered.line));
        }
        if lines.by_origin.len() >= self.policy.max_hosts.max(1) {
            let oldest = lines.by_origin.iter().min_by_key(|(_, remembered)| remembered.used).map(|(origin, _)| origin.clone());
            oldest.and_then(|oldest| lines.by_origin.remove(&oldest));
        }
        let endpoint = Endpoint::new(&origin, &origin).map_err(|error| classify::url_denied(error.to_string()))?;
        let line = Arc::new(self.open(origin.clone(), endpoint));
        lines.by_origin.insert(origin, Remembered { line: Arc::clone(&line), used });
        Ok(line)
    }

    fn open(&self, name: String, endpoint: Endpoint) -> Line {
        let pipeline = Pipeline::new(self.policy.pipeline, Arc::new(NoObserver));
        pipeline.set_endpoints(vec![EndpointSpec { id: name.clone(), weight: 1, endpoint: Arc::new(endpoint) }]);
        Line {
            name,
            is_url: true,
            client: self.client.clone(),
            pipeline,
            places: Arc::new(places(&self.policy.pipeline)),
            first_byte_timeout: None,
            max_response_bytes: self.policy.max_response_bytes,
            max_replay_bytes: self.policy.max_replay_bytes,
            credentials: None,
            observer: Arc::clone(&self.observer),
        }
    }

    /// How many hosts are remembered.
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).by_origin.len()
    }
}

fn parse(url: &str) -> Result<Url, Failure> {
    let invalid = |message: &str| Failure::invalid("upstream.url-invalid", message);
    if url.len() > MAX_URL {
        return Err(invalid("the URL is too long"));
    }
    Url::parse(url).map_err(|error| invalid("this is no absolute URL").caused_by(error))
}

fn path_and_query(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// Where an answer sends the caller; `None` when it is an answer itself, such as a redirect that asks for a stream to be sent again.
fn target(url: &Url, answer: &OutboundResponse, hop: &Hop) -> Result<Option<Url>, Failure> {
    let asks_again = matches!(answer.status, 307 | 308);
    if !(matches!(answer.status, 301..=303) || asks_again) || (asks_again && hop.body.is_none()) {
        return Ok(None);
    }
    let Some((_, location)) = answer.headers.iter().find(|(name, _)| name == "location") else { return Ok(None) };
    let target = url.join(location).map_err(|error| {
        Failure::new(FailureKind::Rejected, "upstream.response-invalid", "the answer redirects to what is no URL").caused_by(error)
    })?;
    Ok(Some(target))
}

impl Hop {
    /// Becomes the request that follows an answer of `status` (RFC 9110, 15.4).
    fn follow(&mut self, status: u16, is_elsewhere: bool) {
        let becomes_get = match status {
            303 => self.method != Method::Head,
            301 | 302 => self.method == Method::Post,
            _ => false,
        };
        if becomes_get {
            self.method = Method::Get;
            self.body = Some(Body::empty());
        }
        let of_content = [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION];
        let stays_behind = |name: &HeaderName| (becomes_get && of_content.contains(name)) || (is_elsewhere && is_credential(name));
        self.headers.retain(|(name, _)| !HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| stays_behind(&name)));
    }
}

#[cfg(test)]
mod tests;
