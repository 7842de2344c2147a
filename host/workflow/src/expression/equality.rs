//! Whether values are equal and how numbers are ordered: whole numbers exactly, not as floating point.

use std::cmp::Ordering;

use jmespath::Variable;
use serde_json::Number;

/// Which of two numbers is greater.
pub(super) fn compare(left: &Number, right: &Number) -> Ordering {
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        // JSON has no number that cannot be compared.
        _ => left.as_f64().partial_cmp(&right.as_f64()).unwrap_or(Ordering::Equal),
    }
}

/// A number that was written without a fraction.
pub(super) fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// Whether two values are the same, and how many values and bytes were looked at until that was clear; at most about `limit`, after which
/// the answer is none.
pub(super) fn equal(left: &Variable, right: &Variable, looked: &mut u64, limit: u64) -> Option<bool> {
    *looked += 1;
    if *looked > limit {
        return None;
    }
    if std::ptr::eq(left, right) {
        return Some(true);
    }
    Some(match (left, right) {
        (Variable::Null, Variable::Null) => true,
        (Variable::Bool(left), Variable::Bool(right)) => left == right,
        (Variable::Number(left), Variable::Number(right)) => compare(left, right) == Ordering::Equal,
        (Variable::String(left), Variable::String(right)) => {
            *looked += left.len().min(right.len()) as u64 / 16;
            left == right
        }
        (Variable::Array(left), Variable::Array(right)) if left.len() == right.len() => {
            for (left, right) in left.iter().zip(right) {
                if !equal(left, right, looked, limit)? {
                    return Some(false);
                }
            }
            true
        }
        (Variable::Object(left), Variable::Object(right)) if left.len() == right.len() => {
            for ((left_name, left), (right_name, right)) in left.iter().zip(right) {
                if left_name != right_name || !equal(left, right, looked, limit)? {
                    return Some(false);
                }
            }
            true
        }
        _ => false,
    })
}
