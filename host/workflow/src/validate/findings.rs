//! Collects what is found.

use std::borrow::Cow;

use super::{MAX_PROBLEMS, Problem, Report};

/// What was found so far.
pub(super) struct Findings {
    strict: bool,
    report: Report,
    unlisted: usize,
}

impl Findings {
    pub(super) fn new(strict: bool) -> Self {
        Self { strict, report: Report::default(), unlisted: 0 }
    }

    /// Adds what cannot be stored.
    pub(super) fn error(&mut self, pointer: impl Into<String>, code: &'static str, message: impl Into<String>) {
        if self.report.errors.len() >= MAX_PROBLEMS {
            self.unlisted += 1;
            return;
        }
        self.report.errors.push(Problem { pointer: pointer.into(), code, message: message.into() });
    }

    /// Adds what may be stored.
    pub(super) fn warning(&mut self, pointer: impl Into<String>, code: &'static str, message: impl Into<String>) {
        if self.report.warnings.len() < MAX_PROBLEMS {
            self.report.warnings.push(Problem { pointer: pointer.into(), code, message: message.into() });
        }
    }

    /// Adds that something is not there: it may still come.
    pub(super) fn missing(&mut self, pointer: impl Into<String>, code: &'static str, message: impl Into<String>) {
        if self.strict { self.error(pointer, code, message) } else { self.warning(pointer, code, message) }
    }

    /// Whether nothing more will be listed.
    pub(super) fn is_full(&self) -> bool {
        self.report.errors.len() >= MAX_PROBLEMS
    }

    /// Everything that was found, in the order of the document.
    pub(super) fn report(mut self) -> Report {
        self.report.errors.sort_by(|left, right| order(&left.pointer, &right.pointer));
        self.report.warnings.sort_by(|left, right| order(&left.pointer, &right.pointer));
        if self.unlisted > 0 {
            let message = format!("{} further problems are not listed", self.unlisted);
            self.report.errors.push(Problem { pointer: String::new(), code: "definition.more-problems", message });
        }
        self.report
    }
}

/// Pointers in the order of a document: places in lists by number.
pub(super) fn order(left: &str, right: &str) -> std::cmp::Ordering {
    let part = |part: &str| part.parse::<u64>().map_or_else(|_| (1, 0, part.to_owned()), |number| (0, number, String::new()));
    left.split('/').map(part).cmp(right.split('/').map(part))
}

/// A name as part of a JSON Pointer.
pub(super) fn escaped(name: &str) -> Cow<'_, str> {
    if name.contains(['~', '/']) { Cow::Owned(name.replace('~', "~0").replace('/', "~1")) } else { Cow::Borrowed(name) }
}

/// The end of a message that says what was probably meant.
pub(super) fn meant(name: &str, candidates: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let candidates: Vec<_> = candidates.into_iter().collect();
    let close = crate::closest::to(name, candidates.iter().map(AsRef::as_ref));
    close.map(|close| format!("; is `{close}` meant?")).unwrap_or_default()
}

/// A text of a caller as a message shows it.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
    }
}
