//! Plugins for people to read.

use breakwater_plugins::{Inspection, PluginPackage};
use serde_json::Value;

use crate::fields::{list, number, text};

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// Every plugin with its generations, the newest first.
pub(super) fn plugins(answer: &Value) -> String {
    let mut lines = vec![format!(
        "{:<20} {:<12} {:<9} {:<12} {:<10} {:>8} {:>8}",
        "plugin", "generation", "version", "state", "breaker", "calls", "failed"
    )];
    for plugin in list(answer, "plugins") {
        let generations: Vec<_> = list(plugin, "generations").collect();
        for generation in generations.into_iter().rev() {
            lines.push(format!(
                "{:<20} {:<12} {:<9} {:<12} {:<10} {:>8} {:>8}",
                text(plugin, "id"),
                short(text(generation, "digest")),
                text(generation, "version"),
                text(generation, "state"),
                text(generation, "breaker"),
                number(generation, "calls"),
                number(generation, "failures"),
            ));
        }
    }
    if lines.len() == 1 { "no plugins".to_owned() } else { lines.join("\n") }
}

/// A generation in one line.
pub(super) fn generation(generation: &Value) -> String {
    let strategies: Vec<_> = list(generation, "strategies").filter_map(Value::as_str).collect();
    format!("version {}, generation {}, offering {}", text(generation, "version"), short(text(generation, "digest")), strategies.join(", "))
}

/// What a package is and asks for.
pub(super) fn inspection(package: &PluginPackage, inspection: &Inspection) -> String {
    let manifest = package.manifest();
    let mut lines = vec![
        format!("{} {}, {} bytes", manifest.id, manifest.version, inspection.component_bytes),
        format!("world    {}", inspection.world),
        format!("asks for {}", manifest.capabilities.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        format!("probes   {}", package.fixtures().len()),
    ];
    for (title, items) in [("imports", &inspection.imports), ("exports", &inspection.exports)] {
        lines.push(title.to_owned());
        for item in items {
            let capability = item.capability.map(|capability| format!(" (capability {capability})")).unwrap_or_default();
            lines.push(format!("  {}{capability}", item.interface));
            lines.extend(item.functions.iter().map(|function| format!("    {function}")));
        }
    }
    if !inspection.not_asked.is_empty() {
        let missing: Vec<_> = inspection.not_asked.iter().map(ToString::to_string).collect();
        lines.push(format!("imports, but does not ask for: {}; add it to `capabilities` in plugin.toml", missing.join(", ")));
    }
    if inspection.mismatches.is_empty() {
        lines.push("fits the contract".to_owned());
    } else {
        lines.push("does not fit the contract:".to_owned());
        lines.extend(inspection.mismatches.iter().map(ToString::to_string));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_generation_stands_first() {
        let old = json!({ "digest": "a".repeat(64), "version": "0.1.0", "state": "standby", "breaker": null, "calls": 3, "failures": 1 });
        let new =
            json!({ "digest": "b".repeat(64), "version": "0.2.0", "state": "active", "breaker": "closed", "calls": 7, "failures": 0 });
        let table = plugins(&json!({ "plugins": [{ "id": "crop", "generations": [old, new] }] }));
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].contains("bbbbbbbbbbbb 0.2.0     active") && lines[2].contains("aaaaaaaaaaaa 0.1.0"), "{table}");
        assert_eq!(plugins(&json!({ "plugins": [] })), "no plugins");
    }
}
