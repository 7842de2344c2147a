//! Which web pages of other origins may call the service (the Fetch standard's CORS protocol). Nobody unless the operator says so.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

/// Stands for every origin, method or header.
const ANY: &str = "*";

/// Headers of our answers that pages may read besides those that every page may.
const EXPOSED: [&str; 16] = [
    "etag",
    "inference-header-content-length",
    "retry-after",
    "server-timing",
    "x-breakwater-attempts",
    "x-breakwater-cached-age-ms",
    "x-breakwater-crop",
    "x-breakwater-degraded",
    "x-breakwater-degraded-reason",
    "x-breakwater-level",
    "x-breakwater-output",
    "x-breakwater-plugin",
    "x-breakwater-plugin-digest",
    "x-breakwater-served-by",
    "x-breakwater-upstream-attempts",
    "x-correlation-id",
];

/// What pages of other origins may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsConfig {
    /// Origins such as `https://shop.example`, compared letter by letter, or `*` alone for any. None: no page of another origin.
    pub allowed_origins: Vec<String>,
    /// Methods they may use, or `*` alone.
    pub allowed_methods: Vec<String>,
    /// Headers they may send, or `*` alone.
    pub allowed_headers: Vec<String>,
    /// Whether cookies and client certificates are sent along; not together with any `*`.
    pub allow_credentials: bool,
    /// How long a browser may remember the answer to its question.
    pub max_age: Duration,
}

impl Default for CorsConfig {
    /// No page of another origin.
    fn default() -> Self {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Self {
            allowed_origins: Vec::new(),
            allowed_methods: texts(&["GET", "POST", "PUT", "DELETE"]),
            allowed_headers: texts(&["authorization", "content-type", "idempotency-key", "x-correlation-id", "traceparent"]),
            allow_credentials: false,
            max_age: Duration::from_secs(600),
        }
    }
}

/// Why pages cannot be allowed what was configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorsError {
    /// Browsers refuse credentials from a service that takes everybody's.
    #[error("credentials cannot be allowed together with `*` in the {0}: name them")]
    CredentialsOfAnybody(&'static str),
    /// `*` stands for every other.
    #[error("`*` stands alone in the {0}")]
    AnyIsNotAlone(&'static str),
    /// An origin is a scheme, a host and perhaps a port.
    #[error("{0:?} is no origin such as https://shop.example")]
    Origin(String),
    /// No such method can be sent.
    #[error("{0:?} is no name of a method")]
    Method(String),
    /// No such header can be sent.
    #[error("{0:?} is no name of a header")]
    Header(String),
}

/// A configuration that was checked.
#[derive(Debug, Clone)]
pub(crate) struct Cors {
    origins: Origins,
    layer: Option<CorsLayer>,
}

#[derive(Debug, Clone)]
enum Origins {
    Any,
    These(Vec<HeaderValue>),
}

impl Cors {
    /// Checks a configuration.
    ///
    /// # Errors
    /// The first contradiction.
    pub(crate) fn new(config: &CorsConfig) -> Result<Self, CorsError> {
        let any_origin = is_any(&config.allowed_origins, "origins")?;
        let any_method = is_any(&config.allowed_methods, "methods")?;
        let any_header = is_any(&config.allowed_headers, "headers")?;
        let anybody = [(any_origin, "origins"), (any_method, "methods"), (any_header, "headers")];
        if let Some((_, what)) = anybody.into_iter().find(|(any, _)| *any && config.allow_credentials) {
            return Err(CorsError::CredentialsOfAnybody(what));
        }
        let origins = if any_origin { Origins::Any } else { Origins::These(each(&config.allowed_origins, origin)?) };
        let methods = if any_method { AllowMethods::any() } else { AllowMethods::list(each(&config.allowed_methods, method)?) };
        let headers = if any_header { AllowHeaders::any() } else { AllowHeaders::list(each(&config.allowed_headers, name)?) };
        let allowed = match &origins {
            Origins::Any => Some(AllowOrigin::any()),
            Origins::These(list) if list.is_empty() => None,
            Origins::These(list) => Some(AllowOrigin::list(list.iter().cloned())),
        };
        let layer = allowed.map(|allowed| {
            CorsLayer::new()
                .allow_origin(allowed)
                .allow_methods(methods)
                .allow_headers(headers)
                .expose_headers(EXPOSED.map(HeaderName::from_static))
                .allow_credentials(config.allow_credentials)
                .max_age(config.max_age)
        });
        Ok(Self { origins, layer })
    }

    /// What answers the questions of browsers; none when no page of another origin is allowed anything.
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        self.layer.clone()
    }

    /// Whether a request comes from no web page, from one of this service, or from one that is allowed. A browser sends some forms without
    /// asking first, so a change has to look for itself.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(from) = headers.get(header::ORIGIN) else { return true };
        match &self.origins {
            Origins::Any => true,
            Origins::These(list) => list.contains(from) || is_same_origin(from, headers),
        }
    }
}

/// Whether a page is one of this service: its origin's host and port are those that the request was sent to.
fn is_same_origin(from: &HeaderValue, headers: &HeaderMap) -> bool {
    let authority = from.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    authority.is_some_and(|authority| host.is_some_and(|host| host.eq_ignore_ascii_case(authority)))
}

fn is_any(list: &[String], what: &'static str) -> Result<bool, CorsError> {
    match list {
        [only] if only == ANY => Ok(true),
        list if list.iter().any(|text| text == ANY) => Err(CorsError::AnyIsNotAlone(what)),
        _ => Ok(false),
    }
}

fn each<T>(list: &[String], read: fn(&str) -> Result<T, CorsError>) -> Result<Vec<T>, CorsError> {
    list.iter().map(|text| read(text)).collect()
}

/// Browsers send origins in lower case, without a path and without the port that the scheme implies.
fn origin(text: &str) -> Result<HeaderValue, CorsError> {
    let invalid = || CorsError::Origin(text.to_owned());
    let (scheme, authority) = text.split_once("://").ok_or_else(invalid)?;
    let implied = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return Err(invalid()),
    };
    let written = authority.parse::<axum::http::uri::Authority>().is_ok_and(|parsed| !parsed.host().is_empty() && !authority.contains('@'));
    if !written || authority.ends_with(implied) || authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(invalid());
    }
    HeaderValue::from_str(text).map_err(|_| invalid())
}

fn method(text: &str) -> Result<Method, CorsError> {
    text.parse().map_err(|_| CorsError::Method(text.to_owned()))
}

fn name(text: &str) -> Result<HeaderName, CorsError> {
    text.parse().map_err(|_| CorsError::Header(text.to_owned()))
}

#[cfg(test)]
#[path = "cors_tests.rs"]
mod tests;
