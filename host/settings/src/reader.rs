//! Reads every key from the strongest layer that has it: flags, then the environment, then the file, then its default.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::{Origin, Problem};
use crate::section::{Key, SECTIONS};
use crate::suggest::nearest;
use crate::value::{Value, parsed};

/// The prefix of every environment variable that sets a key.
pub const ENVIRONMENT_PREFIX: &str = "BREAKWATER__";

/// A value given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag, such as `--listen`.
    pub flag: &'static str,
    /// The section it sets a key of.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// The value as an environment variable would hold it; lists also as TOML.
    pub text: String,
}

pub(crate) struct Source<'a> {
    pub(crate) path: PathBuf,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    fn at(&self, span: &Range<usize>) -> Origin {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Origin::File { path: self.path.clone(), line, column }
    }
}

type Name = (&'static str, &'static str);

pub(crate) struct Reader<'a> {
    source: Source<'a>,
    file: DeTable<'a>,
    texts: BTreeMap<Name, (Origin, String)>,
    pub(crate) origins: BTreeMap<Name, Origin>,
    pub(crate) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: Source<'a>, environment: impl IntoIterator<Item = (String, String)>, flags: &[Flag]) -> Self {
        let (file, errors) = DeTable::parse_recoverable(source.text);
        let syntax = |error: toml::de::Error| Problem {
            origin: source.at(&error.span().unwrap_or_default()),
            key: None,
            message: error.message().to_owned(),
            suggestion: None,
        };
        let problems = errors.into_iter().map(syntax).collect();
        let mut reader = Self { source, file: file.into_inner(), texts: BTreeMap::new(), origins: BTreeMap::new(), problems };
        reader.find_unknown();
        for (variable, text) in environment {
            reader.take_variable(variable, text);
        }
        for flag in flags {
            reader.texts.insert((flag.section, flag.key), (Origin::Flag { flag: flag.flag }, flag.text.clone()));
        }
        reader
    }

    /// Reads one key; nothing when it is wrong, and then the problem is noted.
    pub(crate) fn read<T: Value>(&mut self, section: &'static str, key: &'static Key) -> Option<T> {
        let given = self.texts.get(&(section, key.name)).map(|(origin, text)| (origin.clone(), T::from_text(text)));
        let (origin, value) = given.or_else(|| self.in_file(section, key.name)).unwrap_or_else(|| (Origin::Default, default(key)));
        self.origins.insert((section, key.name), origin.clone());
        let value = value.and_then(|value| within(value, key));
        value.map_err(|message| self.problem(origin, Some(format!("{section}.{}", key.name)), message, None)).ok()
    }

    fn in_file<T: Value>(&self, section: &str, key: &str) -> Option<(Origin, Result<T, String>)> {
        let value = self.file.get(section)?.get_ref().as_table()?.get(key)?;
        Some((self.source.at(&value.span()), T::from_toml(value.get_ref())))
    }

    /// Notes a problem with a key that was read.
    pub(crate) fn blame(&mut self, section: &'static str, key: &'static str, message: impl Into<String>) {
        let origin = self.origins.get(&(section, key)).cloned().unwrap_or(Origin::Default);
        self.problem(origin, Some(format!("{section}.{key}")), message.into(), None);
    }

    fn problem(&mut self, origin: Origin, key: Option<String>, message: String, suggestion: Option<String>) {
        self.problems.push(Problem { origin, key, message, suggestion });
    }

    fn find_unknown(&mut self) {
        let mut unknown = Vec::new();
        for (name, value) in self.file.iter() {
            let Some(section) = SECTIONS.iter().find(|section| section.name == name.get_ref().as_ref()) else {
                unknown.push(self.unknown_section(name, value));
                continue;
            };
            let Some(table) = value.get_ref().as_table() else {
                let message = format!("expected a table: write [{}] on a line of its own", section.name);
                unknown.push(Problem { origin: self.source.at(&value.span()), key: Some(section.name.into()), message, suggestion: None });
                continue;
            };
            let keys = table.iter().filter(|(key, _)| section.key(key.get_ref()).is_none());
            unknown.extend(keys.map(|(key, _)| {
                Problem {
                    origin: self.source.at(&key.span()),
                    key: Some(format!("{}.{}", section.name, key.get_ref())),
                    message: "unknown key".to_owned(),
                    suggestion: likely_key(section.name, key.get_ref())
                        .map(|(other, key)| if other == section.name { key.to_owned() } else { format!("{key} in [{other}]") }),
                }
            }));
        }
        self.problems.extend(unknown);
    }

    fn unknown_section(&self, name: &Spanned<Cow<'_, str>>, value: &Spanned<DeValue<'_>>) -> Problem {
        let (message, suggestion) = if value.get_ref().is_table() {
            let near = nearest(name.get_ref(), SECTIONS.iter().map(|section| section.name));
            ("unknown section", near.map(|section| format!("[{section}]")))
        } else {
            ("unknown key outside any section", likely_key("", name.get_ref()).map(|(section, key)| format!("{key} in [{section}]")))
        };
        Problem { origin: self.source.at(&name.span()), key: Some(name.get_ref().to_string()), message: message.to_owned(), suggestion }
    }

    fn take_variable(&mut self, variable: String, text: String) {
        let Some(name) = variable.strip_prefix(ENVIRONMENT_PREFIX) else { return };
        let name = name.to_lowercase();
        let (section, key) = name.split_once("__").unwrap_or((&name, ""));
        let known = SECTIONS.iter().find(|known| known.name == section).and_then(|known| known.key(key).map(|key| (known.name, key.name)));
        let origin = Origin::Environment { variable };
        match known {
            Some(name) => drop(self.texts.insert(name, (origin, text))),
            None => {
                let near = nearest(section, SECTIONS.iter().map(|section| section.name)).unwrap_or_default();
                let suggestion = likely_key(near, key).map(|(section, key)| environment_variable(section, key));
                self.problem(origin, None, "unknown setting".to_owned(), suggestion);
            }
        }
    }
}

/// The variable that sets a key.
pub(crate) fn environment_variable(section: &str, key: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}__{}", section.to_uppercase(), key.to_uppercase())
}

/// The key that was likely meant: one of the same section first.
fn likely_key(section: &str, key: &str) -> Option<Name> {
    let (own, others): (Vec<_>, Vec<_>) = SECTIONS.iter().partition(|known| known.name == section);
    let within = |sections: Vec<&'static crate::section::Section>| {
        let near = nearest(key, sections.iter().flat_map(|section| section.keys.iter().map(|key| key.name)))?;
        let section = sections.iter().find(|section| section.key(near).is_some())?;
        section.key(near).map(|key| (section.name, key.name))
    };
    within(own).or_else(|| within(others))
}

pub(crate) fn default<T: Value>(key: &Key) -> Result<T, String> {
    if key.default.is_empty() { T::from_text("") } else { parsed(key.default) }
}

fn within<T: Value>(value: T, key: &Key) -> Result<T, String> {
    let Some((least, most)) = key.range else { return Ok(value) };
    let inside = parsed::<T>(least)? <= value && value <= parsed::<T>(most)?;
    let shown = || value.to_toml().unwrap_or_default();
    if inside { Ok(value) } else { Err(format!("expected {least} to {most}, got {}", shown())) }
}

/// Reads the file, or nothing without one.
pub(crate) fn read_file(path: Option<&Path>) -> Result<String, std::io::Error> {
    path.map_or_else(|| Ok(String::new()), std::fs::read_to_string)
}
