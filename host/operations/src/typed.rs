//! The way of the host's own operations that need no detour over JSON, because nobody but the host's own code would be asked.

use std::time::Instant;

use breakwater_core::{CallContext, Failure, ServedBy};
use breakwater_telemetry::SpanKind;

use crate::operations::Operations;
use crate::table::{Entry, Live};

/// What the short way came to.
pub(crate) enum Typed<T> {
    /// The call has ended.
    Ended(Result<T, Failure>),
    /// Others are to be asked; the failure is that of the host's own code, if it was asked.
    Continues(Option<Failure>),
}

impl Operations {
    /// Runs `work` where the host's own code is the only one to ask and nothing is kept, and counts it as a call of the operation.
    /// `history` says who answered, and whether degraded.
    pub(crate) async fn typed<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        context: &CallContext,
        entry: &Entry,
        history: fn(&T) -> (&ServedBy, bool),
        work: impl FnOnce(CallContext) -> F,
    ) -> Typed<T> {
        if !self.is_plain(entry, context) {
            return Typed::Continues(None);
        }
        let (started, name) = (Instant::now(), entry.spec().name.as_str());
        let context = context.tightened(entry.timeout.min(entry.provider_timeout));
        let (context, mut span) = self.tracer().child(&context, "operation", SpanKind::Internal);
        span.set("breakwater.operation", name);
        let result = work(context).await;
        if let Err(failure) = &result {
            span.fail(failure);
        }
        let kind = result.as_ref().map(drop).map_err(|failure| failure.kind);
        self.metrics().provider_called(name, "local", kind, started.elapsed());
        match result {
            // The call goes on, and is counted when it ends.
            Err(failure) if entry.can_degrade(&failure) => Typed::Continues(Some(failure)),
            result => {
                self.count_call(name, started, result.as_ref().map(history));
                Typed::Ended(result)
            }
        }
    }

    /// Whether nobody but the host's own code would be asked.
    pub(crate) fn is_answered_here(&self, entry: &Entry) -> bool {
        let mut asked = entry.live.iter().filter(|live| self.is_available(live));
        matches!((asked.next(), asked.next()), (Some(Live::Local(_)), None))
    }

    fn is_plain(&self, entry: &Entry, context: &CallContext) -> bool {
        self.is_answered_here(entry) && entry.caching.ttl.is_none() && entry.enabled && self.is_switched_on(&entry.flag, context)
    }
}
