//! One call of an action: `POST {endpoint}/{action}` with the input as JSON, and what comes back.

use std::time::{Duration, Instant};

use breakwater_core::{
    Body, CallContext, CorrelationId, Effect, Failure, FailureKind, Method, OutboundRequest, OutboundResponse, Payload, ServedBy,
};
use breakwater_telemetry::SpanKind;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Action, ActionDefinition};
use crate::chain::{Asking, Provider, is_about_the_request};
use crate::invoke::Call;
use crate::operation::OperationEffect;
use crate::operations::Operations;
use crate::providers::Answer;
use crate::table::Entry;

/// How providers of this kind are called in metrics, where the name of the operation says the rest.
const KIND: &str = "service";
/// Names of labels that would say where a request came from.
const NOT_PASSED_ON: [&str; 2] = ["forwarded", "real-ip"];

impl Operations {
    pub(crate) fn service_provider<'a>(&'a self, call: &'a Call, entry: &'a Entry, action: &'a Action) -> Provider<'a, Answer<Payload>> {
        Provider {
            served_by: ServedBy::Service { name: action.service().name.clone() },
            level: None,
            timeout: entry.provider_timeout,
            reserve: Duration::ZERO,
            ends: is_final,
            ask: Box::new(move |Asking { deadline, .. }| {
                Box::pin(async move {
                    let started = Instant::now();
                    let (context, mut span) = self.tracer().child(&call.context, "provider", SpanKind::Internal);
                    span.set("breakwater.provider", &ServedBy::Service { name: action.service().name.clone() }.label());
                    let result = self.ask_service(CallContext { deadline, ..context }, &call.payload, action).await;
                    let result = result.map_err(|failure| of_service(failure, &action.service().name));
                    let outcome = result.as_ref().map(drop).map_err(|failure| failure.kind);
                    self.metrics().provider_called(&call.operation, KIND, outcome, started.elapsed());
                    if let Err(failure) = &result {
                        span.fail(failure);
                    }
                    result.map(|output| Some(Answer::plain(Payload::json(output))))
                })
            }),
        }
    }

    async fn ask_service(&self, context: CallContext, payload: &Payload, action: &Action) -> Result<Value, Failure> {
        let definition = action.definition().ok_or_else(|| Failure::internal("an action is not in its own definition"))?;
        if !payload.attachments.is_empty() {
            return Err(Failure::limit("operation.too-many-attachments", "an action of a service takes JSON and no attachments"));
        }
        let request = request(&context, definition, &payload.json)?;
        let answer = self.upstreams().send(&context, &action.service().name, request).await?;
        let output = read(answer, &action.service().name).map_err(|failure| done(failure, definition.effect))?;
        let violations = action.schema.output_violations(&output);
        if violations.is_empty() { Ok(output) } else { Err(done(output_invalid(action, violations), definition.effect)) }
    }
}

/// The request that an action is.
fn request(context: &CallContext, action: &ActionDefinition, input: &Value) -> Result<OutboundRequest, Failure> {
    let body = serde_json::to_vec(input).map_err(|error| Failure::internal("an input could not be written as JSON").caused_by(error))?;
    let mut headers =
        vec![("content-type".to_owned(), "application/json".to_owned()), ("accept".to_owned(), "application/json".to_owned())];
    headers.extend(context.labels.iter().filter_map(|(name, value)| label(name, value)));
    let is_read = action.effect == OperationEffect::Read;
    // A key as it was given: whoever keeps one for each effect asks the service with it too. What may be repeated by its nature gets one of
    // its own, for services that look at them.
    let key = context.idempotency_key.as_deref().map(str::to_owned);
    let key = key.or_else(|| (action.idempotent && !is_read).then(|| CorrelationId::generate().to_string()));
    Ok(OutboundRequest {
        headers,
        body: Body::Bytes(Bytes::from(body)),
        idempotency_key: key,
        is_read,
        effect: Some(action.effect),
        ..OutboundRequest::new(Method::Post, format!("/{}", action.name))
    })
}

/// A label as a header: `project_id` becomes `x-project-id`. One whose name can be none is not passed on; what is not ASCII in a value is
/// written with percent signs.
fn label(name: &str, value: &str) -> Option<(String, String)> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !fits || NOT_PASSED_ON.iter().any(|start| name.starts_with(start)) {
        return None;
    }
    let mut text = String::with_capacity(value.len());
    for byte in value.trim().bytes() {
        if byte.is_ascii_graphic() || byte == b' ' {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    Some((format!("x-{name}"), text))
}

/// The JSON of an answer. One without content is `null`.
fn read(answer: OutboundResponse, service: &str) -> Result<Value, Failure> {
    let OutboundResponse { status, headers, body, .. } = answer;
    let Body::Bytes(bytes) = body else { return Err(Failure::internal("an answer came in pieces that was wanted whole")) };
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        let media_type =
            headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.chars().take(100).collect::<String>());
        let message = format!("the service `{service}` answered with something that is no JSON");
        let detail = json!({ "status": status, "content_type": media_type });
        Failure::new(FailureKind::Rejected, "service.answer-invalid", message).with_detail(detail).caused_by(error)
    })
}

fn output_invalid(action: &Action, violations: Vec<Value>) -> Failure {
    let (service, operation) = (&action.service().name, &action.schema.spec().name);
    let text = |key: &str| violations.first().and_then(|first| first.get(key)).and_then(Value::as_str).unwrap_or_default();
    let message = format!("the service `{service}` answered what does not fit `{operation}`: {} {}", text("pointer"), text("message"));
    Failure::new(FailureKind::Rejected, "service.output-invalid", message).with_detail(json!({ "violations": violations }))
}

/// The service did its work, whatever is wrong with its answer.
fn done(mut failure: Failure, effect: OperationEffect) -> Failure {
    failure.effect = if effect == OperationEffect::Read { Effect::None } else { Effect::Applied };
    failure
}

/// Names the service in what it did wrong.
fn of_service(mut failure: Failure, service: &str) -> Failure {
    match &mut failure.detail {
        Some(Value::Object(fields)) => drop(fields.insert("service_name".to_owned(), service.into())),
        Some(_) => {}
        none => *none = Some(json!({ "service_name": service })),
    }
    failure
}

/// Whether nobody else may answer after this failure: the request is wrong, or the service did its work and answered badly, which says more
/// than that the outcome is not known.
fn is_final(failure: &Failure) -> bool {
    let has_answered = ["service.answer-invalid", "service.output-invalid"].contains(&&*failure.code);
    is_about_the_request(failure) || (has_answered && failure.effect != Effect::None)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use breakwater_core::Principal;

    use super::*;

    fn action(json: Value) -> ActionDefinition {
        serde_json::from_value(json).unwrap()
    }

    fn context(key: Option<&str>, labels: &[(&str, &str)]) -> CallContext {
        let labels: Arc<[_]> = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let root = CallContext::root(Principal::Anonymous, Duration::from_secs(1));
        CallContext { labels, idempotency_key: key.map(Into::into), ..root }
    }

    #[test]
    fn what_an_action_does_decides_about_its_key_and_how_it_is_repeated() {
        for (definition, key, expected) in [
            (json!({ "name": "a" }), None, (false, OperationEffect::Create, None)),
            (json!({ "name": "a" }), Some("k 1"), (false, OperationEffect::Create, Some("k 1"))),
            (json!({ "name": "a", "effect": "read", "idempotent": true }), None, (true, OperationEffect::Read, None)),
            (json!({ "name": "a", "effect": "delete" }), Some("k"), (false, OperationEffect::Delete, Some("k"))),
        ] {
            let request = request(&context(key, &[]), &action(definition), &json!({ "x": 1 })).unwrap();
            assert_eq!((request.is_read, request.effect.unwrap(), request.idempotency_key.as_deref()), expected);
            assert_eq!((request.method, request.path.as_str()), (Method::Post, "/a"));
            assert!(matches!(&request.body, Body::Bytes(bytes) if &bytes[..] == br#"{"x":1}"#));
        }
        let idempotent = action(json!({ "name": "a", "effect": "update", "idempotent": true }));
        let key = || request(&context(None, &[]), &idempotent, &json!({})).unwrap().idempotency_key.unwrap();
        assert_ne!(key(), key(), "each call is an effect of its own");
    }

    #[test]
    fn labels_become_headers() {
        let labels = [
            ("project_id", "789"),
            ("Request_ID", " req-123\r\nx-evil: 1"),
            ("ünicode", "a"),
            ("city", "Zürich"),
            ("forwarded_for", "10.0.0.1"),
            ("real_ip", "10.0.0.1"),
            ("", "a"),
        ];
        let request = request(&context(None, &labels), &action(json!({ "name": "a" })), &json!({})).unwrap();
        let headers: Vec<_> = request.headers.iter().skip(2).map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(headers, [("x-project-id", "789"), ("x-request-id", "req-123%0D%0Ax-evil: 1"), ("x-city", "Z%C3%BCrich")]);
    }

    #[test]
    fn an_answer_is_json_or_nothing() {
        let answer = |body: &'static [u8]| OutboundResponse {
            status: 200,
            headers: vec![("content-type".to_owned(), "text/html".to_owned())],
            body: Body::Bytes(Bytes::from_static(body)),
            attempts: 1,
        };
        assert_eq!(read(answer(b""), "text").unwrap(), Value::Null);
        assert_eq!(read(answer(b"[1]"), "text").unwrap(), json!([1]));
        let deep: &'static [u8] = "[".repeat(100_000).leak().as_bytes();
        for wrong in [&b"<html>"[..], b"{\"a\":", b"\xff", deep] {
            let failure = of_service(done(read(answer(wrong), "text").unwrap_err(), OperationEffect::Create), "text");
            assert_eq!((&*failure.code, failure.kind, failure.effect), ("service.answer-invalid", FailureKind::Rejected, Effect::Applied));
            assert_eq!(failure.detail.as_ref().unwrap(), &json!({ "status": 200, "content_type": "text/html", "service_name": "text" }));
            assert!(is_final(&failure));
        }
    }
}
