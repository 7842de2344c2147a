//! tract: optimised for the shape of the input, with one state per caller that is kept between runs.

use std::sync::Arc;

use tract_onnx::prelude::multithread::Executor;
use tract_onnx::prelude::{DatumExt, Framework, InferenceModelExt, IntoTValue, RunOptions, TValue, Tensor, TypedRunnableModel, onnx, tvec};

use crate::laps::{Caller, Outcome};
use crate::{Engine, Job, Outputs};

pub(crate) struct Tract {
    plan: Arc<TypedRunnableModel>,
    input: TValue,
}

impl Tract {
    pub(crate) fn load(job: &Job) -> Outcome<Self> {
        let shape = [1, 3, job.height, job.width];
        let executor = if job.threads > 1 { Executor::multithread(job.threads) } else { Executor::SingleThread };
        let model = onnx().model_for_path(&job.model)?.with_input_fact(0, f32::fact(shape).into())?.into_optimized()?;
        let plan = model.into_runnable_with_options(&RunOptions { executor: Some(executor), ..RunOptions::default() })?;
        Ok(Self { plan, input: Tensor::from_shape(&shape, &job.image)?.into_tvalue() })
    }
}

impl Engine for Tract {
    fn outputs(&self) -> Outcome<Outputs> {
        let mut outputs = Outputs::default();
        for output in self.plan.run(tvec!(self.input.clone()))? {
            outputs.add(output.try_as_plain_ram()?.as_slice::<f32>()?);
        }
        Ok(outputs)
    }

    fn caller(&self) -> Outcome<Caller<'_>> {
        let mut state = self.plan.spawn()?;
        Ok(Box::new(move || {
            std::hint::black_box(state.run(tvec!(self.input.clone()))?);
            Ok(())
        }))
    }
}
