//! How many threads an image may use: images come first, what is idle then helps with rows.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The threads of a pool and the images that they compute.
#[derive(Debug)]
pub(crate) struct Crew {
    threads: usize,
    images: AtomicUsize,
}

impl Crew {
    pub(crate) fn new(threads: usize) -> Self {
        Self { threads, images: AtomicUsize::new(0) }
    }

    /// Counts an image until the guard is dropped.
    pub(crate) fn begin(&self) -> Active<'_> {
        self.images.fetch_add(1, Ordering::Relaxed);
        Active(self)
    }

    /// Into how many parts an image may divide its rows now.
    pub(crate) fn parts(&self) -> usize {
        (self.threads / self.images.load(Ordering::Relaxed).max(1)).max(1)
    }
}

/// An image that is being computed.
pub(crate) struct Active<'a>(&'a Crew);

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
        let crew = Crew::new(4);
        assert_eq!(crew.parts(), 4);
        let first = crew.begin();
        let second = crew.begin();
        assert_eq!(crew.parts(), 2);
        let rest: Vec<_> = (0..5).map(|_| crew.begin()).collect();
        assert_eq!(crew.parts(), 1);
        drop((first, second, rest));
        assert_eq!(crew.parts(), 4);
    }
}
