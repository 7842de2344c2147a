//! Runs a network on the processor.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;
use rayon::prelude::*;

use crate::array::{Array, Outputs};
use crate::error::ConvnetError;
use crate::graph::shape::{GraphError, Shape};
use crate::graph::weights::Network;
use crate::input::Input;
use crate::isa::Isa;
use crate::kernel::Kernels;
use crate::plan::Plan;
use crate::program::{Program, lower};
use crate::run::{Busy, Crew, Source, Target, Workspace, run};

/// The most plans that are kept, the latest used ones. One more costs less than a millisecond to make again.
const MAX_PLANS: usize = 32;

/// About a tenth of a millisecond: a thread takes half of that to wake. Dividing YuNet at 224x320 into less was found to be slower
/// than one thread.
pub const LEAST_PART: usize = 300_000;

/// How a network is run.
#[derive(Clone, Default)]
pub struct Options {
    /// The instructions to use; the fastest of this machine otherwise.
    pub isa: Option<Isa>,
    /// Threads that images, and rows of an image when there are fewer images than threads, are spread over. Without it
    /// everything runs on the caller's thread.
    pub threads: Option<Arc<ThreadPool>>,
    /// How many of the threads are taken now, for a pool that does other work, too. Only runs of this executor count otherwise.
    pub busy: Option<Busy>,
    /// Multiplications of registers in the least part of an image that is worth waking a thread for, [`LEAST_PART`] otherwise; 0
    /// divides whatever can be divided.
    pub least_part: Option<usize>,
}

/// A network made ready for the processor: weights packed, plans per input shape, memory reused between runs. Any number of
/// threads may call [`Executor::run`] at once.
pub struct Executor {
    network: Network,
    program: Program,
    kernels: &'static Kernels,
    threads: Option<Arc<ThreadPool>>,
    least_part: usize,
    /// The latest used one last.
    plans: Mutex<Vec<Arc<Plan>>>,
    /// Memory that no run uses now.
    idle: Mutex<Vec<Workspace>>,
    crew: Crew,
}

impl Executor {
    /// Packs the weights of a network.
    ///
    /// # Errors
    /// When the machine does not have the instructions asked for, or weights would need too much memory once packed.
    pub fn new(network: &Network, options: Options) -> Result<Self, ConvnetError> {
        let isa = options.isa.unwrap_or_else(Isa::best);
        let kernels = Kernels::of(isa).ok_or(ConvnetError::Isa { isa })?;
        let program = lower(network, kernels.lanes)?;
        Ok(Self {
            network: network.clone(),
            program,
            kernels,
            crew: Crew::new(options.threads.as_ref().map_or(1, |threads| threads.current_num_threads()), options.busy),
            threads: options.threads,
            least_part: options.least_part.unwrap_or(LEAST_PART),
            plans: Mutex::default(),
            idle: Mutex::default(),
        })
    }

    /// The instructions in use.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.kernels.isa
    }

    /// Computes every output for a batch: outputs in the graph's order, images in the batch's. The numbers do not depend on how
    /// many threads there are, nor on the other images of the batch.
    ///
    /// # Errors
    /// When the network does not take this input. Nothing fails once the run has begun.
    pub fn run(&self, input: Input<'_>) -> Result<Outputs, ConvnetError> {
        let shape = input.check()?;
        let plan = self.plan(shape)?;
        let mut arrays = Vec::with_capacity(self.program.exports.len());
        for (export, grid) in self.program.exports.iter().zip(&plan.exports) {
            let shape = Shape::new(shape.images, export.channels, grid.height, grid.width);
            let values = shape.elements().ok_or(GraphError::Size { node: 0, dims: shape.dims() })?;
            arrays.push((export.name.as_str(), Array::new(shape, vec![0.0; values])?));
        }
        let targets: Vec<Target> = arrays.iter_mut().map(|(_, array)| Target(array.values_mut().as_mut_ptr())).collect();
        let image = |index: usize| {
            let scaling = input.scaling(index);
            if let Some(source) = input.image(index, shape, scaling.as_ref()) {
                self.image(&plan, source, index, &targets);
            }
        };
        match &self.threads {
            Some(threads) if shape.images > 1 => threads.install(|| (0..shape.images).into_par_iter().for_each(image)),
            Some(threads) if self.crew.parts() > 1 => threads.install(|| image(0)),
            _ => (0..shape.images).for_each(image),
        }
        Ok(Outputs::new(arrays.into_iter().map(|(name, array)| (name.to_owned(), array)).collect()))
    }

    /// Bytes that a run of one image of this shape needs on one thread, besides weights, input and outputs.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_bytes(&self, shape: Shape) -> Result<usize, ConvnetError> {
        let plan = self.plan(shape)?;
        shape.elements().ok_or(GraphError::Size { node: 0, dims: shape.dims() })?;
        Ok(plan.bytes(1))
    }

    /// Bytes of the packed weights.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.program.layers.iter().map(|(_, layer)| layer.weight_bytes()).sum()
    }

    /// Bytes of memory that is kept for later runs.
    #[must_use]
    pub fn idle_bytes(&self) -> usize {
        self.idle().iter().map(Workspace::bytes).sum()
    }

    /// Plans that are kept.
    #[must_use]
    pub fn plans(&self) -> usize {
        lock(&self.plans).len()
    }

    /// Computes one image on this thread, and on idle ones of the pool.
    fn image(&self, plan: &Plan, source: Source<'_>, index: usize, targets: &[Target]) {
        let _active = self.crew.begin();
        let mut workspace = self.idle().pop().unwrap_or_default();
        run(&self.program, plan, self.kernels, source, &mut workspace, &self.crew, (index, targets));
        self.idle().push(workspace);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Workspace>> {
        lock(&self.idle)
    }

    /// The plan for images of a size.
    fn plan(&self, shape: Shape) -> Result<Arc<Plan>, ConvnetError> {
        // Plans are remembered by rows and columns; channels are never anything else.
        let expected = self.network.input().channels;
        if shape.channels != expected {
            return Err(GraphError::Channels { expected, found: shape.channels }.into());
        }
        let fits = |plan: &Arc<Plan>| (plan.height, plan.width) == (shape.height, shape.width);
        {
            let mut plans = lock(&self.plans);
            if let Some(at) = plans.iter().position(fits) {
                let plan = plans.remove(at);
                plans.push(Arc::clone(&plan));
                return Ok(plan);
            }
        }
        let plan = Arc::new(Plan::new(self.network.graph(), &self.program, shape, self.least_part)?);
        let mut plans = lock(&self.plans);
        if plans.len() >= MAX_PLANS {
            plans.remove(0);
        }
        plans.retain(|plan| !fits(plan));
        plans.push(Arc::clone(&plan));
        Ok(plan)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under the locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
