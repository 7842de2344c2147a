//! Random definitions against a model that tries out every way through them.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Host, of_steps};

/// A step as the model knows it: where it leads when it does not fail and when it does, and a step that its input mentions.
#[derive(Debug, Clone)]
struct Model {
    ways: Vec<Option<usize>>,
    fallback: Option<usize>,
    mentions: Option<usize>,
}

/// Steps; places behind the last are names that there are not.
fn models() -> impl Strategy<Value = Vec<Model>> {
    (1_usize..7).prop_flat_map(|count| {
        // Rarely a step that there is not.
        let place = prop_oneof![30 => (0..count).boxed(), 1 => Just(count).boxed()];
        let way = prop_oneof![1 => Just(None).boxed(), 3 => place.clone().prop_map(Some).boxed()];
        let ways = prop::collection::vec(way, 1..4);
        let fallback = prop_oneof![4 => Just(None).boxed(), 1 => place.prop_map(Some).boxed()];
        let mentions = prop::option::weighted(0.4, 0..count);
        let model = (ways, fallback, mentions).prop_map(|(ways, fallback, mentions)| Model { ways, fallback, mentions });
        prop::collection::vec(model, count)
    })
}

fn document(models: &[Model]) -> Value {
    let name = |place: Option<usize>| place.map(|place| format!("s{place}"));
    let steps: Vec<Value> = models
        .iter()
        .enumerate()
        .map(|(at, model)| {
            let mut step = json!({"id": format!("s{at}"), "next": name(model.ways[0])});
            if model.ways.len() > 1 {
                step["type"] = json!("choice");
                step["choices"] = model.ways[1..].iter().map(|way| json!({"when": "input", "next": name(*way)})).collect();
            }
            if let Some(fallback) = model.fallback {
                step["fallback"] = json!({"next": format!("s{fallback}")});
            }
            if let Some(mentioned) = model.mentions {
                step["input"] = json!(format!("steps.s{mentioned}"));
            }
            step
        })
        .collect();
    of_steps(&steps)
}

/// What an execution may have behind it at each place: the places, with the steps that have run as bits.
fn states(models: &[Model]) -> BTreeSet<(usize, u32)> {
    let mut states = BTreeSet::new();
    let mut waiting = vec![(0, 0_u32)];
    while let Some((place, ran)) = waiting.pop() {
        if place < models.len() && states.insert((place, ran)) {
            let leads = models[place].ways.iter().flatten().chain(&models[place].fallback);
            waiting.extend(leads.map(|next| (*next, ran | 1 << place)));
        }
    }
    states
}

/// Whether the end can be reached from a place without failing.
fn ends(models: &[Model], from: usize) -> bool {
    let (mut seen, mut waiting) = (BTreeSet::new(), vec![from]);
    while let Some(place) = waiting.pop() {
        if seen.insert(place) && place < models.len() {
            if models[place].ways.contains(&None) {
                return true;
            }
            waiting.extend(models[place].ways.iter().flatten());
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn a_definition_is_valid_exactly_if_the_model_says_so(models in models()) {
        let report = Host::plain().report(document(&models));
        let told = |code: &str| report.errors.iter().chain(&report.warnings).filter(|problem| problem.code == code).count();
        let leads = || models.iter().flat_map(|model| model.ways.iter().flatten().chain(&model.fallback));
        prop_assert_eq!(told("next.unknown"), leads().filter(|place| **place >= models.len()).count());

        let states = states(&models);
        let reached: BTreeSet<usize> = states.iter().map(|(place, _)| *place).collect();
        prop_assert_eq!(told("step.unreachable"), models.len() - reached.len());
        if told("next.unknown") == 0 {
            prop_assert_eq!(told("step.endless") == 0, (0..models.len()).all(|place| ends(&models, place)));
        }

        let (mut never, mut maybe) = (0, 0);
        for (place, mentioned) in models.iter().enumerate().filter_map(|(place, model)| Some((place, model.mentions?))) {
            if reached.contains(&place) {
                let ran: Vec<bool> = states.iter().filter(|(at, _)| *at == place).map(|(_, ran)| ran & (1 << mentioned) != 0).collect();
                never += usize::from(!ran.contains(&true));
                maybe += usize::from(ran.contains(&true) && ran.contains(&false));
            }
        }
        if reached.len() == models.len() {
            prop_assert_eq!(told("expression.step-never-before"), never);
            prop_assert_eq!(told("expression.step-maybe-not-before"), maybe);
        }
        prop_assert_eq!(report.is_valid(), report.errors.is_empty());
    }
}
