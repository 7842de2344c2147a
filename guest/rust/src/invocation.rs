//! What an adapter or a fallback is asked, and what it answers.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bindings::adapter::breakwater::plugin::replies;
use crate::bindings::breakwater::plugin::blobs;
use crate::blob::Blob;
use crate::call::CallContext;
use crate::failure::Failure;
use crate::json;

/// One call of an operation.
#[derive(Debug)]
pub struct Invocation {
    /// What may be known about the call.
    pub context: CallContext,
    /// The operation's name.
    pub operation: String,
    /// Fits the operation's input schema.
    pub input: Value,
    /// The plugin's own: to read, to send on, or to give back.
    pub attachments: Vec<Blob>,
}

impl Invocation {
    /// A call without attachments, as tests make it.
    #[must_use]
    pub fn new(operation: &str, input: Value) -> Self {
        Self { context: CallContext::default(), operation: operation.to_owned(), input, attachments: Vec::new() }
    }

    /// The same with one more attachment.
    #[must_use]
    pub fn with_attachment(mut self, blob: Blob) -> Self {
        self.attachments.push(blob);
        self
    }

    /// The input as a `T`, in which it is left.
    ///
    /// # Errors
    /// `operation.input-invalid` (invalid-request); the message says where.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        json::read_input(self.input.clone())
    }

    pub(crate) fn of_host(context: CallContext, operation: String, input: &str, attachments: Vec<blobs::Blob>) -> Result<Self, Failure> {
        let input = json::read(input.as_bytes())
            .map_err(|what| Failure::invalid_request("operation.input-invalid", &format!("the input cannot be read: {what}")))?;
        Ok(Self { context, operation, input, attachments: attachments.into_iter().map(Blob::from).collect() })
    }
}

/// An answer.
#[derive(Debug, Default)]
pub struct Reply {
    /// As the operation's output schema says.
    pub output: Value,
    /// At most 64.
    pub attachments: Vec<Blob>,
}

impl Reply {
    /// JSON with nothing attached.
    #[must_use]
    pub fn new(output: Value) -> Self {
        Self { output, attachments: Vec::new() }
    }

    /// `output` as JSON with nothing attached.
    ///
    /// # Errors
    /// `plugin.reply-unwritable` (internal) when it has no JSON, such as a map whose keys are no strings.
    pub fn of<T: serde::Serialize>(output: &T) -> Result<Self, Failure> {
        serde_json::to_value(output)
            .map(Self::new)
            .map_err(|error| Failure::internal("plugin.reply-unwritable", &format!("the answer cannot be written as JSON: {error}")))
    }

    /// The same with one more attachment.
    #[must_use]
    pub fn with_attachment(mut self, blob: Blob) -> Self {
        self.attachments.push(blob);
        self
    }
}

impl From<Reply> for replies::Reply {
    fn from(reply: Reply) -> Self {
        Self { output: reply.output.to_string(), attachments: reply.attachments.into_iter().map(Into::into).collect() }
    }
}
