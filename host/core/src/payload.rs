//! What goes into an operation and comes out of it.

use bytes::Bytes;
use serde_json::Value;

/// A document or photograph that travels beside the JSON, by reference: it is never copied into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Such as `image/jpeg`.
    pub media_type: String,
    /// The content.
    pub bytes: Bytes,
}

/// JSON and what is attached to it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Payload {
    /// As the operation's schema says.
    pub json: Value,
    /// In the order in which the JSON or the operation's documentation refers to them.
    pub attachments: Vec<Attachment>,
}

impl Payload {
    /// JSON with nothing attached.
    #[must_use]
    pub fn json(json: Value) -> Self {
        Self { json, attachments: Vec::new() }
    }
}

impl From<Value> for Payload {
    fn from(json: Value) -> Self {
        Self::json(json)
    }
}
