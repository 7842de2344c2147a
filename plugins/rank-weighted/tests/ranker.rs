//! The formula, and the fixtures of the manifest.
#![expect(clippy::unwrap_used, reason = "a test that meets a surprise should stop there")]

use std::fs;
use std::path::Path;

use breakwater_guest::parameters::NoParameters;
use breakwater_guest::testing::{FakeHost, candidate, check_ranking};
use breakwater_guest::{Candidate, Ranked, Ranker, Ranking};
use proptest::prelude::*;
use rank_weighted::Weighted;
use serde_json::Value;

/// As the host orders it: by falling score, equal ones as they were given.
fn ordered(wanted: &Ranking<NoParameters>, candidates: &[Candidate]) -> Vec<Ranked> {
    let mut ranked = Weighted::rank(&FakeHost::new(), wanted, candidates).unwrap();
    assert_eq!(check_ranking(&ranked, candidates.len()), Ok(()));
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    ranked
}

fn places(ranked: &[Ranked]) -> Vec<u32> {
    ranked.iter().map(|one| one.index).collect()
}

#[test]
fn the_fixtures_of_the_manifest_are_ranked_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let json = |name: &str| -> Value { serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap() };
    let manifest: Value = toml::from_str(&fs::read_to_string(folder.join("plugin.toml")).unwrap()).unwrap();
    let number = |value: &Value, otherwise: f64| value.as_f64().unwrap_or(otherwise) as f32;
    for fixture in manifest["fixtures"].as_array().unwrap() {
        let input = json(fixture["input"].as_str().unwrap());
        let mut wanted = Ranking::new(NoParameters).with_quality_weight(number(&input["quality_weight"], 0.0));
        for (category, weight) in input["category_weights"].as_object().into_iter().flatten() {
            wanted = wanted.with_category_weight(category, number(weight, 1.0));
        }
        let read = |one: &Value| Candidate {
            category: one["category"].as_str().unwrap_or_default().to_owned(),
            quality: number(&one["quality"], 1.0),
            ..candidate(one["id"].as_str().unwrap(), number(&one["similarity"], 0.0))
        };
        let candidates: Vec<_> = input["candidates"].as_array().unwrap().iter().map(read).collect();
        let ranked = ordered(&wanted, &candidates);
        let expected = json(fixture["expect"].as_str().unwrap());
        assert_eq!(ranked.len(), expected.as_array().unwrap().len());
        for (one, expected) in ranked.iter().zip(expected.as_array().unwrap()) {
            assert_eq!(u64::from(one.index), expected["index"].as_u64().unwrap());
            assert!((one.score - number(&expected["score"], f64::NAN)).abs() < 1e-5, "{one:?} {expected}");
        }
    }
}

#[test]
fn quality_alone_and_similarity_alone() {
    let candidates = [Candidate { quality: 0.1, ..candidate("a", 0.9) }, Candidate { quality: 0.8, ..candidate("b", 0.2) }];
    let scores = |weight: f32| -> Vec<f32> {
        let ranked = Weighted::rank(&FakeHost::new(), &Ranking::new(NoParameters).with_quality_weight(weight), &candidates);
        ranked.unwrap().iter().map(|one| one.score).collect()
    };
    assert_eq!((scores(0.0), scores(1.0)), (vec![0.9, 0.2], vec![0.1, 0.8]));
}

#[test]
fn equal_scores_stay_most_similar_first_and_a_category_of_no_weight_comes_last() {
    let hat = |similarity: f32| Candidate { category: "hats".to_owned(), ..candidate("hat", similarity) };
    let wanted = Ranking::new(NoParameters).with_category_weight("hats", 0.0);
    let ranked = ordered(&wanted, &[hat(0.9), hat(0.8), candidate("shoe", 0.1)]);
    assert_eq!(places(&ranked), [2, 0, 1]);
}

proptest! {
    #[test]
    fn every_candidate_has_a_finite_score_and_nothing_weighted_is_by_similarity(
        similarities in prop::collection::vec(-1.0_f32..=1.0, 0..50),
        (quality_weight, weight, quality) in (0.0_f32..=1.0, 0.0_f32..=100.0, 0.0_f32..=1.0),
    ) {
        let mut candidates: Vec<_> = similarities.iter().map(|similarity| Candidate { quality, ..candidate("x", *similarity) }).collect();
        candidates.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        let wanted = Ranking::new(NoParameters).with_quality_weight(quality_weight).with_category_weight("", weight);
        prop_assert_eq!(ordered(&wanted, &candidates).len(), candidates.len());
        let plain = ordered(&Ranking::new(NoParameters), &candidates);
        prop_assert_eq!(places(&plain), (0..).take(candidates.len()).collect::<Vec<u32>>());
    }
}
