//! What `POST /v1/operations/{name}` takes, as JSON and as a form.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use breakwater_core::{Attachment, CallContext, Caller, Failure, Payload};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::caller;
use crate::form::{Fields, Form, at, field_invalid};
use crate::incoming::Incoming;
use crate::json::{self, Known};

/// The most attachments of a call.
const MAX_ATTACHMENTS: usize = 64;
/// The longest media type, in bytes (RFC 6838: 127 for each of its two names).
const MAX_MEDIA_TYPE: usize = 255;
/// What an attachment is when nothing is said.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// A call of an operation.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvokeRequest {
    /// As the operation's `input_schema` says; an empty object when absent.
    #[schema(value_type = Option<Object>)]
    input: Option<Value>,
    /// The user or service on whose behalf the call is made: what rollouts are stable by. At most 256 bytes.
    subject: Option<String>,
    /// The organisation it belongs to. At most 256 bytes.
    tenant: Option<String>,
    /// What rules of flags may ask about, such as `plan`. At most 32.
    attributes: Option<BTreeMap<String, String>>,
    /// Passed on with the call and never interpreted, such as `project_id`. At most 32.
    labels: Option<BTreeMap<String, String>>,
    /// The longest the call may take, in milliseconds; never longer than `server.request_timeout` and the operation allow.
    #[schema(minimum = 1)]
    timeout_ms: Option<u64>,
    /// Documents and photographs, in the order in which the operation refers to them. At most 64.
    attachments: Option<Vec<AttachmentBody>>,
}

impl Known for InvokeRequest {
    const FIELDS: &'static [&'static str] = &["input", "subject", "tenant", "attributes", "labels", "timeout_ms", "attachments"];
}

/// A document or photograph beside the JSON.
#[derive(Debug, Deserialize, serde::Serialize, ToSchema)]
#[schema(as = Attachment)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttachmentBody {
    /// Such as `image/jpeg`.
    pub(crate) media_type: String,
    /// The content in standard base64 with padding.
    #[schema(content_encoding = "base64")]
    pub(crate) data: String,
}

pub(crate) const FIELDS: Fields = Fields {
    files: &["attachment"],
    texts: &["input", "subject", "tenant", "attributes", "labels", "timeout_ms"],
    repeated: &["attachment"],
};

/// A call of an operation, as a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used: forms are read field by field")]
pub(crate) struct InvokeForm {
    /// JSON, as the operation's `input_schema` says; an empty object when absent.
    #[schema(example = "{}")]
    input: Option<String>,
    /// The user or service on whose behalf the call is made.
    subject: Option<String>,
    /// The organisation it belongs to.
    tenant: Option<String>,
    /// A JSON object of texts.
    attributes: Option<String>,
    /// A JSON object of texts.
    labels: Option<String>,
    /// The longest the call may take, in milliseconds.
    timeout_ms: Option<u64>,
    /// A document or photograph with its media type. May be repeated; the order counts.
    #[schema(value_type = Vec<String>, format = Binary, content_media_type = "application/octet-stream")]
    attachment: Vec<String>,
}

/// A call, read and within its bounds.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) payload: Payload,
    caller: Arc<Caller>,
    labels: Arc<[(String, String)]>,
    timeout: Option<Duration>,
}

impl Invocation {
    /// The root of the call; its time begins now.
    ///
    /// # Errors
    /// `request.header-invalid` for a key that cannot be one.
    pub(crate) fn context(&self, incoming: &Incoming, headers: &HeaderMap, budget: Duration) -> Result<CallContext, Failure> {
        let budget = self.timeout.map_or(budget, |timeout| timeout.min(budget));
        Ok(CallContext {
            caller: Arc::clone(&self.caller),
            labels: Arc::clone(&self.labels),
            idempotency_key: caller::idempotency_key(headers)?,
            ..incoming.context(budget)
        })
    }
}

/// Reads a JSON body. No attachment may have more than `max_bytes`.
///
/// # Errors
/// What [`json::read`] fails with, `request.field-invalid`, `request.base64-invalid`, `http.too-many-fields` (limit),
/// `http.field-too-large` (limit).
pub(crate) fn of_json(bytes: &[u8], max_bytes: u64) -> Result<Invocation, Failure> {
    let mut request: InvokeRequest = json::read(bytes)?;
    let given = request.attachments.take().unwrap_or_default();
    check_count(given.len())?;
    let decode = |(index, body): (usize, AttachmentBody)| {
        let media_type = media_type(&format!("attachments/{index}/media_type"), body.media_type)?;
        Ok(Attachment { media_type, bytes: decode(&format!("attachments/{index}/data"), &body.data, max_bytes)? })
    };
    let attachments = given.into_iter().enumerate().map(decode).collect::<Result<_, Failure>>()?;
    request.into_invocation(attachments)
}

/// Reads a form.
///
/// # Errors
/// `request.field-invalid`, `http.too-many-fields` (limit).
pub(crate) fn of_form(mut form: Form) -> Result<Invocation, Failure> {
    let request = InvokeRequest {
        input: form.json("input")?,
        subject: form.text("subject")?,
        tenant: form.text("tenant")?,
        attributes: form.json("attributes")?,
        labels: form.json("labels")?,
        timeout_ms: form.parsed("timeout_ms")?,
        attachments: None,
    };
    let mut attachments = Vec::new();
    while let Some(part) = form.take("attachment") {
        check_count(attachments.len() + 1)?;
        let media_type = media_type("attachment", part.media_type.unwrap_or_else(|| UNKNOWN_TYPE.to_owned()))?;
        attachments.push(Attachment { media_type, bytes: part.bytes });
    }
    request.into_invocation(attachments)
}

impl InvokeRequest {
    fn into_invocation(self, attachments: Vec<Attachment>) -> Result<Invocation, Failure> {
        if self.timeout_ms == Some(0) {
            return Err(field_invalid("timeout_ms", "is at least 1"));
        }
        Ok(Invocation {
            payload: Payload { json: self.input.unwrap_or_else(|| json!({})), attachments },
            caller: caller::caller(self.subject, self.tenant, self.attributes)?,
            labels: caller::labels(self.labels)?,
            timeout: self.timeout_ms.map(Duration::from_millis),
        })
    }
}

fn check_count(attachments: usize) -> Result<(), Failure> {
    if attachments <= MAX_ATTACHMENTS {
        return Ok(());
    }
    Err(Failure::limit("http.too-many-fields", format!("a call has at most {MAX_ATTACHMENTS} attachments")))
}

/// A type goes into headers of answers and of requests downstream, so it must be able to.
fn media_type(place: &str, text: String) -> Result<String, Failure> {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let named = essence.split_once('/').is_some_and(|(kind, subtype)| !kind.is_empty() && !subtype.is_empty());
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if named && printable && text.len() <= MAX_MEDIA_TYPE {
        return Ok(text);
    }
    Err(field_invalid(place, &format!("is a media type such as image/jpeg, of at most {MAX_MEDIA_TYPE} bytes")))
}

/// The size is checked before anything is decoded.
fn decode(place: &str, text: &str, max_bytes: u64) -> Result<Bytes, Failure> {
    let padding = text.bytes().rev().take(2).filter(|byte| *byte == b'=').count();
    if (text.len() / 4 * 3).saturating_sub(padding) as u64 > max_bytes {
        let message = format!("{place} has more than {max_bytes} bytes");
        return Err(Failure::limit("http.field-too-large", message).with_detail(json!({ "max_bytes": max_bytes })));
    }
    STANDARD.decode(text).map(Bytes::from).map_err(|_| at(place, "request.base64-invalid", "is not standard base64 with padding"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::BodyLimits;
    use crate::form::FormLimits;
    use axum::body::Body;
    use axum::http::header;
    use breakwater_telemetry::Tracer;

    fn read(text: &str) -> Result<Invocation, Failure> {
        of_json(text.as_bytes(), 6)
    }

    fn refusal(text: &str) -> (String, String) {
        let failure = read(text).unwrap_err();
        let pointer = failure.detail.as_ref().and_then(|detail| detail["violations"][0]["pointer"].as_str()).unwrap_or_default().to_owned();
        (failure.code.into_owned(), pointer)
    }

    #[test]
    fn everything_that_is_said_of_a_call_is_taken() {
        let call = read(
            r#"{"input": {"a": 1}, "subject": "user-1", "tenant": "acme", "attributes": {"plan": "pro"}, "labels": {"project_id": "7"},
                "timeout_ms": 250, "attachments": [{"media_type": "image/jpeg", "data": "cGljdHVy"}]}"#,
        )
        .unwrap();
        assert_eq!(call.payload.json, json!({ "a": 1 }));
        assert_eq!(call.payload.attachments, [Attachment { media_type: "image/jpeg".into(), bytes: Bytes::from_static(b"pictur") }]);
        let mut headers = HeaderMap::new();
        headers.insert(caller::IDEMPOTENCY_HEADER, "order-7".parse().unwrap());
        let incoming = Incoming::of(&headers, None, &Tracer::disabled());
        let context = call.context(&incoming, &headers, Duration::from_secs(30)).unwrap();
        assert_eq!((context.caller.subject.as_deref(), context.caller.tenant.as_deref()), (Some("user-1"), Some("acme")));
        assert_eq!((&*context.caller.attributes["plan"], &context.labels[0].1), ("pro", &"7".to_owned()));
        assert_eq!((context.idempotency_key.as_deref(), context.correlation_id), (Some("order-7"), incoming.correlation_id));
        assert!(context.deadline.remaining() <= Duration::from_millis(250));
    }

    #[test]
    fn a_call_may_say_nothing_and_never_has_more_time_than_the_service_gives() {
        let call = read("{}").unwrap();
        assert_eq!((call.payload.json.clone(), call.payload.attachments.len()), (json!({}), 0));
        let patient = read(r#"{"timeout_ms": 86400000}"#).unwrap();
        let headers = HeaderMap::new();
        let context = patient.context(&Incoming::of(&headers, None, &Tracer::disabled()), &headers, Duration::from_secs(1)).unwrap();
        assert!(context.deadline.remaining() <= Duration::from_secs(1));
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let attachment = |media_type: &str, data: &str| format!(r#"{{"attachments":[{{"media_type":"{media_type}","data":"{data}"}}]}}"#);
        let long = "x".repeat(MAX_MEDIA_TYPE);
        for (text, code, pointer) in [
            (r#"{"inptu": {}}"#.to_owned(), "request.unknown-field", "/inptu"),
            (r#"{"timeout_ms": 0}"#.into(), "request.field-invalid", "/timeout_ms"),
            (r#"{"timeout_ms": -5}"#.into(), "request.field-invalid", "/timeout_ms"),
            (r#"{"attributes": {"plan": 1}}"#.into(), "request.field-invalid", "/attributes/plan"),
            (r#"{"subject": ""}"#.into(), "request.field-invalid", "/subject"),
            (attachment("image", ""), "request.field-invalid", "/attachments/0/media_type"),
            (attachment("image/ü", ""), "request.field-invalid", "/attachments/0/media_type"),
            (attachment(&format!("a/{long}"), ""), "request.field-invalid", "/attachments/0/media_type"),
            (attachment("image/png", "????"), "request.base64-invalid", "/attachments/0/data"),
            (r#"{"attachments":[{"data":""}]}"#.into(), "request.field-invalid", "/attachments/0"),
            (r#"{"attachments":[{"media_type":"a/b","data":"","name":"x"}]}"#.into(), "request.field-invalid", "/attachments/0/name"),
        ] {
            assert_eq!(refusal(&text), (code.to_owned(), pointer.to_owned()), "{text}");
        }
    }

    #[test]
    fn attachments_are_bounded_in_size_and_number() {
        let one = r#"{"media_type":"a/b","data":"cGljdHVy"}"#;
        let many = |count: usize| format!(r#"{{"attachments":[{}]}}"#, vec![one; count].join(","));
        assert_eq!(read(&many(MAX_ATTACHMENTS)).unwrap().payload.attachments.len(), MAX_ATTACHMENTS);
        assert_eq!(refusal(&many(MAX_ATTACHMENTS + 1)).0, "http.too-many-fields");
        assert_eq!(refusal(r#"{"attachments":[{"media_type":"a/b","data":"cGljdHVyZQ=="}]}"#).0, "http.field-too-large");
    }

    #[tokio::test]
    async fn a_form_says_the_same() {
        let part = |head: &str, content: &str| format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n");
        let text = [
            part(r#"name="input""#, r#"{"a":1}"#),
            part(r#"name="subject""#, "user-1"),
            part(r#"name="labels""#, r#"{"project_id":"7"}"#),
            part(r#"name="timeout_ms""#, "250"),
            part("name=\"attachment\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg", "first"),
            part(r#"name="attachment""#, "second"),
            "--b--\r\n".to_owned(),
        ];
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "multipart/form-data; boundary=b".parse().unwrap());
        let body = BodyLimits { max_bytes: 10_000, idle: Duration::from_secs(1), total: Duration::from_secs(1) };
        let limits = FormLimits { body, max_fields: 32, max_field_bytes: 1000, max_file_bytes: 10 };
        let form = Form::read(&headers, Body::from(text.concat()), FIELDS, limits).await.unwrap();
        let call = of_form(form).unwrap();
        assert_eq!((call.payload.json, call.timeout), (json!({ "a": 1 }), Some(Duration::from_millis(250))));
        let attachments: Vec<_> = call.payload.attachments.iter().map(|part| (part.media_type.as_str(), &*part.bytes)).collect();
        assert_eq!(attachments, [("image/jpeg", &b"first"[..]), (UNKNOWN_TYPE, b"second")]);
        assert_eq!(call.caller.subject.as_deref(), Some("user-1"));
    }
}
