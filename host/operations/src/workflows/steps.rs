//! Steps of workflows as calls of operations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{
    BoxFuture, CallContext, CallSnapshot, Failure, FailureKind, Ledger, OperationEffect, OperationSpec, Payload, Principal,
};
use breakwater_plugins::OperationSchema;
use breakwater_workflow::{StepAnswer, StepCall, StepOperation, StepRunner};
use serde_json::{Value, json};

use crate::operations::Operations;

/// How long an attempt may take when the step does not say; the operation's own timeout is usually shorter.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
/// Which entry of an execution's context names its calls in the logs.
const REQUEST_ID: &str = "request_id";

/// Calls operations for steps: chain, flag, cache, breaker and trace are those of any other call.
#[derive(Debug, Clone)]
pub struct OperationSteps(pub Arc<Operations>);

impl StepRunner for OperationSteps {
    fn operation(&self, name: &str) -> Option<StepOperation> {
        let snapshot = self.0.current();
        let spec = snapshot.table.get(name).ok()?.spec();
        Some(StepOperation {
            input_schema: spec.input_schema.clone(),
            output_schema: spec.output_schema.clone(),
            effect: spec.effect,
            idempotent: spec.idempotent,
        })
    }

    fn has_service(&self, name: &str) -> bool {
        self.0.defined_service(name).is_ok()
    }

    fn fits(&self, schema: &Value, value: &Value) -> Result<(), Failure> {
        let spec = OperationSpec {
            name: "workflow".to_owned(),
            summary: String::new(),
            input_schema: schema.clone(),
            output_schema: Value::Bool(true),
            effect: OperationEffect::Create,
            idempotent: false,
            permission: None,
        };
        let schema = OperationSchema::compile_strictly(spec).map_err(|violations| {
            let first = violations.first().map(|first| format!("{}: {}", first.pointer, first.message)).unwrap_or_default();
            Failure::invalid("workflow.invalid", format!("the schema of the input is none: {first}"))
        })?;
        schema.check_input(value)
    }

    fn snapshot(&self) -> CallSnapshot {
        CallSnapshot::of(self.0.current())
    }

    fn call<'a>(&'a self, call: StepCall<'a>) -> BoxFuture<'a, Result<StepAnswer, Failure>> {
        Box::pin(self.attempt(call))
    }
}

impl OperationSteps {
    async fn attempt(&self, call: StepCall<'_>) -> Result<StepAnswer, Failure> {
        let StepCall { operation, input, context, idempotency_key, timeout, attempt, snapshot } = call;
        let service = operation.rsplit_once('.').map(|(service, _)| service);
        if let Some(service) = service.filter(|service| attempt > 1 && self.has_service(service))
            && !self.0.upstreams().take_retry(service)
        {
            let message = format!("the retries of `{operation}` are used up: too much of what it is asked fails");
            let failure = Failure::new(FailureKind::BudgetExhausted, "workflow.budget-exhausted", message);
            return Err(failure.with_detail(json!({ "service_name": service })));
        }
        let root = CallContext::root(Principal::System, timeout.unwrap_or(DEFAULT_TIMEOUT));
        let request_id = context.get(REQUEST_ID).and_then(Value::as_str).and_then(|id| id.parse().ok());
        let context = CallContext {
            correlation_id: request_id.unwrap_or_else(|| root.correlation_id.clone()),
            labels: labels(context),
            idempotency_key: Some(idempotency_key.into()),
            // The step is repeated as a whole, durably; repeating its requests as well would multiply the attempts.
            ledger: if service.is_some() { Ledger::new(0) } else { Ledger::default() },
            snapshot: snapshot.clone(),
            ..root
        };
        let outcome = self.0.invoke(&context, operation, Payload::json(input)).await?;
        let (served_by, degraded) = (outcome.served_by.label(), outcome.is_degraded());
        let Payload { json, attachments } = outcome.value;
        if !attachments.is_empty() {
            let message = format!(
                "`{operation}` answered with bytes, which a workflow cannot keep; ask it to store its result and to answer with the path"
            );
            return Err(Failure::invalid("workflow.output-not-json", message));
        }
        Ok(StepAnswer { output: json, served_by: Some(served_by), degraded })
    }
}

/// What a caller attached, as it travels with calls: texts as they are, anything else as JSON.
fn labels(context: &BTreeMap<String, Value>) -> Arc<[(String, String)]> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    context.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}
