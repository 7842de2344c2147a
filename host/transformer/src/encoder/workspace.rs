//! Memory for one run at a time.

use breakwater_convnet::memory::Memory;

use super::{Encoder, attention};
use crate::matrix;
use crate::parts::{Grid, stride};

/// Memory for some sequences at a time. It only grows.
#[derive(Default)]
pub(crate) struct Workspace {
    tokens: Memory,
    normed: Memory,
    wide: Memory,
    pooled: Memory,
    queries: Memory,
    /// One per part that a layer is divided into.
    pub(super) scratch: Vec<Memory>,
}

/// Where things are in a [`Workspace`].
#[derive(Clone, Copy)]
pub(crate) struct Grids {
    /// What goes from layer to layer, a row per token.
    pub(crate) tokens: Grid,
    /// Normalised tokens, then what attention found for them.
    pub(super) normed: Grid,
    /// Queries, keys and values; what is between the two dense layers.
    pub(super) wide: Grid,
    /// As `tokens`, only those that embeddings are read from.
    pub(super) pooled: Grid,
    /// Their queries.
    pub(super) queries: Grid,
    /// What embeddings are computed from: as many rows as tokens.
    pub(crate) input: Grid,
    /// Embeddings, in the same memory as `wide`.
    pub(super) output: Grid,
    /// What is between the two dense layers, in the same memory as `wide`.
    pub(super) hidden: Grid,
}

/// How much a run needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Tokens of all sequences.
    pub(crate) tokens: usize,
    /// Sequences.
    pub(crate) sequences: usize,
    /// Tokens of the longest.
    pub(crate) longest: usize,
    /// Values per token of what tokens are computed from.
    pub(crate) input: usize,
}

impl Workspace {
    /// Makes room for a run and says where things are.
    pub(super) fn reserve(&mut self, encoder: &Encoder, size: &Size) -> Grids {
        let Needs { tokens, wide, pooled, .. } = Needs::of(encoder, size);
        for (memory, values) in [
            (&mut self.tokens, tokens),
            (&mut self.normed, tokens),
            (&mut self.wide, wide),
            (&mut self.pooled, pooled),
            (&mut self.queries, pooled),
        ] {
            memory.reserve(values);
        }
        let width = encoder.padded(encoder.config.width);
        Grids {
            tokens: Grid::new(&mut self.tokens, width),
            normed: Grid::new(&mut self.normed, width),
            wide: Grid::new(&mut self.wide, 3 * width),
            pooled: Grid::new(&mut self.pooled, width),
            queries: Grid::new(&mut self.queries, width),
            input: Grid::new(&mut self.wide, size.input),
            output: Grid::new(&mut self.wide, encoder.padded(encoder.projection)),
            hidden: Grid::new(&mut self.wide, encoder.padded(encoder.config.hidden)),
        }
    }

    /// Makes room for so many parts of a layer.
    pub(super) fn parts(&mut self, parts: usize, values: usize) -> &mut [Memory] {
        if self.scratch.len() < parts {
            self.scratch.resize_with(parts, Memory::default);
        }
        let scratch = self.scratch.get_mut(..parts).unwrap_or_default();
        for memory in scratch.iter_mut() {
            memory.reserve(values);
        }
        scratch
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let memories = [&self.tokens, &self.normed, &self.wide, &self.pooled, &self.queries];
        memories.into_iter().chain(&self.scratch).map(Memory::bytes).sum()
    }
}

/// Values of the memories.
pub(super) struct Needs {
    tokens: usize,
    wide: usize,
    pooled: usize,
    /// Of one part of a layer.
    pub(super) scratch: usize,
}

impl Needs {
    pub(super) fn of(encoder: &Encoder, size: &Size) -> Self {
        let width = encoder.padded(encoder.config.width);
        let widest = [3 * width, size.input, encoder.padded(encoder.projection), encoder.padded(encoder.config.hidden)];
        let widest = widest.into_iter().map(stride).max().unwrap_or(0);
        Self {
            tokens: size.tokens * stride(width),
            wide: size.tokens * widest,
            pooled: size.sequences * stride(width),
            scratch: matrix::scratch(encoder.kernels.panel).max(attention::scratch(encoder, size.longest)),
        }
    }

    /// Bytes of a workspace for one thread.
    pub(super) fn bytes(&self) -> usize {
        (2 * self.tokens + self.wide + 2 * self.pooled + self.scratch) * size_of::<f32>()
    }
}

impl Encoder {
    /// `columns` rounded up to whole panels.
    pub(crate) fn padded(&self, columns: usize) -> usize {
        columns.next_multiple_of(self.kernels.panel)
    }

    /// Bytes of working memory that a run needs on one thread.
    pub(crate) fn run_bytes(&self, size: &Size) -> usize {
        Needs::of(self, size).bytes()
    }
}
