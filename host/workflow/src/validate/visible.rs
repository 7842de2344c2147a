//! Which steps have run when an expression is evaluated.

use std::collections::HashMap;

use super::graph::{Graph, is};
use super::size::{Sequence, sequences};
use crate::definition::Definition;

/// Whether a step has run before a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// However the place is reached.
    Always,
    /// On some ways to the place.
    Maybe,
    /// On none; its output cannot be seen from there.
    Never,
}

/// A place in a definition: a sequence, and a step in it or its end.
pub(super) type Place = (usize, usize);

/// Every sequence of a definition, and what is known of the ways through each.
pub(super) struct Visibility<'a> {
    pub(super) sequences: Vec<Sequence<'a>>,
    graphs: Vec<Graph>,
    /// Steps by id, and by id with `_` for `-`.
    places: HashMap<String, (&'a str, Place)>,
    /// For each step that was asked for: the places behind it, and those that are reached without it.
    ways: HashMap<Place, (Vec<bool>, Vec<bool>)>,
}

impl<'a> Visibility<'a> {
    pub(super) fn of(definition: &'a Definition) -> Self {
        let sequences = sequences(definition);
        let graphs = sequences.iter().map(|sequence| Graph::of(sequence.steps)).collect();
        let mut places = HashMap::new();
        let steps =
            || sequences.iter().enumerate().flat_map(|(at, sequence)| sequence.steps.iter().enumerate().map(move |step| (at, step)));
        for (at, (place, step)) in steps() {
            places.entry(step.id.clone()).or_insert((step.id.as_str(), (at, place)));
        }
        // What is written exactly comes first.
        for (at, (place, step)) in steps() {
            places.entry(step.id.replace('-', "_")).or_insert((step.id.as_str(), (at, place)));
        }
        Self { sequences, graphs, places, ways: HashMap::new() }
    }

    /// The step that an expression means by a name behind `steps`, and its id.
    pub(super) fn named(&self, name: &str) -> Option<(&'a str, Place)> {
        self.places.get(name).copied()
    }

    /// Every id.
    pub(super) fn ids(&self) -> impl Iterator<Item = &'a str> {
        self.sequences.iter().flat_map(|sequence| sequence.steps).map(|step| step.id.as_str())
    }

    /// Whether a step has run before a place.
    pub(super) fn presence(&mut self, step: Place, mut place: Place) -> Presence {
        let (sequence, inner) = step;
        // The output of a step is seen beside it and within the steps beside it, not around it.
        while place.0 != sequence {
            match self.sequences.get(place.0).and_then(|sequence| sequence.within) {
                None => return Presence::Never,
                Some(around) => place = around,
            }
        }
        let Some(graph) = self.graphs.get(sequence) else { return Presence::Never };
        let (after, without) = self.ways.entry(step).or_insert_with(|| (graph.after(inner), graph.without(inner)));
        // A step itself is reached before it has run, whatever leads back to it.
        match (is(after, place.1), is(without, place.1) || place == step) {
            (false, _) => Presence::Never,
            (true, false) => Presence::Always,
            (true, true) => Presence::Maybe,
        }
    }
}
