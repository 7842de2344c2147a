//! What is kept of an answer, and under which key.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use breakwater_cache::{CacheEntry, CacheKey, Windows};
use breakwater_core::{Attachment, CallContext, Digest, Outcome, Payload, Principal, ServedBy};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::operations::Operations;
use crate::table::Entry;

/// The key of an answer.
pub(crate) type Key = CacheKey;

/// An answer that was kept.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) payload: Payload,
    /// Of the providers that could have answered then.
    pub(crate) revision: String,
    pub(crate) age: Duration,
    /// Who gave it first.
    pub(crate) served_by: String,
}

impl Kept {
    /// The answer once more.
    pub(crate) fn outcome(&self) -> Outcome<Payload> {
        let served_by = ServedBy::Cache { name: self.served_by.clone() };
        Outcome { cached_age: Some(self.age), ..Outcome::new(self.payload.clone(), served_by) }
    }
}

/// Operation, schema, input, for whom, the labels, and the flags that providers may read: whatever can change the answer is in the key, so that one
/// caller's answer is never another's.
pub(crate) fn key(entry: &Entry, context: &CallContext, payload: &Payload, flags: &[(String, bool)]) -> Key {
    let principal = match context.principal {
        Principal::Anonymous => "anonymous",
        Principal::System => "system",
    };
    let caller = &context.caller;
    let mut parts: Vec<Vec<u8>> = vec![
        entry.spec().name.clone().into_bytes(),
        entry.schema_digest.as_bytes().to_vec(),
        canonical_digest(&payload.json).as_bytes().to_vec(),
        principal.as_bytes().to_vec(),
        optional(caller.subject.as_deref()),
        optional(caller.tenant.as_deref()),
    ];
    parts.extend(caller.attributes.iter().flat_map(|(name, value)| [name.clone().into_bytes(), value.clone().into_bytes()]));
    // An adapter may name a path by a label.
    parts.push(b"labels".to_vec());
    parts.extend(context.labels.iter().flat_map(|(name, value)| [name.clone().into_bytes(), value.clone().into_bytes()]));
    parts.push(b"flags".to_vec());
    parts.extend(flags.iter().flat_map(|(flag, on)| [flag.clone().into_bytes(), vec![u8::from(*on)]]));
    parts.push(b"attachments".to_vec());
    for attachment in &payload.attachments {
        parts.push(attachment.media_type.clone().into_bytes());
        parts.push(Digest::of(&attachment.bytes).as_bytes().to_vec());
    }
    CacheKey::of(parts.iter().map(Vec::as_slice))
}

/// Nothing and an empty text are two things.
fn optional(text: Option<&str>) -> Vec<u8> {
    text.map_or_else(Vec::new, |text| format!("={text}").into_bytes())
}

/// The same for two texts of one JSON value: the order of an object's names does not count.
pub(crate) fn canonical_digest(value: &Value) -> Digest {
    let mut bytes = Vec::new();
    canonical(value, &mut bytes);
    Digest::of(&bytes)
}

fn canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(b.0));
            out.push(b'{');
            for (name, value) in sorted {
                out.extend(Value::from(name.as_str()).to_string().into_bytes());
                out.push(b':');
                canonical(value, out);
                out.push(b',');
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                canonical(item, out);
                out.push(b',');
            }
            out.push(b']');
        }
        plain => out.extend(plain.to_string().into_bytes()),
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    json: Value,
    attachments: Vec<(String, String)>,
    served_by: String,
}

fn encoded(outcome: &Outcome<Payload>) -> Option<Vec<u8>> {
    let attached = |attachment: &Attachment| (attachment.media_type.clone(), STANDARD.encode(&attachment.bytes));
    let stored = Stored {
        json: outcome.value.json.clone(),
        attachments: outcome.value.attachments.iter().map(attached).collect(),
        served_by: outcome.served_by.label(),
    };
    serde_json::to_vec(&stored).ok()
}

fn decoded(bytes: &[u8]) -> Option<(Payload, String)> {
    let Stored { json, attachments, served_by } = serde_json::from_slice(bytes).ok()?;
    let attached = |(media_type, text): (String, String)| Some(Attachment { media_type, bytes: STANDARD.decode(text).ok()?.into() });
    let attachments = attachments.into_iter().map(attached).collect::<Option<_>>()?;
    Some((Payload { json, attachments }, served_by))
}

impl Operations {
    /// What is kept under a key, however old.
    pub(crate) async fn kept(&self, key: &Key) -> Option<Kept> {
        let found = self.cache().get(key).await?;
        let (payload, served_by) = decoded(&found.entry.bytes)?;
        Some(Kept { payload, revision: found.entry.revision, age: found.age, served_by })
    }

    /// Keeps an answer for as long as the operation's chain says.
    pub(crate) async fn keep(&self, key: &Key, entry: &Entry, outcome: &Outcome<Payload>) {
        let (Some(fresh), Some(bytes)) = (entry.caching.ttl, encoded(outcome)) else { return };
        let (stale_while_revalidate, stale_if_error) = (entry.caching.stale_while_revalidate, entry.caching.stale_if_error);
        let windows = Windows { fresh, stale_while_revalidate, stale_if_error };
        let kept = CacheEntry::new(bytes, entry.revision.to_string(), self.cache().now_ms(), windows);
        self.cache().put(key, kept).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use breakwater_core::Caller;
    use breakwater_plugins::Snapshot;
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::table::Table;

    #[test]
    fn the_order_of_names_does_not_count_and_everything_else_does() {
        let digest = |text: &str| canonical_digest(&serde_json::from_str(text).unwrap());
        assert_eq!(digest(r#"{"a":1,"b":[{"c":2,"d":3}]}"#), digest(r#"{ "b": [{"d":3,"c":2}], "a": 1 }"#));
        let different =
            [r#"{"a":1}"#, r#"{"a":"1"}"#, r#"{"a":[1]}"#, r#"{"a":{"b":1}}"#, r#"{"b":1}"#, "[1,2]", "[12]", "[[1],2]", "null"];
        for (index, one) in different.iter().enumerate() {
            assert!(different[index + 1..].iter().all(|other| digest(one) != digest(other)), "{one}");
        }
    }

    #[test]
    fn nobody_gets_the_answer_of_another_caller() {
        let table = Table::build(&Snapshot::default(), &breakwater_upstream::ServiceSnapshot::default(), &BTreeMap::new(), None);
        let entry = table.get("detect-objects").unwrap();
        let context =
            |caller: Caller| CallContext { caller: Arc::new(caller), ..CallContext::root(Principal::Anonymous, Duration::from_secs(1)) };
        let labelled =
            |project: &str| CallContext { labels: [("project_id".to_owned(), project.to_owned())].into(), ..context(Caller::default()) };
        let of = |caller: Caller, payload: &Payload, flags: &[(String, bool)]| key(entry, &context(caller), payload, flags);
        let payload = Payload::json(json!({ "image_path": "a" }));
        let subject = |name: &str| Caller { subject: Some(name.into()), ..Caller::default() };
        let tenant = |name: &str| Caller { tenant: Some(name.into()), ..Caller::default() };
        let attached = |bytes: &'static [u8]| Payload {
            attachments: vec![Attachment { media_type: "image/png".into(), bytes: Bytes::from_static(bytes) }],
            ..payload.clone()
        };
        let keys = [
            of(Caller::default(), &payload, &[]),
            of(subject("a"), &payload, &[]),
            of(subject(""), &payload, &[]),
            of(tenant("a"), &payload, &[]),
            of(tenant("a"), &payload, &[("f".into(), true)]),
            of(tenant("a"), &payload, &[("f".into(), false)]),
            key(entry, &labelled("a"), &payload, &[]),
            key(entry, &labelled("b"), &payload, &[]),
            of(Caller::default(), &attached(b"x"), &[]),
            of(Caller::default(), &attached(b"y"), &[]),
        ];
        for (index, one) in keys.iter().enumerate() {
            assert!(keys[index + 1..].iter().all(|other| one != other), "{index}");
        }
        assert_eq!(keys[1], of(subject("a"), &payload, &[]));
    }

    #[test]
    fn an_answer_survives_being_kept() {
        let payload = Payload {
            json: json!({ "x": [1, null] }),
            attachments: vec![Attachment { media_type: "image/png".into(), bytes: Bytes::from_static(b"\0\xff") }],
        };
        let outcome = Outcome::new(payload.clone(), ServedBy::Host { name: "local".into() });
        assert_eq!(decoded(&encoded(&outcome).unwrap()).unwrap(), (payload, "host:local".to_owned()));
        assert!(decoded(b"{}").is_none());
    }
}
