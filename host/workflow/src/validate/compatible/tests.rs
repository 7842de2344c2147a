use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Fit::{Never, Perhaps};
use super::{Fit, misfits};

fn found(output: Value, input: Value) -> Vec<(Fit, String)> {
    misfits(&output, &input).into_iter().map(|misfit| (misfit.fit, misfit.message)).collect()
}

fn fits(output: Value, input: Value) {
    assert_eq!(found(output.clone(), input.clone()), [], "{output} {input}");
}

fn never(output: Value, input: Value, message: &str) {
    assert_eq!(found(output.clone(), input.clone()), [(Never, message.to_owned())], "{output} {input}");
}

/// An object that must have `p`, which is what is given.
fn with(p: Value) -> Value {
    json!({"type": "object", "properties": {"p": p}, "required": ["p"]})
}

#[test]
fn types_that_have_nothing_in_common_never_fit() {
    never(json!({"type": "string"}), json!({"type": "object"}), "it is a string, and an object is wanted");
    never(
        with(json!({"type": ["string", "null"]})),
        with(json!({"type": "integer"})),
        "`/p` is a string or null, and an integer is wanted",
    );
    never(with(with(json!({"type": "boolean"}))), with(with(json!({"type": "array"}))), "`/p/p` is a boolean, and an array is wanted");
    fits(json!({"type": "number"}), json!({"type": "integer"}));
    fits(json!({"type": "integer"}), json!({"type": "number"}));
    fits(json!({"type": ["string", "null"]}), json!({"type": "string"}));
    fits(json!({}), json!({"type": "object"}));
    fits(json!(true), json!({"type": "object"}));
    fits(json!({"type": "object"}), json!(true));
}

#[test]
fn a_property_that_is_wanted_must_be_promised() {
    let optional = json!({"type": "object", "properties": {"p": {"type": "string"}}});
    let perhaps = [(Perhaps, "`/p` is wanted, and need not be there".to_owned())];
    assert_eq!(found(optional.clone(), with(json!({"type": "string"}))), perhaps);
    assert_eq!(found(json!({"type": "object", "required": ["q"]}), with(json!({}))), perhaps);
    // Nothing is said of the object at all.
    fits(json!({"type": "object"}), with(json!({})));
    fits(with(json!({"type": "string"})), optional.clone());
    // What is optional on both sides may be absent.
    fits(optional, json!({"type": "object", "properties": {"p": {"type": "integer"}}}));
    fits(json!({}), with(json!({})));
}

#[test]
fn a_property_that_cannot_be_there_never_fits() {
    let closed = json!({"type": "object", "properties": {"q": {}}, "additionalProperties": false});
    never(closed.clone(), with(json!({})), "`/p` is wanted, and cannot be there");
    never(with(json!({})), closed.clone(), "`/p` is always there, and must not be");
    never(json!({"type": "object", "properties": {"p": false}}), with(json!({})), "`/p` is wanted, and cannot be there");
    let mut patterned = closed;
    patterned["patternProperties"] = json!({"^p": {}});
    fits(with(json!({})), patterned);
    never(
        with(json!({"type": "string"})),
        json!({"type": "object", "properties": {"p": {"type": "null"}}}),
        "`/p` is a string, and null is wanted",
    );
}

#[test]
fn values_that_are_listed_are_compared() {
    never(with(json!({"enum": ["a", "b"]})), with(json!({"enum": ["c"]})), "`/p` is none of the values that are wanted");
    never(with(json!({"const": 1})), with(json!({"type": "string"})), "`/p` is an integer, and a string is wanted");
    never(json!({"const": "a"}), json!({"const": "b"}), "it is none of the values that are wanted");
    fits(json!({"enum": ["a", "b"]}), json!({"enum": ["b", "c"]}));
    fits(json!({"const": 1.0}), json!({"enum": [1]}));
    fits(json!({"const": 1.5}), json!({"type": "number"}));
    never(json!({"const": 1.5}), json!({"type": "integer"}), "it is a number, and an integer is wanted");
}

#[test]
fn items_are_compared_though_a_list_may_be_empty() {
    let list = |items: Value| json!({"type": "array", "items": items});
    fits(list(json!({"type": "string"})), list(json!({"type": "string"})));
    let expected = (Perhaps, "`/*` is a string, and an integer is wanted".to_owned());
    assert_eq!(found(list(json!({"type": "string"})), list(json!({"type": "integer"}))), [expected]);
    fits(json!({"type": "array", "items": {"type": "string"}, "prefixItems": [{}]}), list(json!({"type": "integer"})));
}

#[test]
fn references_and_parts_are_followed() {
    let referring = json!({"$ref": "#/$defs/a~1b", "$defs": {"a/b": with(json!({"$ref": "#/$defs/n"})), "n": {"type": "number"}}});
    fits(referring.clone(), with(json!({"type": "number"})));
    never(referring, with(json!({"type": "string"})), "`/p` is a number, and a string is wanted");
    let parts = json!({"allOf": [{"type": "object"}, {"properties": {"p": {"type": "number"}}}, {"required": ["p"]}]});
    never(parts, with(json!({"type": "string"})), "`/p` is a number, and a string is wanted");
    never(with(json!({})), json!({"allOf": [{"type": "string"}]}), "it is an object, and a string is wanted");
    // A list of types in which nothing is left is wrong in itself.
    fits(json!({"allOf": [{"type": "string"}, {"type": "null"}]}), json!({"type": "object"}));
}

#[test]
fn what_is_not_understood_counts_as_fitting() {
    fits(json!({"anyOf": [{"type": "string"}]}), json!({"type": "object"}));
    fits(json!({"type": "object", "anyOf": [{"required": ["p"]}]}), with(json!({})));
    fits(json!({"$ref": "https://example.com/schema"}), with(json!({})));
    fits(json!({"type": "object", "$ref": "#anchor"}), with(json!({})));
    fits(json!({"type": "object", "$ref": "#/absent"}), with(json!({})));
    let named = json!({"type": "object", "properties": {"p": {"$id": "x", "type": "string"}}, "required": ["p"]});
    fits(named, with(json!({"type": "number"})));
    fits(json!({"type": ["object", "null"]}), json!({"type": ["object", "null"], "required": ["p"]}));
}

#[test]
fn schemas_made_to_take_long_do_not() {
    let began = Instant::now();
    let chain: serde_json::Map<String, Value> =
        (0..20_000).map(|at| (format!("d{at}"), json!({"$ref": format!("#/$defs/d{}", at + 1)}))).collect();
    fits(json!({"$ref": "#/$defs/d0", "$defs": chain}), with(json!({})));
    fits(json!({"$ref": "#"}), json!({"$ref": "#"}));
    let around = json!({"type": "object", "properties": {"p": {"$ref": "#"}}, "required": ["p"]});
    fits(around.clone(), around);
    let names: Vec<String> = (0..8).map(|at| format!("p{at}")).collect();
    let properties: serde_json::Map<String, Value> = names.iter().map(|name| (name.clone(), json!({"$ref": "#"}))).collect();
    let wide = json!({"type": "object", "properties": properties, "required": names});
    fits(wide.clone(), wide);
    let values: Vec<u32> = (0..200_000).collect();
    fits(json!({"enum": values.clone()}), json!({"enum": values}));
    let parts: Vec<Value> = (0..100_000).map(|_| json!({"type": "object"})).collect();
    fits(json!({"allOf": parts}), json!({"type": "string"}));
    let required: Vec<String> = (0..100_000).map(|at| format!("p{at}")).collect();
    fits(json!({"type": "object", "required": required.clone()}), json!({"type": "object", "required": required}));
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn only_some_misfits_are_told() {
    let required: Vec<String> = (0..100).map(|at| format!("p{at}")).collect();
    assert_eq!(found(json!({"type": "object", "properties": {}}), json!({"type": "object", "required": required})).len(), super::TOLD);
}
