//! Names of plugins.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names a plugin across its versions: kebab case, 1 to 64 bytes, such as `crop-people`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PluginId(String);

/// Text that cannot be a plugin's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a plugin's id is 1 to 64 lower-case letters and digits in words joined by `-`, starting with a letter; got {0:?}")]
pub struct InvalidPluginId(String);

impl PluginId {
    /// The longest id, in bytes.
    pub const MAX_LENGTH: usize = 64;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PluginId {
    type Err = InvalidPluginId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let starts_with_letter = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let valid = text.len() <= Self::MAX_LENGTH && starts_with_letter && text.split('-').all(word);
        valid.then(|| Self(text.to_owned())).ok_or_else(|| InvalidPluginId(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for PluginId {
    type Error = InvalidPluginId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PluginId> for String {
    fn from(id: PluginId) -> Self {
        id.0
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kebab_case_is_an_id() {
        for text in ["crop", "crop-people", "a1-2b"] {
            assert!(text.parse::<PluginId>().is_ok(), "{text}");
        }
        for text in ["", "-a", "a-", "a--b", "Crop", "1a", "a_b", "a/b", "..", "é", &"a".repeat(65)] {
            assert!(text.parse::<PluginId>().is_err(), "{text}");
        }
    }
}
