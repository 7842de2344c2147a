//! Undoing what was done, the latest first, when an execution has failed or was cancelled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::action::{Called, unnamed};
use super::plan::Plan;
use super::run::Run;
use super::{Place, Stop, Walk, of_step};
use crate::definition::Compensation;
use crate::execution::{Execution, Happened, StepError};
use crate::log::{Progress, UNDO};
use crate::world::World;

/// What undoes one visit of a step.
#[derive(Debug, Clone)]
pub(crate) struct Undo {
    step: String,
    operation: String,
    input: Value,
}

/// By the path of the visit.
pub(crate) type Undos = Mutex<HashMap<String, Undo>>;

impl Walk {
    pub(crate) fn new(world: Arc<dyn World>, run: Arc<Run>, execution: Execution, plan: Arc<Plan>) -> Self {
        Self { world, run, execution, plan, undos: Mutex::default() }
    }

    /// Remembers how to undo a step that is done, also when its output comes from the journal.
    pub(crate) fn remember_undo(&self, place: &Place<'_>, output: &Value) -> Result<(), StepError> {
        let Some(compensation) = &place.step.compensate else { return Ok(()) };
        let id = &place.step.id;
        let Compensation { input, .. } = compensation;
        let operation = compensation.called().ok_or_else(|| of_step(StepError::of(&unnamed(id)), id))?;
        let given = match &place.step.input {
            Some(given) => self.plan.value(given, &place.scope)?,
            None => place.input.clone(),
        };
        let input = match input {
            Some(input) => self.plan.value(input, &place.scope.clone().with_step(id, output).with_previous(output))?,
            None => json!({ "input": given, "output": output }),
        };
        let undo = Undo { step: id.clone(), operation, input };
        self.undos.lock().unwrap_or_else(PoisonError::into_inner).insert(place.path.clone(), undo);
        Ok(())
    }

    /// Undoes what was done. One that cannot be undone leaves the others alone; the journal says so.
    pub(crate) async fn undo(&self) -> Result<(), Stop> {
        let undos = std::mem::take(&mut *self.undos.lock().unwrap_or_else(PoisonError::into_inner));
        if undos.is_empty() {
            return Ok(());
        }
        let done = self.run.log().completed();
        for (path, undo) in done.into_iter().filter_map(|path| Some((undos.get(&path)?.clone(), path))).map(|(undo, path)| (path, undo)) {
            let path = format!("{path}{UNDO}");
            let progress = self.run.log().visit(&path).map(|visit| visit.progress.clone());
            if matches!(progress, Some(Progress::Completed { .. } | Progress::Failed { .. })) {
                continue;
            }
            let Undo { step, operation, input } = undo;
            let called =
                Called { operation: &operation, input, path: &path, retry: None, timeout_ms: None, halt: None, is_undoable: false };
            match self.call(called).await {
                Ok(_) => {}
                Err(Stop::Failed(error)) => {
                    tracing::warn!(execution = self.execution.id, step, code = error.code, "a step could not be undone");
                    self.run.record_at(&path, Happened::Failed { error: of_step(*error, &step) });
                }
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }
}
