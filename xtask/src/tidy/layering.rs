//! Which of our crates may know which others. docs/architecture.md explains the picture.

use anyhow::Result;

use super::Finding;
use super::tree::{Tree, dependencies};

/// A crate, what it may depend on, and why no more.
struct Layer {
    name: &'static str,
    may_know: &'static [&'static str],
    why: &'static str,
}

const TESTS: &str = "breakwater-tests";
const CORE: &str = "breakwater-core";
const SETTINGS: &str = "breakwater-settings";
const TELEMETRY: &str = "breakwater-telemetry";
const RESILIENCE: &str = "breakwater-resilience";
const FLAGS: &str = "breakwater-flags";
const CACHE: &str = "breakwater-cache";
const UPSTREAM: &str = "breakwater-upstream";
const SIDECAR: &str = "breakwater-sidecar";
const VISION: &str = "breakwater-vision";
const CONVNET: &str = "breakwater-convnet";
const TRANSFORMER: &str = "breakwater-transformer";
const SEARCH: &str = "breakwater-search";
const SEARCH_PGVECTOR: &str = "breakwater-search-pgvector";
const INFERENCE: &str = "breakwater-inference";
const PLUGINS: &str = "breakwater-plugins";
const STORE: &str = "breakwater-store";
const WORKFLOW: &str = "breakwater-workflow";
const WORKFLOW_TEMPORAL: &str = "breakwater-workflow-temporal";
const OPERATIONS: &str = "breakwater-operations";
const HTTP: &str = "breakwater-http";

const LAYERS: &[Layer] = &[
    Layer { name: TESTS, may_know: &[], why: "end-to-end tests see the binary as its users do" },
    Layer { name: CORE, may_know: &[], why: "the vocabulary every crate shares must not pull anything along" },
    Layer { name: SETTINGS, may_know: &[CORE], why: "settings are values; whoever uses them builds itself from them" },
    Layer { name: TELEMETRY, may_know: &[CORE], why: "everyone reports through it, so it can know nobody" },
    Layer { name: RESILIENCE, may_know: &[CORE], why: "mechanisms are generic over a call and never import the product" },
    Layer { name: FLAGS, may_know: &[CORE, TELEMETRY], why: "a flag is a rule over a caller; who asks is not its business" },
    Layer { name: CACHE, may_know: &[CORE, TELEMETRY], why: "it keeps bytes under keys; what they mean is for whoever puts them there" },
    Layer {
        name: UPSTREAM,
        may_know: &[CORE, TELEMETRY, RESILIENCE],
        why: "it sends requests; operations, plugins and records reach it, never the reverse",
    },
    Layer {
        name: SIDECAR,
        may_know: &[CORE, UPSTREAM],
        why: "a process that runs here is an endpoint of an upstream; who calls it and who shows it is not its business",
    },
    Layer { name: VISION, may_know: &[CORE], why: "image work is pure and synchronous; who schedules it is not its business" },
    Layer { name: CONVNET, may_know: &[CORE], why: "networks and their arithmetic; what is in a picture is for inference" },
    Layer {
        name: TRANSFORMER,
        may_know: &[CORE, CONVNET],
        why: "networks and their arithmetic, on the instructions that the convolutions use; what they are asked is for inference",
    },
    Layer {
        name: SEARCH,
        may_know: &[CORE, RESILIENCE],
        why: "it compares vectors and orders products; who makes the vectors, who keeps the records and who asks is not its business",
    },
    Layer {
        name: SEARCH_PGVECTOR,
        may_know: &[TESTS, CORE, SEARCH],
        why: "an index like any other, behind the trait of the domain; its tests start a database as the end-to-end tests do",
    },
    Layer {
        name: INFERENCE,
        may_know: &[CORE, CONVNET, TRANSFORMER, VISION, TELEMETRY, RESILIENCE],
        why: "detectors take images and give detections; nothing above them is needed for that",
    },
    Layer {
        name: PLUGINS,
        may_know: &[CORE, VISION, TELEMETRY, RESILIENCE],
        why: "a guest reaches detectors, records and processors only through traits that the composition root fills in",
    },
    Layer {
        name: WORKFLOW,
        may_know: &[CORE, RESILIENCE],
        why: "it orders steps and remembers them; what a step calls and who keeps the journal is not its business",
    },
    Layer {
        name: WORKFLOW_TEMPORAL,
        may_know: &[TESTS, CORE, WORKFLOW],
        why: "it gives the walk another journal; what a step calls and who starts executions is as little its business",
    },
    Layer {
        name: STORE,
        may_know: &[TESTS, CORE, PLUGINS, UPSTREAM, FLAGS, SEARCH, WORKFLOW],
        why: "domains define the records they keep; the store implements them, never the reverse",
    },
    Layer {
        name: OPERATIONS,
        may_know: &[CORE, SETTINGS, TELEMETRY, RESILIENCE, UPSTREAM, SIDECAR, CACHE, FLAGS, VISION, INFERENCE, SEARCH, PLUGINS, WORKFLOW],
        why: "the use cases stand above the domains and below every transport; records reach them through the domains",
    },
    Layer {
        name: HTTP,
        may_know: &[CORE, SETTINGS, TELEMETRY, OPERATIONS],
        why: "a transport maps requests to operations and failures to status codes, nothing else",
    },
    Layer {
        name: "breakwater",
        may_know: &[
            CORE,
            SETTINGS,
            TELEMETRY,
            RESILIENCE,
            UPSTREAM,
            SIDECAR,
            CACHE,
            FLAGS,
            VISION,
            INFERENCE,
            SEARCH,
            SEARCH_PGVECTOR,
            PLUGINS,
            WORKFLOW,
            WORKFLOW_TEMPORAL,
            STORE,
            OPERATIONS,
            HTTP,
        ],
        why: "the composition root is the only crate that knows everything, and nobody knows it",
    },
    Layer {
        name: "breakwater-benches",
        may_know: &[
            CORE,
            RESILIENCE,
            UPSTREAM,
            CACHE,
            FLAGS,
            VISION,
            CONVNET,
            TRANSFORMER,
            INFERENCE,
            SEARCH,
            SEARCH_PGVECTOR,
            PLUGINS,
            WORKFLOW,
            OPERATIONS,
        ],
        why: "benches measure the public parts of the product, not its transport or its storage",
    },
    Layer {
        name: "xtask",
        may_know: &[TESTS],
        why: "the project's commands must build without the product; they start its binary as the tests do",
    },
];

/// Finds dependencies that point the wrong way, and crates without a place.
pub(super) fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (folder, manifest) in tree.members()? {
        let file = format!("{folder}/Cargo.toml");
        let name = manifest.get("package").and_then(|package| package.get("name")).and_then(|name| name.as_str()).unwrap_or_default();
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
            findings.push(Finding::new(
                file,
                0,
                format!("`{name}` has no place in the layers"),
                "a crate is created together with its allowed edges, in xtask/src/tidy/layering.rs",
            ));
            continue;
        };
        for (dependency, table) in dependencies(&manifest) {
            let is_ours = LAYERS.iter().any(|layer| layer.name == dependency);
            if is_ours && dependency != name && !layer.may_know.contains(&dependency.as_str()) {
                findings.push(Finding::new(&file, 0, format!("`{name}` must not depend on `{dependency}` ([{table}])"), layer.why));
            }
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(name: &str, dependencies: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{dependencies}")
    }

    #[test]
    fn an_edge_that_points_upwards_is_reported_with_its_reason() {
        for table in ["dependencies", "dev-dependencies", "target.'cfg(unix)'.dependencies"] {
            let vision = manifest("breakwater-vision", &format!("[{table}]\nbreakwater-plugins.workspace = true\n"));
            let findings = check(&Tree::of(&[("host/vision/Cargo.toml", &vision)])).unwrap();
            assert_eq!(findings.len(), 1, "{table}");
            assert!(findings[0].what.contains("`breakwater-vision` must not depend on `breakwater-plugins`"));
            assert!(findings[0].why.contains("pure and synchronous"));
        }
    }

    #[test]
    fn an_allowed_edge_is_not() {
        let store = manifest("breakwater-store", "[dependencies]\nbreakwater-plugins.workspace = true\nserde = \"1\"\n");
        assert_eq!(check(&Tree::of(&[("host/store/Cargo.toml", &store)])).unwrap(), []);
    }

    #[test]
    fn a_crate_that_nobody_placed_is_reported() {
        let findings = check(&Tree::of(&[("host/surprise/Cargo.toml", &manifest("breakwater-surprise", ""))])).unwrap();
        assert!(findings[0].what.contains("no place"));
    }

    #[test]
    fn the_layers_have_no_cycle() {
        // A crate may only know crates that stand before it in the list.
        for (index, layer) in LAYERS.iter().enumerate() {
            for known in layer.may_know {
                assert!(LAYERS[..index].iter().any(|lower| lower.name == *known), "{} knows {known}", layer.name);
            }
        }
    }
}
