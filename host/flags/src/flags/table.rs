//! Declared and stored flags merged: what readers see.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::definition::Flag;
use crate::records::FlagState;

/// Where a flag comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The configuration.
    Declared,
    /// The records.
    Stored,
}

/// A flag with its name, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct ListedFlag {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
    /// The flag; its fields stand beside the others in JSON.
    #[serde(flatten)]
    pub flag: Flag,
}

/// An immutable view of every flag, by name.
#[derive(Debug)]
pub(super) struct Table(BTreeMap<String, Arc<ListedFlag>>);

impl Table {
    pub(super) fn of(declared: &BTreeMap<String, Flag>, stored: &FlagState) -> Self {
        let listed = |source: Source, flags: &BTreeMap<String, Flag>| {
            let list =
                |(name, flag): (&String, &Flag)| (name.clone(), Arc::new(ListedFlag { name: name.clone(), source, flag: flag.clone() }));
            flags.iter().map(list).collect::<BTreeMap<_, _>>()
        };
        let mut table = listed(Source::Declared, declared);
        table.extend(listed(Source::Stored, &stored.flags));
        Self(table)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<ListedFlag>> {
        self.0.get(name)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<ListedFlag>> {
        self.0.values()
    }
}
