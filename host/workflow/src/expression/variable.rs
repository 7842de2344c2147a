//! JSON to and from the library's values. Numbers are kept as they are.

use std::collections::BTreeMap;
use std::fmt::Write;

use jmespath::{Rcvar, Variable};
use serde_json::{Map, Value};

use super::ExpressionError;

/// A value of the library with the content of a JSON value.
pub(super) fn from_value(value: &Value) -> Rcvar {
    Rcvar::new(match value {
        Value::Null => Variable::Null,
        Value::Bool(value) => Variable::Bool(*value),
        Value::Number(number) => Variable::Number(number.clone()),
        Value::String(text) => Variable::String(text.clone()),
        Value::Array(items) => Variable::Array(items.iter().map(from_value).collect()),
        Value::Object(fields) => Variable::Object(fields.iter().map(|(name, value)| (name.clone(), from_value(value))).collect()),
    })
}

/// Values by name as an object.
pub(super) fn from_map(fields: &BTreeMap<String, Value>) -> Rcvar {
    Rcvar::new(Variable::Object(fields.iter().map(|(name, value)| (name.clone(), from_value(value))).collect()))
}

/// The JSON of a value, if it has at most `limit` bytes and `depth` levels. Parts that the value holds many times count as often.
pub(super) fn to_value(value: &Variable, limit: usize, depth: usize) -> Result<Value, ExpressionError> {
    Output { left: limit, limit, depth }.of(value, 0)
}

struct Output {
    left: usize,
    limit: usize,
    depth: usize,
}

impl Output {
    fn of(&mut self, value: &Variable, level: usize) -> Result<Value, ExpressionError> {
        if level > self.depth {
            return Err(ExpressionError::ResultTooDeep { limit: self.depth });
        }
        Ok(match value {
            Variable::Null => {
                self.spend(4)?;
                Value::Null
            }
            Variable::Bool(value) => {
                self.spend(if *value { 4 } else { 5 })?;
                Value::Bool(*value)
            }
            Variable::Number(number) => {
                let mut length = Length(0);
                // A number can be written, and counting cannot fail.
                let _ = write!(length, "{number}");
                self.spend(length.0)?;
                Value::Number(number.clone())
            }
            Variable::String(text) => {
                self.spend(written(text))?;
                Value::String(text.clone())
            }
            Variable::Array(items) => {
                self.spend(1 + items.len().max(1))?;
                Value::Array(items.iter().map(|item| self.of(item, level + 1)).collect::<Result<_, _>>()?)
            }
            Variable::Object(fields) => {
                self.spend(1 + fields.len().max(1))?;
                let mut object = Map::new();
                for (name, value) in fields {
                    self.spend(written(name) + 1)?;
                    object.insert(name.clone(), self.of(value, level + 1)?);
                }
                Value::Object(object)
            }
            Variable::Expref(_) => {
                return Err(ExpressionError::Failed { message: "`&` makes an argument of a function, not a value".to_owned() });
            }
        })
    }

    fn spend(&mut self, bytes: usize) -> Result<(), ExpressionError> {
        self.left = self.left.checked_sub(bytes).ok_or(ExpressionError::TooLarge { limit: self.limit })?;
        Ok(())
    }
}

/// How long a string is in JSON, with its quotes.
fn written(text: &str) -> usize {
    2 + text
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum::<usize>()
}

/// Counts what is written.
struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}
