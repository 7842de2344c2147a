//! One address of an upstream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Url;

use crate::registry::ServiceStatistics;

/// The longest path and query of a request, in bytes.
pub const MAX_PATH: usize = 8 * 1024;

/// A base URL that no request may leave.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// As configuration or the registry name it.
    pub(crate) id: String,
    /// Scheme, host and port, without a slash at the end.
    origin: String,
    /// Path that every request begins with; empty or `/a/b`.
    prefix: String,
    /// Kept for an entry of the registry.
    pub(crate) statistics: Option<Arc<ServiceStatistics>>,
    /// Answers whose content is still being passed on.
    streaming: Arc<AtomicU32>,
}

/// Counts an answer while it lives.
#[derive(Debug)]
pub(crate) struct Streaming(Arc<AtomicU32>);

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a text is no base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// Not a URL, or not one with a host.
    #[error("an endpoint is an absolute URL with a host")]
    Url,
    /// Neither http nor https.
    #[error("an endpoint's scheme is http or https")]
    Scheme,
    /// A user name or password: these belong to the upstream's credentials.
    #[error("an endpoint's URL holds no user name or password; set the upstream's credentials instead")]
    UserInfo,
    /// A query or fragment.
    #[error("an endpoint's URL ends with its path, without a query or fragment")]
    Query,
}

/// Why a path cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidPath {
    #[error("a path begins with `/`")]
    Start,
    #[error("a path has at most {MAX_PATH} bytes")]
    TooLong,
    #[error("a path holds no fragment, backslash, space or control character")]
    Character,
    #[error("a path must not lead out of the endpoint's own")]
    Escape,
}

impl Endpoint {
    /// The endpoint `id` at `url`, such as `http://localhost:8000/api`.
    pub(crate) fn new(id: impl Into<String>, url: &str) -> Result<Self, InvalidEndpoint> {
        let url = Url::parse(url).map_err(|_| InvalidEndpoint::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidEndpoint::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidEndpoint::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidEndpoint::Query);
        }
        let prefix = url.path().trim_end_matches('/').to_owned();
        Ok(Self { id: id.into(), origin: url.origin().ascii_serialization(), prefix, statistics: None, streaming: Arc::default() })
    }

    /// The endpoint that counts in `statistics` too.
    pub(crate) fn counted(self, statistics: Arc<ServiceStatistics>) -> Self {
        Self { statistics: Some(statistics), ..self }
    }

    /// This endpoint, with the answers of another that was it before.
    pub(crate) fn following(self, before: &Self) -> Self {
        Self { streaming: Arc::clone(&before.streaming), ..self }
    }

    /// Notes an answer whose content is passed on from now on.
    pub(crate) fn begin_streaming(&self) -> Streaming {
        self.streaming.fetch_add(1, Ordering::Relaxed);
        Streaming(Arc::clone(&self.streaming))
    }

    /// How many answers are being passed on.
    pub(crate) fn streaming(&self) -> u32 {
        self.streaming.load(Ordering::Relaxed)
    }

    /// The URL of `path` at this endpoint.
    pub(crate) fn url(&self, path: &str) -> Result<Url, InvalidPath> {
        let url = Url::parse(&format!("{}{}{path}", self.origin, self.prefix)).map_err(|_| InvalidPath::Character)?;
        // The parser has resolved `..` by now, however it was written.
        match url.path().strip_prefix(&self.prefix) {
            Some(rest) if rest.starts_with('/') => Ok(url),
            _ => Err(InvalidPath::Escape),
        }
    }
}

/// Refuses what is no path and query, whatever the endpoint.
pub(crate) fn check_path(path: &str) -> Result<(), InvalidPath> {
    if !path.starts_with('/') {
        return Err(InvalidPath::Start);
    }
    if path.len() > MAX_PATH {
        return Err(InvalidPath::TooLong);
    }
    if path.bytes().any(|byte| byte <= b' ' || matches!(byte, b'#' | b'\\' | 0x7f)) {
        return Err(InvalidPath::Character);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_appended_to_the_base() {
        for (base, path, expected) in [
            ("http://localhost:8000", "/health", "http://localhost:8000/health"),
            ("http://localhost:8000/", "/a?b=c%20d", "http://localhost:8000/a?b=c%20d"),
            ("https://Example.com/api/v1/", "/x", "https://example.com/api/v1/x"),
            ("http://[::1]:80/", "//evil.example/x", "http://[::1]//evil.example/x"),
        ] {
            assert_eq!(Endpoint::new("e", base).unwrap().url(path).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn a_path_cannot_leave_the_base() {
        let endpoint = Endpoint::new("e", "http://localhost/api").unwrap();
        for path in ["/../admin", "/%2e%2e/admin", "/a/../../admin", "/.%2E/admin"] {
            assert_eq!(endpoint.url(path), Err(InvalidPath::Escape), "{path}");
        }
        assert_eq!(endpoint.url("/a/../b").unwrap().path(), "/api/b");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long = format!("/{}", "x".repeat(MAX_PATH));
        for (path, error) in [
            ("", InvalidPath::Start),
            ("health", InvalidPath::Start),
            ("@evil.example/", InvalidPath::Start),
            ("http://evil.example/", InvalidPath::Start),
            ("/a b", InvalidPath::Character),
            ("/a\r\nhost: evil", InvalidPath::Character),
            ("/a#b", InvalidPath::Character),
            ("/a\\b", InvalidPath::Character),
            (long.as_str(), InvalidPath::TooLong),
        ] {
            assert_eq!(check_path(path), Err(error), "{path:?}");
        }
        assert_eq!(check_path(&long[..MAX_PATH]), Ok(()));
    }

    #[test]
    fn what_is_no_base_is_refused() {
        for (base, error) in [
            ("localhost:8000", InvalidEndpoint::Scheme),
            ("not a url", InvalidEndpoint::Url),
            ("ftp://a/", InvalidEndpoint::Scheme),
            ("http://me:secret@a/", InvalidEndpoint::UserInfo),
            ("http://a/?x", InvalidEndpoint::Query),
        ] {
            assert_eq!(Endpoint::new("e", base).unwrap_err(), error, "{base}");
        }
    }
}
