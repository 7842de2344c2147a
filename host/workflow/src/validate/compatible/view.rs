//! What a JSON Schema says of the outermost level of a value.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value};

use super::types::Types;

/// Schemas that a value fits all of, and the document that their references are looked up in.
#[derive(Debug, Clone)]
pub(super) struct Schema<'a> {
    document: &'a Value,
    all: Vec<&'a Value>,
}

/// What they say together of a value, without its parts.
#[derive(Debug)]
pub(super) struct View<'a> {
    document: &'a Value,
    /// The schemas with those that they refer to.
    all: Vec<&'a Map<String, Value>>,
    pub(super) types: Types,
    pub(super) required: BTreeSet<&'a str>,
    /// The only values, as they are written, if they are listed.
    values: Option<HashSet<String>>,
    /// Whether they say things that are not understood here, by which more may be promised.
    is_partly_unknown: bool,
}

/// Keywords by which a schema may promise more than is understood here.
const UNKNOWN: [&str; 10] = [
    "anyOf",
    "oneOf",
    "not",
    "if",
    "dependentRequired",
    "dependentSchemas",
    "minProperties",
    "$dynamicRef",
    "$recursiveRef",
    "dependencies",
];
/// Schemas that one may consist of.
const MAX_PARTS: usize = 64;
/// Longer lists of values are not compared.
const MAX_VALUES: usize = 1000;

impl<'a> Schema<'a> {
    /// A whole document.
    pub(super) fn root(document: &'a Value) -> Self {
        Self { document, all: vec![document] }
    }
}

impl<'a> View<'a> {
    /// Looks at schemas, unless there is too much to look at. Takes what it looks at from `work`.
    pub(super) fn of(schema: &Schema<'a>, work: &mut usize) -> Option<Self> {
        let mut view = Self {
            document: schema.document,
            all: Vec::new(),
            types: Types::ALL,
            required: BTreeSet::new(),
            values: None,
            is_partly_unknown: false,
        };
        let mut seen: HashSet<*const Value> = HashSet::new();
        let mut waiting = schema.all.clone();
        while let Some(part) = waiting.pop() {
            *work = work.checked_sub(1)?;
            if !seen.insert(std::ptr::from_ref(part)) {
                continue;
            }
            // `true` says nothing; `false` is told from the schema around it.
            let Value::Object(keywords) = part else { continue };
            // Within a part that has a name of its own, references mean something else.
            let is_named = keywords.contains_key("$id") && !std::ptr::eq(part, schema.document);
            if is_named || view.all.len() == MAX_PARTS {
                return None;
            }
            view.add(keywords, work)?;
            if let Some(Value::Array(parts)) = keywords.get("allOf") {
                waiting.extend(parts);
            }
            match keywords.get("$ref").map(|reference| view.referred(reference)) {
                Some(Some(part)) => waiting.push(part),
                Some(None) => view.is_partly_unknown = true,
                None => {}
            }
        }
        Some(view)
    }

    fn add(&mut self, keywords: &'a Map<String, Value>, work: &mut usize) -> Option<()> {
        self.all.push(keywords);
        self.is_partly_unknown |= UNKNOWN.iter().any(|keyword| keywords.contains_key(*keyword));
        if let Some(names) = keywords.get("type") {
            self.types = self.types.and(Types::named(names));
        }
        if let Some(Value::Array(names)) = keywords.get("required") {
            *work = work.checked_sub(names.len())?;
            self.required.extend(names.iter().filter_map(Value::as_str));
        }
        if let Some(value) = keywords.get("const") {
            self.only(std::slice::from_ref(value));
        }
        if let Some(Value::Array(values)) = keywords.get("enum") {
            *work = work.checked_sub(values.len())?;
            self.only(values);
        }
        Some(())
    }

    fn only(&mut self, values: &[Value]) {
        self.types = self.types.and(Types::of(values));
        if values.len() > MAX_VALUES {
            return;
        }
        let values: HashSet<String> = values.iter().map(written).collect();
        self.values = Some(match self.values.take() {
            None => values,
            Some(before) => before.intersection(&values).cloned().collect(),
        });
    }

    /// What a local reference refers to.
    fn referred(&self, reference: &Value) -> Option<&'a Value> {
        let pointer = reference.as_str()?.strip_prefix('#')?;
        // Characters that are escaped for a URL are rare enough to count as unknown.
        if pointer.contains('%') || (!pointer.is_empty() && !pointer.starts_with('/')) {
            return None;
        }
        self.document.pointer(pointer)
    }

    /// Whether both list values and have none in common.
    pub(super) fn is_disjoint(&self, other: &View<'_>) -> bool {
        match (&self.values, &other.values) {
            (Some(values), Some(others)) => !values.is_empty() && !others.is_empty() && values.is_disjoint(others),
            _ => false,
        }
    }

    /// Whether what they do not promise of an object is not promised: they name its properties, and say nothing that is not understood.
    pub(super) fn is_described(&self) -> bool {
        !self.is_partly_unknown && self.all.iter().any(|keywords| keywords.contains_key("properties") || keywords.contains_key("required"))
    }

    /// Whether an object cannot have a property of this name.
    pub(super) fn excludes(&self, name: &str) -> bool {
        self.all.iter().any(|keywords| match keywords.get("properties").and_then(|properties| properties.get(name)) {
            Some(schema) => *schema == Value::Bool(false),
            None => keywords.get("additionalProperties") == Some(&Value::Bool(false)) && !keywords.contains_key("patternProperties"),
        })
    }

    /// What a property must be, if something is said of it.
    pub(super) fn property(&self, name: &str) -> Option<Schema<'a>> {
        self.within(|keywords| keywords.get("properties").and_then(|properties| properties.get(name)))
    }

    /// What the items of a list must be, if something is said of them.
    pub(super) fn items(&self) -> Option<Schema<'a>> {
        self.within(|keywords| keywords.get("items").filter(|_| !keywords.contains_key("prefixItems")))
    }

    fn within(&self, part: impl Fn(&'a Map<String, Value>) -> Option<&'a Value>) -> Option<Schema<'a>> {
        let all: Vec<&Value> = self.all.iter().copied().filter_map(part).collect();
        (!all.is_empty()).then_some(Schema { document: self.document, all })
    }
}

/// A value as it is compared: `1` and `1.0` are the same.
fn written(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() && number.fract() == 0.0 && number.abs() < 9.0e15 => format!("{number:.0}"),
        _ => value.to_string(),
    }
}
