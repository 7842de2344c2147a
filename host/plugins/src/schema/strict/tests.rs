use std::time::{Duration, Instant};

use serde_json::Map;

use super::*;
use crate::schema::{Compiled, schema_violations};

fn pointers(schema: &Value) -> Vec<String> {
    schema_violations(schema).into_iter().map(|violation| violation.pointer).collect()
}

#[track_caller]
fn refused_at(schema: &Value, pointer: &str, word: &str) {
    let started = Instant::now();
    let found = schema_violations(schema);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let fits = |violation: &SchemaViolation| violation.pointer == pointer && violation.message.contains(word);
    assert!(found.iter().any(fits), "{found:?}");
}

fn definitions(count: usize, definition: impl Fn(usize) -> Value) -> Value {
    let all: Map<String, Value> = (0..count).map(|index| (format!("a{index}"), definition(index))).collect();
    json!({ "$defs": all, "$ref": "#/$defs/a0" })
}

fn next(index: usize) -> Value {
    json!({ "$ref": format!("#/$defs/a{}", index + 1) })
}

#[test]
fn everything_that_is_wrong_with_a_schema_is_told_at_once() {
    let schema = json!({
        "type": "object",
        "properties": {
            "x": { "type": "strnig" },
            "y": { "pattern": "(" },
            "z": { "$ref": "#/$defs/nowhere" },
            "a/b": { "patternProperties": { "(?=look)": {} } },
            "f": { "$ref": "https://example.invalid/s.json" },
        },
        "required": "name",
    });
    let found = pointers(&schema);
    for pointer in [
        "/properties/x/type",
        "/properties/y/pattern",
        "/properties/z/$ref",
        "/properties/a~1b/patternProperties/(?=look)",
        "/properties/f/$ref",
        "/required",
    ] {
        assert!(found.iter().any(|found| found == pointer), "{pointer} in {found:?}");
    }
    assert!(pointers(&json!(3)).iter().all(String::is_empty) && !pointers(&json!(3)).is_empty());
    assert_eq!(pointers(&json!(true)), [""; 0]);
}

#[test]
fn what_is_meant_is_taken() {
    for schema in [
        json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/a", "type": "object" }),
        json!({ "$defs": { "name~a/b": { "$anchor": "named" } }, "allOf": [{ "$ref": "#/$defs/name~0a~1b" }, { "$ref": "#named" }] }),
        json!({ "$defs": { "a": true }, "$ref": "#/$defs/a" }),
        // A tree, and a union of such trees.
        json!({ "properties": { "left": { "$ref": "#" }, "right": { "$ref": "#" } } }),
        json!({ "oneOf": [{ "type": "array", "items": { "$ref": "#" } }, { "type": "object", "additionalProperties": { "$ref": "#" } }] }),
        json!({ "format": "int32", "pattern": "^(a+)+$" }),
        definitions(MAX_REFERENCES, |index| if index + 1 < MAX_REFERENCES { next(index) } else { json!({ "type": "string" }) }),
    ] {
        assert_eq!(schema_violations(&schema), [], "{schema}");
    }
}

#[test]
fn formats_are_checked_and_unknown_ones_are_not() {
    let (validator, weight) = compile(&json!({ "properties": { "url": { "format": "uri" }, "n": { "format": "int32" } } })).unwrap();
    let compiled = Compiled { validator, weight: Some(weight) };
    assert!(compiled.violations(&json!({ "url": "https://example.com/a.pdf", "n": "x" })).is_empty());
    assert_eq!(compiled.violations(&json!({ "url": "not a url" }))[0]["pointer"], "/url");
}

#[test]
fn a_schema_has_its_measures() {
    refused_at(&json!({ "title": "x".repeat(MAX_SCHEMA_BYTES) }), "", "bytes");
    let nested = |depth: usize| (0..depth).fold(json!({}), |inner, _| json!({ "not": inner }));
    assert_eq!(schema_violations(&nested(MAX_SCHEMA_DEPTH)), []);
    refused_at(&nested(MAX_SCHEMA_DEPTH + 1), &"/not".repeat(MAX_SCHEMA_DEPTH + 1), "deeper");
    let of = |count: usize| json!({ "items": { "enum": (0..count).collect::<Vec<_>>() } });
    assert_eq!(schema_violations(&of(MAX_ENUM)), []);
    refused_at(&of(MAX_ENUM + 1), "/items/enum", "1000");
    let patterns = |count: usize| json!({ "allOf": vec![json!({ "pattern": "a" }); count] });
    assert_eq!(schema_violations(&patterns(MAX_PATTERNS)), []);
    refused_at(&patterns(MAX_PATTERNS + 1), "", "patterns");
    assert_eq!(schema_violations(&json!({ "pattern": "a".repeat(MAX_PATTERN) })), []);
    refused_at(&json!({ "pattern": "a".repeat(MAX_PATTERN + 1) }), "/pattern", "bytes");
    let applied = |count: u64| json!({ "allOf": (1..count).map(|_| json!({})).collect::<Vec<_>>() });
    assert_eq!(schema_violations(&applied(MAX_APPLIED)), []);
    refused_at(&applied(MAX_APPLIED + 1), "", "schemas against one value");
}

#[test]
fn what_reaches_out_or_leads_in_circles_is_refused() {
    refused_at(&json!({ "$schema": "http://json-schema.org/draft-07/schema#" }), "/$schema", "2020-12");
    refused_at(&json!({ "items": { "$id": "https://example.com/b" } }), "/items/$id", "root");
    refused_at(&json!({ "$dynamicRef": "#x" }), "/$dynamicRef", "$ref");
    refused_at(&json!({ "$ref": "other.json" }), "/$ref", "same document");
    refused_at(&json!({ "$defs": { "a b": {} }, "$ref": "#/$defs/a%20b" }), "/$ref", "no schema");
    refused_at(&json!({ "$ref": "#" }), "", "refers to itself");
    refused_at(&json!({ "anyOf": [{ "not": { "$ref": "#" } }] }), "", "refers to itself");
    refused_at(&json!({ "$ref": "#/examples/0", "examples": [{}] }), "/$ref", "no schema");
}

/// A stack that overflows would end the process, so that this is tried on a small one.
#[test]
fn bombs_of_references_are_refused_soon() {
    let bombs = || {
        let last = |count: usize, index: usize, other: Value| if index + 1 < count { other } else { json!({ "type": "string" }) };
        let chain = definitions(1500, |index| last(1500, index, next(index)));
        assert!(schema_violations(&chain).iter().any(|violation| violation.message.contains("follow one another")));
        let inside = |levels: usize, end: Value| (0..levels).fold(end, |inner, _| json!({ "items": inner }));
        let nested = |count: usize| definitions(count, |index| inside(30, last(count, index, next(index))));
        assert_eq!(schema_violations(&nested(4)), []);
        assert!(schema_violations(&nested(5)).iter().any(|violation| violation.message.contains("one inside of another")));
        let doubling = definitions(30, |index| last(30, index, json!({ "allOf": [next(index), next(index)] })));
        refused_at(&doubling, "", "schemas against one value");
        let parts = |index| json!({ "allOf": [{ "properties": { "x": next(index) } }, { "properties": { "x": next(index) } }] });
        refused_at(&definitions(30, |index| last(30, index, parts(index))), "", "schemas against one value");
        refused_at(&json!({ "pattern": "(\\w{1000}){1000}" }), "/pattern", "too large");
        // Not by the macro, which copies what it is given.
        let deep = (0..100_000).fold(json!({}), |inner, _| Value::Array(vec![inner]));
        assert!(nodes::too_deep(&deep, MAX_SCHEMA_DEPTH).is_some());
        // Dropping it takes as much stack as it nests.
        std::mem::forget(deep);
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(bombs).unwrap().join().unwrap();
}

#[test]
fn values_are_held_against_schemas_that_multiply_in_little_time() {
    let twice = |place: &Value| json!([{ "properties": { "x": place } }, { "properties": { "x": place } }]);
    let recursive = json!({ "allOf": twice(&json!({ "$ref": "#" })), "type": ["object", "string"] });
    let stepwise =
        definitions(8, |index| json!({ "allOf": twice(&if index + 1 < 8 { next(index) } else { json!({ "type": "string" }) }) }));
    let value = |depth: usize, end: Value| (0..depth).fold(end, |inner, _| json!({ "x": inner }));
    for (schema, depth, place) in [(recursive, 100, ""), (stepwise, 8, "/x/x/x/x/x/x/x/x")] {
        let (validator, weight) = compile(&schema).unwrap();
        let compiled = Compiled { validator, weight: Some(weight) };
        let started = Instant::now();
        assert!(compiled.violations(&value(depth, json!("end"))).is_empty());
        assert_eq!(compiled.violations(&value(depth, json!(1)))[0]["pointer"], place);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
}

#[test]
fn a_value_that_nests_too_deep_for_a_schema_is_refused_before_it_takes_the_stack() {
    let schema = (0..60).fold(json!({ "properties": { "x": { "$ref": "#" } } }), |inner, _| json!({ "not": inner }));
    let (validator, weight) = compile(&schema).unwrap();
    let compiled = Compiled { validator, weight: Some(weight) };
    let value = |depth: usize| (0..depth).fold(json!({}), |inner, _| json!({ "x": inner }));
    assert_eq!(compiled.violations(&value(10)), [Value::Null; 0]);
    assert_eq!(compiled.violations(&value(120))[0]["message"], "nests too deep for the schema");
}

#[test]
fn a_catastrophic_pattern_takes_linear_time() {
    let (validator, weight) = compile(&json!({ "pattern": "^(a+)+$" })).unwrap();
    let started = Instant::now();
    let compiled = Compiled { validator, weight: Some(weight) };
    assert_eq!(compiled.violations(&json!(format!("{}!", "a".repeat(100_000)))).len(), 1);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}
