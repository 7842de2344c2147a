//! An adapter for tests: each operation does one thing, well or badly. Written against the contract itself, without the SDK, so that it
//! can also do what the SDK keeps authors from doing.

use serde_json::{Value, json};

wit_bindgen::generate!({
    path: "../../../wit",
    world: "adapter-plugin",
    generate_all,
});

use breakwater::plugin::blobs::Blob;
use breakwater::plugin::replies::Reply;
use breakwater::plugin::types::{CallContext, EffectState, Failure, FailureKind};
use breakwater::plugin::upstream::{self, Body, Method, Part, PartContent, Request, Response};
use breakwater::plugin::{call, feature_flags};
use exports::breakwater::plugin::adapter::{Effect, Guest, Operation};
use wasi::config::store;

struct Adapter;

/// An operation's name and what it does to the world. Their inputs are objects, their outputs anything but `null`.
const OPERATIONS: &[(&str, Effect)] = &[
    ("echo", Effect::Read),
    ("ask", Effect::Read),
    ("ask-then-trap", Effect::Create),
    ("ask-then-loop", Effect::Create),
    ("ask-and-answer-nothing", Effect::Create),
    ("pass-on", Effect::Create),
    ("fail", Effect::Read),
    ("flags", Effect::Read),
    ("remember", Effect::Read),
    ("attach", Effect::Read),
    ("no-json", Effect::Read),
    ("misfit", Effect::Read),
    ("huge", Effect::Read),
    ("deep", Effect::Read),
    ("trap", Effect::Read),
    ("loop", Effect::Read),
    ("allocate", Effect::Read),
    ("flood", Effect::Read),
];

impl Guest for Adapter {
    fn describe() -> Vec<Operation> {
        let setting = |key: &str| store::get(key).ok().flatten();
        let output = json!({ "not": { "type": "null" } }).to_string();
        let schema = json!({ "type": "object", "properties": { "count": { "type": "integer", "minimum": 0 } } }).to_string();
        let operations = OPERATIONS.iter().filter(|(name, _)| setting("only").is_none_or(|only| only == *name));
        operations
            .map(|(name, effect)| Operation {
                name: (*name).to_owned(),
                summary: "One thing for tests.".to_owned(),
                input_schema: schema.clone(),
                output_schema: output.clone(),
                effect: if setting("effect").as_deref() == Some("delete") { Effect::Delete } else { *effect },
                idempotent: false,
                permission: None,
            })
            .collect()
    }

    fn invoke(context: CallContext, operation: String, input: String, attachments: Vec<Blob>) -> Result<Reply, Failure> {
        if store::get("broken").ok().flatten().is_some() {
            trap();
        }
        let input: Value = serde_json::from_str(&input).map_err(|error| failure(&error.to_string()))?;
        let answer = |output: Value| Ok(Reply { output: output.to_string(), attachments: Vec::new() });
        let raw = |output: String| Ok(Reply { output, attachments: Vec::new() });
        match operation.as_str() {
            "echo" => {
                let kinds: Vec<_> = attachments.iter().map(|blob| format!("{} {}", blob.media_type(), blob.length())).collect();
                let output = json!({
                    "input": input,
                    "attachments": kinds,
                    "correlation_id": context.correlation_id,
                    "traceparent": context.traceparent,
                    "subject": context.subject,
                    "tenant": context.tenant,
                    "key": context.idempotency_key,
                    "labels": context.labels,
                    "version": store::get("version").ok().flatten(),
                    "remaining_ms": call::remaining_ms(),
                });
                Ok(Reply { output: output.to_string(), attachments })
            }
            "ask" => answer(json!({ "answers": ask(&input, attachments), "remaining_ms": call::remaining_ms() })),
            "ask-then-trap" => {
                ask(&input, attachments);
                trap()
            }
            "ask-then-loop" => {
                ask(&input, attachments);
                spin()
            }
            "ask-and-answer-nothing" => {
                ask(&input, attachments);
                raw("null".to_owned())
            }
            "pass-on" => {
                let (name, request) = request(&input["requests"][0], &mut attachments.into_iter());
                let response = upstream::send(&name, request)?;
                answer(told(Ok(response)))
            }
            "fail" => Err(Failure { kind: FailureKind::Unavailable, ..failure("this operation always fails") }),
            "flags" => {
                let names = input["names"].as_array().cloned().unwrap_or_default();
                answer(names.iter().map(|name| json!(feature_flags::enabled(name.as_str().unwrap_or_default()))).collect())
            }
            "remember" => {
                static mut SEEN: Vec<String> = Vec::new();
                // Safety: a component has one thread, and nothing else names this static.
                let seen = unsafe { &mut *(&raw mut SEEN) };
                let before = seen.clone();
                seen.push(input["secret"].as_str().unwrap_or_default().to_owned());
                // What another call may have left in memory that the allocator gives out again.
                let heap = vec![0_u8; 1 << 20];
                let dirty = heap.iter().filter(|byte| **byte != 0).count();
                answer(json!({ "before": before, "dirty": dirty }))
            }
            "attach" => {
                let count = input["count"].as_u64().unwrap_or_default();
                let attachments = (0..count).map(|number| Blob::new("text/plain", number.to_string().as_bytes())).collect();
                Ok(Reply { output: "{}".to_owned(), attachments })
            }
            "no-json" => raw("{\"a\":".to_owned()),
            "misfit" => raw("null".to_owned()),
            "huge" => raw(format!("\"{}\"", "x".repeat(8 << 20))),
            "deep" => raw(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
            "trap" => trap(),
            "loop" => spin(),
            "allocate" => {
                let bytes = input["count"].as_u64().unwrap_or_default() as usize;
                let held = std::hint::black_box(vec![1_u8; bytes]);
                answer(json!(held.len()))
            }
            "flood" => {
                let mut sum = 0_u32;
                for _ in 0..1_000_000 {
                    sum += u32::from(feature_flags::enabled("a"));
                }
                answer(json!(sum))
            }
            other => Err(failure(other)),
        }
    }
}

fn trap() -> ! {
    std::process::abort()
}

fn spin() -> ! {
    let mut number = 0_u64;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

fn failure(message: &str) -> Failure {
    Failure {
        kind: FailureKind::Other,
        code: "test.failed".to_owned(),
        message: message.to_owned(),
        retryable: false,
        retry_after_ms: None,
        effect: EffectState::None,
        detail: None,
    }
}

/// Sends the input's `requests`, one after the other or, with `all`, at once.
fn ask(input: &Value, attachments: Vec<Blob>) -> Value {
    let mut attachments = attachments.into_iter();
    let requests: Vec<_> = input["requests"].as_array().into_iter().flatten().map(|wanted| request(wanted, &mut attachments)).collect();
    if input["all"].as_bool().unwrap_or_default() {
        upstream::send_all(requests).into_iter().map(told).collect()
    } else {
        requests.into_iter().map(|(name, request)| told(upstream::send(&name, request))).collect()
    }
}

fn request(wanted: &Value, attachments: &mut impl Iterator<Item = Blob>) -> (String, Request) {
    let text = |key: &str| wanted[key].as_str().map(str::to_owned);
    let pair = |pair: &Value| (pair[0].as_str().unwrap_or_default().to_owned(), pair[1].as_str().unwrap_or_default().to_owned());
    let headers = match wanted["headers"].as_u64() {
        Some(count) => (0..count).map(|number| (format!("x-{number}"), "value".to_owned())).collect(),
        None => wanted["headers"].as_array().into_iter().flatten().map(pair).collect(),
    };
    let body = match text("body").as_deref() {
        Some("attachment") => attachments.next().map_or(Body::None, Body::Blob),
        Some("form") => {
            let field = Part { name: "title".to_owned(), filename: None, content: PartContent::Text("a title".to_owned()) };
            let file = attachments.next().map(|blob| Part {
                name: "file".to_owned(),
                filename: Some("photo.jpg".to_owned()),
                content: PartContent::Blob(blob),
            });
            Body::Form([field].into_iter().chain(file).collect())
        }
        Some(text) => Body::Bytes(text.as_bytes().to_vec()),
        None => wanted["body_bytes"].as_u64().map_or(Body::None, |count| Body::Bytes(vec![b'x'; count as usize])),
    };
    let method = match text("method").as_deref() {
        Some("POST") => Method::Post,
        Some("PUT") => Method::Put,
        Some("DELETE") => Method::Delete,
        _ => Method::Get,
    };
    let request = Request {
        method,
        path: text("path").unwrap_or_else(|| "/".to_owned()),
        headers,
        body,
        idempotency_key: text("key"),
        is_read: wanted["is_read"].as_bool().unwrap_or_default(),
        timeout_ms: wanted["timeout_ms"].as_u64().map(|millis| millis as u32),
    };
    (text("upstream").unwrap_or_else(|| "service".to_owned()), request)
}

fn told(answer: Result<Response, Failure>) -> Value {
    match answer {
        Ok(Response { status, headers, body, attempts }) => {
            let body = match body {
                Body::None => json!({ "none": true }),
                Body::Bytes(bytes) => json!({ "bytes": String::from_utf8_lossy(&bytes) }),
                Body::Blob(blob) => json!({
                    "blob": blob.length(),
                    "media_type": blob.media_type(),
                    "starts": blob.read(0, 4).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default(),
                }),
                Body::Form(_) => json!({ "form": true }),
            };
            json!({ "status": status, "headers": headers, "body": body, "attempts": attempts })
        }
        Err(failure) => json!({
            "code": failure.code,
            "kind": format!("{:?}", failure.kind),
            "effect": format!("{:?}", failure.effect),
            "message": failure.message,
        }),
    }
}

#[cfg(target_arch = "wasm32")]
export!(Adapter);
