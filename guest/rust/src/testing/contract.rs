//! What the host checks when an adapter or a fallback is deployed, and of every ranking.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::adapter::Operation;
use crate::fallback::Level;
use crate::ranker::{Candidate, Ranked};

const MOST: usize = 64;
const LONGEST_NAME: usize = 64;
const LONGEST_SUMMARY: usize = 256;
const LARGEST_SCHEMA: usize = 64 << 10;

/// Checks an adapter's operations as the host does when it is deployed.
///
/// # Errors
/// The rule that is broken, in a sentence.
pub fn check_operations(operations: &[Operation]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    if operations.is_empty() || operations.len() > MOST {
        return Err(format!("there are {} operations, not from 1 to {MOST}", operations.len()));
    }
    for operation in operations {
        let name = operation.name;
        check_name(name)?;
        if !names.insert(name) {
            return Err(format!("{name} is there twice"));
        }
        if operation.summary.is_empty() || operation.summary.len() > LONGEST_SUMMARY {
            return Err(format!("the summary of {name} is empty or longer than {LONGEST_SUMMARY} bytes"));
        }
        for (which, schema) in [("input", operation.input_schema), ("output", operation.output_schema)] {
            check_schema(schema).map_err(|what| format!("the {which} schema of {name} {what}"))?;
        }
    }
    Ok(())
}

/// Checks a fallback's levels as the host does when it is deployed.
///
/// # Errors
/// The rule that is broken, in a sentence.
pub fn check_levels(levels: &[Level]) -> Result<(), String> {
    if levels.is_empty() || levels.len() > MOST {
        return Err(format!("there are {} levels, not from 1 to {MOST}", levels.len()));
    }
    let mut seen = BTreeSet::new();
    for level in levels {
        check_name(level.operation)?;
        check_name(level.name)?;
        if !seen.insert((level.operation, level.name)) {
            return Err(format!("{} of {} is there twice", level.name, level.operation));
        }
    }
    Ok(())
}

/// Checks a ranking of so many candidates as the host does: what breaks a rule here costs the plugin a strike there.
///
/// # Errors
/// The rule that is broken, in a sentence.
pub fn check_ranking(ranked: &[Ranked], candidates: usize) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for Ranked { index, score } in ranked {
        if *index as usize >= candidates || !seen.insert(*index) {
            return Err(format!("{index} is no candidate of {candidates}, or there twice"));
        }
        if !score.is_finite() {
            return Err(format!("the score of {index} is not finite"));
        }
    }
    Ok(())
}

/// A product of this id and similarity, without a category, of quality 1.
#[must_use]
pub fn candidate(id: &str, similarity: f32) -> Candidate {
    let none = || String::new();
    Candidate { id: id.to_owned(), title: none(), category: none(), attributes: Vec::new(), quality: 1.0, similarity, created: 0 }
}

/// Words of lower-case letters and digits, joined by hyphens.
fn check_name(name: &str) -> Result<(), String> {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|character| character.is_ascii_lowercase() || character.is_ascii_digit());
    let fits = name.len() <= LONGEST_NAME && name.split('-').all(word);
    if fits { Ok(()) } else { Err(format!("{name:?} is not kebab case of at most {LONGEST_NAME} bytes")) }
}

fn check_schema(schema: &str) -> Result<(), String> {
    if schema.len() > LARGEST_SCHEMA {
        return Err(format!("is longer than {LARGEST_SCHEMA} bytes"));
    }
    let schema: Value = serde_json::from_str(schema).map_err(|error| format!("is not JSON: {error}"))?;
    if !schema.is_object() {
        return Err("is no object".to_owned());
    }
    match outside(&schema) {
        Some(reference) => Err(format!("refers to another document: {reference}")),
        None => Ok(()),
    }
}

/// The first reference that leaves the schema.
fn outside(schema: &Value) -> Option<&str> {
    match schema {
        Value::Object(members) => members.iter().find_map(|(name, value)| match value.as_str() {
            Some(target) if matches!(name.as_str(), "$ref" | "$dynamicRef") && !target.starts_with('#') => Some(target),
            _ => outside(value),
        }),
        Value::Array(items) => items.iter().find_map(outside),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Operation =
        Operation::read("get-weather", "The weather.", "{}", r##"{"$defs": {"a": {}}, "items": {"$ref": "#/$defs/a"}}"##);

    #[test]
    fn an_operation_that_the_host_takes_is_taken() {
        assert_eq!(check_operations(&[GOOD, Operation { name: "set-2", ..GOOD }]), Ok(()));
        assert_eq!(check_levels(&[Level::new("get-weather", "yearly-average"), Level::new("get-weather", "none")]), Ok(()));
    }

    #[test]
    fn a_ranking_names_candidates_once_with_finite_scores() {
        let one = |index, score| Ranked { index, score };
        assert_eq!(check_ranking(&[one(1, 0.5), one(0, 0.5)], 2), Ok(()));
        for wrong in [&[one(2, 0.5)][..], &[one(0, 0.5), one(0, 0.5)], &[one(0, f32::NAN)]] {
            assert!(check_ranking(wrong, 2).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn each_rule_that_is_broken_is_named() {
        let long = "x".repeat(65);
        let long: &'static str = long.leak();
        for (wrong, names) in [
            (Operation { name: "getWeather", ..GOOD }, "kebab"),
            (Operation { name: "get--weather", ..GOOD }, "kebab"),
            (Operation { name: long, ..GOOD }, "kebab"),
            (Operation { summary: "", ..GOOD }, "summary"),
            (Operation { input_schema: "{", ..GOOD }, "input schema"),
            (Operation { output_schema: "true", ..GOOD }, "output schema"),
            (Operation { output_schema: r#"{"items": [{"$ref": "https://x/y"}]}"#, ..GOOD }, "https://x/y"),
        ] {
            let problem = check_operations(&[wrong]).unwrap_err();
            assert!(problem.contains(names), "{problem}");
        }
        assert!(check_operations(&[GOOD, GOOD]).unwrap_err().contains("twice"));
        assert!(check_operations(&[]).is_err() && check_operations(&[GOOD; 65]).is_err());
        let level = Level::new("a", "b");
        assert!(check_levels(&[level, level]).is_err() && check_levels(&[Level::new("a", "B")]).is_err() && check_levels(&[]).is_err());
    }
}
