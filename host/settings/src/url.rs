//! URLs in settings.

use std::fmt;

use http::Uri;

/// The longest URL, in bytes.
const MAX_LENGTH: usize = 2048;

/// An `http` or `https` URL with a host, without credentials, query and fragment, and without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// The text, such as `http://localhost:8000/api`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uri = uri(text)?;
        let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        let plain = uri.query().is_none() && !has_credentials(&uri);
        (scheme && plain).then(|| Self(text.trim().trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A `redis` URL: `redis://[[user]:password@]host[:port][/database]`. Shown without the password.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// The text, password included: for the client, never for people.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        uri(text).filter(|uri| uri.scheme_str() == Some("redis")).map(|_| Self(text.trim().to_owned()))
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_credentials(&self.0))
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

/// A `postgres` URL: `postgres://[user[:password]@]host[:port]/database[?sslmode=…]`. Shown without user, password and query.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    /// The text, password included: for the client, never for people.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let scheme = |uri: &Uri| matches!(uri.scheme_str(), Some("postgres" | "postgresql"));
        uri(text).filter(scheme).map(|_| Self(text.trim().to_owned()))
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The query may hold a password too.
        f.write_str(&without_credentials(self.0.split('?').next().unwrap_or_default()))
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

fn without_credentials(url: &str) -> String {
    let credentials = url.split_once("://").and_then(|(scheme, rest)| rest.rsplit_once('@').map(|(_, place)| (scheme, place)));
    credentials.map_or_else(|| url.to_owned(), |(scheme, place)| format!("{scheme}://***@{place}"))
}

fn uri(text: &str) -> Option<Uri> {
    let text = text.trim();
    let uri: Uri = text.parse().ok()?;
    // The parser drops fragments; nobody means one here.
    let usable = text.len() <= MAX_LENGTH && !text.contains('#') && uri.host().is_some_and(|host| !host.is_empty());
    usable.then_some(uri)
}

fn has_credentials(uri: &Uri) -> bool {
    uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_has_a_host_and_nothing_that_a_path_cannot_follow() {
        for (text, expected) in [
            ("http://localhost:8000", Some("http://localhost:8000")),
            (" https://a.example/api/ ", Some("https://a.example/api")),
            ("http://[::1]:80", Some("http://[::1]:80")),
            ("localhost:8000", None),
            ("/path", None),
            ("ftp://a.example", None),
            ("http://user:secret@a.example", None),
            ("http://a.example/?q=1", None),
            ("http://a.example/#f", None),
            ("http://", None),
            ("", None),
        ] {
            assert_eq!(BaseUrl::parse(text).as_ref().map(BaseUrl::as_str), expected, "{text}");
        }
        assert_eq!(BaseUrl::parse(&format!("http://a.example/{}", "x".repeat(MAX_LENGTH))), None);
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = RedisUrl::parse("redis://user:s@cret@localhost:6379/1");
        assert!(url.is_none() || !url.unwrap().to_string().contains("cret"));
        let url = RedisUrl::parse("redis://:secret@localhost:6379/1").unwrap();
        assert_eq!((url.to_string().as_str(), url.reveal()), ("redis://***@localhost:6379/1", "redis://:secret@localhost:6379/1"));
        assert!(!format!("{url:?}").contains("secret"));
        assert_eq!(RedisUrl::parse("redis://localhost").unwrap().to_string(), "redis://localhost");
        assert_eq!(RedisUrl::parse("http://localhost"), None);
        let url = PostgresUrl::parse("postgres://user:secret@localhost:5432/shop?sslmode=require&password=secret").unwrap();
        assert_eq!((url.to_string().as_str(), url.reveal().contains("user:secret@")), ("postgres://***@localhost:5432/shop", true));
        assert!(!format!("{url:?}").contains("secret"));
        assert_eq!(PostgresUrl::parse("mysql://localhost/shop"), None);
    }
}
