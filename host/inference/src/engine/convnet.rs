//! The processor: networks computed by `breakwater-convnet`, CLIP models by `breakwater-transformer`.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use breakwater_convnet::{Busy, ConvnetError, Executor, Input, Isa, Options};
use rayon::ThreadPool;

use crate::array::Outputs;
use crate::batch::{Batch, picture};
use crate::clip::Clip;
use crate::engine::clip::Packed;
use crate::engine::{DeviceKind, Engine, EngineError, Session};
use crate::graph::weights::Network;

/// The processor, with one set of its vector instructions.
pub struct ConvnetEngine {
    isa: Isa,
    name: String,
    threads: Option<Arc<ThreadPool>>,
    busy: Option<Busy>,
    concurrency: usize,
    /// Networks that sessions hold.
    prepared: Mutex<Vec<Weak<Prepared>>>,
    clips: Packed,
}

/// A network with its weights packed.
struct Prepared {
    network: Network,
    executor: Executor,
}

impl ConvnetEngine {
    /// The processor with the instructions `isa`, for so many runs side by side (at least one). A run is spread over those of
    /// `threads` that other runs leave idle; without them it stays on the thread that asks for it.
    #[must_use]
    pub fn new(isa: Isa, threads: Option<Arc<ThreadPool>>, concurrency: usize) -> Self {
        let name = format!("convnet {isa}");
        Self { isa, name, threads, busy: None, concurrency: concurrency.max(1), prepared: Mutex::default(), clips: Packed::default() }
    }

    /// With word of how many of the threads are taken, by runs and whatever else they do: a run then leaves those alone.
    #[must_use]
    pub fn beside(self, busy: Busy) -> Self {
        Self { busy: Some(busy), ..self }
    }

    /// The network with its weights packed, by an earlier session if one still holds it.
    fn prepared(&self, network: &Network) -> Result<Arc<Prepared>, ConvnetError> {
        // Held while weights are packed: whoever wants the same network waits for that instead of doing it again.
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.retain(|known| known.strong_count() > 0);
        // A network that is held keeps its weights where they are, so none other can be there.
        let same = |known: &Arc<Prepared>| {
            std::ptr::eq(known.network.weights(), network.weights()) && std::ptr::eq(known.network.graph(), network.graph())
        };
        if let Some(known) = prepared.iter().filter_map(Weak::upgrade).find(same) {
            return Ok(known);
        }
        let options = Options { isa: Some(self.isa), threads: self.threads.clone(), busy: self.busy.clone(), least_part: None };
        let new = Arc::new(Prepared { network: network.clone(), executor: Executor::new(network, options)? });
        prepared.push(Arc::downgrade(&new));
        Ok(new)
    }
}

impl Engine for ConvnetEngine {
    fn device(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> DeviceKind {
        DeviceKind::Cpu
    }

    /// Images that run side by side take no longer than in a batch, and none waits for another.
    fn preferred_batch(&self) -> usize {
        1
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn prepare(&self, network: &Network) -> Result<Box<dyn Session>, EngineError> {
        Ok(Box::new(ConvnetSession(self.prepared(network)?)))
    }

    fn prepare_clip(&self, clip: &Arc<Clip>) -> Result<Box<dyn Session>, EngineError> {
        let options = breakwater_transformer::Options { isa: Some(self.isa), threads: self.threads.clone(), busy: self.busy.clone() };
        self.clips.session(clip, &options)
    }

    /// Weights are read once for several images, which matters more than that each begins at once.
    fn preferred_clip_batch(&self) -> usize {
        8
    }

    fn clip_bytes(&self) -> u64 {
        self.clips.bytes()
    }
}

struct ConvnetSession(Arc<Prepared>);

impl Session for ConvnetSession {
    fn run(&mut self, batch: Batch<'_>) -> Result<Outputs, EngineError> {
        match batch {
            Batch::Array(array) => Ok(self.0.executor.run(Input::Planes(&array))?),
            Batch::Tokens(_) => Err(EngineError::Refused { what: "the network takes images only".to_owned() }),
            Batch::Frames { frames, normalisation } => {
                let pictures: Vec<_> = frames.iter().map(|frame| picture(frame, normalisation)).collect();
                Ok(self.0.executor.run(Input::Pictures(&pictures))?)
            }
        }
    }
}

impl From<ConvnetError> for EngineError {
    fn from(error: ConvnetError) -> Self {
        match error {
            ConvnetError::Graph(error) => Self::Input(error),
            ConvnetError::Isa { .. } => Self::Device { what: error.to_string() },
            ConvnetError::Array(error) => error.into(),
            ConvnetError::Weights(_) | ConvnetError::TooLarge { .. } | ConvnetError::NotFinite { .. } | ConvnetError::Picture { .. } => {
                Self::Refused { what: error.to_string() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Array;
    use crate::graph::shape::Shape;
    use crate::model::Model;
    use crate::self_test;

    fn engine() -> ConvnetEngine {
        ConvnetEngine::new(Isa::best(), None, 2)
    }

    #[test]
    fn sessions_of_one_network_share_its_packed_weights_as_long_as_one_is_there() {
        let (engine, network) = (engine(), Model::YuNet.load(None).unwrap());
        let first = engine.prepared(&network).unwrap();
        assert!(Arc::ptr_eq(&first, &engine.prepared(&network.clone()).unwrap()));
        let other = engine.prepared(&Model::YuNet.load(None).unwrap()).unwrap();
        assert!(!Arc::ptr_eq(&first, &other), "the same weights, loaded for a model of their own");
        drop((first, other));
        let again = engine.prepared(&network).unwrap();
        assert_eq!((engine.prepared.lock().unwrap().len(), Arc::strong_count(&again)), (1, 1));
    }

    #[test]
    fn pictures_and_their_numbers_give_the_same() {
        let (frame, normalisation) = (self_test::frame(), Model::YuNet.normalisation());
        let frames = Batch::Frames { frames: &[&frame, &frame], normalisation: &normalisation };
        let mut session = engine().prepare(&Model::YuNet.load(None).unwrap()).unwrap();
        let numbers = Batch::Array(frames.clone().into_array().unwrap());
        let (from_pictures, from_numbers) = (session.run(frames).unwrap(), session.run(numbers).unwrap());
        let mut compared = 0;
        for ((name, one), (_, other)) in from_pictures.iter().zip(from_numbers.iter()) {
            assert_eq!((one.shape(), one.shape().images), (other.shape(), 2));
            let differs = one.values().iter().zip(other.values()).any(|(one, other)| (one - other).abs() > 1e-5);
            assert!(!differs, "{name}");
            compared += 1;
        }
        assert_eq!(compared, 12);
    }

    #[test]
    fn what_the_network_does_not_take_is_refused_and_the_session_goes_on() {
        let mut session = engine().prepare(&Model::YuNet.load(None).unwrap()).unwrap();
        let mut run = |shape: Shape, value| session.run(Array::new(shape, vec![value; shape.elements().unwrap()]).unwrap().into());
        assert!(matches!(run(Shape::new(1, 3, 40, 40), 0.0), Err(EngineError::Input(_))));
        assert!(matches!(run(Shape::new(1, 3, 64, 64), f32::NAN), Err(EngineError::Refused { .. })));
        assert!(run(Shape::new(1, 3, 64, 64), 1.0).is_ok());
    }

    #[test]
    fn instructions_that_the_machine_does_not_have_are_a_failed_device() {
        let missing = Isa::ALL.into_iter().find(|isa| !isa.is_available()).unwrap();
        let failed = ConvnetEngine::new(missing, None, 1).prepare(&Model::YuNet.load(None).unwrap());
        assert!(matches!(failed.err(), Some(EngineError::Device { what }) if what.contains(missing.name())));
    }
}
