//! Patterns of hosts that a caller may name.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// A host that may be named: `api.example.com`, `*.example.com` (every name below it, at any depth, not itself), an address, or `*`
/// (any host). A port may follow, `:8443` or `:*`; without one only the scheme's own port (80, 443) is meant. IPv6 addresses stand
/// in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    host: Host,
    port: Port,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Any,
    Exactly(String),
    /// With the leading dot.
    Below(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Default,
    Any,
    Exactly(u16),
}

/// Text that is no [`HostPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a host pattern is NAME, *.NAME, an address or *, optionally with :PORT or :*; got {0:?}")]
pub struct InvalidHostPattern(String);

impl HostPattern {
    /// Whether the host and port of `url` are meant.
    #[must_use]
    pub fn matches(&self, url: &Url) -> bool {
        let Some(host) = host_of(url) else { return false };
        let host_fits = match &self.host {
            Host::Any => true,
            Host::Exactly(name) => *name == host,
            Host::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()) && url.domain().is_some(),
        };
        let port_fits = match self.port {
            Port::Any => true,
            Port::Default => url.port().is_none(),
            Port::Exactly(port) => url.port_or_known_default() == Some(port),
        };
        host_fits && port_fits
    }
}

/// The host in the one form in which hosts are compared: lower case, without a final dot.
fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(host.strip_suffix('.').unwrap_or(host).to_owned())
}

impl FromStr for HostPattern {
    type Err = InvalidHostPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidHostPattern(text.chars().take(80).collect());
        // A colon inside of brackets belongs to an address.
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (text, None),
        };
        let port = match port {
            None => Port::Default,
            Some("*") => Port::Any,
            Some(port) => Port::Exactly(port.parse().map_err(|_| invalid())?),
        };
        // The parser of URLs brings names and addresses into the form that it gives to those it is compared with.
        let normal = |name: &str| {
            let url = Url::parse(&format!("http://{name}/")).ok().filter(|url| url.username().is_empty() && url.port().is_none());
            url.filter(|url| url.path() == "/" && url.query().is_none() && url.fragment().is_none()).as_ref().and_then(host_of)
        };
        let host = match host.strip_prefix("*.") {
            _ if host == "*" => Host::Any,
            Some(name) => Host::Below(format!(".{}", normal(name).ok_or_else(invalid)?)),
            None => Host::Exactly(normal(host).ok_or_else(invalid)?),
        };
        if matches!(&host, Host::Exactly(name) | Host::Below(name) if name.contains('*')) {
            return Err(invalid());
        }
        Ok(Self { host, port })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Any => f.write_str("*")?,
            Host::Exactly(name) => f.write_str(name)?,
            Host::Below(suffix) => write!(f, "*{suffix}")?,
        }
        match self.port {
            Port::Default => Ok(()),
            Port::Any => f.write_str(":*"),
            Port::Exactly(port) => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, url: &str) -> bool {
        pattern.parse::<HostPattern>().unwrap().matches(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_pattern_means_the_hosts_that_it_says() {
        for (pattern, url) in [
            ("api.example.com", "https://API.example.com/x"),
            ("api.example.com", "http://api.example.com./x"),
            ("*.example.com", "https://a.b.example.com/"),
            ("api.example.com:8443", "https://api.example.com:8443/"),
            ("api.example.com:443", "https://api.example.com/"),
            ("api.example.com:*", "http://api.example.com:1/"),
            ("127.0.0.1:*", "http://2130706433:80/"),
            ("[::1]:8080", "http://[0:0::1]:8080/"),
            ("*", "https://anything.example/"),
        ] {
            assert!(matches(pattern, url), "{pattern} {url}");
        }
    }

    #[test]
    fn a_pattern_means_no_other_host() {
        for (pattern, url) in [
            ("api.example.com", "https://api.example.com.evil.example/"),
            ("api.example.com", "https://api.example.com:8443/"),
            ("*.example.com", "https://example.com/"),
            ("*.example.com", "https://badexample.com/"),
            ("api.example.com", "https://api.example.com@evil.example/"),
            ("*", "https://anything.example:22/"),
            ("127.0.0.1", "http://127.0.0.1:8080/"),
        ] {
            assert!(!matches(pattern, url), "{pattern} {url}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_and_a_pattern_writes_itself() {
        for text in ["", "a b", "a/b", "user@a", "*.*.com", "a*b", "a:99999", "a:b", "*.", "http://a"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
        for text in ["api.example.com", "*.example.com:8443", "*:*", "[::1]:80"] {
            assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), text);
        }
    }
}
