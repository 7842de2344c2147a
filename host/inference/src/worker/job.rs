//! What a worker computes for one call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use breakwater_core::Size;

use crate::array::Array;
use crate::batch::{Batch, Normalisation};
use crate::clip::Clip;
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
    /// A text's tokens, those that begin and end it included, and how many it may be padded to.
    Tokens(Arc<[u32]>, usize),
}

/// Jobs of one bucket can be computed in one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// Pictures of this size.
    Picture(Size),
    /// Texts that are padded to so many tokens.
    Text(usize),
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
            Self::Tokens(tokens, context) => Bucket::Text(padded(tokens.len(), *context)),
        }
    }

    /// Images or texts in it.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Frame(_) | Self::Tokens(..) => 1,
            Self::Planes(planes) => planes.shape().images,
        }
    }
}

/// What a worker's sessions compute.
#[derive(Clone)]
pub(crate) enum Program {
    /// A convolution network, and how bytes of pictures become its numbers.
    Network(Network, Arc<Normalisation>),
    /// A CLIP model, and how bytes of pictures become its numbers.
    Clip(Arc<Clip>, Arc<Normalisation>),
}

/// Lengths to which texts are padded, so that short ones cost less and an engine sees few shapes; any longer ones have the length
/// of the model's context.
const LENGTHS: [usize; 3] = [8, 16, 32];

/// The length to which a text of so many tokens is padded.
pub(crate) fn padded(tokens: usize, context: usize) -> usize {
    LENGTHS.into_iter().find(|length| tokens <= *length).unwrap_or(context).min(context).max(tokens)
}

impl Program {
    /// Brings it onto a device.
    pub(crate) fn prepare(&self, engine: &dyn Engine) -> Result<Box<dyn Session>, EngineError> {
        match self {
            Self::Network(network, _) => engine.prepare(network),
            Self::Clip(clip, _) => engine.prepare_clip(clip),
        }
    }

    /// The most jobs that a run on this engine should hold.
    pub(crate) fn preferred_batch(&self, engine: &dyn Engine) -> usize {
        match self {
            Self::Network(..) => engine.preferred_batch(),
            Self::Clip(..) => engine.preferred_clip_batch(),
        }
    }

    /// Hands jobs of one bucket to a run.
    pub(crate) fn with_batch<R>(&self, jobs: &[&Job], run: impl FnOnce(Batch<'_>) -> Result<R, EngineError>) -> Result<R, EngineError> {
        let (Self::Network(_, normalisation) | Self::Clip(_, normalisation)) = self;
        match jobs {
            [Job::Planes(planes)] => run(Batch::Array(planes.clone())),
            [Job::Tokens(..), ..] => {
                let texts = jobs.iter().map(|job| if let Job::Tokens(tokens, _) = job { Ok(&**tokens) } else { Err(mixed()) });
                run(Batch::Tokens(&texts.collect::<Result<Vec<&[u32]>, _>>()?))
            }
            _ => {
                let frames = jobs.iter().map(|job| if let Job::Frame(frame) = job { Ok(frame) } else { Err(mixed()) });
                run(Batch::Frames { frames: &frames.collect::<Result<Vec<_>, _>>()?, normalisation })
            }
        }
    }
}

fn mixed() -> EngineError {
    EngineError::Output { what: "jobs of different kinds in one batch".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_about_one_length_are_padded_to_the_same() {
        let lengths = [2, 8, 9, 16, 17, 32, 33, 77].map(|tokens| padded(tokens, 77));
        assert_eq!(lengths, [8, 8, 16, 16, 32, 32, 77, 77]);
        assert_eq!((padded(3, 5), padded(9, 12), padded(80, 77)), (5, 12, 80));
    }
}
