//! Lists whose entries are named by typed positions.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// Names an entry of a [`Table`]; only the table makes one.
pub(crate) struct Id<T>(usize, PhantomData<fn() -> T>);

impl<T> Id<T> {
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Id<T> {}

impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A list that only grows, so that an [`Id`] stays good.
#[derive(Debug)]
pub(crate) struct Table<T>(Vec<T>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Table<T> {
    pub(crate) fn push(&mut self, entry: T) -> Id<T> {
        self.0.push(entry);
        Id(self.0.len() - 1, PhantomData)
    }

    pub(crate) fn ids(&self) -> impl DoubleEndedIterator<Item = Id<T>> + use<T> {
        (0..self.0.len()).map(|index| Id(index, PhantomData))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id<T>, &T)> {
        self.0.iter().enumerate().map(|(index, entry)| (Id(index, PhantomData), entry))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// A table of the same length.
    pub(crate) fn map<U>(&self, mut f: impl FnMut(Id<T>) -> U) -> Vec<U> {
        self.ids().map(&mut f).collect()
    }
}

#[allow(clippy::indexing_slicing, reason = "an id is made by the table that it names an entry of, and entries are never removed")]
impl<T> Index<Id<T>> for Table<T> {
    type Output = T;

    fn index(&self, id: Id<T>) -> &T {
        &self.0[id.0]
    }
}

#[allow(clippy::indexing_slicing, reason = "an id is made by the table that it names an entry of, and entries are never removed")]
impl<T> IndexMut<Id<T>> for Table<T> {
    fn index_mut(&mut self, id: Id<T>) -> &mut T {
        &mut self.0[id.0]
    }
}
