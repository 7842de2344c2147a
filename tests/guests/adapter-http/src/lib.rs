//! An adapter that speaks HTTP as a language's own library would: through `wasi:http`, with what a runtime imports beside it.

use serde_json::{Value, json};

wit_bindgen::generate!({
    path: "../../../wit",
    world: "adapter-wasi-plugin",
    generate_all,
});

use breakwater::plugin::blobs::Blob;
use breakwater::plugin::replies::Reply;
use breakwater::plugin::types::{CallContext, EffectState, Failure, FailureKind};
use exports::breakwater::plugin::adapter::{Effect, Guest, Operation};
use wasi::cli::{environment, stderr, stdout};
use wasi::clocks::{monotonic_clock, wall_clock};
use wasi::filesystem::preopens;
use wasi::http::outgoing_handler;
use wasi::http::types::{ErrorCode, Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasi::io::streams::StreamError;
use wasi::random::random;
use wasi::sockets::{instance_network, ip_name_lookup};

struct Adapter;

impl Guest for Adapter {
    fn describe() -> Vec<Operation> {
        let operation = |name: &str, effect| Operation {
            name: name.to_owned(),
            summary: "One thing for tests.".to_owned(),
            input_schema: "{}".to_owned(),
            output_schema: json!({ "type": "object" }).to_string(),
            effect,
            idempotent: false,
            permission: None,
        };
        vec![
            operation("fetch", Effect::Read),
            operation("fetch-then-trap", Effect::Create),
            operation("surroundings", Effect::Read),
            operation("sleep", Effect::Read),
            operation("grow", Effect::Read),
        ]
    }

    fn invoke(_context: CallContext, operation: String, input: String, _attachments: Vec<Blob>) -> Result<Reply, Failure> {
        let input: Value = serde_json::from_str(&input).unwrap_or_default();
        let output = match operation.as_str() {
            "fetch" => fetched(&input),
            "fetch-then-trap" => {
                fetched(&input);
                std::process::abort()
            }
            "surroundings" => surroundings(),
            "sleep" => {
                monotonic_clock::subscribe_duration(input["ms"].as_u64().unwrap_or_default() * 1_000_000).block();
                json!({})
            }
            _ => {
                let held = std::hint::black_box(vec![1_u8; input["bytes"].as_u64().unwrap_or_default() as usize]);
                json!({ "held": held.len() })
            }
        };
        if output["fail"].is_null() { Ok(Reply { output: output.to_string(), attachments: Vec::new() }) } else { Err(failure()) }
    }
}

fn failure() -> Failure {
    Failure {
        kind: FailureKind::Unavailable,
        code: "test.failed".to_owned(),
        message: "the fetch failed".to_owned(),
        retryable: false,
        retry_after_ms: None,
        effect: EffectState::None,
        detail: None,
    }
}

fn fetched(input: &Value) -> Value {
    match fetch(input) {
        Ok(answer) => answer,
        Err(error) => json!({ "error": format!("{error:?}") }),
    }
}

fn fetch(input: &Value) -> Result<Value, ErrorCode> {
    let text = |key: &str| input[key].as_str().unwrap_or_default();
    let headers = Fields::new();
    if !text("header").is_empty() {
        headers.append("x-test", text("header").as_bytes()).map_err(|_| ErrorCode::HttpProtocolError)?;
    }
    let request = OutgoingRequest::new(headers);
    let method = if text("method") == "POST" { Method::Post } else { Method::Get };
    request.set_method(&method).map_err(|()| ErrorCode::HttpRequestMethodInvalid)?;
    request
        .set_scheme(Some(&if text("scheme") == "https" { Scheme::Https } else { Scheme::Http }))
        .map_err(|()| ErrorCode::HttpProtocolError)?;
    request.set_authority(Some(text("authority"))).map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    request.set_path_with_query(Some(text("path"))).map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    let body = request.body().map_err(|()| ErrorCode::HttpProtocolError)?;
    let coming = outgoing_handler::handle(request, None)?;
    let mut left = input["body_bytes"].as_u64().unwrap_or_default();
    if left > 0 {
        let stream = body.write().map_err(|()| ErrorCode::HttpProtocolError)?;
        while left > 0 {
            let piece = left.min(4096);
            if stream.blocking_write_and_flush(&vec![b'x'; piece as usize]).is_err() {
                break;
            }
            left -= piece;
        }
    }
    OutgoingBody::finish(body, None)?;
    coming.subscribe().block();
    let response = coming.get().ok_or(ErrorCode::InternalError(None))?.map_err(|()| ErrorCode::InternalError(None))??;
    let status = response.status();
    let content_type = response.headers().get("content-type").first().map(|value| String::from_utf8_lossy(value).into_owned());
    let incoming = response.consume().map_err(|()| ErrorCode::InternalError(None))?;
    let stream = incoming.stream().map_err(|()| ErrorCode::InternalError(None))?;
    let mut body = Vec::new();
    let mut broke = false;
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(piece) => body.extend(piece),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => {
                broke = true;
                break;
            }
        }
    }
    drop(stream);
    drop(IncomingBody::finish(incoming));
    let start = String::from_utf8_lossy(body.get(..body.len().min(200)).unwrap_or_default()).into_owned();
    Ok(json!({ "status": status, "content_type": content_type, "length": body.len(), "start": start, "broke": broke }))
}

fn surroundings() -> Value {
    let line = |stream: wasi::io::streams::OutputStream, text: &str| stream.blocking_write_and_flush(text.as_bytes()).is_ok();
    let written = line(stdout::get_stdout(), "a line\nand half ") && line(stderr::get_stderr(), "an error\n");
    let network = instance_network::instance_network();
    let resolved = ip_name_lookup::resolve_addresses(&network, "localhost").and_then(|addresses| {
        addresses.subscribe().block();
        addresses.resolve_next_address()
    });
    json!({
        "environment": environment::get_environment().len(),
        "arguments": environment::get_arguments().len(),
        "directories": preopens::get_directories().len(),
        "resolved": resolved.is_ok(),
        "written": written,
        "random": random::get_random_bytes(16).len(),
        "seconds": wall_clock::now().seconds,
        "nanoseconds": monotonic_clock::now(),
    })
}

#[cfg(target_arch = "wasm32")]
export!(Adapter);
