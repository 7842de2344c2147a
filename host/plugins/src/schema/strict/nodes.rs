//! The subschemas of a schema, and how each is applied.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Applied to the same value.
const IN_PLACE: [&str; 4] = ["not", "if", "then", "else"];
const IN_PLACE_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const IN_PLACE_MAPS: [&str; 1] = ["dependentSchemas"];
/// Applied to parts of the value.
const PARTS: [&str; 6] = ["items", "additionalProperties", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties"];
const PART_MAPS: [&str; 1] = ["patternProperties"];
/// Applied to one part of the value each.
const ALTERNATIVE_LISTS: [&str; 1] = ["prefixItems"];
const ALTERNATIVE_MAPS: [&str; 1] = ["properties"];
/// Applied to nothing by itself.
const KEPT: [&str; 1] = ["contentSchema"];
const KEPT_MAPS: [&str; 2] = ["$defs", "definitions"];

/// Every subschema that is an object, by its JSON Pointer.
pub(super) struct Nodes<'a> {
    by_pointer: BTreeMap<String, Node<'a>>,
    booleans: BTreeSet<String>,
    anchors: BTreeMap<&'a str, String>,
}

/// One subschema.
pub(super) struct Node<'a> {
    pub(super) fields: &'a Map<String, Value>,
    /// The subschemas that are applied to the same value, without what `$ref` names.
    pub(super) in_place: Vec<String>,
    /// Those that may be applied to one and the same part of the value.
    pub(super) parts: Vec<String>,
    /// Those of which each is for a part of its own.
    pub(super) alternatives: Vec<String>,
}

impl<'a> Nodes<'a> {
    pub(super) fn of(schema: &'a Value) -> Self {
        let mut this = Self { by_pointer: BTreeMap::new(), booleans: BTreeSet::new(), anchors: BTreeMap::new() };
        this.walk(String::new(), schema);
        this
    }

    /// Every subschema, by its pointer.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &'a Map<String, Value>)> {
        self.by_pointer.iter().map(|(pointer, node)| (pointer.as_str(), node.fields))
    }

    /// The same pointer, if it names a subschema that is an object.
    pub(super) fn pointer(&self, pointer: &str) -> Option<&str> {
        self.by_pointer.get_key_value(pointer).map(|(pointer, _)| pointer.as_str())
    }

    /// Whether a subschema stands there that is `true` or `false`.
    pub(super) fn is_boolean(&self, pointer: &str) -> bool {
        self.booleans.contains(pointer)
    }

    pub(super) fn get(&self, pointer: &str) -> Option<&Node<'a>> {
        self.by_pointer.get(pointer)
    }

    /// The pointer of the subschema that a `$ref` names. Percent signs stand for themselves.
    pub(super) fn target(&self, reference: &str) -> Option<String> {
        let fragment = reference.strip_prefix('#')?;
        if fragment.is_empty() || fragment.starts_with('/') {
            return Some(fragment.to_owned());
        }
        self.anchors.get(fragment).cloned()
    }

    fn walk(&mut self, pointer: String, schema: &'a Value) {
        let Value::Object(fields) = schema else {
            self.booleans.extend(schema.is_boolean().then_some(pointer));
            return;
        };
        let (mut in_place, mut parts, mut alternatives, mut kept) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let lists = |names: &[&'static str], into: &mut Vec<(String, &'a Value)>| {
            for name in names {
                let items = fields.get(*name).and_then(Value::as_array).into_iter().flatten().enumerate();
                into.extend(items.map(|(index, item)| (format!("{pointer}/{name}/{index}"), item)));
            }
        };
        let maps = |names: &[&'static str], into: &mut Vec<(String, &'a Value)>| {
            for name in names {
                let items = fields.get(*name).and_then(Value::as_object).into_iter().flatten();
                into.extend(items.map(|(key, item)| (format!("{pointer}/{name}/{}", escaped(key)), item)));
            }
        };
        let single = |names: &[&'static str], into: &mut Vec<(String, &'a Value)>| {
            into.extend(names.iter().filter_map(|name| Some((format!("{pointer}/{name}"), fields.get(*name)?))));
        };
        single(&IN_PLACE, &mut in_place);
        lists(&IN_PLACE_LISTS, &mut in_place);
        maps(&IN_PLACE_MAPS, &mut in_place);
        single(&PARTS, &mut parts);
        maps(&PART_MAPS, &mut parts);
        lists(&ALTERNATIVE_LISTS, &mut alternatives);
        maps(&ALTERNATIVE_MAPS, &mut alternatives);
        single(&KEPT, &mut kept);
        maps(&KEPT_MAPS, &mut kept);
        for keyword in ["$anchor", "$dynamicAnchor"] {
            if let Some(anchor) = fields.get(keyword).and_then(Value::as_str) {
                self.anchors.insert(anchor, pointer.clone());
            }
        }
        let pointers = |of: &[(String, &Value)]| of.iter().map(|(pointer, _)| pointer.clone()).collect();
        let node = Node { fields, in_place: pointers(&in_place), parts: pointers(&parts), alternatives: pointers(&alternatives) };
        self.by_pointer.insert(pointer, node);
        for (pointer, schema) in [in_place, parts, alternatives, kept].into_iter().flatten() {
            self.walk(pointer, schema);
        }
    }
}

/// A name as a segment of a JSON Pointer.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The pointer of a place that lies deeper than `limit`, if there is one. Needs no stack.
pub(super) fn too_deep(value: &Value, limit: usize) -> Option<String> {
    let mut open = vec![(String::new(), value, 0)];
    while let Some((pointer, value, depth)) = open.pop() {
        if depth > limit {
            return Some(pointer);
        }
        match value {
            Value::Object(fields) => {
                open.extend(fields.iter().map(|(name, value)| (format!("{pointer}/{}", escaped(name)), value, depth + 1)));
            }
            Value::Array(items) => {
                open.extend(items.iter().enumerate().map(|(index, value)| (format!("{pointer}/{index}"), value, depth + 1)));
            }
            _ => {}
        }
    }
    None
}
