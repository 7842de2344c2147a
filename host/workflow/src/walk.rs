//! The walk over a definition. What the journal has is taken from it; what it does not have is done.

mod action;
pub(crate) mod life;
pub(crate) mod plan;
pub(crate) mod run;
mod spread;
mod switch;
mod undo;
pub(crate) mod waits;

use std::collections::HashMap;
use std::sync::Arc;

use breakwater_core::{BoxFuture, Digest, Failure, FailureKind};
use serde_json::{Value, json};

use crate::admission::MAX_KEY;
use crate::definition::{Step, StepType};
use crate::execution::{Execution, Happened, StepError};
use crate::expression::Scope;
use crate::journal::JournalError;
use crate::log::Progress;
use crate::world::World;
use plan::Plan;
use run::{Halt, Run};

/// How often one execution may come by a step when the definition does not say.
pub(crate) const DEFAULT_VISITS: u32 = 100;

/// Why a walk does not go on.
#[derive(Debug, Clone)]
pub(crate) enum Stop {
    /// A step failed for good.
    Failed(Box<StepError>),
    /// Somebody wanted its end.
    Cancelled,
    /// A sequence beside it failed.
    Halted,
    /// The process ends; another one will go on.
    Shutdown,
    /// The journal could not be written, so that nothing may be done any more.
    Lost(JournalError),
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Self {
        Self::Lost(error)
    }
}

impl From<StepError> for Stop {
    fn from(error: StepError) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        StepError::of(&failure).into()
    }
}

/// One execution on its way.
pub(crate) struct Walk {
    pub(crate) world: Arc<dyn World>,
    pub(crate) run: Arc<Run>,
    pub(crate) execution: Execution,
    pub(crate) plan: Arc<Plan>,
    pub(crate) undos: undo::Undos,
}

/// Where a step is.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    pub(crate) step: &'a Step,
    /// Of this visit, for the journal and the idempotency key.
    pub(crate) path: String,
    pub(crate) scope: Scope,
    /// The input of the step, or what it passes on.
    pub(crate) input: Value,
    pub(crate) halt: &'a Halt,
}

/// What follows a step: the id of the next one, and its input.
type Followed = (Option<String>, Value);

impl Walk {
    /// Walks everything and gives the result.
    pub(crate) async fn all(&self) -> Result<Value, Stop> {
        let scope = Scope::new(&self.execution.input, &self.execution.context);
        let input = self.execution.input.clone();
        let halt = Halt::default();
        let (last, scope) = self.sequence(&self.plan.definition.steps, String::new(), scope, input, &halt).await?;
        // What was seen to its end because it can be undone is the last step here.
        if self.run.cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        match &self.plan.definition.output {
            Some(output) => Ok(self.plan.value(output, &scope.with_previous(&last))?),
            None => Ok(last),
        }
    }

    /// Walks the steps from the first on. Gives the output of the last and the scope behind it.
    pub(crate) fn sequence<'a>(
        &'a self,
        steps: &'a [Step],
        prefix: String,
        mut scope: Scope,
        mut input: Value,
        halt: &'a Halt,
    ) -> BoxFuture<'a, Result<(Value, Scope), Stop>> {
        Box::pin(async move {
            let mut visits: HashMap<&str, u32> = HashMap::new();
            let mut at = steps.first();
            while let Some(step) = at {
                let visit = visits.entry(step.id.as_str()).or_default();
                *visit += 1;
                let most = step.max_visits.unwrap_or(DEFAULT_VISITS);
                if *visit > most {
                    let message = format!("the execution came by the step `{}` more than {most} times", step.id);
                    return Err(named(Failure::limit("workflow.too-many-visits", message), &step.id).into());
                }
                let path = if *visit == 1 { format!("{prefix}{}", step.id) } else { format!("{prefix}{}#{visit}", step.id) };
                scope = scope.with_previous(&input);
                let place = Place { step, path, scope: scope.clone(), input, halt };
                let (next, output) = self.visit(place).await?;
                scope = scope.with_step(&step.id, &output);
                input = output;
                at = match next {
                    None => None,
                    Some(next) => Some(steps.iter().find(|step| step.id == next).ok_or_else(|| {
                        let message = format!("the step `{}` leads to `{next}`, which is not there", step.id);
                        named(Failure::invalid("workflow.invalid", message), &step.id)
                    })?),
                };
            }
            Ok((input, scope))
        })
    }

    /// One step, from the journal or by doing it.
    async fn visit(&self, place: Place<'_>) -> Result<Followed, Stop> {
        let (step, path) = (place.step, place.path.clone());
        let found = self.run.log().visit(&path).map(|visit| visit.progress.clone());
        match found {
            Some(Progress::Completed { output }) => {
                self.remember_undo(&place, &output)?;
                return Ok((step.next.clone(), output));
            }
            Some(Progress::Skipped) => return Ok((step.next.clone(), place.input)),
            Some(Progress::Chosen { next, output }) => return Ok((next, output)),
            Some(Progress::Failed { error }) => return self.instead(&place, error),
            _ => {}
        }
        // A workflow that it has started is seen to, also when the execution is to end. So is what may have been done and can be undone.
        let is_seen_to = match step.kind {
            StepType::Workflow => found.is_some(),
            StepType::Action => self.is_left_open(step, found.as_ref()),
            _ => false,
        };
        if !is_seen_to {
            self.gate(place.halt).await?;
        }
        if let Some(when) = &step.when
            && found.is_none()
            && !self.plan.holds(when, &place.scope).map_err(|error| of_step(error, &step.id))?
        {
            self.run.record_at(&path, Happened::Skipped);
            return Ok((step.next.clone(), place.input));
        }
        match self.perform(place.clone()).await {
            Ok(followed) => {
                self.remember_undo(&place, &followed.1)?;
                Ok(followed)
            }
            Err(Stop::Failed(error)) => {
                let error = of_step(*error, &step.id);
                self.run.record_at(&path, Happened::Failed { error: error.clone() });
                if self.run.cancel.is_cancelled() { Err(Stop::Cancelled) } else { self.instead(&place, error) }
            }
            Err(stop) => Err(stop),
        }
    }

    /// What a step does when it has failed for good.
    fn instead(&self, place: &Place<'_>, error: StepError) -> Result<Followed, Stop> {
        let Some(fallback) = &place.step.fallback else { return Err(error.into()) };
        if let Some(output) = &fallback.output {
            let completed = Happened::Completed { output: output.clone(), served_by: None, degraded: true, signal: None };
            self.run.record_at(&place.path, completed);
            return Ok((place.step.next.clone(), output.clone()));
        }
        let output = json!({ "error": { "code": error.code, "message": error.message }, "input": place.input });
        self.run.record_at(&place.path, Happened::Chosen { next: fallback.next.clone(), output: output.clone() });
        Ok((fallback.next.clone(), output))
    }

    async fn perform(&self, mut place: Place<'_>) -> Result<Followed, Stop> {
        let step = place.step;
        if let Some(input) = &step.input {
            place.input = self.plan.value(input, &place.scope)?;
        }
        let next = step.next.clone();
        match step.kind {
            StepType::Action => Ok((next, self.action(place).await?)),
            StepType::Choice => self.choice(place),
            StepType::Parallel => Ok((next, self.parallel(place).await?)),
            StepType::Map => Ok((next, self.map(place).await?)),
            StepType::Signal => Ok((next, self.signal(place).await?)),
            StepType::Timer => Ok((next, self.timer(place).await?)),
            StepType::Workflow => Ok((next, self.sub_workflow(place).await?)),
        }
    }

    fn choice(&self, place: Place<'_>) -> Result<Followed, Stop> {
        let mut chosen = place.step.next.clone();
        for choice in &place.step.choices {
            if self.plan.holds(&choice.when, &place.scope)? {
                chosen.clone_from(&choice.next);
                break;
            }
        }
        self.run.record_at(&place.path, Happened::Chosen { next: chosen.clone(), output: place.input.clone() });
        Ok((chosen, place.input))
    }

    /// Waits until a step may begin.
    pub(crate) async fn gate(&self, halt: &Halt) -> Result<(), Stop> {
        let (paused, held) = (&self.run.paused, &self.run.held);
        loop {
            // Before looking: what changes while it is looked is not missed.
            let (paused_changed, held_changed) = (paused.changed(), held.changed());
            if self.world.stopping().is_cancelled() {
                return Err(Stop::Shutdown);
            }
            if self.run.cancel.is_cancelled() {
                return Err(Stop::Cancelled);
            }
            if halt.is_set() {
                return Err(Stop::Halted);
            }
            if !paused.is_on() && !held.is_on() {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = self.world.stopping().cancelled() => {}
                () = self.run.cancel.cancelled() => {}
                () = paused_changed => {}
                () = held_changed => {}
            }
        }
    }

    /// Waits for something that costs nothing to wait for again.
    pub(crate) async fn waiting<T>(&self, halt: &Halt, work: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            () = self.run.cancel.cancelled() => Err(Stop::Cancelled),
            () = self.world.stopping().cancelled() => Err(Stop::Shutdown),
            () = halt.halted() => Err(Stop::Halted),
            value = work => Ok(value),
        }
    }

    /// The same for every attempt at a step of this execution; another one once it was undone.
    pub(crate) fn key(&self, path: &str) -> String {
        let round = self.run.log().round(path);
        let suffix = if round == 0 { String::new() } else { format!("@{round}") };
        let key = format!("{}:{path}{suffix}", self.execution.id);
        if key.len() <= MAX_KEY { key } else { format!("{}:{}{suffix}", self.execution.id, Digest::of(path.as_bytes())) }
    }
}

/// Names the step that a failure is of, unless one within it is named already.
pub(crate) fn of_step(mut error: StepError, id: &str) -> StepError {
    error.step.get_or_insert_with(|| id.to_owned());
    error
}

pub(crate) fn named(failure: Failure, id: &str) -> StepError {
    of_step(StepError::of(&failure), id)
}

/// A wait that took too long.
pub(crate) fn late(code: &'static str, message: String) -> Failure {
    let mut failure = Failure::new(FailureKind::Timeout, code, message);
    failure.retryable = false;
    failure
}
