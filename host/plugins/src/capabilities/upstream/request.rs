//! From a guest's request to one that may be sent: checked, charged, without what is the host's.

use std::time::Duration;

use breakwater_core::{Body, Digest, Failure, FailureKind, Method, OutboundRequest, Part};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, header};

use super::{Prepared, is_safe};
use crate::bindings::breakwater::plugin::upstream::{self as guest, PartContent};
use crate::state::CallState;

/// The most headers of a request, and the most bytes of them.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 32 << 10;
/// The longest path with its query, in bytes.
const MAX_PATH: usize = 8 << 10;
/// The most parts of a form, and the longest name of a part or file.
const MAX_PARTS: usize = 64;
const MAX_PART_NAME: usize = 256;
/// The longest idempotency key, in bytes.
const MAX_KEY: usize = 255;

/// Headers that are the host's: framing, connection, credentials, and what ties the request to its call.
const OURS: [HeaderName; 17] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    header::COOKIE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("idempotency-key"),
];

pub(super) fn invalid(message: impl Into<String>) -> Failure {
    Failure::invalid("upstream.request-invalid", message)
}

impl CallState {
    /// Takes a request over from the guest: its blobs are the host's again, whatever becomes of it.
    pub(super) fn prepare(&mut self, upstream: String, request: guest::Request) -> wasmtime::Result<Result<Prepared, Failure>> {
        self.charge_call()?;
        let guest::Request { method, path, headers, body, idempotency_key, is_read, timeout_ms } = request;
        let (mut body, media_type, in_body) = self.body(body)?;
        let in_headers: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if let Err(crossed) = self.charge_bytes(path.len() + in_headers + in_body) {
            return Ok(Err(crossed.into()));
        }
        if !self.scope.reach.upstreams.contains(&upstream) {
            let shown: String = upstream.escape_debug().take(64).collect();
            let message = format!("the upstream `{shown}` is not granted to the plugin `{}`", self.scope.id);
            return Ok(Err(Failure::new(FailureKind::Denied, "upstream.not-granted", message)));
        }
        let checked = check_path(&path).and_then(|()| check_body(&body)).and_then(|()| kept_headers(headers, in_headers));
        let mut headers = match checked {
            Ok(headers) => headers,
            Err(failure) => return Ok(Err(failure)),
        };
        if idempotency_key
            .as_ref()
            .is_some_and(|key| key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Ok(Err(invalid(format!("an idempotency key is 1 to {MAX_KEY} printable characters"))));
        }
        let is_form = matches!(body, Body::Form(_));
        // Of a form the host makes the boundary, so the media type is its own.
        headers.retain(|(name, _)| !is_form || name != "content-type");
        if let Some(media_type) = media_type
            && HeaderValue::from_str(&media_type).is_ok()
            && !headers.iter().any(|(name, _)| name == "content-type")
        {
            headers.push(("content-type".to_owned(), media_type));
        }
        let left = self.scope.services.blob_bytes.saturating_sub(self.meter.blob_bytes);
        let mut request = OutboundRequest {
            headers,
            body: std::mem::take(&mut body),
            idempotency_key,
            is_read,
            timeout: timeout_ms.map(|millis| Duration::from_millis(millis.into())),
            max_response_bytes: Some(left),
            ..OutboundRequest::new(method_of(method), path)
        };
        if !is_safe(&request) && request.idempotency_key.is_none() {
            request.idempotency_key = self.derived_key(&upstream, &request);
        }
        Ok(Ok(Prepared { upstream, request }))
    }

    /// A key of its own for each request that may change something, the same when the whole call is made again.
    fn derived_key(&mut self, upstream: &str, request: &OutboundRequest) -> Option<String> {
        let number = self.meter.changing_requests;
        self.meter.changing_requests += 1;
        if request.method.is_idempotent() {
            return None;
        }
        let key = self.context.idempotency_key.as_ref()?;
        let number = number.to_le_bytes();
        let parts: [&[u8]; 6] = [
            key.as_bytes(),
            self.scope.id.as_str().as_bytes(),
            upstream.as_bytes(),
            request.method.name().as_bytes(),
            request.path.as_bytes(),
            &number,
        ];
        Some(Digest::of_parts(parts).to_string())
    }

    /// The body, the media type that comes with it, and how many bytes of it were the guest's.
    fn body(&mut self, body: guest::Body) -> wasmtime::Result<(Body, Option<String>, usize)> {
        Ok(match body {
            guest::Body::None => (Body::empty(), None, 0),
            guest::Body::Bytes(bytes) => {
                let passed = bytes.len();
                (Body::Bytes(bytes.into()), None, passed)
            }
            guest::Body::Blob(blob) => {
                let blob = self.take(blob)?;
                (Body::Bytes(blob.bytes), (!blob.media_type.is_empty()).then_some(blob.media_type), 0)
            }
            guest::Body::Form(parts) => {
                let mut passed = 0;
                let mut form = Vec::with_capacity(parts.len().min(MAX_PARTS));
                for guest::Part { name, filename, content } in parts {
                    passed += name.len() + filename.as_ref().map_or(0, String::len);
                    let (media_type, bytes) = match content {
                        PartContent::Text(text) => {
                            passed += text.len();
                            (None, text.into_bytes().into())
                        }
                        PartContent::Blob(blob) => {
                            let blob = self.take(blob)?;
                            ((!blob.media_type.is_empty()).then_some(blob.media_type), blob.bytes)
                        }
                    };
                    form.push(Part { name, filename, media_type, bytes });
                }
                (Body::Form(form), None, passed)
            }
        })
    }
}

fn check_path(path: &str) -> Result<(), Failure> {
    let is_path = path.starts_with('/') && path.len() <= MAX_PATH && path.is_ascii() && path.parse::<PathAndQuery>().is_ok();
    if is_path { Ok(()) } else { Err(invalid(format!("a path starts with `/` and is at most {MAX_PATH} bytes of what a URL may hold"))) }
}

fn check_body(body: &Body) -> Result<(), Failure> {
    let Body::Form(parts) = body else { return Ok(()) };
    if parts.len() > MAX_PARTS {
        return Err(invalid(format!("a form has at most {MAX_PARTS} parts")));
    }
    let fits = |name: &str| !name.is_empty() && name.len() <= MAX_PART_NAME && !name.chars().any(char::is_control);
    let wrong = parts.iter().any(|part| !fits(&part.name) || part.filename.as_deref().is_some_and(|name| !fits(name)));
    if wrong {
        Err(invalid(format!("the name of a part or file is 1 to {MAX_PART_NAME} bytes without control characters")))
    } else {
        Ok(())
    }
}

/// Names in lower case, without those that are the host's.
fn kept_headers(headers: Vec<(String, String)>, bytes: usize) -> Result<Vec<(String, String)>, Failure> {
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(invalid(format!("a request has at most {MAX_HEADERS} headers of together {MAX_HEADER_BYTES} bytes")));
    }
    let mut kept = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let valid = HeaderName::from_bytes(name.as_bytes()).ok().filter(|_| HeaderValue::from_str(&value).is_ok());
        let Some(name) = valid else {
            let shown: String = name.escape_debug().take(64).collect();
            return Err(invalid(format!("the header `{shown}` has a name or value that HTTP does not allow")));
        };
        if !OURS.contains(&name) {
            kept.push((name.as_str().to_owned(), value));
        }
    }
    Ok(kept)
}

fn method_of(method: guest::Method) -> Method {
    match method {
        guest::Method::Get => Method::Get,
        guest::Method::Head => Method::Head,
        guest::Method::Post => Method::Post,
        guest::Method::Put => Method::Put,
        guest::Method::Patch => Method::Patch,
        guest::Method::Delete => Method::Delete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn headers_that_are_the_hosts_are_dropped_and_the_others_kept() {
        let given = pairs(&[
            ("Accept", "a/b"),
            ("Authorization", "Bearer x"),
            ("HOST", "a"),
            ("Content-Length", "9"),
            ("x-a", "é".repeat(0).as_str()),
        ]);
        assert_eq!(kept_headers(given, 0).unwrap(), pairs(&[("accept", "a/b"), ("x-a", "")]));
    }

    #[test]
    fn headers_that_break_the_protocol_are_refused() {
        for (name, value) in [("a b", "x"), ("", "x"), ("a", "x\r\nb: y"), ("a\n", "x"), ("ä", "x")] {
            assert_eq!(&*kept_headers(pairs(&[(name, value)]), 0).unwrap_err().code, "upstream.request-invalid", "{name:?}");
        }
        assert!(kept_headers(vec![("a".to_owned(), "b".to_owned()); MAX_HEADERS], 0).is_ok());
        assert!(kept_headers(vec![("a".to_owned(), "b".to_owned()); MAX_HEADERS + 1], 0).is_err());
        assert!(kept_headers(Vec::new(), MAX_HEADER_BYTES + 1).is_err());
    }

    #[test]
    fn a_path_is_one() {
        for path in ["/", "/a?b=c", "/a%20b"] {
            assert!(check_path(path).is_ok(), "{path}");
        }
        for path in ["", "a", "http://a/b", "/a b", "/a\r\nb", "//\u{e9}", &format!("/{}", "x".repeat(MAX_PATH))] {
            assert!(check_path(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_form_has_names_and_an_end() {
        let part = |name: &str| Part { name: name.to_owned(), filename: None, media_type: None, bytes: bytes::Bytes::new() };
        assert!(check_body(&Body::Form(vec![part("a"); MAX_PARTS])).is_ok());
        assert!(check_body(&Body::Form(vec![part("a"); MAX_PARTS + 1])).is_err());
        for name in ["", "a\"\r\nb", &"x".repeat(MAX_PART_NAME + 1)] {
            assert!(check_body(&Body::Form(vec![part(name)])).is_err(), "{name:?}");
        }
    }
}
