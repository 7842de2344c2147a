//! What the file says that no section knows.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Reader;
use crate::place::{environment_variable, may_name, no_name, table};
use crate::problem::Problem;
use crate::section::Section;
use crate::settings::SECTIONS;
use crate::suggest::nearest;

type Name<'t> = Spanned<Cow<'t, str>>;
type Item<'t> = Spanned<DeValue<'t>>;

impl Reader<'_> {
    pub(super) fn find_unknown(&mut self) {
        let mut unknown = Vec::new();
        for (name, value) in self.file.iter() {
            let section = SECTIONS.iter().find(|section| section.name == name.get_ref().as_ref());
            match (section, value.get_ref().as_table()) {
                (None, _) => unknown.push(self.unknown_section(name, value)),
                (Some(section), None) => unknown.push(self.no_table(value, section.name.to_owned(), section)),
                (Some(section), Some(table)) if section.named => unknown.extend(self.unknown_in_entries(section, table)),
                (Some(section), Some(table)) => unknown.extend(self.unknown_keys(section, None, table)),
            }
        }
        self.problems.extend(unknown);
    }

    fn unknown_in_entries(&self, section: &'static Section, entries: &DeTable<'_>) -> Vec<Problem> {
        let mut unknown = Vec::new();
        for (name, value) in entries.iter() {
            let key = table(section.name, Some(name.get_ref()));
            match value.get_ref().as_table() {
                Some(table) if may_name(section.name, name.get_ref()) => {
                    unknown.extend(self.unknown_keys(section, Some(name.get_ref()), table))
                }
                Some(_) => {
                    let (origin, message) = (self.source.at(&name.span()), no_name(name.get_ref()));
                    unknown.push(Problem { origin, key: Some(key), message, suggestion: None });
                }
                None => unknown.push(self.no_table(value, key, section)),
            }
        }
        unknown
    }

    fn no_table(&self, value: &Item<'_>, key: String, section: &Section) -> Problem {
        let message = format!("expected a table: write [{}] on a line of its own", section.heading());
        Problem { origin: self.source.at(&value.span()), key: Some(key), message, suggestion: None }
    }

    fn unknown_keys(&self, section: &Section, name: Option<&str>, keys: &DeTable<'_>) -> Vec<Problem> {
        let keys = keys.iter().filter(|(key, _)| section.key(key.get_ref()).is_none());
        let problem = |(key, _): (&Name<'_>, &Item<'_>)| Problem {
            origin: self.source.at(&key.span()),
            key: Some(format!("{}.{}", table(section.name, name), key.get_ref())),
            message: "unknown key".to_owned(),
            suggestion: likely_key(section.name, key.get_ref())
                .map(|(other, key)| if other.name == section.name { key.to_owned() } else { format!("{key} in [{}]", other.heading()) }),
        };
        keys.map(problem).collect()
    }

    fn unknown_section(&self, name: &Name<'_>, value: &Item<'_>) -> Problem {
        let (message, suggestion) = if value.get_ref().is_table() {
            ("unknown section", likely_section(name.get_ref()).map(|section| format!("[{}]", section.heading())))
        } else {
            let likely = likely_key("", name.get_ref());
            ("unknown key outside any section", likely.map(|(section, key)| format!("{key} in [{}]", section.heading())))
        };
        Problem { origin: self.source.at(&name.span()), key: Some(name.get_ref().to_string()), message: message.to_owned(), suggestion }
    }
}

fn likely_section(name: &str) -> Option<&'static Section> {
    let near = nearest(name, SECTIONS.iter().map(|section| section.name))?;
    SECTIONS.iter().find(|section| section.name == near).copied()
}

/// The variable that was likely meant; of a named section, for the name that was given.
pub(super) fn likely_variable(section: &str, name: Option<&str>, key: &str) -> Option<String> {
    let near = likely_section(section).map_or("", |section| section.name);
    // The name of an entry whose section is misspelt stands where a key would.
    let key = key.rsplit("__").next().unwrap_or(key);
    let (section, key) = likely_key(near, key)?;
    let name = section.named.then(|| name.unwrap_or("NAME"));
    Some(environment_variable(section.name, name, key))
}

/// The key that was likely meant: one of the same section first.
fn likely_key(section: &str, key: &str) -> Option<(&'static Section, &'static str)> {
    let (own, others): (Vec<_>, Vec<_>) = SECTIONS.iter().partition(|known| known.name == section);
    let within = |sections: Vec<&'static Section>| {
        let near = nearest(key, sections.iter().flat_map(|section| section.keys.iter().map(|key| key.name)))?;
        let section = sections.into_iter().find(|section| section.key(near).is_some())?;
        section.key(near).map(|key| (section, key.name))
    };
    within(own).or_else(|| within(others))
}
