//! Near-duplicates shown as one.

use crate::ranking::Candidate;

/// A candidate and those that look nearly the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Folded {
    /// The most similar of them.
    pub candidate: Candidate,
    /// The others, most similar first.
    pub duplicates: Vec<Candidate>,
}

/// Folds candidates, most similar first, whose perceptual hashes differ from that of an earlier one in at most `distance` bits. None folds
/// nothing. One without a hash is a duplicate of nobody. Only who is shown is compared with: of three in a row whose ends are further apart than
/// `distance`, two are shown.
#[must_use]
pub fn fold(candidates: Vec<Candidate>, distance: Option<u32>) -> Vec<Folded> {
    let mut folded: Vec<Folded> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let hash = |candidate: &Candidate| candidate.product.product.perceptual_hash;
        let same = |other: &Folded| match (distance, hash(&candidate), hash(&other.candidate)) {
            (Some(distance), Some(a), Some(b)) => (a ^ b).count_ones() <= distance,
            _ => false,
        };
        match folded.iter().position(same).and_then(|found| folded.get_mut(found)) {
            Some(shown) => shown.duplicates.push(candidate),
            None => folded.push(Folded { candidate, duplicates: Vec::new() }),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;
    use crate::product::Stored;
    use crate::product::tests::product;

    fn folded(hashes: &[Option<u64>], distance: Option<u32>) -> Vec<Vec<u64>> {
        let candidates = hashes.iter().zip(1..).map(|(hash, key)| {
            let product = crate::Product { perceptual_hash: *hash, ..product(&format!("{key}")) };
            Candidate { product: Stored { key: Key(key), sequence: key, created: key, product }, similarity: 1.0 / key as f32 }
        });
        let keys = |folded: Folded| {
            let others = folded.duplicates.iter().map(|candidate| candidate.product.key.0);
            std::iter::once(folded.candidate.product.key.0).chain(others).collect()
        };
        fold(candidates.collect(), distance).into_iter().map(keys).collect()
    }

    #[test]
    fn the_most_similar_of_near_duplicates_is_shown() {
        let hashes = [Some(0), Some(u64::MAX), Some(0b111), Some(u64::MAX - 1), Some(0b1111)];
        assert_eq!(folded(&hashes, Some(3)), [vec![1, 3], vec![2, 4], vec![5]]);
        assert_eq!(folded(&hashes, Some(0)), [[1], [2], [3], [4], [5]]);
        assert_eq!(folded(&hashes, Some(4)), [vec![1, 3, 5], vec![2, 4]]);
    }

    #[test]
    fn nothing_is_folded_without_hashes_or_when_nobody_wants_it() {
        assert_eq!(folded(&[None, None, Some(0), Some(0)], Some(4)), [vec![1], vec![2], vec![3, 4]]);
        assert_eq!(folded(&[Some(0), Some(0)], None), [[1], [2]]);
    }
}
