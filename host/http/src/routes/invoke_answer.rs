//! What `POST /v1/operations/{name}` gives: JSON, or the bytes of the only attachment with the rest in headers.

use std::io;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use breakwater_core::{Attachment, CallContext, Outcome, Payload};
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::Formatter;
use utoipa::ToSchema;

use super::invoke_request::AttachmentBody;
use crate::json;
use crate::negotiate;
use crate::wire::{ReasonBody, each, milliseconds, whole_milliseconds};

/// The longest output that goes into a header, in bytes: clients take heads of 16 KiB.
const MAX_OUTPUT_HEADER: usize = 8 << 10;

/// What an operation answered, and where the answer came from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvokeAnswer {
    /// As the operation's `output_schema` says.
    output: Value,
    /// Documents and photographs, in the order in which the output refers to them.
    attachments: Vec<AttachmentBody>,
    #[serde(flatten)]
    history: HistoryBody,
}

/// Where an answer came from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = History)]
pub(crate) struct HistoryBody {
    /// Who answered, such as `plugin:adapter-talent@0.1.0`, `host:local` or `cache:…`.
    served_by: String,
    /// Whether another than the first provider answered, or one at a lower level.
    degraded: bool,
    /// What failed before.
    degraded_reasons: Vec<ReasonBody>,
    /// The level of a degraded answer, such as `basic-template`, `stale` or `static`.
    level: Option<String>,
    /// How many providers were asked.
    attempts: u32,
    /// How many requests were sent to services elsewhere, retries and hedges included.
    upstream_attempts: u32,
    /// How old an answer from the cache is, in milliseconds.
    cached_age_ms: Option<u64>,
    /// How long the call took, in milliseconds.
    elapsed_ms: f64,
    /// Names this call in every log.
    correlation_id: String,
}

impl HistoryBody {
    pub(crate) fn of<T>(outcome: Outcome<T>, context: &CallContext) -> (T, Self) {
        let history = Self {
            degraded: outcome.is_degraded(),
            served_by: outcome.served_by.label(),
            degraded_reasons: each(outcome.reasons),
            level: outcome.level,
            attempts: outcome.attempts,
            upstream_attempts: context.ledger.attempts(),
            cached_age_ms: outcome.cached_age.map(whole_milliseconds),
            elapsed_ms: milliseconds(outcome.elapsed),
            correlation_id: context.correlation_id.to_string(),
        };
        (outcome.value, history)
    }

    /// Who answered.
    pub(crate) fn served_by(&self) -> &str {
        &self.served_by
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("x-breakwater-served-by", self.served_by.clone()),
            ("x-breakwater-degraded", self.degraded.to_string()),
            ("x-breakwater-attempts", self.attempts.to_string()),
            ("x-breakwater-upstream-attempts", self.upstream_attempts.to_string()),
            ("server-timing", format!("total;dur={}", self.elapsed_ms)),
        ];
        if !self.degraded_reasons.is_empty() {
            let codes: Vec<_> = self.degraded_reasons.iter().map(|reason| format!("{} {}", reason.provider, reason.code)).collect();
            headers.push(("x-breakwater-degraded-reason", codes.join(", ")));
        }
        headers.extend(self.level.iter().map(|level| ("x-breakwater-level", level.clone())));
        headers.extend(self.cached_age_ms.map(|age| ("x-breakwater-cached-age-ms", age.to_string())));
        headers
    }
}

/// The answer in the form that the client would rather have. What cannot be given as bytes is given as JSON: the call was made.
pub(crate) fn answer(headers: &HeaderMap, outcome: Outcome<Payload>, context: &CallContext) -> Response {
    let (payload, history) = HistoryBody::of(outcome, context);
    let wanted = match payload.attachments.as_slice() {
        [only] => negotiate::attachment_type(headers, &only.media_type).map(str::to_owned),
        _ => None,
    };
    let Payload { json: output, mut attachments } = payload;
    match (wanted, attachments.pop()) {
        (Some(media_type), Some(attachment)) => bytes(&media_type, attachment, &output, &history),
        (_, last) => {
            attachments.extend(last);
            let attachments = attachments.into_iter().map(AttachmentBody::from).collect();
            json::answer(&InvokeAnswer { output, attachments, history })
        }
    }
}

/// The output alone, with the rest in headers.
pub(crate) fn output(outcome: Outcome<Payload>, context: &CallContext) -> Response {
    let (payload, history) = HistoryBody::of(outcome, context);
    let mut response = json::answer(&payload.json);
    for (name, value) in history.headers() {
        // A value that cannot be a header (a level may be named by a guest) is left out rather than failing the call.
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

impl From<Attachment> for AttachmentBody {
    fn from(Attachment { media_type, bytes }: Attachment) -> Self {
        Self { media_type, data: STANDARD.encode(bytes) }
    }
}

fn bytes(media_type: &str, attachment: Attachment, output: &Value, history: &HistoryBody) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    // The bytes and their type came from outside: nothing may take them for anything else, or run what is in them.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    let output = ascii(output).filter(|text| text.len() <= MAX_OUTPUT_HEADER).map(|text| ("x-breakwater-output", text));
    let rest = history.headers().into_iter().chain(output).chain([("content-type", media_type.to_owned())]);
    for (name, value) in rest {
        // A value that cannot be a header (a level may be named by a guest) is left out rather than failing the call.
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    (headers, attachment.bytes).into_response()
}

/// JSON in one line of ASCII, as headers need it.
fn ascii(value: &Value) -> Option<String> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Ascii);
    value.serialize(&mut serializer).ok()?;
    String::from_utf8(bytes).ok()
}

/// Writes what is not ASCII as `\uXXXX`.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut units = [0; 2];
        for letter in fragment.chars() {
            if letter.is_ascii_graphic() || letter == ' ' {
                writer.write_all(&[letter as u8])?;
            } else {
                for unit in letter.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use breakwater_core::{Principal, Reason, ServedBy};
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn outcome(attachments: usize) -> Outcome<Payload> {
        let attachment = Attachment { media_type: "image/png".into(), bytes: Bytes::from_static(b"\x89PNG") };
        let payload = Payload { json: json!({ "title": "Résumé \u{1f600}\u{7f}" }), attachments: vec![attachment; attachments] };
        Outcome {
            reasons: vec![Reason { provider: "plugin:a@1".into(), code: "upstream.timeout".into(), message: "too slow".into() }],
            attempts: 2,
            level: Some("basic".into()),
            cached_age: Some(Duration::from_millis(1500)),
            elapsed: Duration::from_micros(2500),
            ..Outcome::new(payload, ServedBy::Host { name: "static".into() })
        }
    }

    async fn answered(accept: &str, attachments: usize) -> (HeaderMap, Vec<u8>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        let context = CallContext::root(Principal::Anonymous, Duration::from_secs(1));
        context.ledger.record_attempt();
        let (parts, body) = answer(&headers, outcome(attachments), &context).into_parts();
        (parts.headers, axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn json_holds_everything() {
        let (headers, body) = answered("application/json", 1).await;
        assert_eq!(headers["content-type"], "application/json");
        let mut body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["correlation_id"].take().as_str().map(str::len), Some(36));
        assert_eq!(
            body,
            json!({
                "output": { "title": "Résumé \u{1f600}\u{7f}" },
                "attachments": [{ "media_type": "image/png", "data": "iVBORw==" }],
                "served_by": "host:static",
                "degraded": true,
                "degraded_reasons": [{ "provider": "plugin:a@1", "code": "upstream.timeout", "message": "too slow" }],
                "level": "basic",
                "attempts": 2,
                "upstream_attempts": 1,
                "cached_age_ms": 1500,
                "elapsed_ms": 2.5,
                "correlation_id": null,
            })
        );
    }

    #[tokio::test]
    async fn the_only_attachment_is_given_with_the_rest_in_headers() {
        let (headers, body) = answered("image/*", 1).await;
        assert_eq!((&headers["content-type"], body.as_slice()), (&HeaderValue::from_static("image/png"), &b"\x89PNG"[..]));
        for (name, value) in [
            ("x-breakwater-served-by", "host:static"),
            ("x-breakwater-degraded", "true"),
            ("x-breakwater-degraded-reason", "plugin:a@1 upstream.timeout"),
            ("x-breakwater-level", "basic"),
            ("x-breakwater-attempts", "2"),
            ("x-breakwater-upstream-attempts", "1"),
            ("x-breakwater-cached-age-ms", "1500"),
            ("x-breakwater-output", r#"{"title":"R\u00e9sum\u00e9 \ud83d\ude00\u007f"}"#),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        assert_eq!(answered("application/octet-stream", 1).await.0["content-type"], "application/octet-stream");
    }

    #[tokio::test]
    async fn an_output_alone_has_the_rest_in_headers() {
        let context = CallContext::root(Principal::Anonymous, Duration::from_secs(1));
        let (parts, body) = output(outcome(0), &context).into_parts();
        let body: Value = serde_json::from_slice(&axum::body::to_bytes(body, 1 << 20).await.unwrap()).unwrap();
        assert_eq!(body, json!({ "title": "Résumé \u{1f600}\u{7f}" }));
        assert_eq!(
            (parts.headers["x-breakwater-served-by"].as_bytes(), parts.headers["x-breakwater-level"].as_bytes()),
            (&b"host:static"[..], &b"basic"[..])
        );
        assert_eq!(parts.headers["content-type"], "application/json");
    }

    #[tokio::test]
    async fn what_is_not_one_attachment_is_json_whatever_was_asked_for() {
        for attachments in [0, 2] {
            let (headers, body) = answered("image/*", attachments).await;
            assert_eq!(headers["content-type"], "application/json");
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["attachments"].as_array().unwrap().len(), attachments);
        }
    }

    #[tokio::test]
    async fn an_output_too_long_for_a_head_is_left_out() {
        let attachment = Attachment { media_type: "image/png".into(), bytes: Bytes::new() };
        let header = |length: usize| {
            let payload = Payload { json: json!("x".repeat(length)), attachments: vec![attachment.clone()] };
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, "image/*".parse().unwrap());
            let context = CallContext::root(Principal::Anonymous, Duration::from_secs(1));
            let outcome = Outcome::new(payload, ServedBy::Host { name: "local".into() });
            answer(&headers, outcome, &context).headers().get("x-breakwater-output").map(|value| value.len())
        };
        assert_eq!(header(MAX_OUTPUT_HEADER - 2), Some(MAX_OUTPUT_HEADER));
        assert_eq!(header(MAX_OUTPUT_HEADER - 1), None);
    }

    #[test]
    fn ascii_is_the_same_json() {
        let value = json!({ "ü\n": ["\u{1f600}", 1.5, null, "a\"b\\"] });
        let text = ascii(&value).unwrap();
        assert!(text.is_ascii());
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
