//! One image through a plan.

mod crew;
mod export;
mod ingest;
mod stage;
mod winograd;

use std::ptr;

use crate::kernel::Kernels;
use crate::memory::Memory;
use crate::plan::{Grid, MAX_STAGES, MAX_WINDOW, Pipeline, Place, Plan, Stage};
use crate::program::Program;

pub use crew::{Active, Busy, Crew};
pub(crate) use export::Target;
pub(crate) use ingest::Source;

/// Memory for one run at a time. It only grows.
#[derive(Default)]
pub(crate) struct Workspace {
    arena: Memory,
    zeros: Memory,
    /// One per part that a pipeline is divided into.
    scratch: Vec<Memory>,
}

impl Workspace {
    /// Makes room for a plan in so many parts.
    pub(crate) fn reserve(&mut self, plan: &Plan, parts: usize) {
        self.arena.reserve(plan.arena);
        self.zeros.reserve(plan.zeros);
        self.scratch.resize_with(self.scratch.len().max(parts), Memory::default);
        for scratch in &mut self.scratch {
            scratch.reserve(plan.scratch);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.arena.bytes() + self.zeros.bytes() + self.scratch.iter().map(Memory::bytes).sum::<usize>()
    }
}

/// How far the layers of a pipeline are on one thread.
struct Progress {
    scratch: *mut f32,
    /// Rows of each layer that are done.
    done: [usize; MAX_STAGES],
    /// Room for the rows under a window.
    pointers: [*const f32; MAX_WINDOW],
}

/// A plan and the memory it runs in, as all threads see it.
struct Run<'a> {
    program: &'a Program,
    plan: &'a Plan,
    kernels: &'static Kernels,
    source: Source<'a>,
    arena: *mut f32,
    zeros: *const f32,
}

// SAFETY: threads share the arena, but each writes only the rows of its own part of a pipeline, and reads what pipelines before
// have written; the others are not written at all.
unsafe impl Sync for Run<'_> {}

/// Computes an image and writes its outputs. Pipelines are divided into as many parts as the crew has to spare; with more than
/// one thread the caller is one of the pool's.
pub(crate) fn run(
    program: &Program,
    plan: &Plan,
    kernels: &'static Kernels,
    source: Source<'_>,
    workspace: &mut Workspace,
    crew: &Crew,
    (index, targets): (usize, &[Target]),
) {
    workspace.reserve(plan, crew.parts());
    let Workspace { arena, zeros, scratch } = workspace;
    let run = Run { program, plan, kernels, source, arena: arena.as_mut_ptr(), zeros: zeros.as_ptr() };
    for pipeline in &plan.pipelines {
        let parts = crew.parts().min(pipeline.max_parts).min(scratch.len()).max(1);
        run.parts(pipeline, scratch.get_mut(..parts).unwrap_or_default(), 0, parts);
    }
    run.export(index, targets);
}

impl Run<'_> {
    /// Runs parts of a pipeline side by side, from part `first` of `of`, one per scratch memory.
    fn parts(&self, pipeline: &Pipeline, scratch: &mut [Memory], first: usize, of: usize) {
        let (height, align) = (pipeline.height(), pipeline.align);
        let edge = |part: usize| (part * height.div_ceil(align) / of * align).min(height);
        match scratch {
            [] => {}
            [only] => self.part(pipeline, only.as_mut_ptr(), edge(first), edge(first + 1)),
            several => {
                let (left, right) = several.split_at_mut(several.len() / 2);
                let middle = first + left.len();
                rayon::join(|| self.parts(pipeline, left, first, of), || self.parts(pipeline, right, middle, of));
            }
        }
    }

    /// Computes rows of a pipeline's last layer.
    fn part(&self, pipeline: &Pipeline, scratch: *mut f32, start: usize, end: usize) {
        let mut progress = Progress { scratch, done: [0; MAX_STAGES], pointers: [ptr::null(); MAX_WINDOW] };
        // Each layer begins at the first row that the one after it needs.
        let mut first = start;
        for (stage, done) in pipeline.stages.iter().zip(&mut progress.done).rev() {
            *done = first;
            let window = self.program.layers[stage.layer].window();
            first = (first * window.stride).saturating_sub(window.top);
        }
        self.advance(&pipeline.stages, &mut progress, end);
    }

    /// Computes rows of the last of these layers up to `end`, a few at a time, and before them what they need of the layers before.
    fn advance(&self, stages: &[Stage], progress: &mut Progress, end: usize) {
        let Some((stage, before)) = stages.split_last() else { return };
        let window = self.program.layers[stage.layer].window();
        while let Some(start) = progress.done.get(before.len()).copied().filter(|done| *done < end) {
            let until = (start + stage.rows).min(end);
            if let Some(input) = stage.input {
                let needed = (until - 1) * window.stride + window.size;
                self.advance(before, progress, needed.saturating_sub(window.top).min(input.height));
            }
            self.rows(stage, progress.scratch, start, until, &mut progress.pointers);
            if let Some(done) = progress.done.get_mut(before.len()) {
                *done = until;
            }
        }
    }

    fn memory(&self, grid: &Grid, scratch: *mut f32) -> *mut f32 {
        match grid.place {
            Place::Arena => self.arena,
            Place::Scratch => scratch,
        }
    }
}
