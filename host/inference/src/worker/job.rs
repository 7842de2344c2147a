//! What a worker computes for one call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use breakwater_core::Size;

use crate::array::Array;
use crate::batch::Batch;
use crate::engine::{Engine, EngineError, Session};
use crate::frame::Frame;
use crate::graph::weights::Network;

/// The input of one run, ready for the network.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    /// A scaled picture.
    Frame(Frame),
    /// Numbers of one or more images as the network takes them. Never joined with others.
    Planes(Array),
}

/// Jobs of one bucket can be computed in one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// Pictures of this size.
    Picture(Size),
    /// Alone.
    Alone(u64),
}

impl Job {
    /// With what it can be computed together.
    pub(crate) fn bucket(&self) -> Bucket {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        match self {
            Self::Frame(frame) => Bucket::Picture(frame.input),
            Self::Planes(_) => Bucket::Alone(NUMBERS.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Images or texts in it.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Frame(_) => 1,
            Self::Planes(planes) => planes.shape().images,
        }
    }
}

/// What a worker's sessions compute.
#[derive(Clone)]
pub(crate) enum Program {
    /// A convolution network, and how bytes of pictures become its numbers.
    Network(Network, Arc<crate::batch::Normalisation>),
}

impl Program {
    /// Brings it onto a device.
    pub(crate) fn prepare(&self, engine: &dyn Engine) -> Result<Box<dyn Session>, EngineError> {
        match self {
            Self::Network(network, _) => engine.prepare(network),
        }
    }

    /// The most jobs that a run on this engine should hold.
    pub(crate) fn preferred_batch(&self, engine: &dyn Engine) -> usize {
        match self {
            Self::Network(..) => engine.preferred_batch(),
        }
    }

    /// Hands jobs of one bucket to a run.
    pub(crate) fn with_batch<R>(&self, jobs: &[&Job], run: impl FnOnce(Batch<'_>) -> Result<R, EngineError>) -> Result<R, EngineError> {
        let Self::Network(_, normalisation) = self;
        match jobs {
            [Job::Planes(planes)] => run(Batch::Array(planes.clone())),
            _ => {
                let frames = jobs.iter().map(|job| match job {
                    Job::Frame(frame) => Ok(frame),
                    Job::Planes(_) => Err(mixed()),
                });
                let frames = frames.collect::<Result<Vec<_>, _>>()?;
                run(Batch::Frames { frames: &frames, normalisation })
            }
        }
    }
}

fn mixed() -> EngineError {
    EngineError::Output { what: "jobs of different kinds in one batch".to_owned() }
}
