//! The plugin contract: every item is explained, and what was released never changes its shape.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use wit_component::{OutputToString, WitPrinter};
use wit_parser::{Docs, PackageId, Resolve, TypeDefKind};

use super::Finding;
use super::tree::Tree;

const FROZEN: &str = "wit/frozen.toml";

/// wit/frozen.toml: the released contracts by `name@version`, with the digest of their shape.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Frozen {
    #[serde(default)]
    released: BTreeMap<String, String>,
}

/// Finds contract items without a description and released contracts that changed.
pub(super) fn check(tree: &Tree) -> Result<Vec<Finding>> {
    if !tree.files().any(|path| path.starts_with("wit")) {
        return Ok(Vec::new());
    }
    let frozen: Frozen = toml::from_str(tree.text(FROZEN).unwrap_or_default()).context(FROZEN)?;
    check_contract(&tree.root().join("wit"), &frozen)
}

fn check_contract(folder: &Path, frozen: &Frozen) -> Result<Vec<Finding>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder)?;
    let mut findings: Vec<_> = undocumented(&resolve, package)
        .into_iter()
        .map(|item| {
            Finding::new("wit", 0, format!("{item} is not described"), "the contract is the first thing that a plugin author reads")
        })
        .collect();
    let changed = "a component of a released contract must load forever; change a new version";
    for (name, digest) in &frozen.released {
        let found = resolve.packages.iter().find(|(_, package)| package.name.to_string() == *name);
        let what = match found.map(|(id, _)| shape(&resolve, id)).transpose()? {
            Some(now) if now == *digest => continue,
            Some(now) => format!("{name} is released and its shape changed: it is {now}"),
            None => format!("{name} is released and is no longer there"),
        };
        findings.push(Finding::new(FROZEN, 0, what, changed));
    }
    Ok(findings)
}

/// Digest of a package without its comments: they may be mended after the release.
fn shape(resolve: &Resolve, package: PackageId) -> Result<String> {
    let mut printer = WitPrinter::new(OutputToString::default());
    printer.emit_docs(false);
    printer.print(resolve, package, &[])?;
    let digest = Sha256::digest(printer.output.to_string());
    Ok(format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

/// Interfaces, types, cases, functions and worlds of a package that nothing is said about.
fn undocumented(resolve: &Resolve, package: PackageId) -> Vec<String> {
    let bare = |docs: &Docs| docs.contents.as_ref().is_none_or(|text| text.trim().is_empty());
    let mut found = Vec::new();
    let Some(package) = resolve.packages.get(package) else { return found };
    for (name, id) in &package.interfaces {
        let Some(interface) = resolve.interfaces.get(*id) else { continue };
        found.extend(bare(&interface.docs).then(|| format!("interface {name}")));
        for (type_name, id) in &interface.types {
            let Some(definition) = resolve.types.get(*id) else { continue };
            if matches!(definition.kind, TypeDefKind::Type(wit_parser::Type::Id(_))) {
                continue; // `use` of a type that is described where it is defined
            }
            found.extend(bare(&definition.docs).then(|| format!("type {name}/{type_name}")));
            let cases: Vec<_> = match &definition.kind {
                TypeDefKind::Enum(kind) => kind.cases.iter().map(|case| (&case.name, &case.docs)).collect(),
                TypeDefKind::Variant(kind) => kind.cases.iter().map(|case| (&case.name, &case.docs)).collect(),
                TypeDefKind::Flags(kind) => kind.flags.iter().map(|flag| (&flag.name, &flag.docs)).collect(),
                _ => Vec::new(),
            };
            found.extend(cases.into_iter().filter(|(_, docs)| bare(docs)).map(|(case, _)| format!("case {name}/{type_name}.{case}")));
        }
        found.extend(
            interface
                .functions
                .iter()
                .filter(|(_, function)| bare(&function.docs))
                .map(|(function, _)| format!("function {name}/{function}")),
        );
    }
    let worlds = package.worlds.iter().filter_map(|(name, id)| Some((name, resolve.worlds.get(*id)?)));
    found.extend(worlds.filter(|(_, world)| bare(&world.docs)).map(|(name, _)| format!("world {name}")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const CONTRACT: &str = "package a:b@0.1.0;\n/// An interface.\ninterface i {\n/// Doubles.\nf: func(x: u32) -> u32;\n}\n";

    fn findings(contract: &str, released: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.wit"), contract).unwrap();
        let released = released.iter().map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned())).collect();
        check_contract(folder.path(), &Frozen { released }).unwrap().into_iter().map(|finding| finding.what).collect()
    }

    fn digest_of(contract: &str) -> String {
        let told = findings(contract, &[("a:b@0.1.0", "sha256:0")]).pop().unwrap();
        told.rsplit(' ').next().unwrap().to_owned()
    }

    #[test]
    fn an_item_without_description_is_named() {
        let contract = "package a:b@0.1.0;\n/// An interface.\ninterface i {\n/// Colours.\nenum c { red }\nf: func();\n}\n";
        assert_eq!(findings(contract, &[]), ["case i/c.red is not described", "function i/f is not described"]);
    }

    #[test]
    fn a_released_contract_may_change_its_words_but_not_its_shape() {
        let digest = digest_of(CONTRACT);
        assert_eq!(findings(&CONTRACT.replace("Doubles.", "Twice `x`."), &[("a:b@0.1.0", &digest)]), [] as [&str; 0]);
        let changed = findings(&CONTRACT.replace("x: u32", "x: u64"), &[("a:b@0.1.0", &digest)]);
        assert!(changed[0].starts_with("a:b@0.1.0 is released and its shape changed"), "{changed:?}");
    }

    #[test]
    fn an_unreleased_contract_may_change() {
        assert_eq!(findings(&CONTRACT.replace("x: u32", "x: u64"), &[]), [] as [&str; 0]);
    }

    #[test]
    fn a_released_contract_stays() {
        assert_eq!(findings(CONTRACT, &[("a:b@0.0.9", "sha256:0")]), ["a:b@0.0.9 is released and is no longer there"]);
    }
}
