//! The functions of JMESPath. Most are the library's; those that evaluate an expression, and those that would lose digits of whole numbers,
//! are here.

use std::sync::Arc;

use jmespath::ast::Ast;
use jmespath::{Context, DEFAULT_RUNTIME, Rcvar, Variable};
use serde_json::Number;

use super::equality::{compare, whole};
use super::interpreter::{Interpreter, boolean, null};
use super::{ExpressionError, Mentions};

type Evaluated = Result<Rcvar, ExpressionError>;

/// Every function.
const NAMES: [&str; 26] = [
    "abs",
    "avg",
    "ceil",
    "contains",
    "ends_with",
    "floor",
    "join",
    "keys",
    "length",
    "map",
    "max",
    "max_by",
    "merge",
    "min",
    "min_by",
    "not_null",
    "reverse",
    "sort",
    "sort_by",
    "starts_with",
    "sum",
    "to_array",
    "to_number",
    "to_string",
    "type",
    "values",
];

/// Refuses functions that there are not.
pub(super) fn known(mentions: &Mentions) -> Result<(), ExpressionError> {
    match mentions.functions.iter().find(|name| !NAMES.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(ExpressionError::UnknownFunction { name: name.clone(), close: crate::closest::to(name, NAMES) }),
    }
}

/// Calls a function.
pub(super) fn call(interpreter: &mut Interpreter<'_>, name: &str, arguments: &[Rcvar]) -> Evaluated {
    match (name, arguments) {
        ("map", [each, list]) => {
            if let (Variable::Expref(each), Variable::Array(items)) = (&**each, &**list) {
                return map(interpreter, each, items);
            }
        }
        ("sort_by" | "min_by" | "max_by", [list, by]) => {
            if let (Variable::Array(items), Variable::Expref(by)) = (&**list, &**by) {
                return ordered(interpreter, name, items, by);
            }
        }
        ("contains", [list, wanted]) => {
            if let Variable::Array(items) = &**list {
                for item in items {
                    if interpreter.equal(item, wanted)? {
                        return Ok(boolean(true));
                    }
                }
                return Ok(boolean(false));
            }
        }
        ("sum" | "abs" | "ceil" | "floor", [numbers]) => {
            interpreter.spend(shallow(numbers))?;
            if let Some(exact) = exactly(name, numbers) {
                return Ok(Rcvar::new(Variable::Number(exact)));
            }
        }
        ("join", [glue, list]) => {
            let glues = list.as_array().map_or(0, Vec::len) as u64;
            interpreter.spend(shallow(glue).saturating_mul(glues))?;
        }
        ("to_string", [value]) => weigh(interpreter, value)?,
        _ => {}
    }
    library(interpreter, name, arguments)
}

/// What the library makes of it. Its functions look at a value and at its parts, not deeper.
fn library(interpreter: &mut Interpreter<'_>, name: &str, arguments: &[Rcvar]) -> Evaluated {
    for argument in arguments {
        interpreter.spend(shallow(argument))?;
    }
    let Some(function) = DEFAULT_RUNTIME.get_function(name) else {
        return Err(ExpressionError::UnknownFunction { name: name.to_owned(), close: None });
    };
    let mut context = Context::new(interpreter.text(), &DEFAULT_RUNTIME);
    let value = function.evaluate(arguments, &mut context).map_err(|error| ExpressionError::in_function(name, &error))?;
    // The library reads any JSON as a number.
    Ok(if name == "to_number" && !value.is_number() { null() } else { value })
}

fn map(interpreter: &mut Interpreter<'_>, each: &Ast, items: &[Rcvar]) -> Evaluated {
    let values = items.iter().map(|item| interpreter.evaluate(item, each)).collect::<Result<_, _>>()?;
    Ok(Rcvar::new(Variable::Array(values)))
}

/// `sort_by`, `min_by` and `max_by`: the items ordered by a number or a text that an expression finds in each.
fn ordered(interpreter: &mut Interpreter<'_>, name: &str, items: &[Rcvar], by: &Ast) -> Evaluated {
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        let key = interpreter.evaluate(item, by)?;
        interpreter.spend(shallow(&key))?;
        keyed.push((key, item));
    }
    let numbers = keyed.iter().all(|(key, _)| key.is_number());
    if !numbers && !keyed.iter().all(|(key, _)| key.is_string()) {
        return Err(ExpressionError::Failed { message: format!("{name}: what it orders by must be all numbers or all texts") });
    }
    keyed.sort_by(|(left, _), (right, _)| match (&**left, &**right) {
        (Variable::Number(left), Variable::Number(right)) => compare(left, right),
        (left, right) => left.as_string().cmp(&right.as_string()),
    });
    let items = keyed.iter().map(|(_, item)| Arc::clone(item));
    Ok(match name {
        "sort_by" => Rcvar::new(Variable::Array(items.collect())),
        "min_by" => items.into_iter().next().unwrap_or_else(null),
        _ => items.into_iter().next_back().unwrap_or_else(null),
    })
}

/// The result as a whole number, if everything in it is one: the library computes in floating point only.
fn exactly(name: &str, value: &Variable) -> Option<Number> {
    let exact = match (name, value) {
        ("sum", Variable::Array(items)) if !items.is_empty() => {
            items.iter().try_fold(0_i128, |sum, item| sum.checked_add(whole(number(item)?)?))?
        }
        ("abs", Variable::Number(number)) => whole(number)?.abs(),
        ("ceil" | "floor", Variable::Number(number)) => match whole(number) {
            Some(exact) => exact,
            None => {
                let number = number.as_f64()?;
                let rounded = if name == "ceil" { number.ceil() } else { number.floor() };
                if rounded.abs() >= WHOLE {
                    return None;
                }
                rounded as i128
            }
        },
        _ => return None,
    };
    i64::try_from(exact).map(Number::from).ok().or_else(|| u64::try_from(exact).map(Number::from).ok())
}

/// Below it, floating point has every whole number: 2^53.
const WHOLE: f64 = 9_007_199_254_740_992.0;

fn number(value: &Variable) -> Option<&Number> {
    match value {
        Variable::Number(number) => Some(number),
        _ => None,
    }
}

/// How large a value is, with its parts but not theirs.
fn shallow(value: &Variable) -> u64 {
    let of = |value: &Variable| match value {
        Variable::String(text) => 1 + text.len() as u64,
        _ => 1,
    };
    match value {
        Variable::Array(items) => 1 + items.iter().map(|item| of(item)).sum::<u64>(),
        Variable::Object(fields) => 1 + fields.iter().map(|(name, value)| 1 + name.len() as u64 + of(value)).sum::<u64>(),
        value => of(value),
    }
}

/// Takes what it costs to look at all of a value. Parts that it holds many times cost as often, since they are written as often.
fn weigh(interpreter: &mut Interpreter<'_>, value: &Variable) -> Result<(), ExpressionError> {
    interpreter.spend(1)?;
    match value {
        Variable::String(text) => interpreter.spend(text.len() as u64),
        Variable::Array(items) => items.iter().try_for_each(|item| weigh(interpreter, item)),
        Variable::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            interpreter.spend(name.len() as u64)?;
            weigh(interpreter, value)
        }),
        _ => Ok(()),
    }
}
