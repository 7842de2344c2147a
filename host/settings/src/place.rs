//! Where a value belongs: a section, for named sections the name, and a key.

use std::fmt;

use crate::reader::ENVIRONMENT_PREFIX;

/// The longest name of an upstream, sidecar, chain or flag, in bytes.
pub const MAX_NAME: usize = 64;

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

/// Why a name cannot be used.
pub(crate) fn no_name(text: &str) -> String {
    let text: String = text.chars().take(MAX_NAME + 1).collect();
    format!("{} is no name: lower-case letters and digits, joined by single hyphens, at most {MAX_NAME}", crate::value::quoted(&text))
}
