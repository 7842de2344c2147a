//! Words that mean that something is not finished, and words that belong to somebody's machine.

use std::path::{Path, PathBuf};

use super::Finding;
use super::tree::Tree;

/// Text that must not occur, where, and why. The texts are put together here so that this file does not hold them.
struct Word {
    text: &'static str,
    whole_word: bool,
    extensions: &'static [&'static str],
    why: &'static str,
}

const SOURCES: &[&str] = &["rs", "wit", "py", "js", "ts", "sh"];
const UNFINISHED: &str = "what is on the main branch is finished; what is not is an issue";
const PRIVATE: &str = "a path of somebody's machine means nothing on any other";
const ANY: &[&str] = &[];

const WORDS: &[Word] = &[
    Word { text: concat!("to", "do!("), whole_word: false, extensions: SOURCES, why: UNFINISHED },
    Word { text: concat!("unimple", "mented!("), whole_word: false, extensions: SOURCES, why: UNFINISHED },
    Word { text: concat!("FIX", "ME"), whole_word: true, extensions: SOURCES, why: UNFINISHED },
    Word { text: concat!("X", "XX"), whole_word: true, extensions: SOURCES, why: UNFINISHED },
    Word { text: concat!("HA", "CK"), whole_word: true, extensions: SOURCES, why: UNFINISHED },
    Word { text: concat!("TO", "DO"), whole_word: true, extensions: SOURCES, why: UNFINISHED },
    Word { text: concat!("place", "holder"), whole_word: true, extensions: SOURCES, why: UNFINISHED },
    Word { text: concat!("simplified ", "version"), whole_word: true, extensions: SOURCES, why: UNFINISHED },
    Word { text: concat!("simplified ", "implementation"), whole_word: true, extensions: SOURCES, why: UNFINISHED },
    Word { text: concat!("for ", "now,"), whole_word: false, extensions: SOURCES, why: UNFINISHED },
    Word { text: concat!("for ", "now."), whole_word: false, extensions: SOURCES, why: UNFINISHED },
    Word {
        text: concat!("#[ig", "nore"),
        whole_word: false,
        extensions: SOURCES,
        why: "a test that does not run proves nothing; one that cannot run here says so and passes",
    },
    Word { text: concat!("/wo", "rk/"), whole_word: false, extensions: ANY, why: PRIVATE },
    Word { text: concat!("/ro", "ot/"), whole_word: false, extensions: ANY, why: PRIVATE },
    Word { text: concat!("/Us", "ers/"), whole_word: false, extensions: ANY, why: PRIVATE },
];

/// The folders of whoever runs this: nobody else has them.
fn own_folders(tree: &Tree) -> Vec<String> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let folders = home.into_iter().chain([tree.root().to_path_buf()]);
    // A short path, such as `/` in a container, would be found everywhere.
    folders.filter(|folder| folder.components().count() > 2).map(|folder| folder.display().to_string()).collect()
}

/// Finds forbidden words, silenced lints without a reason, and `mod.rs`.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let own = own_folders(tree);
    for (path, text) in tree.texts() {
        if path.ends_with("mod.rs") {
            findings.push(Finding::new(
                path,
                0,
                "a module's file has the module's name: `name.rs`",
                "ten tabs called `mod.rs` cannot be told apart",
            ));
        }
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        for (number, line) in (1..).zip(text.lines()) {
            let broken = WORDS
                .iter()
                .filter(|word| word.extensions.is_empty() || word.extensions.contains(&extension))
                .filter(|word| word.occurs_in(line));
            findings.extend(broken.map(|word| Finding::new(path, number, format!("`{}`", word.text), word.why)));
        }
        for folder in own.iter().filter(|folder| text.contains(folder.as_str())) {
            findings.push(Finding::new(path, 0, format!("`{folder}`"), PRIVATE));
        }
        if extension == "rs" {
            findings.extend(silenced_lints(path, text));
        }
    }
    findings
}

impl Word {
    fn occurs_in(&self, line: &str) -> bool {
        line.match_indices(self.text).any(|(at, _)| {
            let before = line.get(..at).and_then(|text| text.chars().next_back());
            let after = line.get(at + self.text.len()..).and_then(|text| text.chars().next());
            let continues = |neighbour: Option<char>| neighbour.is_some_and(|c| c.is_alphanumeric() || c == '_');
            !self.whole_word || !(continues(before) || continues(after))
        })
    }
}

/// `allow` hides a lint for good; `expect` with a reason tells why and falls when it is no longer needed.
fn silenced_lints(path: &Path, text: &str) -> Vec<Finding> {
    let openings = [concat!("#[al", "low("), concat!("#![al", "low("), concat!("#[ex", "pect("), concat!("#![ex", "pect(")];
    let found = openings.iter().flat_map(|opening| text.match_indices(opening)).filter_map(|(at, opening)| {
        // Up to the bracket that closes the attribute, which a formatter may have put on another line.
        let attribute = text.get(at..)?.split(")]").next()?;
        if attribute.contains("reason") {
            return None;
        }
        let line = text.get(..at)?.matches('\n').count() + 1;
        Some(Finding::new(
            path,
            line,
            format!("`{opening}…)]` without a reason"),
            "a lint is silenced for a reason, and the next reader needs it",
        ))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|finding| format!("{}: {}", finding.line, finding.what)).collect()
    }

    #[test]
    fn unfinished_work_is_found_in_sources_only() {
        let text = concat!("fn a() {}\nfn b() { to", "do!() }\n");
        assert_eq!(found("host/core/src/a.rs", text), [concat!("2: `to", "do!(`")]);
        assert_eq!(found("CHANGELOG.md", text), [] as [&str; 0]);
    }

    #[test]
    fn a_word_inside_of_another_is_not_that_word() {
        assert_eq!(found("a.rs", concat!("const HA", "CKNEY: u8 = 1;")), [] as [&str; 0]);
        assert_eq!(found("a.rs", concat!("// HA", "CK: x")).len(), 1);
    }

    #[test]
    fn a_silenced_lint_needs_a_reason_even_over_several_lines() {
        assert_eq!(found("a.rs", concat!("\n#[al", "low(dead_code)]\nfn a() {}")).len(), 1);
        assert_eq!(found("a.rs", "#[expect(\n    dead_code,\n    reason = \"kept for the proof\"\n)]\nfn a() {}"), [] as [&str; 0]);
    }

    #[test]
    fn paths_of_a_machine_are_found_in_every_text() {
        assert_eq!(found("README.md", concat!("see /Us", "ers/me/x")).len(), 1);
    }

    #[test]
    fn a_module_file_has_the_modules_name() {
        assert_eq!(found("host/core/src/a/mod.rs", ""), ["0: a module's file has the module's name: `name.rs`"]);
    }
}
