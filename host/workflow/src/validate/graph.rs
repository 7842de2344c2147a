//! The steps of one sequence and where each may lead.

use std::collections::HashMap;

use crate::definition::{Step, StepType};

/// Where steps lead. A step is its place in the list; the place behind the last is the end of the sequence.
pub(super) struct Graph {
    /// What may follow each step when it does not fail.
    ways: Vec<Vec<usize>>,
    /// What follows each step when it fails, if something does.
    fallbacks: Vec<Option<usize>>,
}

/// What may lead from a step to another: the pointer within the step, and the name of the other.
pub(super) fn leads(step: &Step) -> Vec<(String, &str)> {
    let mut leads = Vec::new();
    leads.extend(step.next.iter().map(|next| ("/next".to_owned(), next.as_str())));
    for (place, choice) in step.choices.iter().enumerate() {
        leads.extend(choice.next.iter().map(|next| (format!("/choices/{place}/next"), next.as_str())));
    }
    let fallback = step.fallback.iter().filter_map(|fallback| fallback.next.as_deref());
    leads.extend(fallback.map(|next| ("/fallback/next".to_owned(), next)));
    leads
}

impl Graph {
    /// Of a sequence. What leads to no step is left out.
    pub(super) fn of(steps: &[Step]) -> Self {
        // The first of those that have one id, as the executor takes it.
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (place, step) in steps.iter().enumerate() {
            places.entry(step.id.as_str()).or_insert(place);
        }
        let end = steps.len();
        let place = |next: Option<&str>| next.map_or(Some(end), |next| places.get(next).copied());
        let ways = steps.iter().map(|step| {
            let mut ways: Vec<usize> = place(step.next.as_deref()).into_iter().collect();
            if step.kind == StepType::Choice {
                ways.extend(step.choices.iter().filter_map(|choice| place(choice.next.as_deref())));
            }
            ways.sort_unstable();
            ways.dedup();
            ways
        });
        let fallbacks = steps.iter().map(|step| {
            let next = step.fallback.as_ref().and_then(|fallback| fallback.next.as_deref())?;
            places.get(next).copied()
        });
        Self { ways: ways.collect(), fallbacks: fallbacks.collect() }
    }

    /// How many steps there are; also the place of the end.
    pub(super) fn end(&self) -> usize {
        self.ways.len()
    }

    /// What may follow a step when it does not fail.
    pub(super) fn ways(&self, step: usize) -> &[usize] {
        self.ways.get(step).map_or(&[], Vec::as_slice)
    }

    /// What follows a step when it fails.
    pub(super) fn fallback(&self, step: usize) -> Option<usize> {
        self.fallbacks.get(step).copied().flatten()
    }

    /// Which places an execution may come to.
    pub(super) fn reachable(&self) -> Vec<bool> {
        self.spread(vec![0], None)
    }

    /// Which places an execution may come to after a step.
    pub(super) fn after(&self, step: usize) -> Vec<bool> {
        self.spread(self.all_ways(step).collect(), None)
    }

    /// Which places an execution may come to without having come by a step.
    pub(super) fn without(&self, step: usize) -> Vec<bool> {
        self.spread(vec![0], Some(step))
    }

    fn all_ways(&self, step: usize) -> impl Iterator<Item = usize> {
        self.ways(step).iter().copied().chain(self.fallback(step))
    }

    fn spread(&self, from: Vec<usize>, avoided: Option<usize>) -> Vec<bool> {
        spread(from, self.end() + 1, |place| self.all_ways(place).collect(), avoided)
    }

    /// Which steps lead to one, with whether it is because they failed.
    pub(super) fn before(&self, step: usize) -> Vec<(usize, bool)> {
        let normal = self.ways.iter().enumerate().filter(|(_, ways)| ways.contains(&step)).map(|(place, _)| (place, false));
        let failed = self.fallbacks.iter().enumerate().filter(|(_, next)| **next == Some(step)).map(|(place, _)| (place, true));
        normal.chain(failed).collect()
    }

    /// Loops that nothing leaves but a failure: the steps of each, in the order of the list.
    pub(super) fn endless(&self) -> Vec<Vec<usize>> {
        let size = self.end() + 1;
        let mut leading: Vec<Vec<usize>> = vec![Vec::new(); size];
        for (step, ways) in self.ways.iter().enumerate() {
            for way in ways {
                leading.get_mut(*way).into_iter().for_each(|leading| leading.push(step));
            }
        }
        let backwards = |from: usize| spread(vec![from], size, |place| leading.get(place).cloned().unwrap_or_default(), None);
        // Most definitions have no such loop: all their steps come to the end.
        let mut settled = backwards(self.end());
        let mut loops = Vec::new();
        for step in 0..self.end() {
            if is(&settled, step) {
                continue;
            }
            let forwards = spread(self.ways(step).to_vec(), size, |place| self.ways(place).to_vec(), None);
            if !is(&forwards, step) {
                continue;
            }
            let back = backwards(step);
            let members: Vec<usize> = (0..self.end()).filter(|other| is(&forwards, *other) && is(&back, *other)).collect();
            for member in &members {
                settled.get_mut(*member).into_iter().for_each(|settled| *settled = true);
            }
            if members.iter().flat_map(|member| self.ways(*member)).all(|way| members.binary_search(way).is_ok()) {
                loops.push(members);
            }
        }
        loops
    }
}

/// Whether a place is marked.
pub(super) fn is(marks: &[bool], place: usize) -> bool {
    marks.get(place).copied().unwrap_or(false)
}

/// Marks what is reached from `from`, without `avoided`.
fn spread(from: Vec<usize>, size: usize, ways: impl Fn(usize) -> Vec<usize>, avoided: Option<usize>) -> Vec<bool> {
    let mut marks = vec![false; size];
    let mut waiting = from;
    while let Some(place) = waiting.pop() {
        if Some(place) == avoided {
            continue;
        }
        if let Some(mark) = marks.get_mut(place).filter(|mark| !**mark) {
            *mark = true;
            waiting.extend(ways(place));
        }
    }
    marks
}
