//! Operations of adapters and levels of fallbacks.

use std::sync::Arc;

use breakwater_core::{Attachment, CallContext, Failure, FailureKind, Payload};
use serde_json::Value;

use super::Generation;
use crate::call::MAX_ATTACHMENTS;
use crate::schema::OperationSchema;
use crate::state::Ways;
use crate::trap::Fault;

/// What a fallback is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) operation: &'a str,
    pub(crate) level: &'a str,
    pub(crate) input: &'a Value,
    pub(crate) attachments: &'a [Attachment],
    pub(crate) cause: &'a Failure,
}

impl Generation {
    /// Asks this adapter to do an operation.
    ///
    /// # Errors
    /// - `operation.not-offered` (not found), `operation.input-invalid` (invalid request, violations with JSON Pointers in the detail),
    ///   `operation.too-many-attachments` (limit): nothing was done
    /// - `plugin.breaker-open` (circuit open), `plugin.overloaded` (unavailable), `call.deadline` (timeout): the guest was not asked
    /// - `plugin.output-invalid` (rejected), and as [`Self::plan`]: what the guest did wrong; `effect` says whether requests it had sent
    ///   may have been worked on
    /// - any failure that the guest returned, of its own or of its upstream
    pub async fn invoke(
        &self,
        context: &CallContext,
        operation: &str,
        input: &Value,
        attachments: &[Attachment],
    ) -> Result<Payload, Failure> {
        let schema = self.offered(operation, input, attachments)?;
        let admitted = self.admit(context).await?;
        let ended = self.guest.invoke(&admitted.context, None, schema, input, attachments).await;
        self.conclude(context, admitted, operation, None, ended)
    }

    /// Asks this fallback for an answer at a level; `None` when it passes. The caller holds the answer against the operation's schema:
    /// [`Self::degrade_within`] does.
    ///
    /// # Errors
    /// As [`Self::invoke`]; `fallback.not-offered` (not found) when it has no such level.
    pub async fn degrade(
        &self,
        context: &CallContext,
        operation: &str,
        level: &str,
        input: &Value,
        attachments: &[Attachment],
        cause: &Failure,
    ) -> Result<Option<Payload>, Failure> {
        self.answer(context, Question { operation, level, input, attachments, cause }, None).await
    }

    /// The same, and an answer that does not fit the schema is the guest's fault: `plugin.output-invalid`.
    ///
    /// # Errors
    /// As [`Self::degrade`].
    pub async fn degrade_within(
        &self,
        context: &CallContext,
        schema: &OperationSchema,
        level: &str,
        input: &Value,
        attachments: &[Attachment],
        cause: &Failure,
    ) -> Result<Option<Payload>, Failure> {
        let operation = schema.spec().name.as_str();
        self.answer(context, Question { operation, level, input, attachments, cause }, Some(schema)).await
    }

    async fn answer(
        &self,
        context: &CallContext,
        question: Question<'_>,
        schema: Option<&OperationSchema>,
    ) -> Result<Option<Payload>, Failure> {
        self.has_level(&question)?;
        let admitted = self.admit(context).await?;
        let ended = self.guest.degrade(&admitted.context, None, question, schema).await;
        self.conclude(context, admitted, question.operation, Some(question.level), ended)
    }

    /// An operation outside of traffic, with recorded answers: no breaker, no queue, nothing counted.
    pub(crate) async fn probe_operation(
        &self,
        context: &CallContext,
        ways: &Ways,
        operation: &str,
        input: &Value,
        attachments: &[Attachment],
    ) -> Result<Payload, Fault> {
        let schema = self.offered(operation, input, attachments).map_err(Fault::of_nobody)?;
        self.guest.invoke(context, Some(ways), schema, input, attachments).await.outcome
    }

    /// A level outside of traffic.
    pub(crate) async fn probe_level(&self, context: &CallContext, ways: &Ways, question: Question<'_>) -> Result<Option<Payload>, Fault> {
        self.has_level(&question).map_err(Fault::of_nobody)?;
        self.guest.degrade(context, Some(ways), question, None).await.outcome
    }

    /// The operation, if it is offered and takes this input.
    fn offered(&self, operation: &str, input: &Value, attachments: &[Attachment]) -> Result<&Arc<OperationSchema>, Failure> {
        let schema = self.schemas().iter().find(|schema| schema.spec().name == operation).ok_or_else(|| {
            let message = format!("the plugin `{}` offers no operation of this name", self.record.id);
            Failure::new(FailureKind::NotFound, "operation.not-offered", message)
        })?;
        within_bounds(attachments)?;
        schema.check_input(input)?;
        Ok(schema)
    }

    fn has_level(&self, question: &Question<'_>) -> Result<(), Failure> {
        let found = self.record.levels.iter().any(|level| level.operation == question.operation && level.name == question.level);
        if !found {
            let message = format!("the plugin `{}` has no such level of this operation", self.record.id);
            return Err(Failure::new(FailureKind::NotFound, "fallback.not-offered", message));
        }
        within_bounds(question.attachments)
    }
}

fn within_bounds(attachments: &[Attachment]) -> Result<(), Failure> {
    let count = attachments.len();
    if count <= MAX_ATTACHMENTS {
        return Ok(());
    }
    let message = format!("{count} attachments; an operation takes at most {MAX_ATTACHMENTS}");
    Err(Failure::limit("operation.too-many-attachments", message))
}
