//! Answers of upstreams.

use serde::de::DeserializeOwned;

use crate::bindings::adapter::breakwater::plugin::upstream;
use crate::blob::Blob;
use crate::failure::{EffectState, Failure, FailureKind};
use crate::json;
use crate::request::Body;

/// The most bytes of a JSON answer that are read into the guest.
pub const MAX_JSON: u64 = 4 << 20;

/// What an upstream answered: a status below 400. A higher one is a failure, `upstream.status`.
#[derive(Debug)]
pub struct Response {
    /// 100..=399.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Bytes up to 64 KiB, a blob above.
    pub body: Body,
    /// How often the request was sent, this answer included.
    pub attempts: u32,
}

impl Response {
    /// An answer of JSON, as tests give it.
    #[must_use]
    pub fn of_json(value: &serde_json::Value) -> Self {
        Self::of_bytes("application/json", value.to_string().into_bytes())
    }

    /// An answer of bytes, as tests give it.
    #[must_use]
    pub fn of_bytes(media_type: &str, bytes: Vec<u8>) -> Self {
        let headers = vec![("content-type".to_owned(), media_type.to_owned())];
        Self { status: 200, headers, body: Body::Bytes(bytes), attempts: 1 }
    }

    /// The value of a header; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The content type without its parameters, in lower case; empty when there is none.
    #[must_use]
    pub fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The content, read as JSON of this type.
    ///
    /// # Errors
    /// `upstream.response-invalid` (rejected) when it is not JSON, or none of this type; the message says where. Whether the request
    /// was carried out is unknown then. `upstream.response-too-large` (limit) over [`MAX_JSON`]; those of [`Blob::read`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let kept;
        let bytes: &[u8] = match &self.body {
            Body::None => &[],
            Body::Bytes(bytes) => bytes,
            Body::Blob(blob) => {
                if blob.length() > MAX_JSON {
                    let message = format!("the answer has {} bytes; at most {MAX_JSON} are read as JSON", blob.length());
                    let failure = Failure::new(FailureKind::Limit, "upstream.response-too-large", &message);
                    return Err(failure.with_effect(EffectState::Unknown));
                }
                kept = blob.bytes(MAX_JSON)?;
                &kept
            }
            Body::Form(_) => return Err(Failure::response_invalid("it is a form, which no service sends")),
        };
        json::read(bytes).map_err(|what| Failure::response_invalid(&what))
    }

    /// The content as a blob.
    ///
    /// # Errors
    /// `upstream.response-invalid` (rejected) when there is none.
    pub fn into_blob(self) -> Result<Blob, Failure> {
        let media_type = self.media_type();
        match self.body {
            Body::Blob(blob) => Ok(blob),
            Body::Bytes(bytes) if !bytes.is_empty() => Ok(Blob::new(&media_type, bytes)),
            _ => Err(Failure::response_invalid("it is empty")),
        }
    }
}

impl From<upstream::Response> for Response {
    fn from(response: upstream::Response) -> Self {
        Self { status: response.status, headers: response.headers, body: response.body.into(), attempts: response.attempts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::{Value, json};

    #[derive(Debug, Deserialize, PartialEq)]
    struct Found {
        faces: Vec<u32>,
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_place() {
        let answer = Response::of_json(&json!({ "faces": [1, 2, "three"] }));
        let failure = answer.json::<Found>().unwrap_err();
        assert_eq!((failure.kind, failure.code.as_str()), (FailureKind::Rejected, "upstream.response-invalid"));
        assert_eq!(failure.effect, EffectState::Unknown);
        assert!(failure.message.contains("/faces/2"), "{}", failure.message);
        assert_eq!(Response::of_json(&json!({ "faces": [7] })).json(), Ok(Found { faces: vec![7] }));
    }

    #[test]
    fn html_nothing_and_broken_text_are_no_json() {
        for bytes in [b"<!doctype html>".to_vec(), Vec::new(), vec![0xff, 0xfe], b"{} {}".to_vec()] {
            let failure = Response::of_bytes("text/html", bytes).json::<Value>().unwrap_err();
            assert_eq!(failure.code, "upstream.response-invalid");
        }
    }

    #[test]
    fn a_large_answer_is_read_from_its_blob_up_to_the_limit() {
        let text = |length: u64| format!("\"{}\"", "x".repeat(length as usize - 2)).into_bytes();
        let answer = |bytes| Response { body: Body::Blob(Blob::new("application/json", bytes)), ..Response::of_json(&Value::Null) };
        assert_eq!(answer(text(MAX_JSON)).json::<String>().unwrap().len() as u64, MAX_JSON - 2);
        assert_eq!(answer(text(MAX_JSON + 1)).json::<String>().unwrap_err().code, "upstream.response-too-large");
    }

    #[test]
    fn the_media_type_is_what_stands_before_the_parameters() {
        let answer = Response::of_bytes("Image/JPEG; charset=binary", vec![1]);
        assert_eq!(answer.media_type(), "image/jpeg");
        let blob = answer.into_blob().unwrap();
        assert_eq!((blob.media_type().as_str(), blob.length()), ("image/jpeg", 1));
        assert_eq!(Response::of_bytes("image/jpeg", Vec::new()).into_blob().unwrap_err().code, "upstream.response-invalid");
    }
}
