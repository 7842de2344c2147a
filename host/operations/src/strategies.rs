//! The strategies there are, and what to say about one that is not.

use breakwater_core::{Failure, Strategy};
use serde_json::json;

use crate::operations::Operations;
use crate::plan::PluginIdentity;

/// A strategy and who offers it.
#[derive(Debug, Clone, PartialEq)]
pub struct StrategyInfo {
    /// As its plugin describes it.
    pub strategy: Strategy,
    /// The generation that would serve it now.
    pub plugin: PluginIdentity,
}

impl Operations {
    /// Every strategy of the active plugins, by name.
    #[must_use]
    pub fn strategies(&self) -> Vec<StrategyInfo> {
        let snapshot = self.catalogue().snapshot();
        let offered = snapshot.strategies();
        let mut strategies: Vec<_> = offered
            .map(|(strategy, generation)| StrategyInfo { strategy: strategy.clone(), plugin: PluginIdentity::of(generation) })
            .collect();
        strategies.sort_by(|a, b| a.strategy.name.cmp(&b.strategy.name));
        strategies
    }
}

/// The failure for a name nobody offers.
pub(crate) fn unknown(name: &str, mut known: Vec<String>) -> Failure {
    known.sort_unstable();
    let name: String = name.chars().take(64).collect();
    if known.is_empty() {
        return Failure::invalid("strategy.unknown", format!("there is no strategy {name:?}: no active plugin offers any"));
    }
    let closest = closest(&name, known.iter().map(String::as_str));
    let suggestion = closest.map(|known| format!(" did you mean {known:?}?")).unwrap_or_default();
    let message = format!("there is no strategy {name:?};{suggestion} known are {}", known.join(", "));
    Failure::invalid("strategy.unknown", message).with_detail(json!({ "known": known, "closest": closest }))
}

/// The candidate most like `text`, if any is like it at all: at most a third of its letters differ.
#[must_use]
pub fn closest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(&text.to_lowercase(), &candidate.to_lowercase());
    let measured = candidates.into_iter().map(|candidate| (distance(candidate), candidate));
    let close = measured.filter(|(distance, candidate)| *distance <= candidate.chars().count().div_ceil(3));
    close.min().map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_answered_with_the_name_that_was_meant() {
        let known = || vec!["center_faces".to_owned(), "center".to_owned(), "portrait".to_owned()];
        let failure = unknown("center_face", known());
        assert_eq!(failure.code, "strategy.unknown");
        assert_eq!(failure.detail.clone().unwrap()["closest"], "center_faces");
        assert_eq!(
            failure.message,
            "there is no strategy \"center_face\"; did you mean \"center_faces\"? known are center, center_faces, portrait"
        );
        assert!(!unknown("qqqqqqq", known()).message.contains("did you mean"));
    }

    #[test]
    fn a_huge_name_is_not_echoed_whole() {
        assert!(unknown(&"x".repeat(10_000), vec!["center".to_owned()]).message.len() < 200);
        assert!(unknown("center", Vec::new()).message.contains("no active plugin"));
    }
}
