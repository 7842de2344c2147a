//! Files stay short enough to be read at once.

use std::path::Path;

use super::Finding;
use super::tree::Tree;

const LONGEST: usize = 600;
const LONG: usize = 400;

/// Files that may be longer, each with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// Finds Rust files over the limit.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let why = "a file holds one idea; a long one hides several, and reviews skim it";
    let over = lengths(tree).filter(|(path, lines)| *lines > LONGEST && !EXCEPTIONS.iter().any(|(name, _)| Path::new(name) == *path));
    over.map(|(path, lines)| Finding::new(path, 0, format!("{lines} lines; at most {LONGEST}"), why)).collect()
}

/// Rust files that are on their way there.
pub(super) fn warnings(tree: &Tree) -> Vec<String> {
    let long = lengths(tree).filter(|(_, lines)| (LONG + 1..=LONGEST).contains(lines));
    long.map(|(path, lines)| format!("{}: {lines} lines; consider splitting it", path.display())).collect()
}

fn lengths(tree: &Tree) -> impl Iterator<Item = (&Path, usize)> {
    tree.texts_with("rs").map(|(path, text)| (path, text.lines().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_last_length_allowed() {
        let file = |lines: usize| "x\n".repeat(lines);
        let tree = Tree::of(&[("a.rs", &file(601)), ("b.rs", &file(600)), ("c.rs", &file(400)), ("d.md", &file(5000))]);
        assert_eq!(check(&tree).iter().map(|finding| finding.what.as_str()).collect::<Vec<_>>(), ["601 lines; at most 600"]);
        assert_eq!(warnings(&tree), ["b.rs: 600 lines; consider splitting it"]);
    }
}
