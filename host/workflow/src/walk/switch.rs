//! Something that is or is not so, and those who wait until that changes.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Wakes those who wait in the order in which they began to: a walk that is walked again must go on in the same order, which tokio's own
/// watched values do not give.
#[derive(Debug, Default)]
pub(crate) struct Switch {
    is_on: AtomicBool,
    changed: Notify,
}

impl Switch {
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::SeqCst)
    }

    pub(crate) fn set(&self, is_on: bool) {
        self.is_on.store(is_on, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Resolves when it is set after this call.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use futures_util::stream::FuturesUnordered;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_are_woken_in_their_order() {
        let switch = Switch::default();
        for _ in 0..20 {
            let waiting = (0..50).map(|number| {
                let changed = switch.changed();
                async move {
                    changed.await;
                    number
                }
            });
            let mut waiting: FuturesUnordered<_> = waiting.collect();
            assert!(futures_util::poll!(waiting.next()).is_pending());
            switch.set(true);
            assert_eq!(waiting.collect::<Vec<_>>().await, (0..50).collect::<Vec<_>>());
        }
        assert!(switch.is_on());
    }
}
