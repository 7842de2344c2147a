//! What is written down is what the code does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets a surprise should stop there, also in a function that tests share"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_committed_description_is_that_of_the_routes() {
    let current = serde_json::to_value(breakwater_http::openapi()).unwrap();
    let path = root().join("docs/openapi.json");
    if std::env::var_os("BREAKWATER_BLESS").is_some() {
        fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&current).unwrap())).unwrap();
    }
    let committed: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(committed == current, "docs/openapi.json is out of date: run `cargo xtask openapi` and commit the file");
}

#[test]
fn every_operation_has_a_name_a_summary_and_a_tag() {
    let document = serde_json::to_value(breakwater_http::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 89);
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            for field in ["operationId", "summary", "tags"] {
                assert!(!operation[field].is_null(), "{method} {path} has no {field}");
            }
        }
    }
}

#[test]
fn bodies_refuse_unknown_fields_in_the_description_too() {
    let document = serde_json::to_value(breakwater_http::openapi()).unwrap();
    for schema in [
        "DetectRequest",
        "CropRequest",
        "ActivateRequest",
        "InvokeRequest",
        "Attachment",
        "ProcessImageRequest",
        "BreakerRequest",
        "WarmUpRequest",
        "Flag",
        "FlagRule",
        "FlagCondition",
        "Registration",
        "Heartbeat",
        "SearchRequest",
        "ProductRequest",
        "ImportRequest",
        "EmbeddingsRequest",
        "InferRequest",
        "InferInput",
        "RepositoryIndexRequest",
        "RepositoryModelRequest",
        "BatchRequest",
    ] {
        assert_eq!(document["components"]["schemas"][schema]["additionalProperties"], false, "{schema}");
    }
}

#[test]
fn every_code_is_documented_and_every_documented_code_exists() {
    let documented = codes_in_table(&fs::read_to_string(root().join("docs/errors.md")).unwrap());
    let used = codes_in_source(&root().join("host"));
    let missing: Vec<_> = used.difference(&documented).collect();
    assert!(missing.is_empty(), "docs/errors.md does not explain {missing:?}");
    // Pools make theirs of their name.
    let stale: Vec<_> = documented.difference(&used).filter(|code| !code.ends_with(".overloaded")).collect();
    assert!(stale.is_empty(), "docs/errors.md explains {stale:?}, which nothing fails with");
}

/// First cells of the tables.
fn codes_in_table(text: &str) -> BTreeSet<String> {
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split_once("` |")?.0.to_owned());
    text.lines().filter_map(cell).filter(|code| code.contains('.')).collect()
}

/// String literals that look like codes of the areas there are, outside of tests.
fn codes_in_source(folder: &Path) -> BTreeSet<String> {
    const AREAS: [&str; 38] = [
        "batch",
        "blob",
        "breaker",
        "bulkhead",
        "cache",
        "call",
        "cpu",
        "crop",
        "detect",
        "detections",
        "detector",
        "embed",
        "embedder",
        "endpoint",
        "execution",
        "fallback",
        "flag",
        "flight",
        "http",
        "image",
        "import",
        "load",
        "media",
        "operation",
        "plugin",
        "product",
        "ranker",
        "registry",
        "request",
        "retry",
        "search",
        "service",
        "sheet",
        "sidecar",
        "strategy",
        "tensor",
        "upstream",
        "workflow",
    ];
    let mut codes = BTreeSet::new();
    for file in rust_files(folder) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        // A comment or a character may hold a quotation mark, so every piece between two of them is looked at.
        for piece in code.split('"') {
            let known = piece.split_once('.').is_some_and(|(area, rest)| {
                AREAS.contains(&area)
                    && !rest.is_empty()
                    && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            });
            // Names of files, of attributes of spans, of the operation that an action is, and of what is wrong with a definition.
            let names = ["http.route", "service.name", "service.version", "service.action", "service.not-registered"];
            let other = names.contains(&piece) || ["toml", "wasm"].iter().any(|end| piece.ends_with(&format!(".{end}")));
            if known && !other {
                codes.insert(piece.to_owned());
            }
        }
    }
    codes
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !["tests", "target"].contains(&name.as_str()) {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") && !name.contains("test") {
            files.push(path);
        }
    }
    files
}
