//! Sets of JSON types.

use std::fmt;

use serde_json::Value;

/// A set of JSON types. Numbers are whole ones and others, so that an integer is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    /// Every type.
    pub(super) const ALL: Self = Self(0x7f);
    /// Objects only.
    pub(super) const OBJECT: Self = Self(1);
    /// Lists only.
    pub(super) const ARRAY: Self = Self(2);
    const NONE: Self = Self(0);
    const STRING: Self = Self(4);
    const INTEGER: Self = Self(8);
    const FRACTION: Self = Self(16);
    const BOOLEAN: Self = Self(32);
    const NULL: Self = Self(64);

    /// What `type` says. Unknown words are no types; a schema that has them is refused elsewhere.
    pub(super) fn named(names: &Value) -> Self {
        match names {
            Value::String(name) => Self::one(name),
            Value::Array(names) => names.iter().filter_map(Value::as_str).map(Self::one).fold(Self::NONE, Self::or),
            _ => Self::ALL,
        }
    }

    fn one(name: &str) -> Self {
        match name {
            "object" => Self::OBJECT,
            "array" => Self::ARRAY,
            "string" => Self::STRING,
            "integer" => Self::INTEGER,
            "number" => Self::INTEGER.or(Self::FRACTION),
            "boolean" => Self::BOOLEAN,
            "null" => Self::NULL,
            _ => Self::ALL,
        }
    }

    /// Of some values.
    pub(super) fn of<'a>(values: impl IntoIterator<Item = &'a Value>) -> Self {
        let one = |value: &Value| match value {
            Value::Object(_) => Self::OBJECT,
            Value::Array(_) => Self::ARRAY,
            Value::String(_) => Self::STRING,
            Value::Number(number) if number.is_f64() && number.as_f64().is_some_and(|number| number.fract() != 0.0) => Self::FRACTION,
            Value::Number(_) => Self::INTEGER,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Null => Self::NULL,
        };
        values.into_iter().map(one).fold(Self::NONE, Self::or)
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Display for Types {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Vec::new();
        let all = [(Self::OBJECT, "an object"), (Self::ARRAY, "an array"), (Self::STRING, "a string")];
        names.extend(all.into_iter().filter(|(one, _)| self.has(*one)).map(|(_, name)| name));
        if self.has(Self::FRACTION) {
            names.push("a number");
        } else if self.has(Self::INTEGER) {
            names.push("an integer");
        }
        names.extend(
            [(Self::BOOLEAN, "a boolean"), (Self::NULL, "null")].into_iter().filter(|(one, _)| self.has(*one)).map(|(_, name)| name),
        );
        formatter.write_str(&names.join(" or "))
    }
}
