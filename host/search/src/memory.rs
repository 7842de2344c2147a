//! Products in memory: for commands that keep nothing, and for tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use breakwater_core::BoxFuture;

use crate::index::{Entry, Key};
use crate::product::Stored;
use crate::records::{Change, Draft, ImportState, ListRequest, NewVector, ProductRecords, RecordsError};
use crate::space::Space;
use crate::vector::Vector;

/// Products that are gone with the process.
#[derive(Debug, Default)]
pub struct MemoryProductRecords(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    sequence: u64,
    last_key: u64,
    products: BTreeMap<Key, Stored>,
    keys: BTreeMap<String, Key>,
    spaces: BTreeMap<Space, BTreeMap<Key, Row>>,
    imports: BTreeMap<String, ImportState>,
}

/// A vector, or where one was.
#[derive(Debug)]
struct Row {
    sequence: u64,
    vector: Option<Vector>,
}

impl MemoryProductRecords {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Every change below is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    fn put(&mut self, draft: Draft) -> Option<Stored> {
        let known = self.keys.get(&draft.product.id).copied();
        let found = known.and_then(|key| self.products.get(&key)).map_or(0, |stored| stored.sequence);
        if draft.of.is_some_and(|of| of != found) {
            return None;
        }
        let sequence = self.next();
        let key = known.unwrap_or_else(|| {
            self.last_key += 1;
            Key(self.last_key)
        });
        let created = self.products.get(&key).map_or(sequence, |stored| stored.created);
        let stored = Stored { key, sequence, created, product: draft.product };
        self.keys.insert(stored.product.id.clone(), key);
        self.products.insert(key, stored.clone());
        for row in self.spaces.values_mut().filter_map(|rows| rows.get_mut(&key)).filter(|row| row.vector.is_some()) {
            // The traits may be others.
            row.sequence = sequence;
            if draft.replace_vectors {
                row.vector = None;
            }
        }
        for (space, vector) in draft.vectors {
            self.spaces.entry(space).or_default().insert(key, Row { sequence, vector: Some(vector) });
        }
        Some(stored)
    }

    fn delete(&mut self, id: &str) -> Option<(Stored, u64)> {
        let key = self.keys.remove(id)?;
        let stored = self.products.remove(&key)?;
        let sequence = self.next();
        for row in self.spaces.values_mut().filter_map(|rows| rows.get_mut(&key)).filter(|row| row.vector.is_some()) {
            *row = Row { sequence, vector: None };
        }
        Some((stored, sequence))
    }

    fn add(&mut self, new: NewVector) -> bool {
        if self.products.get(&new.key).is_none_or(|stored| stored.sequence != new.of) {
            return false;
        }
        let sequence = self.next();
        self.spaces.entry(new.space).or_default().insert(new.key, Row { sequence, vector: Some(new.vector) });
        true
    }

    fn changes(&self, space: &Space, after: u64, limit: usize) -> Vec<Change> {
        let Some(rows) = self.spaces.get(space) else { return Vec::new() };
        let mut changed: Vec<_> = rows.iter().filter(|(_, row)| row.sequence > after).collect();
        changed.sort_by_key(|(_, row)| row.sequence);
        let change = |(key, row): (&Key, &Row)| match (&row.vector, self.products.get(key)) {
            (Some(vector), Some(stored)) => {
                let entry = Entry { key: *key, vector: vector.clone(), traits: stored.product.traits() };
                Change::Upserted { sequence: row.sequence, entry }
            }
            _ => Change::Deleted { sequence: row.sequence, key: *key },
        };
        changed.into_iter().take(limit).map(change).collect()
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T, RecordsError>> {
    Box::pin(std::future::ready(Ok(value)))
}

impl ProductRecords for MemoryProductRecords {
    fn put<'a>(
        &'a self,
        drafts: Vec<Draft>,
        import: Option<(&'a str, ImportState)>,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, RecordsError>> {
        let mut tables = self.tables();
        let stored: Vec<_> = drafts.into_iter().map(|draft| tables.put(draft)).collect();
        if let Some((name, state)) = import {
            tables.imports.insert(name.to_owned(), state);
        }
        ready(stored)
    }

    fn get<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Stored>, RecordsError>> {
        let tables = self.tables();
        ready(tables.keys.get(id).and_then(|key| tables.products.get(key)).cloned())
    }

    fn by_keys(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Stored>, RecordsError>> {
        let tables = self.tables();
        ready(keys.iter().filter_map(|key| tables.products.get(key)).cloned().collect())
    }

    fn vector<'a>(&'a self, key: Key, space: &'a Space) -> BoxFuture<'a, Result<Option<Vector>, RecordsError>> {
        let tables = self.tables();
        ready(tables.spaces.get(space).and_then(|rows| rows.get(&key)).and_then(|row| row.vector.clone()))
    }

    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<(Stored, u64)>, RecordsError>> {
        ready(self.tables().delete(id))
    }

    fn add_vectors(&self, vectors: Vec<NewVector>) -> BoxFuture<'_, Result<usize, RecordsError>> {
        let mut tables = self.tables();
        ready(vectors.into_iter().filter(|new| tables.add(new.clone())).count())
    }

    fn list(&self, request: ListRequest) -> BoxFuture<'_, Result<Vec<Stored>, RecordsError>> {
        let tables = self.tables();
        let wanted = |stored: &&Stored| request.category.as_ref().is_none_or(|category| *category == stored.product.category);
        let after = tables.products.values().filter(|stored| request.after.is_none_or(|after| stored.key > after));
        ready(after.filter(wanted).take(request.limit).cloned().collect())
    }

    fn count(&self) -> BoxFuture<'_, Result<u64, RecordsError>> {
        ready(self.tables().products.len() as u64)
    }

    fn spaces(&self) -> BoxFuture<'_, Result<Vec<(Space, u64)>, RecordsError>> {
        let tables = self.tables();
        let count = |rows: &BTreeMap<Key, Row>| rows.values().filter(|row| row.vector.is_some()).count() as u64;
        ready(tables.spaces.iter().map(|(space, rows)| (space.clone(), count(rows))).filter(|(_, count)| *count > 0).collect())
    }

    fn sequence(&self) -> BoxFuture<'_, Result<u64, RecordsError>> {
        ready(self.tables().sequence)
    }

    fn changes<'a>(&'a self, space: &'a Space, after: u64, limit: usize) -> BoxFuture<'a, Result<Vec<Change>, RecordsError>> {
        ready(self.tables().changes(space, after, limit))
    }

    fn without_vector<'a>(
        &'a self,
        space: &'a Space,
        after: Option<Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Stored>, RecordsError>> {
        let tables = self.tables();
        let rows = tables.spaces.get(space);
        let lacks = |stored: &&Stored| rows.and_then(|rows| rows.get(&stored.key)).is_none_or(|row| row.vector.is_none());
        let later = tables.products.values().filter(|stored| after.is_none_or(|after| stored.key > after));
        ready(later.filter(lacks).take(limit).cloned().collect())
    }

    fn import<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<ImportState>, RecordsError>> {
        ready(self.tables().imports.get(name).cloned())
    }

    fn imports(&self, limit: usize) -> BoxFuture<'_, Result<Vec<(String, ImportState)>, RecordsError>> {
        ready(self.tables().imports.iter().take(limit).map(|(name, state)| (name.clone(), state.clone())).collect())
    }

    fn set_import<'a>(&'a self, name: &'a str, state: ImportState) -> BoxFuture<'a, Result<(), RecordsError>> {
        self.tables().imports.insert(name.to_owned(), state);
        ready(())
    }
}
