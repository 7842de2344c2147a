//! Names: of the workflow, of its steps, of branches and signals.

use std::collections::HashMap;

use super::findings::{Findings, escaped, shown};
use super::size::sequences;
use crate::definition::Definition;
use crate::records::{RESERVED, is_of_the_host};

/// The longest id of a step or name of a branch.
const LONGEST_ID: usize = 64;
/// The longest name of a workflow or of a signal.
const LONGEST_NAME: usize = 128;

pub(super) fn check(definition: &Definition, findings: &mut Findings) {
    let is_of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    if !consists_of(&definition.name, LONGEST_NAME, is_of_name) {
        let message =
            format!("a name has 1 to {LONGEST_NAME} lower-case letters, digits, `-`, `_` and `.`: not `{}`", shown(&definition.name));
        findings.error("/name", "definition.name-invalid", message);
    } else if is_of_the_host(&definition.name) {
        let message = format!("names that begin with `{RESERVED}` are for workflows of the host");
        findings.error("/name", "definition.name-invalid", message);
    }
    let mut ids: HashMap<String, (String, &str)> = HashMap::new();
    for sequence in sequences(definition) {
        for (place, step) in sequence.steps.iter().enumerate() {
            let at = sequence.at(place);
            if is_id(&step.id) {
                // Expressions may write `_` for `-`, so that two ids that differ in nothing else cannot be told apart.
                match ids.get(&step.id.replace('-', "_")) {
                    None => drop(ids.insert(step.id.replace('-', "_"), (at.clone(), &step.id))),
                    Some((first, other)) if *other == step.id => {
                        findings.error(format!("{at}/id"), "step.id-doubled", format!("the step at {first} has the id `{other}` too"));
                    }
                    Some((first, other)) => {
                        let message = format!("expressions cannot tell `{}` from `{other}`, the step at {first}", step.id);
                        findings.error(format!("{at}/id"), "step.id-ambiguous", message);
                    }
                }
            } else {
                let message = format!("an id has 1 to {LONGEST_ID} letters, digits, `-` and `_`: not `{}`", shown(&step.id));
                findings.error(format!("{at}/id"), "step.id-invalid", message);
            }
            for name in step.branches.keys().filter(|name| !is_id(name)) {
                let message = format!("a branch's name has 1 to {LONGEST_ID} letters, digits, `-` and `_`: not `{}`", shown(name));
                findings.error(format!("{at}/branches/{}", escaped(name)), "branch.name-invalid", message);
            }
            let signal = step.signal.as_deref().filter(|signal| !consists_of(signal, LONGEST_NAME, |byte| is_of_id(byte) || byte == b'.'));
            if let Some(signal) = signal {
                let message = format!("a signal's name has 1 to {LONGEST_NAME} letters, digits, `-`, `_` and `.`: not `{}`", shown(signal));
                findings.error(format!("{at}/signal"), "field.out-of-range", message);
            }
        }
    }
}

fn is_of_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn is_id(id: &str) -> bool {
    consists_of(id, LONGEST_ID, is_of_id)
}

fn consists_of(text: &str, longest: usize, of: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.len() <= longest && text.bytes().all(of)
}
