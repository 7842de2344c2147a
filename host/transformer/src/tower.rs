//! What both towers do: sequences divided among threads, memory kept between runs.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use breakwater_convnet::{Busy, Crew, Isa};
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::encoder::{Encoder, Run, Size, Span, Workspace};
use crate::error::TransformerError;
use crate::kernel::Kernels;

/// The most tokens that go through the layers side by side, if they are of more than one sequence. What a layer computes of them then
/// stays in the caches, and weights are read seldom enough.
const MOST_TOKENS: usize = 224;

/// How a tower is run.
#[derive(Clone, Default)]
pub struct Options {
    /// The instructions to use; the fastest of this machine otherwise.
    pub isa: Option<Isa>,
    /// Threads that images or texts, and parts of a layer when there are fewer of them than threads, are spread over. Without it
    /// everything runs on the caller's thread.
    pub threads: Option<Arc<ThreadPool>>,
    /// How many of the threads are taken now, for a pool that does other work, too. Only runs of this tower count otherwise.
    pub busy: Option<Busy>,
}

impl Options {
    pub(crate) fn kernels(&self) -> Result<&'static Kernels, TransformerError> {
        let isa = self.isa.unwrap_or_else(Isa::best);
        Kernels::of(isa).ok_or(TransformerError::Isa { isa })
    }
}

/// The machinery of a tower.
pub(crate) struct Tower {
    pub(crate) encoder: Encoder,
    threads: Option<Arc<ThreadPool>>,
    crew: Crew,
    /// Memory that no run uses now.
    idle: Mutex<Vec<Workspace>>,
}

impl Tower {
    pub(crate) fn new(encoder: Encoder, options: Options) -> Self {
        let threads = options.threads.filter(|threads| threads.current_num_threads() > 1);
        let crew = Crew::new(threads.as_ref().map_or(1, |threads| threads.current_num_threads()), options.busy);
        Self { encoder, threads, crew, idle: Mutex::default() }
    }

    /// Embeds sequences of these lengths, which are not 0. `pooled` says which of a sequence's tokens the embedding is read from;
    /// `input` is how many values a token is computed from, and `embed` computes the tokens of some sequences in a run.
    pub(crate) fn run(
        &self,
        lengths: &[usize],
        pooled: impl Fn(usize) -> usize + Sync,
        input: usize,
        embed: impl Fn(&mut Run<'_>, Range<usize>) + Sync,
    ) -> Vec<f32> {
        let projection = self.encoder.projection();
        let mut out = vec![0.0; lengths.len() * projection];
        let mut chunks = Vec::new();
        let mut rest = out.as_mut_slice();
        for range in chunks_of(lengths, self.crew.parts()) {
            let (chunk, after) = rest.split_at_mut(range.len() * projection);
            chunks.push((range, chunk));
            rest = after;
        }
        let work = |(range, out): (Range<usize>, &mut [f32])| {
            let _active = self.crew.begin();
            let mut start = 0;
            let spans = lengths.get(range.clone()).unwrap_or_default().iter().map(|tokens| {
                let span = Span { start, tokens: *tokens, pooled: pooled(*tokens) };
                start += tokens;
                span
            });
            let spans: Vec<_> = spans.collect();
            let mut workspace = self.idle().pop().unwrap_or_default();
            let mut run = Run::new(&self.encoder, &spans, input, &mut workspace, &self.crew);
            embed(&mut run, range);
            run.finish(out);
            self.idle().push(workspace);
        };
        match &self.threads {
            Some(threads) => threads.install(|| chunks.into_par_iter().for_each(work)),
            None => chunks.into_iter().for_each(work),
        }
        out
    }

    /// Bytes of working memory that sequences of these lengths need on one thread.
    pub(crate) fn run_bytes(&self, lengths: &[usize], input: usize) -> usize {
        let chunk = |range: Range<usize>| {
            let lengths = lengths.get(range).unwrap_or_default();
            let longest = lengths.iter().copied().max().unwrap_or(0);
            self.encoder.run_bytes(&Size { tokens: lengths.iter().sum(), sequences: lengths.len(), longest, input })
        };
        chunks_of(lengths, 1).into_iter().map(chunk).max().unwrap_or(0)
    }

    /// Bytes of memory that is kept for later runs.
    pub(crate) fn idle_bytes(&self) -> usize {
        self.idle().iter().map(Workspace::bytes).sum()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Workspace>> {
        // Nothing that can panic runs under the lock.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Divides sequences into chunks of about equal numbers of tokens: a chunk for each part that the threads have room for, and more
/// of them when one would have more than [`MOST_TOKENS`].
fn chunks_of(lengths: &[usize], parts: usize) -> Vec<Range<usize>> {
    let total: usize = lengths.iter().sum();
    let chunks = total.div_ceil(MOST_TOKENS).next_multiple_of(parts.max(1)).min(lengths.len()).max(1);
    let (mut ranges, mut start, mut tokens) = (Vec::with_capacity(chunks), 0, 0);
    for (index, length) in lengths.iter().enumerate() {
        tokens += length;
        // The chunk ends where its share of all tokens is reached, or as many sequences are left as chunks.
        let share = (ranges.len() + 1) * total;
        let left = (lengths.len() - index - 1) + ranges.len() + 1;
        if index + 1 == lengths.len() || (tokens * chunks >= share && ranges.len() + 1 < chunks) || (left < chunks) {
            ranges.push(start..index + 1);
            start = index + 1;
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sequence_is_in_one_chunk_and_chunks_are_about_equal() {
        for count in 1..40 {
            for parts in 1..5 {
                let chunks = chunks_of(&vec![50; count], parts);
                let all: Vec<_> = chunks.iter().cloned().flatten().collect();
                assert_eq!(all, (0..count).collect::<Vec<_>>());
                let sizes: Vec<_> = chunks.iter().map(|chunk| chunk.len()).collect();
                assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
                assert!(chunks.len() >= parts.min(count) && sizes.iter().all(|size| size * 50 <= MOST_TOKENS + 50), "{sizes:?}");
            }
        }
    }

    #[test]
    fn a_long_sequence_is_a_chunk_of_its_own() {
        assert_eq!(chunks_of(&[577, 577, 577], 1), [0..1, 1..2, 2..3]);
        assert_eq!(chunks_of(&[], 2), Vec::<Range<usize>>::new());
        assert_eq!(chunks_of(&[3, 77, 3, 3], 2).len(), 2);
    }
}
