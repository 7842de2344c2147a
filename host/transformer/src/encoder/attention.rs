//! Attention of one head in one sequence, a few queries at a time: keys, values and scores stay in the cache.

use super::{Encoder, Span};
use crate::kernel::Kernels;
use crate::kernel::activation::Function;
use crate::kernel::product::Product;
use crate::kernel::softmax::Softmax;
use crate::parts::{Grid, stride};

/// Queries at a time.
const QUERIES: usize = 56;

/// Values of memory that [`Attention::head`] needs for sequences of at most so many tokens.
pub(super) fn scratch(encoder: &Encoder, tokens: usize) -> usize {
    Places::of(encoder.config.head(), tokens, encoder.kernels.panel).end
}

/// What attention reads and writes. Columns of a head are side by side, heads follow each other.
pub(super) struct Attention<'a> {
    pub(super) encoder: &'a Encoder,
    pub(super) queries: Grid,
    pub(super) keys: Grid,
    pub(super) values: Grid,
    pub(super) out: Grid,
}

/// Where the parts of the scratch memory begin, in values.
struct Places {
    /// Panels of tokens: for each of a head's columns, the keys of a panel.
    keys: usize,
    /// Panels of columns: for each token, its values.
    values: usize,
    scores: usize,
    out: usize,
    end: usize,
}

impl Places {
    fn of(head: usize, tokens: usize, panel: usize) -> Self {
        let keys = 0;
        let values = keys + tokens.next_multiple_of(panel) * head;
        let scores = values + head.next_multiple_of(panel) * tokens;
        let out = scores + QUERIES * stride(tokens.next_multiple_of(panel));
        Self { keys, values, scores, out, end: out + QUERIES * stride(head.next_multiple_of(panel)) }
    }
}

impl Attention<'_> {
    /// Computes one head of one sequence: `queries` rows from `row` on, which are the sequence's last tokens if a token sees only
    /// those before it.
    ///
    /// # Safety
    /// The grids are good for the sequence and the queries; `memory` is good for [`scratch`] values that nobody else uses; nobody
    /// else writes the head's columns of these rows.
    pub(super) unsafe fn head(&self, span: &Span, (row, queries): (usize, usize), head: usize, memory: *mut f32) {
        let Encoder { config, kernels, .. } = self.encoder;
        let (width, tokens, panel) = (config.head(), span.tokens, kernels.panel);
        let column = head * width;
        let places = Places::of(width, tokens, panel);
        // SAFETY: the caller's promises; the places follow each other in the scratch memory.
        unsafe {
            let (keys, values) = (memory.add(places.keys), memory.add(places.values));
            pack_keys(&self.keys.from(column), span, width, panel, keys);
            pack_values(&self.values.from(column), span, width, panel, values);
            let scores = Grid { at: memory.add(places.scores), stride: stride(tokens.next_multiple_of(panel)) };
            let out = Grid { at: memory.add(places.out), stride: stride(width.next_multiple_of(panel)) };
            let scale = 1.0 / (width as f32).sqrt();
            for first in (0..queries).step_by(QUERIES) {
                let count = QUERIES.min(queries - first);
                // The tokens that each query sees, and those that any of this block does.
                let seen = |query: usize| if self.encoder.causal { tokens - queries + query + 1 } else { tokens };
                let most = seen(first + count - 1);
                let asked = Grid { at: self.queries.row(row + first).add(column), stride: self.queries.stride };
                panels(kernels, &asked, count, width, keys, &scores, most.div_ceil(panel));
                for query in 0..count {
                    (kernels.softmax)(&Softmax { row: scores.row(query), count: seen(first + query), end: most, scale });
                }
                panels_of(kernels, &scores, count, most, values, tokens, &out, width.div_ceil(panel));
                for query in 0..count {
                    self.out.row(row + first + query).add(column).copy_from_nonoverlapping(out.row(query), width);
                }
            }
        }
    }
}

/// Products with panels that follow each other.
///
/// # Safety
/// As [`Product`] says.
unsafe fn panels(kernels: &Kernels, rows: &Grid, count: usize, depth: usize, weights: *const f32, out: &Grid, number: usize) {
    // SAFETY: the caller's promise.
    unsafe { panels_of(kernels, rows, count, depth, weights, depth, out, number) }
}

/// Products with the upper part, `depth` of `height` rows, of panels that follow each other.
///
/// # Safety
/// As [`Product`] says.
#[expect(clippy::too_many_arguments, reason = "a product has three matrices, each with a size")]
unsafe fn panels_of(
    kernels: &Kernels,
    rows: &Grid,
    count: usize,
    depth: usize,
    weights: *const f32,
    height: usize,
    out: &Grid,
    number: usize,
) {
    for panel in 0..number {
        // SAFETY: the caller's promise.
        unsafe {
            (kernels.product)(&Product {
                rows: rows.at,
                stride: rows.stride,
                count,
                depth,
                weights: weights.add(panel * height * kernels.panel),
                bias: std::ptr::null(),
                out: out.at.add(panel * kernels.panel),
                out_stride: out.stride,
                accumulate: false,
                function: Function::Linear,
                ahead: std::ptr::null(),
                ahead_bytes: 0,
            });
        }
    }
}

/// # Safety
/// `from` has the sequence's rows and the head's columns; `to` is good for panels of all tokens.
unsafe fn pack_keys(from: &Grid, span: &Span, width: usize, panel: usize, to: *mut f32) {
    // SAFETY: the caller's promise.
    unsafe {
        for token in 0..span.tokens.next_multiple_of(panel) {
            let place = to.add(token / panel * panel * width + token % panel);
            let row = (token < span.tokens).then(|| from.row(span.start + token));
            for column in 0..width {
                *place.add(column * panel) = row.map_or(0.0, |row| *row.add(column));
            }
        }
    }
}

/// # Safety
/// `from` has the sequence's rows and the head's columns; `to` is good for panels of all columns.
unsafe fn pack_values(from: &Grid, span: &Span, width: usize, panel: usize, to: *mut f32) {
    // SAFETY: the caller's promise.
    unsafe {
        for (number, column) in (0..width).step_by(panel).enumerate() {
            let used = panel.min(width - column);
            for token in 0..span.tokens {
                let place = to.add((number * span.tokens + token) * panel);
                place.copy_from_nonoverlapping(from.row(span.start + token).add(column), used);
                place.add(used).write_bytes(0, panel - used);
            }
        }
    }
}
