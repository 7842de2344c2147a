//! The data of a tensor in JSON: nested lists or a flat one, read into one flat list without keeping the tree.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{MAX_DIMENSIONS, MAX_ELEMENTS};

/// A tensor's data in row-major order, as JSON tells kinds of values apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Data {
    /// Whole numbers; also what an empty list is.
    Whole(Vec<i64>),
    /// Numbers of which at least one has a fraction or an exponent.
    Real(Vec<f64>),
    /// Texts.
    Texts(Vec<String>),
    /// Numbers of an answer, written with the digits of their own precision.
    Single(Vec<f32>),
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::Whole(list) => list.len(),
            Self::Real(list) => list.len(),
            Self::Texts(list) => list.len(),
            Self::Single(list) => list.len(),
        }
    }

    fn whole<E: Error>(&mut self, value: i64) -> Result<(), E> {
        self.room()?;
        match self {
            Self::Whole(list) => list.push(value),
            Self::Real(list) => list.push(value as f64),
            Self::Texts(_) | Self::Single(_) => return Err(mixed()),
        }
        Ok(())
    }

    fn real<E: Error>(&mut self, value: f64) -> Result<(), E> {
        self.room()?;
        if let Self::Whole(list) = self {
            *self = Self::Real(list.iter().map(|whole| *whole as f64).collect());
        }
        let Self::Real(list) = self else { return Err(mixed()) };
        list.push(value);
        Ok(())
    }

    fn text<E: Error>(&mut self, value: String) -> Result<(), E> {
        self.room()?;
        if self.len() == 0 {
            *self = Self::Texts(Vec::new());
        }
        let Self::Texts(list) = self else { return Err(mixed()) };
        list.push(value);
        Ok(())
    }

    fn room<E: Error>(&self) -> Result<(), E> {
        if self.len() < MAX_ELEMENTS {
            return Ok(());
        }
        Err(E::custom(format_args!("a tensor has at most {MAX_ELEMENTS} elements")))
    }
}

fn mixed<E: Error>() -> E {
    E::custom("numbers and texts are mixed")
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut data = Self::Whole(Vec::new());
        deserializer.deserialize_seq(Into { data: &mut data, depth: 0 })?;
        Ok(data)
    }
}

/// Reads a value, or all values of a list, into the flat list.
struct Into<'a> {
    data: &'a mut Data,
    /// Lists around it.
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Into<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Into<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.depth == 0 { "a list" } else { "a number, a text or a list of them" })
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.data.whole(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.data.whole(value),
            // Beyond what INT64 can hold; a number of another kind takes it rounded.
            Err(_) => self.data.real(value as f64),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.data.real(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.data.text(value.to_owned())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<(), E> {
        self.data.text(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.depth == MAX_DIMENSIONS {
            return Err(A::Error::custom(format_args!("data is nested at most {MAX_DIMENSIONS} deep")));
        }
        while list.next_element_seed(Into { data: &mut *self.data, depth: self.depth + 1 })?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Data, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn nested_and_flat_data_are_the_same() {
        assert_eq!(read("[1,-2,3,4]"), Ok(Data::Whole(vec![1, -2, 3, 4])));
        assert_eq!(read("[[1,-2],[3,4]]"), Ok(Data::Whole(vec![1, -2, 3, 4])));
        assert_eq!(read("[[1],[0.5],[3]]"), Ok(Data::Real(vec![1.0, 0.5, 3.0])));
        assert_eq!(read(r#"[["a"],["b"]]"#), Ok(Data::Texts(vec!["a".into(), "b".into()])));
        assert_eq!(read("[]"), Ok(Data::Whole(vec![])));
        assert_eq!(read("[18446744073709551615]"), Ok(Data::Real(vec![1.8446744073709552e19])));
    }

    #[test]
    fn what_is_no_data_is_refused() {
        for text in ["1", "null", "{}", "[null]", "[true]", "[{}]", r#"[1,"a"]"#, r#"["a",1]"#, r#"["a",0.5]"#, "[1"] {
            assert!(read(text).is_err(), "{text}");
        }
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(read(&nested(MAX_DIMENSIONS)), Ok(Data::Whole(vec![1])));
        assert!(read(&nested(MAX_DIMENSIONS + 1)).unwrap_err().contains("at most 8 deep"));
    }

    #[test]
    fn data_ends_at_its_limit() {
        let mut data = Data::Whole(vec![0; MAX_ELEMENTS - 1]);
        data.whole::<serde::de::value::Error>(1).unwrap();
        assert!(data.whole::<serde::de::value::Error>(1).unwrap_err().to_string().contains("at most"));
    }

    #[test]
    fn numbers_of_an_answer_have_their_own_digits() {
        assert_eq!(serde_json::to_string(&Data::Single(vec![0.1, 1.0])).unwrap(), "[0.1,1.0]");
    }
}
