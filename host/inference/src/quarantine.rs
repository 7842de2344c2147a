//! Inputs that a model is known to fail on.

use std::time::Duration;

use moka::sync::Cache;

use crate::found::Key;

/// The most inputs in quarantine; the least used leave first.
const MOST: u64 = 4096;

/// Inputs on which a model crashed or gave no finite numbers while it worked on others: they are not run again for a while, so that
/// one caller who repeats himself cannot keep a device from everybody else's work.
pub(crate) struct Quarantine(Cache<Key, ()>);

impl Quarantine {
    /// One that lets inputs go after `time`.
    pub(crate) fn new(time: Duration) -> Self {
        Self::bounded(MOST, time)
    }

    fn bounded(most: u64, time: Duration) -> Self {
        Self(Cache::builder().max_capacity(most).time_to_live(time).build())
    }

    /// Whether this input is in it.
    pub(crate) fn holds(&self, key: &Key) -> bool {
        self.0.contains_key(key)
    }

    /// Puts an input into it.
    pub(crate) fn put(&self, key: Key) {
        self.0.insert(key, ());
    }

    /// How many there are, as of the last maintenance.
    pub(crate) fn len(&self) -> u64 {
        self.0.run_pending_tasks();
        self.0.entry_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::{By, Subject};
    use breakwater_core::Digest;

    fn key(number: u32) -> Key {
        (Subject::Text(Digest::of(&number.to_le_bytes())), By::Embedder(Digest::of(b"model")))
    }

    #[test]
    fn inputs_are_held_for_one_revision_and_let_go_after_the_time() {
        let quarantine = Quarantine::bounded(8, Duration::from_secs(3600));
        quarantine.put(key(1));
        assert!(quarantine.holds(&key(1)) && !quarantine.holds(&key(2)));
        assert!(!quarantine.holds(&(key(1).0, By::Embedder(Digest::of(b"another revision")))));
        let brief = Quarantine::bounded(8, Duration::from_nanos(1));
        brief.put(key(1));
        while brief.holds(&key(1)) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_number_of_inputs_is_bounded() {
        let quarantine = Quarantine::bounded(8, Duration::from_secs(3600));
        (0..100).for_each(|number| quarantine.put(key(number)));
        assert!(quarantine.len() <= 8);
    }
}
