//! What references make of a schema: how many subschemas one place of a value meets.

use std::collections::BTreeMap;

use serde_json::Value;

use super::nodes::Nodes;
use super::{MAX_APPLIED, MAX_NESTED, MAX_REFERENCES, SchemaViolation};

/// What holding a value against a schema may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weight {
    /// How many subschemas are held against a value and the parts that lead to one of its leaves, at most. Where references lead in
    /// circles, for each round.
    pub(crate) applied: u64,
    /// How many subschemas stand one inside of another, references followed; each is a frame on the stack.
    pub(crate) nested: usize,
    /// Whether references lead in circles, through parts of the value.
    pub(crate) is_recursive: bool,
}

/// What a subschema brings in.
#[derive(Clone, Copy)]
struct Found {
    /// Subschemas along one way into the value, itself included.
    applied: u64,
    /// References one inside of another.
    references: usize,
    /// Subschemas one inside of another, itself included.
    nested: usize,
}

impl Found {
    /// One that brings nothing in.
    const ONE: Self = Self { applied: 1, references: 0, nested: 1 };

    /// The same, with what stands inside.
    fn with(self, inside: Self) -> Self {
        Self { applied: self.applied.saturating_add(inside.applied), ..self.around(inside) }
    }

    /// The same, with what stands inside but is not applied.
    fn around(self, inside: Self) -> Self {
        Self { references: self.references.max(inside.references), nested: self.nested.max(inside.nested + 1), ..self }
    }
}

/// What is known of a subschema.
#[derive(Clone, Copy)]
enum Known {
    /// It is being weighed, so many parts of the value below the first.
    Open { level: usize },
    /// All of it.
    Counted(Found),
}

/// Where the weighing is.
#[derive(Clone, Copy)]
struct Place {
    /// References that led here.
    followed: usize,
    /// Subschemas that this one stands in.
    nested: usize,
    /// Parts of the value that were entered.
    level: usize,
}

struct Weighing<'n, 'a> {
    nodes: &'n Nodes<'a>,
    known: BTreeMap<&'n str, Known>,
    wrong: Vec<SchemaViolation>,
    is_recursive: bool,
}

/// Follows every reference. Gives what is wrong with them too.
pub(super) fn weigh(nodes: &Nodes<'_>) -> (Weight, Vec<SchemaViolation>) {
    let mut weighing = Weighing { nodes, known: BTreeMap::new(), wrong: Vec::new(), is_recursive: false };
    let (mut all, mut heaviest) = (Found::ONE, "");
    for (pointer, _) in nodes.all() {
        let found = weighing.count(pointer, Place { followed: 0, nested: 0, level: 0 });
        if found.applied > all.applied {
            heaviest = pointer;
        }
        all = Found { applied: all.applied.max(found.applied), references: 0, nested: all.nested.max(found.nested) };
    }
    if all.applied > MAX_APPLIED {
        let message = format!("holds more than {MAX_APPLIED} schemas against one value and its parts, with all that references bring in");
        weighing.wrong.push(SchemaViolation::new(heaviest, message));
    }
    (Weight { applied: all.applied, nested: all.nested, is_recursive: weighing.is_recursive }, weighing.wrong)
}

impl<'n> Weighing<'n, '_> {
    /// What the subschema at `pointer` brings in.
    fn count(&mut self, pointer: &'n str, place: Place) -> Found {
        let nodes = self.nodes;
        let Some(node) = nodes.get(pointer) else { return Found::ONE };
        match self.known.get(pointer) {
            Some(Known::Counted(found)) => return *found,
            Some(Known::Open { level }) if *level == place.level => {
                self.refuse(pointer, "refers to itself without looking at any part of the value".to_owned());
                return Found::ONE;
            }
            Some(Known::Open { .. }) => {
                self.is_recursive = true;
                return Found::ONE;
            }
            None => {}
        }
        if place.nested > MAX_NESTED || place.followed > MAX_REFERENCES {
            // The stack is for those who may go on; what is too deep is told of where it begins.
            let references = if place.followed > MAX_REFERENCES { MAX_REFERENCES + 1 } else { 0 };
            return Found { applied: 1, references, nested: MAX_NESTED + 1 };
        }
        self.known.insert(pointer, Known::Open { level: place.level });
        let here = Place { nested: place.nested + 1, ..place };
        let inside = Place { level: place.level + 1, ..here };
        let mut found = Found::ONE;
        for below in &node.in_place {
            found = found.with(self.count_below(below, here));
        }
        for below in &node.parts {
            found = found.with(self.count_below(below, inside));
        }
        // One part has one name: of these, one at most counts.
        let mut largest = 0;
        for below in &node.alternatives {
            let alternative = self.count_below(below, inside);
            largest = alternative.applied.max(largest);
            found = found.around(alternative);
        }
        found.applied = found.applied.saturating_add(largest);
        if let Some(reference) = node.fields.get("$ref").and_then(Value::as_str) {
            let target = self.follow(pointer, reference, Place { followed: place.followed + 1, ..here });
            found = found.with(Found { references: target.references + 1, ..target });
        }
        if found.references > MAX_REFERENCES {
            self.refuse(pointer, format!("more than {MAX_REFERENCES} references follow one another"));
        } else if found.nested > MAX_NESTED {
            self.refuse(pointer, format!("more than {MAX_NESTED} schemas stand one inside of another, with all that references bring in"));
        }
        self.known.insert(pointer, Known::Counted(found));
        found
    }

    fn count_below(&mut self, pointer: &str, place: Place) -> Found {
        self.nodes.pointer(pointer).map_or(Found::ONE, |pointer| self.count(pointer, place))
    }

    fn follow(&mut self, pointer: &str, reference: &str, place: Place) -> Found {
        let nodes = self.nodes;
        let target = nodes.target(reference);
        match target.as_deref().map(|target| (nodes.pointer(target), nodes.is_boolean(target))) {
            Some((Some(target), _)) => self.count(target, place),
            Some((None, true)) => Found::ONE,
            Some((None, false)) => {
                self.wrong.push(SchemaViolation::new(format!("{pointer}/$ref"), "names no schema of the document"));
                Found::ONE
            }
            None => {
                let message = "names a schema of the same document, such as `#/$defs/name`";
                self.wrong.push(SchemaViolation::new(format!("{pointer}/$ref"), message));
                Found::ONE
            }
        }
    }

    /// One violation of a kind is enough: what follows is about the same references.
    fn refuse(&mut self, pointer: &str, message: String) {
        if !self.wrong.iter().any(|wrong| wrong.message == message) {
            self.wrong.push(SchemaViolation::new(pointer, message));
        }
    }
}
