//! How many threads an image may use: images come first, what is idle then helps with rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many threads of a pool are taken, by runs and by whatever else the pool is for.
pub type Busy = Arc<dyn Fn() -> usize + Send + Sync>;

/// The threads of a pool and the images that they compute.
pub struct Crew {
    threads: usize,
    busy: Option<Busy>,
    images: AtomicUsize,
}

impl Crew {
    /// So many threads of a pool; `busy` counts those that are taken, by images or otherwise, where the pool does other work, too.
    #[must_use]
    pub fn new(threads: usize, busy: Option<Busy>) -> Self {
        Self { threads, busy, images: AtomicUsize::new(0) }
    }

    /// Counts an image until the guard is dropped.
    #[must_use]
    pub fn begin(&self) -> Active<'_> {
        self.images.fetch_add(1, Ordering::Relaxed);
        Active(self)
    }

    /// Into how many parts an image may divide its rows now.
    #[must_use]
    pub fn parts(&self) -> usize {
        let images = self.images.load(Ordering::Relaxed).max(1);
        let busy = self.busy.as_ref().map_or(0, |busy| busy()).max(images);
        1 + self.threads.saturating_sub(busy) / images
    }
}

/// An image that is being computed.
pub struct Active<'a>(&'a Crew);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.images.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_shared_among_images() {
        let crew = Crew::new(4, None);
        assert_eq!(crew.parts(), 4);
        let first = crew.begin();
        let second = crew.begin();
        assert_eq!(crew.parts(), 2);
        let rest: Vec<_> = (0..5).map(|_| crew.begin()).collect();
        assert_eq!(crew.parts(), 1);
        drop((first, second, rest));
        assert_eq!(crew.parts(), 4);
    }

    #[test]
    fn threads_that_do_something_else_are_left_alone() {
        let taken = Arc::new(AtomicUsize::new(3));
        let busy = Arc::clone(&taken);
        let crew = Crew::new(4, Some(Arc::new(move || busy.load(Ordering::Relaxed))));
        let _image = crew.begin();
        assert_eq!(crew.parts(), 2, "itself and the idle one");
        taken.store(4, Ordering::Relaxed);
        assert_eq!(crew.parts(), 1);
        taken.store(9, Ordering::Relaxed);
        assert_eq!(crew.parts(), 1, "more work than threads");
        taken.store(0, Ordering::Relaxed);
        assert_eq!(crew.parts(), 4, "what is not counted yet");
    }
}
