//! Which rows have which traits.
//!
//! Every category, and every value of an attribute, is a label with a bitmap of the rows that have it. An index makes at most so many
//! bitmaps as its limits say; labels that come later have none, and a filter that names one compares the labels of the rows that have
//! such labels one by one: slower, never wrong.

use std::collections::HashMap;
use std::ops::BitOrAssign;

use roaring::{MultiOps, RoaringBitmap};
use serde::{Deserialize, Serialize};

use crate::filter::{Filter, Traits};

/// Qualities are kept apart by this many bounds, so that a filter looks at the rows between two of them only.
const QUALITIES: usize = 16;

/// The traits of all rows.
#[derive(Debug, Clone)]
pub(super) struct Labels {
    /// The most bitmaps.
    most: usize,
    categories: Values,
    attributes: HashMap<Box<str>, Values>,
    /// By the number of the label; none for those past the limit.
    rows_of: Vec<Option<RoaringBitmap>>,
    /// Rows that have a label without a bitmap.
    without: RoaringBitmap,
    of_row: Vec<RowTraits>,
    /// Labels of all rows together.
    pairs: usize,
    /// Rows by sixteenths of quality; those of quality 1 are the last.
    by_quality: Vec<RoaringBitmap>,
}

type Values = HashMap<Box<str>, u32>;

/// The traits of one row.
#[derive(Debug, Clone, Default, PartialEq)]
struct RowTraits {
    labels: Box<[u32]>,
    quality: f32,
}

/// The traits of all rows as they are stored.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Stored {
    /// By the number of the label: the attribute, none for a category, and the value.
    names: Vec<(Option<Box<str>>, Box<str>)>,
    labels: Vec<Box<[u32]>>,
    /// The bits of each row's quality.
    qualities: Vec<u32>,
}

impl Labels {
    /// With at most so many bitmaps.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            categories: HashMap::new(),
            attributes: HashMap::new(),
            rows_of: Vec::new(),
            without: RoaringBitmap::new(),
            of_row: Vec::new(),
            pairs: 0,
            by_quality: vec![RoaringBitmap::new(); QUALITIES + 1],
        }
    }

    /// Gives the next row these traits.
    pub(super) fn push(&mut self, traits: &Traits) {
        let row = u32::try_from(self.of_row.len()).unwrap_or(u32::MAX);
        let labels = self.labels_of(traits);
        self.of_row.push(RowTraits { labels, quality: traits.quality });
        self.enter(row, true);
    }

    /// Gives a row other traits.
    pub(super) fn replace(&mut self, row: u32, traits: &Traits) {
        let labels = self.labels_of(traits);
        if self.of_row.get(row as usize).is_none() {
            return;
        }
        self.enter(row, false);
        if let Some(of_row) = self.of_row.get_mut(row as usize) {
            *of_row = RowTraits { labels, quality: traits.quality };
        }
        self.enter(row, true);
    }

    /// The rows of `live` that the filter admits.
    pub(super) fn admitted(&self, filter: &Filter, live: &RoaringBitmap) -> RoaringBitmap {
        let mut admitted = live.clone();
        if !filter.categories.is_empty() {
            let named = filter.categories.iter().filter_map(|category| self.categories.get(category.as_str()));
            admitted &= named.map(|label| self.rows_with(*label)).union();
        }
        for (name, value) in &filter.attributes {
            match self.attributes.get(name.as_str()).and_then(|values| values.get(value.as_str())) {
                Some(label) => admitted &= self.rows_with(*label),
                None => return RoaringBitmap::new(),
            }
        }
        match filter.min_quality {
            Some(least) if least.is_nan() => RoaringBitmap::new(),
            Some(least) => self.of_quality(least, admitted),
            None => admitted,
        }
    }

    /// The traits of some rows, which get the numbers 0, 1 and so on.
    pub(super) fn of_rows(&self, rows: impl Iterator<Item = u32>) -> Self {
        let stored = self.stored_rows(rows);
        Self::restored(stored, self.most)
    }

    /// As it is stored.
    pub(super) fn stored(&self) -> Stored {
        self.stored_rows(0..u32::try_from(self.of_row.len()).unwrap_or(u32::MAX))
    }

    /// From what was stored.
    pub(super) fn restored(stored: Stored, most: usize) -> Self {
        let mut labels = Self::new(most);
        let numbers: Vec<u32> = stored.names.iter().map(|(name, value)| labels.label(name.as_deref(), value)).collect();
        for (row, (of_row, quality)) in (0u32..).zip(stored.labels.iter().zip(stored.qualities)) {
            let of_row = of_row.iter().filter_map(|label| numbers.get(*label as usize).copied()).collect();
            labels.of_row.push(RowTraits { labels: of_row, quality: f32::from_bits(quality) });
            labels.enter(row, true);
        }
        labels
    }

    /// How many rows have traits.
    pub(super) fn len(&self) -> usize {
        self.of_row.len()
    }

    /// Memory held, in bytes, about: four for each label of a row, two more in a bitmap, and two hundred for each label that there is.
    pub(super) fn bytes(&self) -> u64 {
        (self.of_row.len() * size_of::<RowTraits>() + 6 * self.pairs + 200 * self.rows_of.len()) as u64
    }

    fn labels_of(&mut self, traits: &Traits) -> Box<[u32]> {
        let category = self.label(None, &traits.category);
        let attributes = traits.attributes.iter().map(|(name, value)| self.label(Some(name), value));
        let mut labels: Vec<u32> = attributes.collect();
        labels.push(category);
        labels.into()
    }

    /// The number of a label, made when it is not there.
    fn label(&mut self, name: Option<&str>, value: &str) -> u32 {
        let values = match name {
            None => &mut self.categories,
            Some(name) => self.attributes.entry(name.into()).or_default(),
        };
        if let Some(label) = values.get(value) {
            return *label;
        }
        let label = u32::try_from(self.rows_of.len()).unwrap_or(u32::MAX);
        values.insert(value.into(), label);
        self.rows_of.push((self.rows_of.len() < self.most).then(RoaringBitmap::new));
        label
    }

    /// Puts a row into the bitmaps of its traits, or takes it out of them.
    fn enter(&mut self, row: u32, enter: bool) {
        let Some(of_row) = self.of_row.get(row as usize) else { return };
        self.pairs = if enter { self.pairs + of_row.labels.len() } else { self.pairs.saturating_sub(of_row.labels.len()) };
        let put = |bitmap: &mut RoaringBitmap| if enter { bitmap.insert(row) } else { bitmap.remove(row) };
        for label in &of_row.labels {
            match self.rows_of.get_mut(*label as usize) {
                Some(Some(bitmap)) => put(bitmap),
                _ => put(&mut self.without),
            };
        }
        if let Some(bitmap) = self.by_quality.get_mut(sixteenth(of_row.quality)) {
            put(bitmap);
        }
    }

    fn rows_with(&self, label: u32) -> RoaringBitmap {
        match self.rows_of.get(label as usize) {
            Some(Some(bitmap)) => bitmap.clone(),
            _ => {
                let has = |row: &u32| self.of_row.get(*row as usize).is_some_and(|of_row| of_row.labels.contains(&label));
                self.without.iter().filter(has).collect()
            }
        }
    }

    fn of_quality(&self, least: f32, mut admitted: RoaringBitmap) -> RoaringBitmap {
        let bound = sixteenth(least);
        let better = self.by_quality.iter().skip(bound + 1).union();
        let at_bound = self.by_quality.get(bound).map(|rows| rows & &admitted).unwrap_or_default();
        let enough = |row: &u32| self.of_row.get(*row as usize).is_some_and(|of_row| of_row.quality >= least);
        admitted &= better;
        admitted.bitor_assign(at_bound.iter().filter(enough).collect::<RoaringBitmap>());
        admitted
    }

    /// Some rows as they are stored, with the labels that they have.
    fn stored_rows(&self, rows: impl Iterator<Item = u32>) -> Stored {
        let mut names: HashMap<u32, (Option<&str>, &str)> = HashMap::with_capacity(self.rows_of.len());
        names.extend(self.categories.iter().map(|(value, label)| (*label, (None, &**value))));
        for (name, values) in &self.attributes {
            names.extend(values.iter().map(|(value, label)| (*label, (Some(&**name), &**value))));
        }
        let mut stored = Stored::default();
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        for of_row in rows.filter_map(|row| self.of_row.get(row as usize)) {
            let number = |label: &u32| {
                let (name, value) = names.get(label)?;
                let next = u32::try_from(stored.names.len()).ok()?;
                Some(*numbers.entry(*label).or_insert_with(|| {
                    stored.names.push((name.map(Into::into), (*value).into()));
                    next
                }))
            };
            let labels = of_row.labels.iter().filter_map(number).collect();
            stored.labels.push(labels);
            stored.qualities.push(of_row.quality.to_bits());
        }
        stored
    }
}

/// The place of a quality among the bounds.
fn sixteenth(quality: f32) -> usize {
    (quality.clamp(0.0, 1.0) * QUALITIES as f32) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn traits() -> impl Strategy<Value = Traits> {
        let text = || prop::sample::select(vec!["", "a", "b", "c", "'", "\0", "\u{10ffff}"]).prop_map(str::to_owned);
        let quality = prop_oneof![Just(0.0f32), Just(1.0), Just(0.5), 0.0f32..1.0];
        (text(), prop::collection::btree_map(text(), text(), 0..4), quality).prop_map(|(category, attributes, quality)| Traits {
            category,
            attributes,
            quality,
        })
    }

    fn filter() -> impl Strategy<Value = Filter> {
        let bound =
            prop_oneof![Just(None), Just(Some(f32::NAN)), Just(Some(2.0)), (-0.1f32..1.1).prop_map(Some), Just(Some(0.5)), Just(Some(1.0))];
        (prop::collection::vec(traits(), 0..3), traits(), any::<bool>(), bound).prop_map(|(categories, some, attributes, min_quality)| {
            Filter {
                categories: categories.into_iter().map(|traits| traits.category).collect(),
                attributes: if attributes { some.attributes.into_iter().take(2).collect() } else { Default::default() },
                min_quality,
            }
        })
    }

    proptest! {
        #[test]
        fn bitmaps_admit_what_the_filter_does(
            given in prop::collection::vec(traits(), 0..60),
            changed in prop::collection::vec((any::<prop::sample::Index>(), traits()), 0..10),
            dead in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
            filters in prop::collection::vec(filter(), 1..8),
            most in 0usize..12,
        ) {
            let (mut labels, mut given) = (Labels::new(most), given);
            given.iter().for_each(|traits| labels.push(traits));
            let mut live: RoaringBitmap = (0..given.len() as u32).collect();
            if !given.is_empty() {
                for (index, traits) in changed {
                    let row = index.index(given.len());
                    labels.replace(row as u32, &traits);
                    given[row] = traits;
                }
                for index in dead {
                    live.remove(index.index(given.len()) as u32);
                }
            }
            let moved = labels.of_rows(live.iter());
            prop_assert_eq!(moved.len() as u64, live.len());
            let again = Labels::restored(labels.stored(), most);
            for filter in filters {
                let expected: Vec<u32> = live.iter().filter(|row| filter.admits(&given[*row as usize])).collect();
                for labels in [&labels, &again] {
                    prop_assert_eq!(labels.admitted(&filter, &live).iter().collect::<Vec<_>>(), expected.clone());
                }
                let all: RoaringBitmap = (0..moved.len() as u32).collect();
                let places: Vec<u32> = expected.iter().map(|row| live.rank(*row) as u32 - 1).collect();
                prop_assert_eq!(moved.admitted(&filter, &all).iter().collect::<Vec<_>>(), places);
            }
        }
    }

    #[test]
    fn past_the_limit_labels_have_no_bitmaps() {
        let mut labels = Labels::new(100);
        for row in 0..1000 {
            labels.push(&Traits { category: format!("{row}"), quality: 1.0, ..Traits::default() });
        }
        assert_eq!(labels.rows_of.iter().flatten().count(), 100);
        assert_eq!(labels.without.len(), 900);
        let live = (0..1000).collect();
        let filter = |name: &str| Filter { categories: vec![name.to_owned()], ..Filter::default() };
        for row in [5u32, 99, 100, 999] {
            assert_eq!(labels.admitted(&filter(&row.to_string()), &live).iter().collect::<Vec<_>>(), [row]);
        }
        assert!(labels.admitted(&filter("1000"), &live).is_empty());
    }
}
