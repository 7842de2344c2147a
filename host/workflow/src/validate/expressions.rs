//! Whether expressions can be read, and whether what they mention can be there.

use super::findings::{Findings, meant, shown};
use super::visible::{Place, Presence, Visibility};
use crate::definition::Definition;
use crate::expression::{Expression, Scope};

/// An expression and where it stands.
struct Written<'a> {
    pointer: String,
    text: &'a str,
    /// Where it is evaluated.
    place: Place,
    /// Whether the step itself has run by then.
    is_behind: bool,
}

pub(super) fn check(definition: &Definition, findings: &mut Findings) {
    let mut visibility = Visibility::of(definition);
    for written in all(definition, &visibility) {
        if findings.is_full() {
            return;
        }
        match Expression::parse(written.text) {
            Err(error) => findings.error(&written.pointer, "expression.invalid", error.to_string()),
            Ok(expression) => {
                names(&written, &expression, &visibility, findings);
                steps(&written, &expression, &mut visibility, findings);
            }
        }
    }
}

fn all<'a>(definition: &'a Definition, visibility: &Visibility<'a>) -> Vec<Written<'a>> {
    let mut all = Vec::new();
    if let Some(output) = &definition.output {
        let place = (0, definition.steps.len());
        all.push(Written { pointer: "/output".to_owned(), text: output, place, is_behind: false });
    }
    for (number, sequence) in visibility.sequences.iter().enumerate() {
        for (at, step) in sequence.steps.iter().enumerate() {
            let pointer = sequence.at(at);
            let mut add = |field: &str, text: &'a str, is_behind| {
                all.push(Written { pointer: format!("{pointer}/{field}"), text, place: (number, at), is_behind });
            };
            for (field, text) in [("input", &step.input), ("when", &step.when), ("items", &step.items), ("until", &step.until)] {
                if let Some(text) = text {
                    add(field, text, false);
                }
            }
            for (place, choice) in step.choices.iter().enumerate() {
                add(&format!("choices/{place}/when"), &choice.when, false);
            }
            if let Some(input) = step.compensate.as_ref().and_then(|compensate| compensate.input.as_ref()) {
                add("compensate/input", input, true);
            }
        }
    }
    all
}

fn names(written: &Written<'_>, expression: &Expression, visibility: &Visibility<'_>, findings: &mut Findings) {
    let in_map = visibility.sequences.get(written.place.0).is_some_and(|sequence| sequence.in_map);
    for name in &expression.mentions().names {
        let name = name.as_str();
        if Scope::NAMES.contains(&name) || (in_map && Scope::MAP_NAMES.contains(&name)) {
            continue;
        }
        let message = if Scope::MAP_NAMES.contains(&name) {
            format!("`{name}` is there within a map only")
        } else if let Some((id, _)) = visibility.named(name) {
            format!("`{}` is a step: write `steps.{}`", shown(id), shown(name))
        } else {
            let hint = meant(name, Scope::NAMES.into_iter().chain(Scope::MAP_NAMES));
            format!("there is no `{}` here: an expression begins with {}{hint}", shown(name), Scope::NAMES.join(", "))
        };
        findings.error(&written.pointer, "expression.unknown-name", message);
    }
}

fn steps(written: &Written<'_>, expression: &Expression, visibility: &mut Visibility<'_>, findings: &mut Findings) {
    for name in &expression.mentions().steps {
        let Some((id, step)) = visibility.named(name) else {
            let message = format!("there is no step `{}`{}", shown(name), meant(name, visibility.ids()));
            findings.error(&written.pointer, "expression.unknown-step", message);
            continue;
        };
        if written.is_behind && step == written.place {
            continue;
        }
        let id = shown(id);
        match visibility.presence(step, written.place) {
            Presence::Always => {}
            Presence::Never if step == written.place => {
                let message = format!("`{id}` is this step itself, which has no output yet; what it gets is `previous`");
                findings.error(&written.pointer, "expression.step-never-before", message);
            }
            Presence::Never => {
                let message = format!("the output of `{id}` can never be seen here: it runs later, or within another step");
                findings.error(&written.pointer, "expression.step-never-before", message);
            }
            // Whoever writes what counts instead knows.
            Presence::Maybe if expression.mentions().alternatives => {}
            Presence::Maybe => {
                let message = format!("`{id}` has not run on every way that leads here; its output is `null` then");
                findings.warning(&written.pointer, "expression.step-maybe-not-before", message);
            }
        }
    }
}
