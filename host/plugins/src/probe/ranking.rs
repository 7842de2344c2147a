//! Probes of rankers.

use std::collections::BTreeMap;

use breakwater_core::{CallContext, FailureKind, Principal};
use serde_json::Value;

use super::failed;
use crate::config::GuestLimits;
use crate::error::PluginError;
use crate::generation::Generation;
use crate::package::{FixtureCandidate, RankFixture};
use crate::ranking::{RankCandidate, RankRequest, Ranked};
use crate::trap::{Blame, Fault};

/// Runs a fixture: the ranking must be the expected one.
pub(super) async fn probe(generation: &Generation, fixture: &RankFixture, limits: &GuestLimits) -> Result<(), PluginError> {
    let failed = |failure: String| Err(failed(&fixture.name, failure));
    match (ask(generation, fixture, limits).await, &fixture.fails) {
        (Err(fault), Some(code)) if fault.blame == Blame::Nobody && fault.failure.code == *code => Ok(()),
        (Err(fault), _) => failed(fault.failure.chain()),
        (Ok(_), Some(code)) => failed(format!("it answered, though it should have failed with {code}")),
        (Ok(ranked), None) => match &fixture.expect {
            Some(expected) if !agree(&ranked, expected, fixture.tolerance) => {
                failed(format!("it ranked {ranked:?}, expected {expected:?}"))
            }
            _ => Ok(()),
        },
    }
}

async fn ask(generation: &Generation, fixture: &RankFixture, limits: &GuestLimits) -> Result<Vec<Ranked>, Fault> {
    let context = CallContext::root(Principal::System, limits.timeout);
    let request = RankRequest {
        parameters: &fixture.parameters,
        category_weights: &fixture.category_weights,
        quality_weight: fixture.quality_weight,
    };
    let candidates: Vec<_> = fixture.candidates.iter().map(FixtureCandidate::view).collect();
    generation.probe_ranking(&context, &request, &candidates).await
}

fn agree(ranked: &[Ranked], expected: &[Ranked], tolerance: f32) -> bool {
    let same = |(a, b): (&Ranked, &Ranked)| a.index == b.index && (a.score - b.score).abs() <= tolerance;
    ranked.len() == expected.len() && ranked.iter().zip(expected).all(same)
}

/// A ranker without fixtures must answer for three made-up products, or refuse them as unsuitable.
pub(super) async fn probe_builtin(generation: &Generation, limits: &GuestLimits) -> Result<(), PluginError> {
    let (no_attributes, no_weights) = (BTreeMap::new(), BTreeMap::new());
    let one = |id, similarity, created| RankCandidate {
        id,
        title: "A product",
        category: "things",
        attributes: &no_attributes,
        quality: 0.5,
        similarity,
        created,
    };
    let candidates = [one("a", 0.9, 2), one("b", 0.7, 3), one("c", 0.1, 1)];
    let request = RankRequest { parameters: &Value::Null, category_weights: &no_weights, quality_weight: 0.2 };
    let context = CallContext::root(Principal::System, limits.timeout);
    match generation.probe_ranking(&context, &request, &candidates).await {
        Ok(_) => Ok(()),
        Err(fault) if fault.failure.kind == FailureKind::InvalidRequest => Ok(()),
        Err(fault) => Err(failed("of three made-up products", fault.failure.chain())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rankings_agree_in_order_and_within_the_tolerance() {
        let one = |index, score| Ranked { index, score };
        let expected = [one(1, 0.75), one(0, 0.5)];
        assert!(agree(&[one(1, 0.751), one(0, 0.5)], &expected, 0.01));
        assert!(!agree(&[one(1, 0.77), one(0, 0.5)], &expected, 0.01));
        assert!(!agree(&[one(0, 0.75), one(1, 0.5)], &expected, 1.0));
        assert!(!agree(&[one(1, 0.75)], &expected, 1.0));
    }
}
