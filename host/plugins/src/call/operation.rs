//! An operation, asked of an adapter or a fallback.

use breakwater_core::{Attachment, CallContext, Failure, FailureKind, Payload};
use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::Resource;

use super::{Call, Ended, Exports, Guest, call_context};
use crate::bindings::breakwater::plugin::replies::Reply;
use crate::capabilities::blobs::GuestBlob;
use crate::convert::failure_to_guest;
use crate::generation::Question;
use crate::schema::OperationSchema;
use crate::state::{CallState, Ways};
use crate::trap::{Fault, explain};

/// The most attachments of an input or an answer.
pub(crate) const MAX_ATTACHMENTS: usize = 64;

impl Guest {
    /// Asks an adapter, and holds the answer against the operation's schema. The input was checked.
    pub(crate) async fn invoke(
        &self,
        context: &CallContext,
        ways: Option<&Ways>,
        schema: &OperationSchema,
        input: &Value,
        attachments: &[Attachment],
    ) -> Ended<Payload> {
        let Call { mut store, until, pace, started } = self.begin(context, ways, &[]);
        let ended = self
            .run(until, &pace, async {
                let Exports::Adapter(pre) = &self.exports else { return Err(wasmtime::Error::msg("this plugin is no adapter")) };
                let blobs = attach(store.data_mut(), attachments)?;
                let plugin = pre.instantiate_async(&mut store).await?;
                let (context, operation, input) = (call_context(context), &schema.spec().name, input.to_string());
                plugin.breakwater_plugin_adapter().call_invoke(&mut store, &context, operation, &input, &blobs).await
            })
            .await;
        let outcome = self.settle(&store, until, ended).and_then(|answer| match answer {
            Ok(reply) => self.payload(&mut store, reply, Some(schema)),
            Err(failure) => Err(self.returned(&store, failure)),
        });
        self.ended(&store, started, outcome)
    }

    /// Asks a fallback for an answer at a level; `None` when it passes.
    pub(crate) async fn degrade(
        &self,
        context: &CallContext,
        ways: Option<&Ways>,
        question: Question<'_>,
        schema: Option<&OperationSchema>,
    ) -> Ended<Option<Payload>> {
        let Question { operation, level, input, attachments, cause } = question;
        let Call { mut store, until, pace, started } = self.begin(context, ways, &[]);
        let ended = self
            .run(until, &pace, async {
                let Exports::Fallback(pre) = &self.exports else { return Err(wasmtime::Error::msg("this plugin is no fallback")) };
                let blobs = attach(store.data_mut(), attachments)?;
                let plugin = pre.instantiate_async(&mut store).await?;
                let (context, input, cause) = (call_context(context), input.to_string(), failure_to_guest(cause));
                let fallback = plugin.breakwater_plugin_fallback();
                fallback.call_degrade(&mut store, &context, operation, level, &input, &blobs, &cause).await
            })
            .await;
        let outcome = self.settle(&store, until, ended).and_then(|answer| match answer {
            Ok(Some(reply)) => self.payload(&mut store, reply, schema).map(Some),
            Ok(None) => Ok(None),
            Err(failure) => Err(self.returned(&store, failure)),
        });
        self.ended(&store, started, outcome)
    }

    /// What the guest answered, if it may.
    fn payload(&self, store: &mut Store<CallState>, reply: Reply, schema: Option<&OperationSchema>) -> Result<Payload, Fault> {
        let invalid = |what: String| Failure::new(FailureKind::Rejected, "plugin.output-invalid", what);
        let count = reply.attachments.len();
        let taken: wasmtime::Result<Vec<_>> = reply.attachments.into_iter().map(|blob| store.data_mut().take(blob)).collect();
        let checked = match taken {
            Err(error) => Err(explain(error, &self.scope.limits)),
            Ok(_) if count > MAX_ATTACHMENTS => {
                Err(Fault::of_guest(invalid(format!("the plugin answered with {count} attachments; at most {MAX_ATTACHMENTS} may be"))))
            }
            Ok(attachments) => match serde_json::from_str::<Value>(&reply.output) {
                Err(error) => Err(Fault::of_guest(invalid(format!("the plugin's answer is not JSON: {error}")))),
                Ok(json) => match schema.map_or(Ok(()), |schema| schema.check_output(&json)) {
                    Ok(()) => Ok(Payload { json, attachments }),
                    Err(failure) => Err(Fault::of_guest(failure)),
                },
            },
        };
        checked.map_err(|fault| self.made_here(store, fault))
    }
}

/// Hands attachments to the guest; only the handles enter it.
fn attach(state: &mut CallState, attachments: &[Attachment]) -> wasmtime::Result<Vec<Resource<GuestBlob>>> {
    let blob = |attachment: &Attachment| GuestBlob {
        media_type: attachment.media_type.clone(),
        bytes: attachment.bytes.clone(),
        // Somebody holds them already.
        held: 0,
    };
    attachments.iter().map(|attachment| Ok(state.table.push(blob(attachment))?)).collect()
}
