//! What is wrong with a batch, each with its place, so that all of it can be mended at once.

use std::fmt;

use breakwater_core::Failure;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The most that is told at once; of the rest, only how much it is.
pub(super) const MAX_TOLD: usize = 20;

/// What is wrong at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Violation {
    /// A JSON Pointer.
    pub(super) pointer: String,
    /// What.
    pub(super) message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.message),
            pointer => write!(f, "{pointer}: {}", self.message),
        }
    }
}

/// All that is wrong.
#[derive(Debug, Default)]
pub(super) struct Violations {
    told: Vec<Violation>,
    /// How many there are beyond those.
    more: usize,
}

impl Violations {
    /// What a failure lists; its message, where it lists nothing.
    pub(super) fn of(failure: &Failure) -> Self {
        let mut found = Self::default();
        let listed = failure.detail.as_ref().and_then(|detail| detail.get("violations")).and_then(Value::as_array);
        for one in listed.into_iter().flatten() {
            let text = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default();
            found.put(text("pointer"), text("message"));
        }
        if found.is_empty() {
            found.put("", failure.message.as_str());
        }
        found
    }

    /// Adds one.
    pub(super) fn put(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        if self.is_full() {
            self.more += 1;
        } else {
            self.told.push(Violation { pointer: pointer.into(), message: message.into() });
        }
    }

    /// Adds others, which lie below `place`.
    pub(super) fn put_below(&mut self, place: &str, others: Self) {
        for Violation { pointer, message } in others.told {
            self.put(format!("{place}{pointer}"), message);
        }
        self.more += others.more;
    }

    /// The same without the beginning `place` of their places.
    pub(super) fn within(mut self, place: &str) -> Self {
        for one in &mut self.told {
            if let Some(rest) = one.pointer.strip_prefix(place) {
                one.pointer = rest.to_owned();
            }
        }
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Whether as many are there as are told.
    pub(super) fn is_full(&self) -> bool {
        self.told.len() >= MAX_TOLD
    }

    /// The failure that tells all of it; its message is what `tell` makes of the first, and how many more there are.
    pub(super) fn into_failure(self, code: &'static str, tell: impl FnOnce(&Violation) -> String) -> Failure {
        let mut message = self.told.first().map(tell).unwrap_or_default();
        let further = (self.told.len() + self.more).saturating_sub(1);
        if further > 0 {
            message.push_str(&format!(" (and {further} more)"));
        }
        let mut detail = Map::from_iter([("violations".to_owned(), json!(self.told))]);
        if self.more > 0 {
            detail.insert("more".to_owned(), self.more.into());
        }
        Failure::invalid(code, message).with_detail(Value::Object(detail))
    }
}

/// A name as a part of a JSON Pointer, no longer than anybody needs to find it.
pub(super) fn part(name: &str) -> String {
    let name: String = name.chars().take(64).collect();
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_told_and_the_others_counted() {
        let mut inner = Violations::default();
        (0..MAX_TOLD + 2).for_each(|index| inner.put(format!("/{index}"), "is wrong"));
        let mut all = Violations::default();
        all.put("", "is wrong as a whole");
        all.put_below("/images", inner);
        let failure = all.into_failure("batch.entry-invalid", |first| format!("the list {first}"));
        assert_eq!(failure.message, "the list is wrong as a whole (and 22 more)");
        let detail = failure.detail.unwrap();
        let told = detail["violations"].as_array().unwrap();
        assert_eq!((told.len(), &told[1]["pointer"], &detail["more"]), (MAX_TOLD, &json!("/images/0"), &json!(3)));
    }

    #[test]
    fn a_failure_that_lists_nothing_is_told_by_its_message() {
        let listing = Failure::invalid("a", "b").with_detail(json!({ "violations": [{ "pointer": "/x/y", "message": "m" }] }));
        let failure = Violations::of(&listing).within("/x").into_failure("c", Violation::to_string);
        assert_eq!((&*failure.message, failure.detail), ("/y: m", Some(json!({ "violations": [{ "pointer": "/y", "message": "m" }] }))));
        assert_eq!(Violations::of(&Failure::invalid("a", "b")).into_failure("c", Violation::to_string).message, "b");
        assert_eq!(part("a/b~c"), "a~1b~0c");
    }
}
