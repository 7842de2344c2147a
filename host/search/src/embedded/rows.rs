//! What an index holds: vectors, traits, and where each key's are.
//!
//! A key's new vector is a new row; the old one is dead from then on. Rows are never used again, as the graph and whoever is reading may
//! still look at them; compaction leaves the dead ones behind.

use std::collections::{HashMap, HashSet};

use half::f16;
use roaring::RoaringBitmap;

use super::labels::Labels;
use super::slab::Slab;
use crate::filter::{Filter, Traits};
use crate::index::{Entry, IndexError, Key};

/// An entry whose vector is as it will be stored.
#[derive(Debug)]
pub(super) struct Prepared {
    key: Key,
    values: Vec<f16>,
    traits: Traits,
}

impl Prepared {
    /// Rounds a vector to half precision.
    pub(super) fn new(entry: Entry) -> Self {
        let values = entry.vector.values().iter().map(|value| f16::from_f32(*value)).collect();
        Self { key: entry.key, values, traits: entry.traits }
    }
}

/// Rows of one space.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) slab: Slab,
    pub(super) labels: Labels,
    pub(super) live: RoaringBitmap,
    /// The last change that is in here.
    pub(super) sequence: u64,
    by_key: HashMap<Key, u32>,
}

/// What a query sees: nothing that happens later changes it.
#[derive(Debug)]
pub(super) struct View {
    pub(super) slab: Slab,
    /// Rows that may be found.
    pub(super) admitted: RoaringBitmap,
    /// Rows that a query without a filter could find.
    pub(super) live: u64,
}

impl Rows {
    pub(super) fn new(dimension: usize, most_labels: usize) -> Self {
        Self::of(Slab::new(dimension), Labels::new(most_labels), RoaringBitmap::new(), 0)
    }

    /// From its parts, of which each has the same rows.
    pub(super) fn of(slab: Slab, labels: Labels, live: RoaringBitmap, sequence: u64) -> Self {
        let by_key = live.iter().filter_map(|row| Some((slab.row(row)?.0, row))).collect();
        Self { slab, labels, live, sequence, by_key }
    }

    pub(super) fn view(&self, filter: &Filter) -> View {
        View { slab: self.slab.clone(), admitted: self.labels.admitted(filter, &self.live), live: self.live.len() }
    }

    /// Rows that nothing finds any more.
    pub(super) fn dead(&self) -> u64 {
        u64::from(self.slab.len()) - self.live.len()
    }

    /// Keeps entries, all or none. Changes that are in here already change nothing.
    pub(super) fn upsert(&mut self, entries: &[Prepared], sequence: u64, most: usize) -> Result<(), IndexError> {
        if sequence <= self.sequence {
            return Ok(());
        }
        let new: HashSet<_> = entries.iter().map(|entry| entry.key).filter(|key| !self.by_key.contains_key(key)).collect();
        let room = (u32::MAX - self.slab.len()) as usize;
        if new.len() > most.saturating_sub(self.by_key.len()) || entries.len() >= room {
            return Err(IndexError::Full(self.by_key.len()));
        }
        entries.iter().for_each(|entry| self.keep(entry));
        self.sequence = sequence;
        Ok(())
    }

    fn keep(&mut self, entry: &Prepared) {
        if let Some(row) = self.by_key.get(&entry.key).copied() {
            if self.slab.row(row).is_some_and(|(_, values)| values == entry.values) {
                return self.labels.replace(row, &entry.traits);
            }
            self.live.remove(row);
        }
        let row = self.slab.push(entry.key, &entry.values);
        self.labels.push(&entry.traits);
        self.live.insert(row);
        self.by_key.insert(entry.key, row);
    }

    /// Forgets keys; returns how many were there. Changes that are in here already change nothing.
    pub(super) fn delete(&mut self, keys: &[Key], sequence: u64) -> usize {
        if sequence <= self.sequence {
            return 0;
        }
        self.sequence = sequence;
        let dead = keys.iter().filter_map(|key| self.by_key.remove(key));
        dead.map(|row| self.live.remove(row)).filter(|removed| *removed).count()
    }

    /// Memory held, in bytes, as far as known.
    pub(super) fn bytes(&self) -> u64 {
        let keys = self.by_key.capacity() * size_of::<(Key, u32, u8)>();
        self.slab.bytes() + self.labels.bytes() + keys as u64
    }
}
