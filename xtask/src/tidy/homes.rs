//! Heavy crates have one home each, so that their types, their features and their build time stay there.

use anyhow::Result;

use super::Finding;
use super::tree::{Tree, dependencies};

/// Crates, the folders that may name them, and why nobody else may.
struct Home {
    crates: &'static [&'static str],
    folders: &'static [&'static str],
    why: &'static str,
}

const HOMES: &[Home] = &[
    Home {
        crates: &["wasmtime", "wasmtime-wasi", "wasmtime-wasi-http"],
        folders: &["host/plugins"],
        why: "the engine is configured and its traps are understood in one place",
    },
    Home {
        crates: &["burn", "burn-wgpu", "burn-flex", "cubecl", "wgpu"],
        folders: &["host/inference"],
        why: "tensors and devices stay behind `Inference`; thirty minutes of build belong to one crate",
    },
    Home {
        crates: &["sqlx", "libsqlite3-sys", "pgvector"],
        folders: &["host/store", "host/search-pgvector"],
        why: "SQL and its migrations stay behind the traits of records and indices",
    },
    Home { crates: &["usearch", "roaring"], folders: &["host/search"], why: "an index stays behind `VectorIndex`" },
    Home { crates: &["tokenizers"], folders: &["host/inference"], why: "text becomes numbers where the model is that reads them" },
    Home {
        crates: &["axum", "hyper", "hyper-util", "utoipa", "utoipa-axum", "tower-http"],
        folders: &["host/http"],
        why: "one crate knows status codes, headers and routes",
    },
    Home {
        crates: &[
            "zune-jpeg",
            "zune-core",
            "jpeg-decoder",
            "jpeg-encoder",
            "webp",
            "ravif",
            "re_rav1d",
            "avif-parse",
            "moxcms",
            "fast_image_resize",
        ],
        folders: &["host/vision"],
        why: "limits hold before anything is allocated only if every picture is decoded in one place",
    },
    // Tests look at the pictures they get back, with a decoder that is not the one under test where formats allow it.
    Home {
        crates: &["image"],
        folders: &["host/vision", "tests"],
        why: "limits hold before anything is allocated only if every picture is decoded in one place",
    },
    Home {
        crates: &["reqwest"],
        folders: &["host/upstream", "host/breakwater", "tests"],
        why: "outbound calls need pools, retries and breakers, which `upstream` has; the command line is a client like any other",
    },
    Home { crates: &["procfs-core"], folders: &["host/sidecar"], why: "what the kernel says of processes is read where they are watched" },
    Home { crates: &["jmespath"], folders: &["host/workflow"], why: "expressions are bounded where they are read" },
    Home {
        crates: &["futures", "temporalio-client", "temporalio-common", "temporalio-macros", "temporalio-sdk", "temporalio-workflow"],
        folders: &["host/workflow-temporal"],
        why: "an executor is behind a trait, and nothing else knows which one runs",
    },
    Home { crates: &["jsonschema"], folders: &["host/plugins"], why: "schemas come from others; they are bounded where they are compiled" },
    Home { crates: &["zip"], folders: &["host/operations"], why: "an archive is written as it is read, never held" },
    Home { crates: &["redis"], folders: &["host/cache"], why: "tiers stay behind the cache" },
    Home {
        crates: &["opentelemetry", "opentelemetry_sdk", "opentelemetry-otlp", "opentelemetry-http"],
        folders: &["host/telemetry"],
        why: "what is exported is decided where logs and metrics are",
    },
    Home { crates: &["prometheus-client"], folders: &["host/telemetry"], why: "metric names live in one place" },
    Home {
        crates: &["clap", "indicatif", "maud"],
        folders: &["host/breakwater", "xtask"],
        why: "libraries take values, command lines take arguments",
    },
    Home {
        crates: &["anyhow"],
        folders: &["host/breakwater", "xtask", "tests", "benches"],
        why: "libraries fail with typed errors that a caller can tell apart",
    },
];

/// Finds heavy crates outside of their home.
pub(super) fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (folder, manifest) in tree.members()? {
        for (dependency, table) in dependencies(&manifest) {
            let home = HOMES.iter().find(|home| home.crates.contains(&dependency.as_str()));
            let Some(home) = home.filter(|home| !home.folders.contains(&folder.as_str())) else { continue };
            let what = format!("`{dependency}` ([{table}]) may only be named in {}", home.folders.join(", "));
            findings.push(Finding::new(format!("{folder}/Cargo.toml"), 0, what, home.why));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavy_crate_outside_of_its_home_is_reported_with_the_reason() {
        let findings = check(&Tree::of(&[("host/http/Cargo.toml", "[dependencies]\nwasmtime = \"48\"\naxum = \"0.8\"\n")])).unwrap();
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.contains("`wasmtime` ([dependencies]) may only be named in host/plugins"));
        assert!(findings[0].why.contains("in one place"));
    }
}
