//! The contract as data: what the worlds of the WIT files say, held against what a component says.

mod signature;

use std::sync::LazyLock;

use wit_parser::decoding::{DecodedWasm, decode, decode_world};
use wit_parser::{Interface, Resolve, WorldId, WorldItem, WorldKey};

use crate::capability::Capability;
use crate::error::PluginError;
use crate::inspect::{Item, Mismatch};
use crate::world::World as Kind;

const PACKAGE: &str = "breakwater:plugin/";

/// What a component imports and exports.
pub(crate) struct Surface {
    pub(crate) imports: Vec<Item>,
    pub(crate) exports: Vec<Item>,
    pub(crate) mismatches: Vec<Mismatch>,
}

struct World {
    kind: Option<Kind>,
    resolve: Resolve,
    id: WorldId,
}

impl World {
    fn imports(&self) -> impl Iterator<Item = (String, &WorldItem)> {
        self.items(|world| &world.imports)
    }

    fn exports(&self) -> impl Iterator<Item = (String, &WorldItem)> {
        self.items(|world| &world.exports)
    }

    fn items<'a>(
        &'a self,
        side: impl Fn(&'a wit_parser::World) -> &'a wit_parser::IndexMap<WorldKey, WorldItem>,
    ) -> impl Iterator<Item = (String, &'a WorldItem)> {
        let world = self.resolve.worlds.get(self.id);
        world.into_iter().flat_map(side).map(|(key, item)| (self.resolve.name_world_key(key), item))
    }

    fn interface(&self, item: &WorldItem) -> Option<&Interface> {
        match item {
            WorldItem::Interface { id, .. } => self.resolve.interfaces.get(*id),
            WorldItem::Function(_) | WorldItem::Type { .. } => None,
        }
    }

    fn describe(&self, name: &str, item: &WorldItem) -> Item {
        let functions = match item {
            WorldItem::Interface { .. } => {
                let functions = self.interface(item).into_iter().flat_map(|interface| interface.functions.values());
                functions.map(|function| signature::of(&self.resolve, function)).collect()
            }
            WorldItem::Function(function) => vec![signature::of(&self.resolve, function)],
            WorldItem::Type { .. } => Vec::new(),
        };
        // An interface without functions brings types only, and those need no grant.
        let capability = if functions.is_empty() { None } else { Capability::of_interface(name) };
        Item { interface: name.to_owned(), functions, capability }
    }
}

static CONTRACTS: LazyLock<Vec<World>> = LazyLock::new(|| {
    let decoded = Kind::ALL.into_iter().map(|kind| (kind, decode_world(kind.component_type())));
    decoded.filter_map(|(kind, decoded)| decoded.ok().map(|(resolve, id)| World { kind: Some(kind), resolve, id })).collect()
});

fn contract(world: Kind) -> Option<&'static World> {
    CONTRACTS.iter().find(|contract| contract.kind == Some(world))
}

/// Reads what a component imports and exports and compares it with the contract of a world.
pub(crate) fn read(world: Kind, component: &[u8]) -> Result<Surface, PluginError> {
    let Some(contract) = contract(world) else {
        return Err(PluginError::Setup("the contract built into this program cannot be read".to_owned()));
    };
    if !wasmparser::Parser::is_component(component) {
        return Err(PluginError::ComponentInvalid("the file is not a WebAssembly component".to_owned()));
    }
    let found = match decode(component) {
        Ok(DecodedWasm::Component(resolve, id)) => World { kind: None, resolve, id },
        Ok(DecodedWasm::WitPackage(..)) => {
            return Err(PluginError::ComponentInvalid("the file holds WIT definitions, not code".to_owned()));
        }
        Err(error) => return Err(PluginError::ComponentInvalid(format!("{error:#}"))),
    };
    Ok(Surface {
        imports: found.imports().map(|(name, item)| found.describe(&name, item)).collect(),
        exports: found.exports().map(|(name, item)| found.describe(&name, item)).collect(),
        mismatches: compare(contract, &found),
    })
}

fn compare(contract: &World, found: &World) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    for (name, item) in found.imports() {
        match contract.imports().find(|(known, _)| fits(known, &name)) {
            Some((_, known)) => compare_interfaces(contract, known, found, item, &format!("import {name}"), false, &mut mismatches),
            None => mismatches.push(unknown_import(contract, &name, found.describe(&name, item))),
        }
    }
    for (name, known) in contract.exports() {
        match found.exports().find(|(exported, _)| *exported == name) {
            Some((_, item)) => compare_interfaces(contract, known, found, item, &format!("export {name}"), true, &mut mismatches),
            None => mismatches.push(missing_export(contract, &name, known, found)),
        }
    }
    mismatches
}

/// Of an import, every function the component has must be known; of an export, every known function must be there.
fn compare_interfaces(
    contract: &World,
    known: &WorldItem,
    found: &World,
    item: &WorldItem,
    name: &str,
    is_export: bool,
    mismatches: &mut Vec<Mismatch>,
) {
    let (Some(known), Some(item)) = (contract.interface(known), found.interface(item)) else { return };
    let names = if is_export { known.functions.keys() } else { item.functions.keys() };
    for function in names {
        let expected = known.functions.get(function).map(|function| signature::in_full(&contract.resolve, function));
        let got = item.functions.get(function).map(|function| signature::in_full(&found.resolve, function));
        if expected == got {
            continue;
        }
        let (expected, got) = signature::difference(expected, got);
        let fix = match (&expected, &got) {
            (None, _) => "build against the WIT files of this host; this function is not in them (a newer contract?)",
            (_, None) => "implement the function; the SDK's export macro does it for every plugin",
            _ => "rebuild the plugin against the WIT files of this host (`wit/`), without changing them",
        };
        mismatches.push(Mismatch { item: format!("{name} {function}"), expected, found: got, fix: fix.to_owned() });
    }
}

fn unknown_import(contract: &World, name: &str, item: Item) -> Mismatch {
    let other_version = contract.imports().map(|(known, _)| known).find(|known| base(known) == base(name));
    let fix = match &other_version {
        Some(known) => format!("rebuild the plugin against {known}"),
        None if name.starts_with("wasi:") => {
            let own = match contract.kind {
                Some(Kind::Adapter) => format!(" (or, for a language that brings a runtime, against the world {})", Kind::AdapterWasi),
                _ => String::new(),
            };
            format!(
                "plugins of this world have no such system interface: build for wasm32-unknown-unknown, or leave out what needs files, \
                 clocks or sockets{own}"
            )
        }
        None => {
            let offered: Vec<_> = contract.imports().map(|(known, _)| base(&known).to_owned()).collect();
            format!("remove the import; the contract offers {}", offered.join(", "))
        }
    };
    let found = format!("{name} {{ {} }}", item.functions.join("; "));
    Mismatch { item: format!("import {name}"), expected: other_version, found: Some(found), fix }
}

fn missing_export(contract: &World, name: &str, known: &WorldItem, found: &World) -> Mismatch {
    let other_version = found.exports().map(|(exported, _)| exported).find(|exported| base(exported) == base(name));
    let functions = contract.describe(name, known).functions.join("; ");
    let fix = match &other_version {
        Some(_) => format!("rebuild the plugin against {name}"),
        None => match exporting(found, contract.kind) {
            Some(other) => format!("it is a plugin of another world: say `world = \"{other}\"` in plugin.toml"),
            None => format!("export the interface {name}: with the Rust SDK, implement its trait and call the export macro"),
        },
    };
    let exported: Vec<_> = found.exports().map(|(exported, _)| exported).collect();
    let found = other_version.or_else(|| (!exported.is_empty()).then(|| exported.join(", ")));
    Mismatch { item: format!("export {name}"), expected: Some(format!("{name} {{ {functions} }}")), found, fix }
}

/// The world that a component's exports belong to, where it is another one.
fn exporting(found: &World, expected: Option<Kind>) -> Option<Kind> {
    let exported: Vec<_> = found.exports().map(|(name, _)| name).collect();
    let fitting = CONTRACTS.iter().filter(|contract| contract.exports().all(|(name, _)| exported.contains(&name)));
    fitting.filter_map(|contract| contract.kind).find(|kind| Some(*kind) != expected)
}

/// Whether what the contract calls `known` serves an import of this name: the same, or a system interface of another release of the
/// same minor version. Those only grow, and the functions are compared one by one.
fn fits(known: &str, name: &str) -> bool {
    let released = |name: &str| -> Option<(String, u64, u64)> {
        let (interface, version) = name.split_once('@')?;
        let version = semver::Version::parse(version).ok()?;
        (interface.starts_with("wasi:") && version.pre.is_empty()).then(|| (interface.to_owned(), version.major, version.minor))
    };
    known == name || released(known).is_some_and(|known| released(name) == Some(known))
}

/// The name without its version; our own interfaces also without their package, since a renamed package is the usual slip.
fn base(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or(name);
    name.strip_prefix(PACKAGE).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_list_what_the_wit_files_say() {
        let names = |world: &World| -> (Vec<String>, Vec<String>) {
            (world.imports().map(|(name, _)| name).collect(), world.exports().map(|(name, _)| name).collect())
        };
        for (kind, export) in [
            (Kind::Crop, "crop-strategy"),
            (Kind::Adapter, "adapter"),
            (Kind::AdapterWasi, "adapter"),
            (Kind::Fallback, "fallback"),
            (Kind::Ranker, "ranker"),
        ] {
            let (imports, exports) = names(contract(kind).unwrap());
            assert_eq!(exports, [format!("breakwater:plugin/{export}@0.1.0")]);
            assert!(imports.contains(&"wasi:config/store@0.2.0-rc.1".to_owned()), "{imports:?}");
            assert!(imports.contains(&"breakwater:plugin/imaging@0.1.0".to_owned()), "{imports:?}");
            let has = |part: &str| imports.iter().any(|name| name.contains(part));
            assert_eq!(has("plugin/upstream"), matches!(kind, Kind::Adapter | Kind::AdapterWasi), "{kind}");
            for beyond_crops in ["feature-flags", "plugin/embedder", "wasi:nn/graph", "wasi:nn/inference"] {
                assert_eq!(has(beyond_crops), kind != Kind::Crop, "{kind} {beyond_crops}");
            }
            assert_eq!(has("wasi:http/outgoing-handler"), kind == Kind::AdapterWasi, "{kind}");
        }
        let crop = contract(Kind::Crop).unwrap();
        let (name, item) = crop.imports().find(|(name, _)| name.contains("imaging")).unwrap();
        let item = crop.describe(&name, item);
        assert!(item.functions.contains(&"thumbnail: func(self: borrow<image>, edge: u32) -> result<thumbnail, failure>".to_owned()));
        assert_eq!(item.capability, Some(Capability::Imaging));
    }

    #[test]
    fn a_system_interface_of_another_release_serves() {
        for (known, name, expected) in [
            ("wasi:io/poll@0.2.12", "wasi:io/poll@0.2.12", true),
            ("wasi:io/poll@0.2.12", "wasi:io/poll@0.2.0", true),
            ("wasi:io/poll@0.2.12", "wasi:io/poll@0.3.0", false),
            ("wasi:io/poll@0.2.12", "wasi:io/streams@0.2.0", false),
            ("wasi:config/store@0.2.0-rc.1", "wasi:config/store@0.2.0", false),
            ("breakwater:plugin/call@0.1.0", "breakwater:plugin/call@0.1.1", false),
        ] {
            assert_eq!(fits(known, name), expected, "{known} {name}");
        }
    }

    #[test]
    fn what_is_no_component_is_refused() {
        for bytes in [&b""[..], b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0broken", b"plain text"] {
            assert!(matches!(read(Kind::Crop, bytes), Err(PluginError::ComponentInvalid(_))), "{bytes:?}");
        }
    }
}
