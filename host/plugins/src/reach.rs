//! Which upstreams, hosts, feature flags and models a plugin may name.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::plugin_id::PluginId;

/// The most names of one kind.
const MAX_NAMES: usize = 64;
/// The longest name of an upstream, flag or model, and the longest host, in bytes.
const MAX_NAME: usize = 64;
const MAX_HOST: usize = 255;

/// What a plugin asks for, and what is left of that once the operator had a say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reach {
    /// Upstreams by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub upstreams: BTreeSet<String>,
    /// Hosts: `api.example.com`, or `*.example.com` for every host below it. Asked at the default port of the scheme; with `:PORT` at
    /// that port alone, with `:*` at any.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub hosts: BTreeSet<String>,
    /// Feature flags by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub flags: BTreeSet<String>,
    /// Models of the host by name, for vectors and for tensors.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub models: BTreeSet<String>,
}

/// Names that an operator grants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Names {
    /// Whatever a manifest names.
    #[default]
    Asked,
    /// Of what a manifest names, these.
    Only(BTreeSet<String>),
    /// Whatever a manifest names but these.
    Except(BTreeSet<String>),
}

/// What the operator grants to a plugin. By default whatever its manifest names, as far as it has the capability to use it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReachGrant {
    /// Upstreams.
    pub upstreams: Names,
    /// Hosts, as in [`Reach::hosts`].
    pub hosts: Names,
    /// Feature flags.
    pub flags: Names,
    /// Models.
    pub models: Names,
}

/// What the operator grants to plugins named one by one; everybody else has the default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReachGrants {
    /// For plugins without an entry of their own.
    pub default: ReachGrant,
    /// For these plugins, instead of the default.
    pub plugins: BTreeMap<PluginId, ReachGrant>,
}

impl ReachGrants {
    /// What this plugin may name: what it asks for and the operator grants.
    #[must_use]
    pub fn effective(&self, id: &PluginId, asked: &Reach) -> Reach {
        let grant = self.plugins.get(id).unwrap_or(&self.default);
        Reach {
            upstreams: grant.upstreams.of(&asked.upstreams, |granted, asked| granted == asked),
            hosts: grant.hosts.of(&asked.hosts, covers),
            flags: grant.flags.of(&asked.flags, |granted, asked| granted == asked),
            models: grant.models.of(&asked.models, |granted, asked| granted == asked),
        }
    }
}

impl Names {
    fn of(&self, asked: &BTreeSet<String>, fits: impl Fn(&str, &str) -> bool) -> BTreeSet<String> {
        match self {
            Self::Asked => asked.clone(),
            Self::Only(granted) => asked.iter().filter(|asked| granted.iter().any(|granted| fits(granted, asked))).cloned().collect(),
            Self::Except(kept) => asked.difference(kept).cloned().collect(),
        }
    }
}

impl Reach {
    /// Whether nothing is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.upstreams.is_empty() && self.hosts.is_empty() && self.flags.is_empty() && self.models.is_empty()
    }

    /// Says what is wrong with a manifest's names.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (key, names, fits) in [
            ("upstreams", &self.upstreams, is_name as fn(&str) -> bool),
            ("hosts", &self.hosts, is_host),
            ("flags", &self.flags, is_name),
            ("models", &self.models, is_name),
        ] {
            if names.len() > MAX_NAMES {
                return Err(format!("{key}: at most {MAX_NAMES} names"));
            }
            if let Some(wrong) = names.iter().find(|name| !fits(name)) {
                let shown: String = wrong.escape_debug().take(80).collect();
                return Err(format!("{key}: `{shown}` is no name of one"));
            }
        }
        Ok(())
    }

    /// Whether a host (lower case) may be asked at a port, which may be that of the scheme.
    pub(crate) fn allows_host(&self, host: &str, port: u16, is_default: bool) -> bool {
        self.hosts.iter().any(|pattern| {
            let (granted, granted_port) = split(pattern);
            let port_fits = match granted_port {
                None => is_default,
                Some("*") => true,
                Some(granted) => granted.parse() == Ok(port),
            };
            port_fits && below_or_same(granted, host)
        })
    }
}

/// Host and port of a pattern.
fn split(pattern: &str) -> (&str, Option<&str>) {
    pattern.split_once(':').map_or((pattern, None), |(host, port)| (host, Some(port)))
}

/// Kebab case with dots and underscores, as upstreams, flags and models are named in the configuration.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with(['-', '.', '_'])
}

/// Lower case, with `*.` in front and a port behind if need be. A lone `*` would be everything and is refused.
fn is_host(pattern: &str) -> bool {
    let (host, port) = split(pattern);
    let host = host.strip_prefix("*.").unwrap_or(host);
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(plain) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_port = |port: &str| port == "*" || port.parse::<u16>().is_ok_and(|port| port > 0);
    pattern.len() <= MAX_HOST && host.split('.').all(label) && port.is_none_or(is_port)
}

/// Whether everything that `asked` stands for is part of what `granted` stands for. Both may be hosts or patterns.
fn covers(granted: &str, asked: &str) -> bool {
    let ((granted, granted_port), (asked, asked_port)) = (split(granted), split(asked));
    below_or_same(granted, asked) && (granted_port == Some("*") || granted_port == asked_port)
}

/// Whether a host, or every host of a pattern, is one that `granted` stands for; ports aside.
fn below_or_same(granted: &str, asked: &str) -> bool {
    match granted.strip_prefix('*') {
        // `.example.com` is kept with its dot, so that `badexample.com` is not below `example.com`.
        Some(below) => asked.len() > below.len() && asked.ends_with(below),
        None => granted == asked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_plugin_reaches_what_it_names_and_the_operator_grants() {
        let id: PluginId = "adapter".parse().unwrap();
        let asked = Reach {
            upstreams: names(&["images", "talent"]),
            hosts: names(&["api.example.com"]),
            flags: names(&["new-crop"]),
            models: names(&["clip", "lite0"]),
        };
        assert_eq!(ReachGrants::default().effective(&id, &asked), asked);
        let grant = ReachGrant {
            upstreams: Names::Only(names(&["talent", "other"])),
            hosts: Names::Only(names(&["*.example.org"])),
            flags: Names::Asked,
            models: Names::Only(names(&["lite0", "other"])),
        };
        let grants = ReachGrants { plugins: [(id.clone(), grant)].into(), ..ReachGrants::default() };
        let effective =
            Reach { upstreams: names(&["talent"]), hosts: BTreeSet::new(), flags: names(&["new-crop"]), models: names(&["lite0"]) };
        assert_eq!(grants.effective(&id, &asked), effective);
        assert_eq!(grants.effective(&"other".parse().unwrap(), &asked), asked);
        let except = ReachGrant { upstreams: Names::Except(names(&["talent", "other"])), ..ReachGrant::default() };
        let grants = ReachGrants { default: except, ..ReachGrants::default() };
        assert!(!grants.effective(&id, &asked).upstreams.contains("talent"));
    }

    #[test]
    fn a_pattern_covers_what_lies_below_it() {
        for (granted, asked, expected) in [
            ("api.example.com", "api.example.com", true),
            ("api.example.com", "api.example.com:8080", false),
            ("api.example.com", "api.example.com:*", false),
            ("api.example.com:*", "api.example.com", true),
            ("api.example.com:*", "api.example.com:8080", true),
            ("api.example.com:443", "api.example.com", false),
            ("api.example.com:443", "api.example.com:443", true),
            ("*.example.com", "api.example.com", true),
            ("*.example.com", "*.eu.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "badexample.com", false),
            ("api.example.com", "*.example.com", false),
        ] {
            assert_eq!(covers(granted, asked), expected, "{granted} {asked}");
        }
        let reach = Reach { hosts: names(&["*.example.com", "127.0.0.1:8080"]), ..Reach::default() };
        assert!(reach.allows_host("api.example.com", 443, true) && reach.allows_host("127.0.0.1", 8080, false));
        assert!(!reach.allows_host("127.0.0.1", 80, true) && !reach.allows_host("example.com", 443, true));
        assert!(!reach.allows_host("api.example.com", 8443, false), "without a port, the scheme's own");
        let reach = Reach { hosts: names(&["localhost:*"]), ..Reach::default() };
        assert!(reach.allows_host("localhost", 9, false) && reach.allows_host("localhost", 80, true));
    }

    #[test]
    fn names_that_are_none_are_refused() {
        let reach = |upstreams: &[&str], hosts: &[&str]| Reach { upstreams: names(upstreams), hosts: names(hosts), ..Reach::default() };
        assert_eq!(reach(&["image-service", "a.b_c"], &["localhost", "*.a.b", "10.0.0.1:80", "a.b:*"]).check(), Ok(()));
        for wrong in ["", "-a", "A", "a/b", "a b", &"a".repeat(65)] {
            assert!(reach(&[wrong], &[]).check().is_err(), "{wrong}");
        }
        for wrong in ["", "*", "*.", "a..b", "http://a", "a:0", "a:70000", "A.b", "-a.b", "a/b"] {
            assert!(reach(&[], &[wrong]).check().is_err(), "{wrong}");
        }
        let many: BTreeSet<_> = (0..65).map(|number| format!("u{number}")).collect();
        assert!(Reach { flags: many.clone(), ..Reach::default() }.check().is_err());
        assert!(Reach { models: many, ..Reach::default() }.check().is_err());
        assert!(Reach { models: names(&["/etc"]), ..Reach::default() }.check().is_err());
    }
}
