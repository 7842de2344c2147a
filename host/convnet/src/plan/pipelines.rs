//! Which layers run row by row behind each other.

use crate::plan::MAX_STAGES;
use crate::program::{Layer, Program, Value, Window};
use crate::table::Id;

/// The most memory for rows between the layers of a pipeline, in values. A little more than a second-level cache: cutting YuNet's
/// backbone to stay below it was found to cost more than it gains, for the rows near its end are seldom touched.
const MAX_RING: usize = 1280 * 1024 / size_of::<f32>();

/// Lists of layers, in an order in which they can run: a list stands where its last layer stands in the program. Only the last
/// layer's result is read by others. `rings` is how many values lie between the layers of a list at the least.
pub(super) fn pipelines(program: &Program, rings: impl Fn(&[Id<Layer>]) -> usize) -> Vec<Vec<Id<Layer>>> {
    let uses = uses(program);
    let mut open: Vec<Vec<Id<Layer>>> = Vec::new();
    for (id, layer) in program.layers.iter() {
        let follows = layer.input.filter(|_| layer.streams()).and_then(|input| {
            let value = &program.values[input.value];
            let whole = input.first_block == 0 && input.channels == value.channels;
            let private = uses.get(input.value.index()) == Some(&1) && value.home.is_none();
            let extra_is_own = layer.extra.is_some_and(|extra| extra.value == input.value);
            let tail = |list: &&mut Vec<Id<Layer>>| list.last().is_some_and(|last| program.layers[*last].output == input.value);
            let list = open.iter_mut().find(tail).filter(|_| whole && private && !extra_is_own)?;
            let aligned = list.first().is_none_or(|first| program.layers[*first].tile() == 1 || layer.window() == Window::ONE);
            list.push(id);
            if aligned && list.len() <= MAX_STAGES && rings(list) <= MAX_RING {
                return Some(());
            }
            list.pop();
            None
        });
        if follows.is_none() {
            open.push(vec![id]);
        }
    }
    open.sort_by_key(|list| list.last().map(|last| last.index()));
    open
}

/// How many layers and outputs read each tensor, or write into it beside its own layer.
fn uses(program: &Program) -> Vec<usize> {
    let mut uses = vec![0; program.values.len()];
    let mut count = |value: Id<Value>, by: usize| {
        if let Some(count) = uses.get_mut(value.index()) {
            *count += by;
        }
    };
    for (_, layer) in program.layers.iter() {
        for piece in layer.pieces() {
            count(piece.value, 1);
        }
    }
    for export in &program.exports {
        // More than one: what is read at the end must not be forgotten before.
        count(export.value, 2);
    }
    for (_, value) in program.values.iter() {
        if let Some((home, _)) = value.home {
            count(home, 2);
        }
    }
    let mut writers = vec![0; program.values.len()];
    for (_, layer) in program.layers.iter() {
        if let Some(count) = writers.get_mut(layer.output.index()) {
            *count += 1;
        }
    }
    uses.into_iter().zip(writers).map(|(uses, writers)| if writers > 1 { uses + 2 } else { uses }).collect()
}
