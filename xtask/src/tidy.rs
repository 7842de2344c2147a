//! `cargo xtask tidy`: the rules of the tree that the compiler does not check. Each says why it exists when it is broken.

mod contract;
mod homes;
mod layering;
mod lengths;
mod members;
mod shipped;
mod tree;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

use self::tree::Tree;

/// One place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: PathBuf,
    /// From 1; 0 means the whole file.
    line: usize,
    what: String,
    why: &'static str,
}

impl Finding {
    fn new(file: impl Into<PathBuf>, line: usize, what: impl Into<String>, why: &'static str) -> Self {
        Self { file: file.into(), line, what: what.into(), why }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}\n    why: {}", self.what, self.why)
    }
}

/// Everything that is wrong with a tree, in the order of its files.
fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    findings.extend(layering::check(tree)?);
    findings.extend(homes::check(tree)?);
    findings.extend(members::check(tree)?);
    findings.extend(lengths::check(tree));
    findings.extend(words::check(tree));
    findings.extend(contract::check(tree)?);
    findings.extend(shipped::check(tree));
    findings.sort();
    findings.dedup();
    Ok(findings)
}

/// Checks the tree below `root` and prints what is wrong.
///
/// # Errors
/// When a file that a rule needs cannot be read.
pub(crate) fn run(root: &Path) -> Result<ExitCode> {
    let tree = Tree::read(root)?;
    for warning in lengths::warnings(&tree) {
        eprintln!("warning: {warning}");
    }
    let findings = check(&tree)?;
    for finding in &findings {
        eprintln!("{finding}\n");
    }
    if findings.is_empty() {
        println!("tidy: {} files, nothing to mend", tree.files().count());
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("tidy: {} to mend", findings.len());
    Ok(ExitCode::FAILURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_tree_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let findings = check(&Tree::read(root).unwrap()).unwrap();
        assert!(findings.is_empty(), "{}", findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_finding_names_place_matter_and_reason() {
        let finding = Finding::new("host/a.rs", 3, "something is wrong", "someone was hurt");
        assert_eq!(finding.to_string(), "host/a.rs:3: something is wrong\n    why: someone was hurt");
    }
}
