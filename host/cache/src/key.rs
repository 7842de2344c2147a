//! What an entry is found by.

use std::fmt;

use breakwater_core::Digest;

/// A digest of everything an answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheKey(Digest);

impl CacheKey {
    /// The key of several byte strings in their order. Where one ends and the next begins counts: `["ab", "c"]` is not `["a", "bc"]`.
    #[must_use]
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self(Digest::of_parts(parts))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn different_parts_give_different_keys(
            one in proptest::collection::vec("[ab]{0,3}", 0..4),
            other in proptest::collection::vec("[ab]{0,3}", 0..4),
        ) {
            let key = |parts: &[String]| CacheKey::of(parts.iter().map(String::as_bytes));
            prop_assert_eq!(key(&one) == key(&other), one == other);
        }
    }
}
