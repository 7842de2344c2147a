//! Every package of the workspace takes part in what the workspace decides once.

use anyhow::{Context, Result};
use toml::Table;

use super::Finding;
use super::tree::Tree;

/// Finds packages without the shared lints, without a profile of their own, or without a word about themselves.
pub(super) fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let root: Table = tree.text("Cargo.toml").unwrap_or_default().parse().context("Cargo.toml")?;
    let profiles = root.get("profile").and_then(|profile| profile.get("dev")?.get("package")?.as_table());
    let mut findings = Vec::new();
    for (folder, manifest) in tree.members()? {
        let file = format!("{folder}/Cargo.toml");
        let package = |key: &str| manifest.get("package").and_then(|package| package.get(key));
        let name = package("name").and_then(|name| name.as_str()).unwrap_or_default();
        let inherits = |value: Option<&toml::Value>| value.and_then(|value| value.get("workspace")?.as_bool()) == Some(true);
        if !inherits(manifest.get("lints")) {
            findings.push(Finding::new(
                &file,
                0,
                "lacks `[lints] workspace = true`",
                "a package outside of the lints may panic where the others must not",
            ));
        }
        if !["version", "edition", "rust-version", "license", "publish"].into_iter().all(|key| inherits(package(key))) {
            findings.push(Finding::new(
                &file,
                0,
                "version, edition, rust-version, license and publish come from the workspace",
                "one place decides what holds for all",
            ));
        }
        if package("description").is_none() {
            findings.push(Finding::new(&file, 0, "lacks a description", "a newcomer finds a crate by what it says of itself"));
        }
        if !profiles.is_some_and(|profiles| profiles.contains_key(name)) {
            findings.push(Finding::new(
                "Cargo.toml",
                0,
                format!("[profile.dev.package] lacks `{name}`"),
                "a package without an entry is compiled like a dependency: at full optimisation and without debug assertions",
            ));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBER: &str = "[package]\nname = \"breakwater-core\"\ndescription = \"x\"\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n[lints]\nworkspace = true\n";

    #[test]
    fn a_member_that_follows_the_workspace_is_fine() {
        let root = "[profile.dev.package]\nbreakwater-core = { opt-level = 1 }\n";
        assert_eq!(check(&Tree::of(&[("Cargo.toml", root), ("host/core/Cargo.toml", MEMBER)])).unwrap(), []);
    }

    #[test]
    fn a_member_without_lints_or_profile_is_reported() {
        let member = MEMBER.replace("[lints]\nworkspace = true\n", "");
        let findings = check(&Tree::of(&[("Cargo.toml", ""), ("host/core/Cargo.toml", &member)])).unwrap();
        assert_eq!(findings.len(), 2);
        assert!(findings[0].what.contains("[lints]") && findings[1].what.contains("[profile.dev.package]"));
    }
}
