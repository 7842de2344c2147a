//! rten: weights packed while loading, and a thread pool per caller.

use std::sync::Arc;

use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueView};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use crate::laps::{Caller, Outcome};
use crate::{Engine, Job, Outputs};

pub(crate) struct Rten {
    model: Model,
    input: NodeId,
    shape: [usize; 4],
    image: Vec<f32>,
    threads: usize,
}

impl Rten {
    pub(crate) fn load(job: &Job) -> Outcome<Self> {
        let model = ModelOptions::with_all_ops().prepack_weights(true).load_file(&job.model)?;
        let input = *model.input_ids().first().ok_or("the model has no input")?;
        Ok(Self { model, input, shape: [1, 3, job.height, job.width], image: job.image.clone(), threads: job.threads })
    }

    /// With a pool of its own: the one that all share by default has a thread for each core.
    fn options(&self) -> RunOptions {
        let mut options = RunOptions::default();
        options.thread_pool = Some(Arc::new(ThreadPool::with_num_threads(self.threads)));
        options
    }

    fn run(&self, options: &RunOptions) -> Outcome<Vec<Value>> {
        let image = ValueView::from_shape(&self.shape, &self.image)?;
        Ok(self.model.run(vec![(self.input, image.into())], self.model.output_ids(), Some(options.clone()))?)
    }
}

impl Engine for Rten {
    fn outputs(&self) -> Outcome<Outputs> {
        let mut outputs = Outputs::default();
        for value in self.run(&self.options())? {
            outputs.add(&Tensor::<f32>::try_from(value)?.to_vec());
        }
        Ok(outputs)
    }

    fn caller(&self) -> Outcome<Caller<'_>> {
        let options = self.options();
        Ok(Box::new(move || {
            std::hint::black_box(self.run(&options)?);
            Ok(())
        }))
    }
}
