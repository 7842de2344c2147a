//! What an operator may choose.

/// Bounds and widths of embedded indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// The most vectors in an index, at least 1. Each of `d` numbers takes about `4 * d + 200` bytes of memory: `2 * d` in rows and as
    /// much in the graph, and its links.
    pub max_vectors: usize,
    /// Least candidates kept during a walk, 1 and more: the more, the better the recall and the slower. The default gives recall@10 of
    /// 0.98 and more on 100 000 clustered vectors of 512 numbers (`benches/search`).
    pub ef: usize,
    /// Vectors up to which there is no graph: comparing with all of them takes less than a millisecond.
    pub graph_from: u32,
    /// Vectors outside of the graph from which on they are taken into it.
    pub outside: u32,
    /// Vectors outside of the graph from which on writers wait until it has caught up.
    pub most_outside: u32,
    /// Dead vectors from which on the index is made again without them, when they are also a quarter of all.
    pub dead: u32,
    /// The most bitmaps of categories and values of attributes; what comes later is filtered row by row.
    pub max_labels: usize,
}

impl EmbeddedOptions {
    /// Vectors outside of the graph from which on writers wait: no fewer than those from which on there is something to wait for.
    pub(super) fn writers_wait_from(&self) -> u32 {
        self.most_outside.max(self.outside).max(self.graph_from)
    }
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { max_vectors: 2_000_000, ef: 144, graph_from: 8192, outside: 1024, most_outside: 16_384, dead: 1024, max_labels: 100_000 }
    }
}
