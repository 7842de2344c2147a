//! Whether steps lead somewhere, something leads to each, and loops end.

use super::findings::{Findings, meant, shown};
use super::graph::{Graph, is, leads};
use super::size::{Sequence, sequences};
use crate::definition::Definition;

pub(super) fn check(definition: &Definition, findings: &mut Findings) {
    for sequence in sequences(definition) {
        let graph = Graph::of(sequence.steps);
        dangling(&sequence, findings);
        unreachable(&sequence, &graph, findings);
        endless(&sequence, &graph, findings);
    }
}

fn dangling(sequence: &Sequence<'_>, findings: &mut Findings) {
    let ids = || sequence.steps.iter().map(|step| step.id.as_str());
    let known: std::collections::HashSet<&str> = ids().collect();
    for (place, step) in sequence.steps.iter().enumerate() {
        for (pointer, next) in leads(step).into_iter().filter(|(_, next)| !known.contains(next)) {
            if findings.is_full() {
                return;
            }
            let within = if sequence.within.is_some() { " among the steps beside it" } else { "" };
            let message = format!("there is no step `{}`{within}{}", shown(next), meant(next, ids()));
            findings.error(format!("{}{pointer}", sequence.at(place)), "next.unknown", message);
        }
    }
}

fn unreachable(sequence: &Sequence<'_>, graph: &Graph, findings: &mut Findings) {
    let reachable = graph.reachable();
    let mut before: Option<usize> = None;
    for (place, step) in sequence.steps.iter().enumerate() {
        if !is(&reachable, place) {
            // The step that stands before it in the document is the one whose `next` was forgotten most often.
            let forgotten = before.and_then(|before| sequence.steps.get(before)).filter(|before| leads(before).is_empty());
            let hint =
                forgotten.map(|before| format!("; `{}`, which stands before it, has no `next`", shown(&before.id))).unwrap_or_default();
            let message = format!("no step that is reached leads to `{}`{hint}", shown(&step.id));
            findings.error(sequence.at(place), "step.unreachable", message);
        }
        before = Some(place);
    }
}

fn endless(sequence: &Sequence<'_>, graph: &Graph, findings: &mut Findings) {
    for members in graph.endless() {
        let names: Vec<String> =
            members.iter().filter_map(|member| sequence.steps.get(*member)).take(8).map(|step| format!("`{}`", shown(&step.id))).collect();
        let more = if members.len() > names.len() { " and others" } else { "" };
        let message = format!("{}{more} lead to each other for ever: a loop needs a `choice` with a way out of it", names.join(", "));
        let at = members.first().map_or_else(|| sequence.pointer.clone(), |member| sequence.at(*member));
        findings.error(at, "step.endless", message);
    }
}
