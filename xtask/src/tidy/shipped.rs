//! What others made is shipped only with its terms.

use std::path::Path;

use super::Finding;
use super::tree::Tree;

/// Folders with files of others, the text that must name each of them, and which files those are.
const SHIPPED: &[(&str, &str, &[&str])] = &[
    ("models", "models/README.md", &["safetensors", "gz", "txt"]),
    ("tests/images", "tests/images/LICENSES.md", &["png", "jpg", "jpeg", "webp", "avif", "gif"]),
];

const WHY: &str = "a file of unknown origin cannot be distributed";

/// Finds weights and photographs that nobody credits, and models without the text of a licence.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (folder, credits, extensions) in SHIPPED {
        let terms = tree.text(credits).unwrap_or_default();
        let files = tree.files().filter(|path| path.parent() == Some(Path::new(folder)));
        for path in files.filter(|path| path.extension().is_some_and(|found| extensions.iter().any(|extension| found == *extension))) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !terms.contains(&*name) {
                findings.push(Finding::new(path, 0, format!("{credits} does not name it"), WHY));
            }
            if name.ends_with(".safetensors") && !has_licence(tree, terms, &name) {
                findings.push(Finding::new(path, 0, format!("its line in {credits} names no file of models/licenses/"), WHY));
            }
        }
    }
    findings
}

/// Whether the line about the file names a licence text that is there.
fn has_licence(tree: &Tree, terms: &str, name: &str) -> bool {
    let about: String = terms.lines().filter(|line| line.contains(&format!("`{name}`"))).collect();
    let mut licences = tree.files().filter(|path| path.starts_with("models/licenses")).filter_map(|path| path.file_name()?.to_str());
    licences.any(|file| about.contains(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photograph_without_credit_is_reported() {
        let tree = Tree::of(&[("tests/images/a.png", ""), ("tests/images/b.png", ""), ("tests/images/LICENSES.md", "| `a.png` | CC0 |")]);
        assert_eq!(check(&tree).into_iter().map(|finding| finding.file).collect::<Vec<_>>(), [Path::new("tests/images/b.png")]);
    }

    #[test]
    fn weights_need_the_text_of_their_licence() {
        let readme = ("models/README.md", "| `net.safetensors` | BSD, `licenses/net-BSD.txt` |");
        assert_eq!(check(&Tree::of(&[("models/net.safetensors", ""), readme])).len(), 1);
        assert_eq!(check(&Tree::of(&[("models/net.safetensors", ""), ("models/licenses/net-BSD.txt", ""), readme])), []);
    }
}
