//! Holds the probes of a plugin.toml of an adapter or a fallback against what its code answers natively, and answers against schemas.
#![allow(dead_code, reason = "each plugin's tests use their part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use breakwater_guest::testing::{FakeHost, FakeImage, Sent};
use breakwater_guest::{Adapter, Blob, Failure, FailureKind, Fallback, Invocation, Method, Reply, Response, Size};
use serde_json::Value;

/// Fails the test unless `value` fits `schema`.
pub(crate) fn assert_fits(schema: &str, value: &Value) {
    let schema = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<_> = validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{value:#} does not fit: {wrong:?}");
}

/// Whether `value` fits `schema`.
pub(crate) fn fits(schema: &str, value: &Value) -> bool {
    jsonschema::is_valid(&serde_json::from_str(schema).unwrap(), value)
}

/// Calls an adapter, whose answer must fit the operation's schema, as must the input.
pub(crate) fn invoke<A: Adapter>(host: &FakeHost, call: Invocation) -> Result<Reply, Failure> {
    let operation = A::OPERATIONS.iter().find(|operation| operation.name == call.operation).unwrap();
    assert_fits(operation.input_schema, &call.input);
    let reply = A::invoke(host, call)?;
    assert_fits(operation.output_schema, &reply.output);
    Ok(reply)
}

/// Runs the fixtures of an adapter's manifest.
pub(crate) fn check_adapter<A: Adapter>(folder: &str) {
    let checked = each(Path::new(folder), |fixture| {
        let reply = invoke::<A>(&fixture.host(), fixture.call());
        fixture.compare(reply.map(Some));
    });
    assert!(checked > 0, "the manifest has no fixtures");
}

/// Runs the fixtures of a fallback's manifest. `output_schema` gives the schema of an operation's output.
pub(crate) fn check_fallback<F: Fallback>(folder: &str, output_schema: impl Fn(&str) -> &'static str) {
    let checked = each(Path::new(folder), |fixture| {
        let level = fixture.text("level").unwrap();
        assert!(F::LEVELS.iter().any(|offered| (offered.operation, offered.name) == (fixture.operation(), level)), "no level {level}");
        let cause = Failure::new(FailureKind::Unavailable, "upstream.connection", "the service cannot be reached");
        let reply = F::degrade(&fixture.host(), fixture.call(), level, &cause);
        if let Ok(Some(reply)) = &reply {
            assert_fits(output_schema(fixture.operation()), &reply.output);
        }
        fixture.compare(reply);
    });
    assert!(checked > 0, "the manifest has no fixtures");
}

fn each(folder: &Path, check: impl Fn(Fixture)) -> usize {
    let manifest: Value = toml::from_str(&fs::read_to_string(folder.join("plugin.toml")).unwrap()).unwrap();
    let fixtures = manifest["fixtures"].as_array().unwrap();
    fixtures.iter().for_each(|entry| check(Fixture { folder: folder.to_path_buf(), entry: entry.clone() }));
    fixtures.len()
}

struct Fixture {
    folder: PathBuf,
    entry: Value,
}

impl Fixture {
    fn text(&self, key: &str) -> Option<&str> {
        self.entry.get(key).and_then(Value::as_str)
    }

    fn operation(&self) -> &str {
        self.text("operation").unwrap()
    }

    fn bytes(&self, path: &str) -> Vec<u8> {
        fs::read(self.folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.bytes(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn attachments(&self) -> impl Iterator<Item = (&str, Vec<u8>)> {
        let list = self.entry.get("attachments").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        list.iter().map(|one| (one["media_type"].as_str().unwrap(), self.bytes(one["file"].as_str().unwrap())))
    }

    fn call(&self) -> Invocation {
        let call = Invocation::new(self.operation(), self.json(self.text("input").unwrap()));
        self.attachments().fold(call, |call, (media_type, bytes)| call.with_attachment(Blob::new(media_type, bytes)))
    }

    fn host(&self) -> FakeHost {
        let exchanges: Vec<Exchange> =
            self.entry.get("upstream").and_then(Value::as_array).into_iter().flatten().map(|entry| Exchange::read(self, entry)).collect();
        let exchanges = Rc::new(exchanges);
        let host = FakeHost::new().answering(move |sent| {
            let found = exchanges.iter().find(|exchange| exchange.fits(sent));
            found.unwrap_or_else(|| panic!("no exchange for {sent:?}: {}", sent.json())).answer()
        });
        let host = self
            .entry
            .get("flags")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .fold(host, |host, flag| host.with_flag(flag.as_str().unwrap()));
        match self.attachments().next() {
            Some((_, bytes)) if bytes.starts_with(b"\x89PNG") => host.with_image(FakeImage::new(png_size(&bytes))),
            _ => host,
        }
    }

    fn compare(&self, reply: Result<Option<Reply>, Failure>) {
        let what = self.entry.to_string();
        match (self.text("fails"), reply) {
            (Some(code), Err(failure)) => assert_eq!(failure.code, code, "{what}"),
            (Some(_), Ok(reply)) => panic!("{what} is answered: {reply:?}"),
            (None, Err(failure)) => panic!("{what} fails: {failure:?}"),
            (None, Ok(reply)) => {
                if let Some(expected) = self.text("expect") {
                    let output = reply.map(|reply| reply.output);
                    assert_eq!(output, Some(self.json(expected)), "{what}\nis {:#}", output.clone().unwrap_or_default());
                }
            }
        }
    }
}

struct Exchange {
    entry: Value,
    body: Option<Value>,
    answer: Vec<u8>,
}

impl Exchange {
    fn read(fixture: &Fixture, entry: &Value) -> Self {
        let file = |key: &str| entry.get(key).and_then(Value::as_str);
        let body = file("body").map(|path| fixture.json(path));
        Self { body, answer: file("answer").map_or_else(Vec::new, |path| fixture.bytes(path)), entry: entry.clone() }
    }

    fn fits(&self, sent: &Sent) -> bool {
        let method = match sent.request.method {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        };
        let same = self.entry["upstream"] == sent.upstream && self.entry["path"] == sent.request.path && self.entry["method"] == method;
        same && self.body.as_ref().is_none_or(|body| *body == sent.json())
    }

    fn answer(&self) -> Result<Response, Failure> {
        let status = self.entry.get("status").and_then(Value::as_u64).unwrap_or(200);
        if status >= 400 {
            return Err(refused(status, &String::from_utf8_lossy(&self.answer)));
        }
        let media_type = self.entry.get("media_type").and_then(Value::as_str).unwrap_or("application/json");
        Ok(Response::of_bytes(media_type, self.answer.clone()))
    }
}

/// What the host makes of a status of 400 or more.
pub(crate) fn refused(status: u64, body: &str) -> Failure {
    let kind = match status {
        404 => FailureKind::NotFound,
        400 | 422 => FailureKind::InvalidRequest,
        _ => FailureKind::Rejected,
    };
    Failure::new(kind, "upstream.status", "the service refused").with_detail(&serde_json::json!({ "status": status, "body": body }))
}

/// The size that a PNG declares.
fn png_size(bytes: &[u8]) -> Size {
    let edge = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    Size { width: edge(16), height: edge(20) }
}
