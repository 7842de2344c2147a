//! Whether a value of one JSON Schema can be a value of another, as far as that can be told without one.
//!
//! What cannot be told counts as fitting: only what is certain is reported. Understood are `type`, `properties`, `required`,
//! `additionalProperties`, `items`, `enum`, `const`, `allOf` and local `$ref`.

mod types;
mod view;

use serde_json::Value;

use types::Types;
use view::{Schema, View};

/// How a part does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// No value fits.
    Never,
    /// Some values may not.
    Perhaps,
}

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) fit: Fit,
    pub(super) message: String,
}

/// How deep schemas are followed.
const DEPTH: usize = 16;
/// Parts of schemas that are looked at.
const WORK: usize = 10_000;
/// Misfits that are told of one connection.
const TOLD: usize = 16;

/// What of a value of `output` does not fit `input`.
pub(super) fn misfits(output: &Value, input: &Value) -> Vec<Misfit> {
    let mut comparison = Comparison { work: WORK, found: Vec::new() };
    comparison.compare(&Schema::root(output), &Schema::root(input), "", DEPTH);
    comparison.found.truncate(TOLD);
    comparison.found
}

struct Comparison {
    work: usize,
    found: Vec<Misfit>,
}

impl Comparison {
    /// Compares what one gives with what the other wants at `path`.
    fn compare(&mut self, given: &Schema<'_>, wanted: &Schema<'_>, path: &str, depth: usize) {
        let Some(depth) = depth.checked_sub(1).filter(|_| self.found.len() < TOLD) else { return };
        let (Some(given), Some(wanted)) = (View::of(given, &mut self.work), View::of(wanted, &mut self.work)) else { return };
        let both = given.types.and(wanted.types);
        // A schema that nothing fits is wrong in itself.
        if given.types.is_empty() || wanted.types.is_empty() {
            return;
        }
        if both.is_empty() {
            self.tell(Fit::Never, format!("{} is {}, and {} is wanted", part(path), given.types, wanted.types));
        } else if given.is_disjoint(&wanted) {
            self.tell(Fit::Never, format!("{} is none of the values that are wanted", part(path)));
        } else if both == Types::OBJECT {
            self.objects(&given, &wanted, path, depth);
        } else if both == Types::ARRAY {
            self.items(&given, &wanted, path, depth);
        }
        // If it may also be something else, nothing is certain of its parts.
    }

    fn objects(&mut self, given: &View<'_>, wanted: &View<'_>, path: &str, depth: usize) {
        for name in &wanted.required {
            let at = format!("{path}/{name}");
            if given.excludes(name) {
                self.tell(Fit::Never, format!("{} is wanted, and cannot be there", part(&at)));
                continue;
            }
            if let (Some(given), Some(wanted)) = (given.property(name), wanted.property(name)) {
                self.compare(&given, &wanted, &at, depth);
            }
            if !given.required.contains(name) && given.is_described() {
                self.tell(Fit::Perhaps, format!("{} is wanted, and need not be there", part(&at)));
            }
        }
        for name in given.required.difference(&wanted.required) {
            let at = format!("{path}/{name}");
            if wanted.excludes(name) {
                self.tell(Fit::Never, format!("{} is always there, and must not be", part(&at)));
            } else if let (Some(given), Some(wanted)) = (given.property(name), wanted.property(name)) {
                self.compare(&given, &wanted, &at, depth);
            }
        }
    }

    /// An empty list fits whatever the items are, so that nothing is certain of them.
    fn items(&mut self, given: &View<'_>, wanted: &View<'_>, path: &str, depth: usize) {
        if let (Some(given), Some(wanted)) = (given.items(), wanted.items()) {
            let before = self.found.len();
            self.compare(&given, &wanted, &format!("{path}/*"), depth);
            self.found.iter_mut().skip(before).for_each(|misfit| misfit.fit = Fit::Perhaps);
        }
    }

    fn tell(&mut self, fit: Fit, message: String) {
        self.found.push(Misfit { fit, message });
    }
}

/// A part of the value, as a message names it.
fn part(path: &str) -> String {
    if path.is_empty() { "it".to_owned() } else { format!("`{}`", super::findings::shown(path)) }
}

#[cfg(test)]
mod tests;
