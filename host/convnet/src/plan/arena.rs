//! Places in one piece of memory for tensors that do not live at the same time.

/// A tensor's size in values and the first and last step at which it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) size: usize,
    pub(super) first: usize,
    pub(super) last: usize,
}

impl Life {
    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// The position of each, and the size of the whole. The largest are placed first, each at the lowest position that is free
/// during its life.
pub(super) fn place(lives: &[Life]) -> (Vec<usize>, usize) {
    let mut order: Vec<(usize, Life)> = lives.iter().copied().enumerate().collect();
    order.sort_by_key(|(index, life)| (std::cmp::Reverse(life.size), *index));
    let mut placed: Vec<(usize, Life)> = Vec::new();
    let mut positions = vec![0; lives.len()];
    let mut total = 0;
    for (index, life) in order {
        let mut taken: Vec<(usize, usize)> =
            placed.iter().filter(|(_, other)| life.meets(other)).map(|(at, other)| (*at, at + other.size)).collect();
        taken.sort_unstable();
        let position = taken.into_iter().fold(0, |free: usize, (start, end)| if free + life.size <= start { free } else { free.max(end) });
        placed.push((position, life));
        if let Some(slot) = positions.get_mut(index) {
            *slot = position;
        }
        total = total.max(position + life.size);
    }
    (positions, total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memory_is_used_again() {
        let life = |size, first, last| Life { size, first, last };
        let (positions, total) = place(&[life(100, 0, 1), life(50, 1, 2), life(100, 2, 3)]);
        assert_eq!((positions, total), (vec![0, 100, 0], 150));
    }

    proptest! {
        #[test]
        fn tensors_that_live_together_do_not_overlap(lives in prop::collection::vec((1usize..100, 0usize..10, 0usize..10), 1..30)) {
            let lives: Vec<Life> = lives.into_iter().map(|(size, first, length)| Life { size, first, last: first + length }).collect();
            let (positions, total) = place(&lives);
            for (i, a) in lives.iter().enumerate() {
                prop_assert!(positions[i] + a.size <= total);
                for (j, b) in lives.iter().enumerate().skip(i + 1) {
                    let apart = positions[i] + a.size <= positions[j] || positions[j] + b.size <= positions[i];
                    prop_assert!(apart || !a.meets(b));
                }
            }
        }
    }
}
