//! What an expression can see.

use std::collections::BTreeMap;
use std::sync::Arc;

use jmespath::{Rcvar, Variable};
use serde_json::Value;

use super::Mentions;
use super::variable::{from_map, from_value};

/// What an expression can see: `input` of the execution, `context`, `steps` with the outputs of finished steps by id, `previous` (what the
/// step gets), and within a map `item` and `index`.
///
/// A scope never changes: each `with_` gives another one that shares every value with the first. What a branch or an item of a map adds, the
/// others do not see.
#[derive(Debug, Clone)]
pub struct Scope {
    input: Rcvar,
    context: Rcvar,
    previous: Rcvar,
    item: Option<(Rcvar, Rcvar)>,
    steps: Arc<Layer>,
}

/// The output of a step over those from before.
#[derive(Debug, Default)]
struct Layer {
    outputs: BTreeMap<String, Rcvar>,
    below: Option<Arc<Layer>>,
    depth: usize,
}

/// More layers than this become one, so that looking up stays short.
const LAYERS: usize = 16;

impl Scope {
    /// The names that a scope has at its top, without those of a map.
    pub const NAMES: [&'static str; 4] = ["input", "context", "steps", "previous"];
    /// The names that it has in addition within a map.
    pub const MAP_NAMES: [&'static str; 2] = ["item", "index"];

    /// The scope in which an execution begins: `previous` is its input.
    #[must_use]
    pub fn new(input: &Value, context: &BTreeMap<String, Value>) -> Self {
        let input = from_value(input);
        Self { previous: Arc::clone(&input), input, context: from_map(context), item: None, steps: Arc::default() }
    }

    /// With the output of a step; that of an earlier visit is replaced. `previous` stays as it is.
    #[must_use]
    pub fn with_step(&self, id: &str, output: &Value) -> Self {
        Self { steps: Arc::new(Layer::over(&self.steps, id, from_value(output))), ..self.clone() }
    }

    /// With what the next step gets.
    #[must_use]
    pub fn with_previous(&self, previous: &Value) -> Self {
        Self { previous: from_value(previous), ..self.clone() }
    }

    /// Within a map: with one of its items, and its place in the list, from 0. `previous` is the item too.
    #[must_use]
    pub fn with_item(&self, item: &Value, index: usize) -> Self {
        let item = from_value(item);
        Self { previous: Arc::clone(&item), item: Some((item, Rcvar::new(Variable::Number(index.into())))), ..self.clone() }
    }

    /// The scope as an object, with those steps only that are mentioned.
    pub(super) fn root(&self, mentions: &Mentions) -> Rcvar {
        let mut root = BTreeMap::from([
            ("input".to_owned(), Arc::clone(&self.input)),
            ("context".to_owned(), Arc::clone(&self.context)),
            ("previous".to_owned(), Arc::clone(&self.previous)),
            ("steps".to_owned(), Rcvar::new(Variable::Object(self.outputs(mentions)))),
        ]);
        if let Some((item, index)) = &self.item {
            root.insert("item".to_owned(), Arc::clone(item));
            root.insert("index".to_owned(), Arc::clone(index));
        }
        Rcvar::new(Variable::Object(root))
    }

    fn outputs(&self, mentions: &Mentions) -> BTreeMap<String, Rcvar> {
        let mut outputs = if mentions.all_steps || mentions.everything { self.steps.all() } else { BTreeMap::new() };
        for name in &mentions.steps {
            if let Some(output) = self.steps.get(name) {
                outputs.insert(name.clone(), output);
            }
        }
        outputs
    }
}

impl Layer {
    fn over(below: &Arc<Self>, id: &str, output: Rcvar) -> Self {
        if below.depth + 1 < LAYERS {
            return Self { outputs: BTreeMap::from([(id.to_owned(), output)]), below: Some(Arc::clone(below)), depth: below.depth + 1 };
        }
        let mut outputs = below.all();
        outputs.insert(id.to_owned(), output);
        Self { outputs, below: None, depth: 0 }
    }

    fn layers(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |layer| layer.below.as_deref())
    }

    /// The output of a step by its id or, where there is no such id, by its id with `_` for `-`.
    fn get(&self, name: &str) -> Option<Rcvar> {
        let exact = self.layers().find_map(|layer| layer.outputs.get(name));
        let found = exact.or_else(|| {
            let mut outputs = self.layers().flat_map(|layer| &layer.outputs);
            outputs.find(|(id, _)| is_written_as(id, name)).map(|(_, output)| output)
        });
        found.map(Arc::clone)
    }

    fn all(&self) -> BTreeMap<String, Rcvar> {
        let mut outputs = BTreeMap::new();
        for layer in self.layers() {
            for (id, output) in &layer.outputs {
                outputs.entry(id.clone()).or_insert_with(|| Arc::clone(output));
            }
        }
        outputs
    }
}

/// Whether `name` is an id with `_` in the place of `-`, as expressions may write it without quotes.
pub(crate) fn is_written_as(id: &str, name: &str) -> bool {
    id.len() == name.len() && id.bytes().zip(name.bytes()).all(|(a, b)| a == b || (a == b'-' && b == b'_'))
}
