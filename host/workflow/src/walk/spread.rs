//! Sequences beside each other: branches, and the same steps for each item of a list.

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value, json};

use super::{Place, Stop, Walk};
use crate::execution::{Happened, StepError};
use breakwater_core::Failure;

/// Items at once when the definition does not say.
const DEFAULT_CONCURRENCY: u32 = 8;
/// The largest output of branches or of a list that gets an event of its own, in bytes of JSON.
const MAX_KEPT_WHOLE: usize = 64 * 1024;
/// The longest list a map takes.
pub(crate) const MAX_ITEMS: usize = 100_000;

impl Walk {
    pub(crate) async fn parallel(&self, place: Place<'_>) -> Result<Value, Stop> {
        let halt = place.halt.within();
        let (path, input, scope) = (&place.path, &place.input, &place.scope);
        let branches = place.step.branches.iter().map(|(name, steps)| {
            let halt = &halt;
            async move {
                let result = self.sequence(steps, format!("{path}/{name}/"), scope.clone(), input.clone(), halt).await;
                if result.is_err() {
                    halt.set();
                }
                (name.clone(), result)
            }
        });
        let mut outputs = Map::new();
        let mut stopped = None;
        for (name, result) in join_all(branches).await {
            match result {
                Ok((output, _)) => drop(outputs.insert(name, output)),
                Err(stop) => stopped = Some(graver(stopped, stop)),
            }
        }
        if let Some(stop) = stopped {
            return Err(stop);
        }
        self.spread_ended(&place, Value::Object(outputs))
    }

    pub(crate) async fn map(&self, place: Place<'_>) -> Result<Value, Stop> {
        let step = place.step;
        let items = match &step.items {
            Some(items) => self.plan.value(items, &place.scope.clone().with_previous(&place.input))?,
            None => place.input.clone(),
        };
        let Value::Array(items) = items else {
            return Err(Failure::invalid("workflow.items-invalid", "the items of a map must be a list").into());
        };
        if items.len() > MAX_ITEMS {
            let message = format!("a map takes at most {MAX_ITEMS} items; these are {}", items.len());
            return Err(Failure::limit("workflow.too-many-items", message).into());
        }
        let halt = place.halt.within();
        let (path, scope) = (&place.path, &place.scope);
        let one = |(index, item): (usize, Value)| {
            let halt = &halt;
            async move {
                let scope = scope.clone().with_item(&item, index);
                let result = self.sequence(&step.steps, format!("{path}/{index}/"), scope, item, halt).await;
                match result {
                    Ok((output, _)) => Ok(output),
                    Err(Stop::Failed(error)) if step.continue_on_error => Ok(error_of_item(&error)),
                    Err(stop) => {
                        halt.set();
                        Err(stop)
                    }
                }
            }
        };
        let at_once = usize::try_from(step.concurrency.unwrap_or(DEFAULT_CONCURRENCY)).unwrap_or(1).max(1);
        let mut results = stream::iter(items.into_iter().enumerate()).map(one).buffered(at_once);
        let (mut outputs, mut stopped) = (Vec::new(), None);
        while let Some(result) = results.next().await {
            match result {
                Ok(output) => outputs.push(output),
                Err(stop) => stopped = Some(graver(stopped, stop)),
            }
        }
        drop(results);
        if let Some(stop) = stopped {
            return Err(stop);
        }
        self.spread_ended(&place, Value::Array(outputs))
    }

    /// What is too large is not kept a second time: a walk from the journal makes it of its parts again.
    fn spread_ended(&self, place: &Place<'_>, output: Value) -> Result<Value, Stop> {
        if serde_json::to_vec(&output).map_or(usize::MAX, |text| text.len()) > MAX_KEPT_WHOLE {
            return Ok(output);
        }
        let completed = Happened::Completed { output: output.clone(), served_by: None, degraded: false, signal: None };
        self.run.record_at(&place.path, completed);
        Ok(output)
    }
}

fn error_of_item(error: &StepError) -> Value {
    json!({ "error": { "code": error.code, "message": error.message } })
}

/// Which of two ends the whole is told by: the loss of the journal before everything, and a failure before the halt that it caused.
fn graver(before: Option<Stop>, stop: Stop) -> Stop {
    let rank = |stop: &Stop| match stop {
        Stop::Lost(_) => 0,
        Stop::Cancelled => 1,
        Stop::Shutdown => 2,
        Stop::Failed(_) => 3,
        Stop::Halted => 4,
    };
    match before {
        Some(before) if rank(&before) <= rank(&stop) => before,
        _ => stop,
    }
}
