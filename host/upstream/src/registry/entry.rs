//! What services say of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use breakwater_core::Failure;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::statistics::ServiceMetrics;
use crate::endpoint::Endpoint;

/// What a service registers with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Names this instance. Given again, it replaces the entry; not given, one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it is called by; instances of one service share it. Lower-case letters, digits, `-`, `_` and `.`, at most 128.
    pub name: String,
    /// Its base URL, http or https, without user name, query or fragment.
    pub url: String,
    /// Its version, for people.
    #[serde(default)]
    pub version: String,
    /// What it can do, such as `object-detection`. At most 64.
    #[serde(default)]
    pub capabilities: BTreeSet<String>,
    /// What else it is found by, such as `gpu`. At most 64.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Its share of the calls among instances of its name; 1 to 1000.
    #[serde(default = "one")]
    pub weight: u32,
    /// How long it stays without a heartbeat, in milliseconds; 1000 to 86 400 000. Not given: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// Anything else, never interpreted. At most 64 names.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

const fn one() -> u32 {
    1
}

impl Registration {
    /// The longest name, id, capability, tag or name of metadata, in bytes.
    pub const MAX_NAME: usize = 128;
    /// The longest URL, version or value of metadata, in bytes.
    pub const MAX_TEXT: usize = 1024;
    /// The most capabilities, tags, or names of metadata.
    pub const MAX_ITEMS: usize = 64;
    /// The largest weight.
    pub const MAX_WEIGHT: u32 = 1000;
    /// The shortest TTL, in milliseconds.
    pub const MIN_TTL_MS: u64 = 1000;
    /// The longest TTL, in milliseconds: a day.
    pub const MAX_TTL_MS: u64 = 86_400_000;

    /// The service `name` at `url` with nothing else said.
    #[must_use]
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            id: None,
            name: name.into(),
            url: url.into(),
            version: String::new(),
            capabilities: BTreeSet::new(),
            tags: BTreeSet::new(),
            weight: 1,
            ttl_ms: None,
            metadata: BTreeMap::new(),
        }
    }
}

/// What a service says from time to time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// Whether it is well.
    pub healthy: bool,
    /// How long its answers take at the moment, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_ms: Option<f64>,
}

impl Heartbeat {
    pub(crate) fn check(self) -> Result<(), Failure> {
        // Nobody measures a time that is negative or no number, nor one of more than a day.
        match self.response_ms {
            Some(time) if !(0.0..=86_400_000.0).contains(&time) => {
                Err(invalid(vec![json!({ "pointer": "/response_ms", "message": "is a number of milliseconds from 0 to a day" })]))
            }
            _ => Ok(()),
        }
    }
}

/// A registered service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Service {
    /// Names this instance.
    pub id: String,
    /// What it is called by.
    pub name: String,
    /// Its base URL.
    pub url: String,
    /// Its version.
    pub version: String,
    /// What it can do.
    pub capabilities: BTreeSet<String>,
    /// What else it is found by.
    pub tags: BTreeSet<String>,
    /// Its share of the calls.
    pub weight: u32,
    /// How long it stays without a heartbeat, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// Anything else.
    pub metadata: BTreeMap<String, String>,
    /// What it said last of how it is; a new one is well.
    pub healthy: bool,
    /// What it said last of how long its answers take, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_ms: Option<f64>,
    /// When it registered first, in milliseconds since 1970.
    pub registered_at_ms: u64,
    /// When it last registered or sent a heartbeat, in milliseconds since 1970.
    pub heartbeat_at_ms: u64,
    /// What calls through this host found, since the host started.
    pub metrics: ServiceMetrics,
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}

/// Whether `name` can name a service or an upstream.
pub(crate) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    (1..=Registration::MAX_NAME).contains(&name.len()) && name.bytes().all(allowed)
}

/// Whether `text` can be a word that people give: visible, without spaces at its ends, bounded.
fn is_word(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.trim() == text && !text.chars().any(char::is_control)
}

fn invalid(violations: Vec<Value>) -> Failure {
    Failure::invalid("registry.invalid", "the registration cannot be meant; `violations` says where")
        .with_detail(json!({ "violations": violations }))
}

/// Refuses a registration with everything that is wrong about it.
pub(crate) fn check(registration: &Registration) -> Result<(), Failure> {
    let mut violations = Vec::new();
    let mut require = |holds: bool, pointer: &str, message: &str| {
        if !holds {
            violations.push(json!({ "pointer": pointer, "message": message }));
        }
    };
    let id_fits =
        registration.id.as_deref().is_none_or(|id| is_word(id, Registration::MAX_NAME) && id.bytes().all(|byte| byte.is_ascii_graphic()));
    require(
        id_fits && !registration.id.as_deref().is_some_and(|id| id.contains('/')),
        "/id",
        "is 1 to 128 visible ASCII characters, no `/`",
    );
    require(is_name(&registration.name), "/name", "is 1 to 128 lower-case letters, digits, `-`, `_` and `.`");
    let url = Endpoint::new("", &registration.url).map_err(|error| error.to_string());
    require(url.is_ok(), "/url", url.as_ref().err().map_or("", String::as_str));
    require(registration.url.len() <= Registration::MAX_TEXT, "/url", "has at most 1024 bytes");
    let version_fits = registration.version.is_empty() || is_word(&registration.version, Registration::MAX_TEXT);
    require(version_fits, "/version", "has at most 1024 bytes and no control characters");
    for (pointer, words) in [("/capabilities", &registration.capabilities), ("/tags", &registration.tags)] {
        let fits = words.len() <= Registration::MAX_ITEMS && words.iter().all(|word| is_word(word, Registration::MAX_NAME));
        require(fits, pointer, "are at most 64, each of 1 to 128 bytes");
    }
    require((1..=Registration::MAX_WEIGHT).contains(&registration.weight), "/weight", "is from 1 to 1000");
    let ttl_fits = registration.ttl_ms.is_none_or(|ttl| (Registration::MIN_TTL_MS..=Registration::MAX_TTL_MS).contains(&ttl));
    require(ttl_fits, "/ttl_ms", "is from 1000 to 86400000");
    let metadata_fits = registration.metadata.len() <= Registration::MAX_ITEMS
        && registration.metadata.iter().all(|(name, value)| is_word(name, Registration::MAX_NAME) && value.len() <= Registration::MAX_TEXT);
    require(metadata_fits, "/metadata", "has at most 64 names of 1 to 128 bytes, with values of at most 1024");
    if violations.is_empty() { Ok(()) } else { Err(invalid(violations)) }
}
