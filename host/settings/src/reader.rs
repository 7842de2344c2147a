//! Reads every key from the strongest layer that has it: flags, then the environment, then the file, then its default.

mod unknown;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::check::Check;
use crate::legacy::{LEGACY, Unit};
use crate::place::{Place, is_kebab, may_name, name_of_variable, no_name};
use crate::problem::{Origin, Problem};
use crate::section::{Declared, Key};
use crate::settings::SECTIONS;
use crate::value::{Value, parsed};

/// The prefix of every environment variable that sets a key.
pub const ENVIRONMENT_PREFIX: &str = "BREAKWATER__";

/// Entries of one named section at most.
pub const MAX_ENTRIES: usize = 1000;

/// A value given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag, such as `--listen`.
    pub flag: &'static str,
    /// The section it sets a key of; one that is not named.
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

/// Text from outside the file.
struct Given {
    origin: Origin,
    text: String,
    unit: Unit,
}

pub(crate) struct Reader<'a> {
    source: Source<'a>,
    file: DeTable<'a>,
    given: BTreeMap<Place, Given>,
    /// Entries of named sections that exist though the file does not have them.
    named: BTreeSet<(&'static str, String)>,
    pub(crate) origins: BTreeMap<Place, Origin>,
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
        let (given, named, origins) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let mut reader = Self { source, file: file.into_inner(), given, named, origins, problems };
        reader.find_unknown();
        for (variable, text) in environment {
            reader.take_variable(variable, text);
        }
        for flag in flags {
            let given = Given { origin: Origin::Flag { flag: flag.flag }, text: flag.text.clone(), unit: Unit::Text };
            reader.given.insert(Place::new(flag.section, None, flag.key), given);
        }
        reader
    }

    /// Reads one key; nothing when it is wrong, and then the problem is noted.
    pub(crate) fn read<T: Value>(&mut self, section: &'static str, name: Option<&str>, key: &'static Key) -> Option<T> {
        let place = Place::new(section, name, key.name);
        let convert = |given: &Given| (given.origin.clone(), given.unit.convert(&given.text).and_then(|text| T::from_text(&text)));
        let given = self.given.get(&place).map(convert);
        let (origin, value) = given.or_else(|| self.in_file(&place)).unwrap_or_else(|| (Origin::Default, default(key)));
        let value = value.and_then(|value| within(value, key));
        let value = value.map_err(|message| self.problem(origin.clone(), Some(place.to_string()), message, None)).ok();
        self.origins.insert(place, origin);
        value
    }

    /// Reads and checks one section, or one entry of a named section.
    pub(crate) fn read_section<T: Declared + Check>(&mut self, name: Option<&str>) -> Option<T> {
        let section = T::read(self, name)?;
        section.check(self, name);
        Some(section)
    }

    /// Reads and checks every entry of a named section.
    pub(crate) fn read_named<T: Declared + Check>(&mut self) -> Option<BTreeMap<String, T>> {
        let section = T::SECTION.name;
        let in_file = self.file.get(section).and_then(|value| value.get_ref().as_table());
        let in_file = in_file.into_iter().flat_map(|table| table.iter().filter(|(_, value)| value.get_ref().is_table()));
        let mut names: BTreeSet<String> =
            in_file.map(|(name, _)| name.get_ref().to_string()).filter(|name| may_name(section, name)).collect();
        names.extend(self.named.iter().filter(|(of, _)| *of == section).map(|(_, name)| name.clone()));
        if names.len() > MAX_ENTRIES {
            let message = format!("there are {}; at most {MAX_ENTRIES} are possible", names.len());
            self.problem(Origin::Default, Some(section.to_owned()), message, None);
            return None;
        }
        let read: Vec<Option<(String, T)>> =
            names.into_iter().map(|name| self.read_section(Some(&name)).map(|entry| (name, entry))).collect();
        let entries = read.into_iter().collect();
        if let Some(entries) = &entries {
            T::check_all(entries, self);
        }
        entries
    }

    fn in_file<T: Value>(&self, place: &Place) -> Option<(Origin, Result<T, String>)> {
        let section = self.file.get(place.section)?.get_ref().as_table()?;
        let table = match &place.name {
            Some(name) => section.get(name.as_str())?.get_ref().as_table()?,
            None => section,
        };
        let value = table.get(place.key)?;
        Some((self.source.at(&value.span()), T::from_toml(value.get_ref())))
    }

    /// Notes a problem with a key that was read.
    pub(crate) fn blame(&mut self, section: &'static str, name: Option<&str>, key: &'static str, message: impl Into<String>) {
        let place = Place::new(section, name, key);
        let written = self.origins.get(&place).filter(|origin| **origin != Origin::Default).cloned();
        let origin = written.or_else(|| self.table_at(section, name)).unwrap_or(Origin::Default);
        self.problem(origin, Some(place.to_string()), message.into(), None);
    }

    /// Where the table of a key stands, or what made it, for a key that has its default.
    fn table_at(&self, section: &str, name: Option<&str>) -> Option<Origin> {
        let in_file = || {
            let (key, table) = self.file.get_key_value(section)?;
            let Some(name) = name else { return Some(key.span()) };
            table.get_ref().as_table()?.get_key_value(name).map(|(key, _)| key.span())
        };
        let given = || self.given.iter().find(|(place, _)| place.section == section && place.name.as_deref() == name);
        in_file().map(|span| self.source.at(&span)).or_else(|| given().map(|(_, given)| given.origin.clone()))
    }

    fn problem(&mut self, origin: Origin, key: Option<String>, message: String, suggestion: Option<String>) {
        self.problems.push(Problem { origin, key, message, suggestion });
    }

    fn take_variable(&mut self, variable: String, text: String) {
        let Some(path) = variable.strip_prefix(ENVIRONMENT_PREFIX) else {
            self.take_legacy(variable, text);
            return;
        };
        let path = path.to_lowercase();
        let (section, rest) = path.split_once("__").unwrap_or((&path, ""));
        let known = SECTIONS.iter().find(|known| known.name == section);
        let (name, key) = match known {
            Some(section) if section.named => rest.split_once("__").map_or((None, ""), |(name, key)| (Some(name_of_variable(name)), key)),
            _ => (None, rest),
        };
        let Some((section, key)) = known.and_then(|section| section.key(key).map(|key| (section, key))) else {
            let suggestion = unknown::likely_variable(section, name.as_deref(), key);
            self.problem(Origin::Environment { variable }, None, "unknown setting".to_owned(), suggestion);
            return;
        };
        if let Some(name) = &name {
            if !is_kebab(name) {
                self.problem(Origin::Environment { variable }, None, no_name(name), None);
                return;
            }
            self.named.insert((section.name, name.clone()));
        }
        let given = Given { origin: Origin::Environment { variable }, text, unit: Unit::Text };
        self.given.insert(Place { section: section.name, name, key: key.name }, given);
    }

    /// A variable of an older client counts only where no variable of ours sets the key, whichever comes first.
    fn take_legacy(&mut self, variable: String, text: String) {
        let Some(legacy) = LEGACY.iter().find(|legacy| legacy.variable == variable) else { return };
        if text.trim().is_empty() {
            return;
        }
        if legacy.creates() {
            self.named.insert((legacy.section, legacy.name.to_owned()));
        }
        let given = Given { origin: Origin::Environment { variable }, text, unit: legacy.unit };
        self.given.entry(Place::new(legacy.section, Some(legacy.name), legacy.key)).or_insert(given);
    }
}

pub(crate) fn default<T: Value>(key: &Key) -> Result<T, String> {
    if key.default.is_empty() { T::from_text("") } else { parsed(key.default) }
}

fn within<T: Value>(value: T, key: &Key) -> Result<T, String> {
    // What is not set has no place in a range.
    let (Some((least, most)), Some(shown)) = (key.range, value.to_toml()) else { return Ok(value) };
    let inside = parsed::<T>(least)? <= value && value <= parsed::<T>(most)?;
    if inside { Ok(value) } else { Err(format!("expected {least} to {most}, got {shown}")) }
}

/// Reads the file, or nothing without one.
pub(crate) fn read_file(path: Option<&Path>) -> Result<String, std::io::Error> {
    path.map_or_else(|| Ok(String::new()), std::fs::read_to_string)
}
