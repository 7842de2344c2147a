//! The levels at which a fallback answers.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::adapter::{MAX_NAME, is_kebab};
use crate::bindings::fallback::exports::breakwater::plugin::fallback;
use crate::error::PluginError;

/// The most levels of one plugin.
const MAX_LEVELS: usize = 64;

/// One way to answer an operation worse.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FallbackLevel {
    /// Which operation it answers.
    pub operation: String,
    /// Shown to callers, such as `basic-template`. Unique among the levels that one plugin has for the operation.
    pub name: String,
}

/// Turns what `describe` returned into levels, best first, or says what is wrong with it.
pub(crate) fn levels(described: Vec<fallback::Level>) -> Result<Vec<FallbackLevel>, PluginError> {
    let wrong = |what: String| Err(PluginError::DescribeInvalid(what));
    if described.is_empty() || described.len() > MAX_LEVELS {
        return wrong(format!("a fallback has 1 to {MAX_LEVELS} levels, not {}", described.len()));
    }
    let mut known = BTreeSet::new();
    let mut levels = Vec::with_capacity(described.len());
    for level in described {
        for name in [&level.operation, &level.name] {
            if !is_kebab(name) {
                let shown: String = name.escape_debug().take(MAX_NAME).collect();
                return wrong(format!("`{shown}` is no name: 1 to {MAX_NAME} lower-case letters and digits in words joined by `-`"));
            }
        }
        if !known.insert((level.operation.clone(), level.name.clone())) {
            return wrong(format!("the level `{}` of `{}` is there twice", level.name, level.operation));
        }
        levels.push(FallbackLevel { operation: level.operation, name: level.name });
    }
    Ok(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(operation: &str, name: &str) -> fallback::Level {
        fallback::Level { operation: operation.into(), name: name.into() }
    }

    #[test]
    fn levels_keep_their_order() {
        let levels = levels(vec![described("a", "good"), described("b", "good"), described("a", "bad")]).unwrap();
        let of_a: Vec<_> = levels.iter().filter(|level| level.operation == "a").map(|level| level.name.as_str()).collect();
        assert_eq!(of_a, ["good", "bad"]);
    }

    #[test]
    fn a_description_that_breaks_a_rule_is_refused() {
        for wrong in [
            vec![],
            vec![described("A", "a")],
            vec![described("a", "")],
            vec![described("a", "a b")],
            vec![described("a", "x"), described("a", "x")],
            (0..65).map(|number| described("a", &format!("l{number}"))).collect(),
        ] {
            assert_eq!(levels(wrong).unwrap_err().code(), "plugin.describe-invalid");
        }
    }
}
