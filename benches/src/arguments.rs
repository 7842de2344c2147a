//! The words after a program's name.

use std::collections::BTreeMap;
use std::error::Error;
use std::str::FromStr;

use crate::laps::Outcome;

/// Words of the form `--name value`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// Those of this process.
    ///
    /// # Errors
    /// When one is none of `known`, or has no value.
    pub fn read(known: &[&str]) -> Outcome<Self> {
        Self::parse(std::env::args().skip(1), known)
    }

    fn parse(mut words: impl Iterator<Item = String>, known: &[&str]) -> Outcome<Self> {
        let mut found = BTreeMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").filter(|name| known.contains(name));
            let name = name.ok_or_else(|| format!("{word:?} is none of --{}", known.join(", --")))?;
            found.insert(name.to_owned(), words.next().ok_or_else(|| format!("--{name} needs a value"))?);
        }
        Ok(Self(found))
    }

    /// The text of an argument, if it is there.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// An argument's value, or the default where it is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn get<T: FromStr<Err: Error + Send + Sync + 'static>>(&self, name: &str, default: T) -> Outcome<T> {
        Ok(self.0.get(name).map(|text| text.parse()).transpose()?.unwrap_or(default))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Outcome<Arguments> {
        Arguments::parse(words.iter().map(|word| (*word).to_owned()), &["batch", "isa"])
    }

    #[test]
    fn words_are_read_and_others_refused() {
        let arguments = parse(&["--batch", "8"]).unwrap();
        assert_eq!((arguments.get("batch", 1).unwrap(), arguments.get("isa", 3).unwrap(), arguments.text("isa")), (8, 3, None));
        assert!(parse(&["--batch", "eight"]).unwrap().get("batch", 1).is_err());
        assert!(parse(&["--batch"]).is_err() && parse(&["--bath", "1"]).is_err() && parse(&["batch", "1"]).is_err());
    }
}
