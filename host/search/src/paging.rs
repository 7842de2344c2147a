//! Where a search goes on.
//!
//! Pages are made one after the other while products change, with a ranker that may order as it likes and an index that may answer
//! approximately; no position in an order would stay where it was. So a page is followed by what was passed: the numbers of all products
//! that were shown, folded or left out by the ranker, as a compressed bitmap. What was passed never comes again, and what was not is still
//! to come, wherever it stands by then. Products made after the first page are left to the next search: one that is deleted and put again
//! has a new number.

use roaring::RoaringTreemap;

use crate::index::Key;

/// The most products that the pages of one search pass, in all. A page may pass more at once.
pub const MAX_DEPTH: u64 = 1000;

/// The largest bitmap that is read back, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// What the pages of a search have passed so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Passed {
    /// The sequence number of the last change when the first page was made; products made later are not shown.
    pub until: u64,
    keys: RoaringTreemap,
}

/// Bytes that do not say what was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes do not say which products were passed")]
pub struct InvalidPassed;

impl Passed {
    /// Nothing passed yet.
    #[must_use]
    pub fn nothing(until: u64) -> Self {
        Self { until, keys: RoaringTreemap::new() }
    }

    /// How many products were passed.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.keys.len()
    }

    /// Whether this is the first page.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a product was passed.
    #[must_use]
    pub fn has(&self, key: Key) -> bool {
        self.keys.contains(key.0)
    }

    /// Passes a product.
    pub fn pass(&mut self, key: Key) {
        self.keys.insert(key.0);
    }

    /// In bytes: the sequence number, then the bitmap in the portable format of Roaring.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.until.to_le_bytes().to_vec();
        // A vector takes every write.
        let _ = self.keys.serialize_into(&mut bytes);
        bytes
    }

    /// From [`Self::to_bytes`].
    ///
    /// # Errors
    /// When they are not those.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPassed> {
        let (until, mut bitmap) = bytes.split_first_chunk::<8>().ok_or(InvalidPassed)?;
        if bitmap.len() > MAX_BYTES {
            return Err(InvalidPassed);
        }
        let keys = RoaringTreemap::deserialize_from(&mut bitmap).map_err(|_| InvalidPassed)?;
        if bitmap.is_empty() { Ok(Self { until: u64::from_le_bytes(*until), keys }) } else { Err(InvalidPassed) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_passed_survives_the_way_out_and_back_and_is_small() {
        let mut passed = Passed::nothing(7);
        assert!(passed.is_empty());
        (0..MAX_DEPTH).for_each(|index| passed.pass(Key(index * index % 1_000_003)));
        let bytes = passed.to_bytes();
        assert!(bytes.len() < 4096, "{}", bytes.len());
        let back = Passed::from_bytes(&bytes).unwrap();
        assert_eq!(back, passed);
        assert!(back.has(Key(4)) && !back.has(Key(5)) && back.len() > 900);
    }

    #[test]
    fn bytes_with_something_missing_or_left_over_are_refused() {
        let mut passed = Passed::nothing(7);
        passed.pass(Key(1));
        let bytes = passed.to_bytes();
        for length in 0..bytes.len() {
            assert_eq!(Passed::from_bytes(&bytes[..length]), Err(InvalidPassed), "{length}");
        }
        assert_eq!(Passed::from_bytes(&[bytes, vec![0]].concat()), Err(InvalidPassed));
        assert_eq!(Passed::from_bytes(&vec![0; MAX_BYTES + 9]), Err(InvalidPassed));
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(passed) = Passed::from_bytes(&bytes) {
                let _ = (passed.len(), passed.has(Key(3)), passed.to_bytes());
            }
        }
    }
}
