//! Some sequences through the layers.

use std::ops::Range;

use breakwater_convnet::memory::Memory;
use breakwater_convnet::{Crew, LEAST_PART};

use super::attention::Attention;
use super::workspace::{Grids, Needs, Size};
use super::{Encoder, Layer, Scaling, Workspace};
use crate::kernel::PANEL;
use crate::kernel::activation::Function;
use crate::kernel::norm::Norm;
use crate::matrix::{Factors, Matrix};
use crate::parts::{Grid, divide};

/// A sequence in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// Its first row.
    pub(crate) start: usize,
    /// Its rows.
    pub(crate) tokens: usize,
    /// Which of them the embedding is read from.
    pub(crate) pooled: usize,
}

/// A run of some sequences on one thread, and on idle ones of the crew. Each value is the same sum in the same order whoever
/// computes it, and whatever else is in the run.
pub(crate) struct Run<'a> {
    encoder: &'a Encoder,
    spans: &'a [Span],
    rows: usize,
    pub(crate) grids: Grids,
    workspace: &'a mut Workspace,
    scratch: usize,
    crew: &'a Crew,
}

impl<'a> Run<'a> {
    /// Makes room for these sequences, which follow each other from row 0 on and are not empty; `input` is how many values a token
    /// is computed from.
    pub(crate) fn new(encoder: &'a Encoder, spans: &'a [Span], input: usize, workspace: &'a mut Workspace, crew: &'a Crew) -> Self {
        let rows = spans.iter().map(|span| span.tokens).sum();
        let longest = spans.iter().map(|span| span.tokens).max().unwrap_or(0);
        let size = Size { tokens: rows, sequences: spans.len(), longest, input };
        let grids = workspace.reserve(encoder, &size);
        Self { encoder, spans, rows, grids, workspace, scratch: Needs::of(encoder, &size).scratch, crew }
    }

    /// Rows of all sequences.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Takes the tokens through all layers and writes an embedding per sequence.
    pub(crate) fn finish(&mut self, out: &mut [f32]) {
        let encoder = self.encoder;
        if let Some((last, layers)) = encoder.layers.split_last() {
            for layer in layers {
                self.layer(layer);
            }
            self.last_layer(last);
        }
        let (count, grids) = (self.spans.len(), self.grids);
        self.norm(&encoder.last_norm, grids.pooled, grids.normed, count);
        self.dense(&encoder.last, 0..encoder.last.panels(), &self.linear(grids.normed, count, grids.output, false));
        for (row, embedding) in out.chunks_exact_mut(encoder.projection.max(1)).enumerate().take(count) {
            // SAFETY: the grid holds a row of the projection's columns per sequence.
            embedding.copy_from_slice(unsafe { std::slice::from_raw_parts(grids.output.row(row), embedding.len()) });
        }
    }

    fn layer(&mut self, layer: &Layer) {
        let Grids { tokens, normed, wide, .. } = self.grids;
        self.norm(&layer.norm1, tokens, normed, self.rows);
        self.dense(&layer.attention, 0..layer.attention.panels(), &self.linear(normed, self.rows, wide, false));
        self.attention(wide, None);
        self.dense(&layer.out, 0..layer.out.panels(), &self.linear(normed, self.rows, tokens, true));
        self.two_dense(layer, tokens, self.rows);
    }

    /// After the last layer only one token of each sequence is read: of the others keys and values are needed, and nothing else.
    fn last_layer(&mut self, layer: &Layer) {
        let Grids { tokens, normed, wide, pooled, queries, .. } = self.grids;
        let (count, each) = (self.spans.len(), layer.attention.panels() / 3);
        self.norm(&layer.norm1, tokens, normed, self.rows);
        // SAFETY: keys and values have a panel's columns each behind the queries'.
        let keys = unsafe { wide.from(each * self.encoder.kernels.panel) };
        self.dense(&layer.attention, each..3 * each, &self.linear(normed, self.rows, keys, false));
        let width = self.encoder.config.width;
        for (index, span) in self.spans.iter().enumerate() {
            // SAFETY: the rows are those of the run. `pooled` holds normalised tokens until their queries are made.
            unsafe { pooled.row(index).copy_from_nonoverlapping(normed.row(span.start + span.pooled), width) };
        }
        self.dense(&layer.attention, 0..each, &self.linear(pooled, count, queries, false));
        for (index, span) in self.spans.iter().enumerate() {
            // SAFETY: the rows are those of the run.
            unsafe { pooled.row(index).copy_from_nonoverlapping(tokens.row(span.start + span.pooled), width) };
        }
        self.attention(wide, Some(queries));
        self.dense(&layer.out, 0..layer.out.panels(), &self.linear(normed, count, pooled, true));
        self.two_dense(layer, pooled, count);
    }

    fn two_dense(&mut self, layer: &Layer, tokens: Grid, count: usize) {
        let Grids { normed, hidden, .. } = self.grids;
        self.norm(&layer.norm2, tokens, normed, count);
        let function = Function::Activation(self.encoder.config.activation);
        let first = Factors { function, ..self.linear(normed, count, hidden, false) };
        self.dense(&layer.dense1, 0..layer.dense1.panels(), &first);
        self.dense(&layer.dense2, 0..layer.dense2.panels(), &self.linear(hidden, count, tokens, true));
    }

    pub(crate) fn linear(&self, rows: Grid, count: usize, out: Grid, accumulate: bool) -> Factors {
        Factors { rows, count, out, accumulate, function: Function::Linear }
    }

    /// Multiplies with some panels of a matrix; `out` begins with the first of them. The grids are the run's and of the matrix's
    /// depth and columns.
    pub(crate) fn dense(&mut self, matrix: &Matrix, panels: Range<usize>, factors: &Factors) {
        let kernels = self.encoder.kernels;
        let (first, number) = (panels.start, panels.len());
        let parts = self.parts(matrix.work(factors.count, number));
        divide(self.scratch(parts), number, &|part, scratch| {
            // SAFETY: grids lie inside the memory that was reserved for the run, whose rows are as wide as the widest layer, panels
            // that fill up the last one included; each part writes columns of its own; a scratch memory is one part's.
            unsafe {
                let factors = Factors { out: factors.out.from(part.start * kernels.panel), ..*factors };
                matrix.multiply(kernels, &factors, first + part.start..first + part.end, scratch.as_mut_ptr());
            }
        });
    }

    /// Attention of every head of every sequence, from `wide` to `normed`. With `queries` only the pooled token of each sequence
    /// asks.
    fn attention(&mut self, wide: Grid, queries: Option<Grid>) {
        let (encoder, spans) = (self.encoder, self.spans);
        let width = encoder.padded(encoder.config.width);
        // SAFETY: keys and values lie behind queries.
        let (keys, values) = unsafe { (wide.from(width), wide.from(2 * width)) };
        let attention = Attention { encoder, queries: queries.unwrap_or(wide), keys, values, out: self.grids.normed };
        let heads = encoder.config.heads;
        let asked = |span: &Span| if queries.is_some() { 1 } else { span.tokens };
        let work: usize = spans.iter().map(|span| asked(span) * span.tokens).sum();
        let parts = self.parts(work * encoder.config.width * 2 * PANEL / encoder.kernels.panel);
        divide(self.scratch(parts), spans.len() * heads, &|part, scratch| {
            for task in part {
                let (index, head) = (task / heads, task % heads);
                let Some(span) = spans.get(index) else { return };
                let rows = if queries.is_some() { (index, 1) } else { (span.start, span.tokens) };
                // SAFETY: rows and columns are those of the run; each task writes a head's columns of a sequence's rows.
                unsafe { attention.head(span, rows, head, scratch.as_mut_ptr()) };
            }
        });
    }

    /// Normalises rows of the run's grids. `to` may be `from`.
    pub(crate) fn norm(&self, scaling: &Scaling, from: Grid, to: Grid, count: usize) {
        // SAFETY: grids hold the rows, of the encoder's width, as scale and shift do.
        unsafe {
            (self.encoder.kernels.norm)(&Norm {
                rows: from.at,
                stride: from.stride,
                count,
                width: self.encoder.config.width,
                scale: scaling.scale.as_ptr(),
                shift: scaling.shift.as_ptr(),
                epsilon: self.encoder.config.epsilon,
                out: to.at,
                out_stride: to.stride,
            });
        }
    }

    /// Into how many parts so many multiplications are worth dividing now.
    fn parts(&self, work: usize) -> usize {
        self.crew.parts().min(work / LEAST_PART).max(1)
    }

    fn scratch(&mut self, parts: usize) -> &mut [Memory] {
        self.workspace.parts(parts, self.scratch)
    }
}
