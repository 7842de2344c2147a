//! Where a value belongs: a section, for named sections the name, and a key.

use std::fmt;

use crate::reader::ENVIRONMENT_PREFIX;

/// The longest name of an upstream, sidecar, chain or flag, in bytes.
pub const MAX_NAME: usize = 64;
/// The longest name of a service or of an action, in bytes.
const MAX_ACTION_NAME: usize = 128;

/// One key of one section or entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) section: &'static str,
    pub(crate) name: Option<String>,
    pub(crate) key: &'static str,
}

impl Place {
    pub(crate) fn new(section: &'static str, name: Option<&str>, key: &'static str) -> Self {
        Self { section, name: name.map(ToOwned::to_owned), key }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", table(self.section, self.name.as_deref()), self.key)
    }
}

/// What the heading of a table holds: `server`, or `upstreams.image-service`.
pub(crate) fn table(section: &str, name: Option<&str>) -> String {
    name.map_or_else(|| section.to_owned(), |name| format!("{section}.{name}"))
}

/// The variable that sets a key.
pub(crate) fn environment_variable(section: &str, name: Option<&str>, key: &str) -> String {
    let name = name.map(|name| format!("{}__", name.to_uppercase().replace('-', "_"))).unwrap_or_default();
    format!("{ENVIRONMENT_PREFIX}{}__{name}{}", section.to_uppercase(), key.to_uppercase())
}

/// A name as a variable writes it, as the file does: `IMAGE_SERVICE` is `image-service`.
pub(crate) fn name_of_variable(text: &str) -> String {
    text.to_lowercase().replace('_', "-")
}

/// Whether it is kebab case: lower-case letters, digits and single hyphens between them.
pub(crate) fn is_kebab(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    text.len() <= MAX_NAME && text.split('-').all(word)
}

/// Whether an entry of a named section may be called so. Chains are named like operations, and the action of a service is called
/// `service.action`.
pub(crate) fn may_name(section: &str, text: &str) -> bool {
    let of_service = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    let of_action = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_action = |(service, action): (&str, &str)| {
        let lengths = [service, action].iter().all(|name| (1..=MAX_ACTION_NAME).contains(&name.len()));
        lengths && service.bytes().all(of_service) && action.bytes().all(of_action)
    };
    is_kebab(text) || (section == "chains" && text.rsplit_once('.').is_some_and(is_action))
}

/// Why a name cannot be used.
pub(crate) fn no_name(text: &str) -> String {
    let text: String = text.chars().take(MAX_NAME + 1).collect();
    format!("{} is no name: lower-case letters and digits, joined by single hyphens, at most {MAX_NAME}", crate::value::quoted(&text))
}
