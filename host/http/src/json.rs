//! Reading JSON bodies strictly: unknown fields are refused with the name that was meant, wrong values with their place.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use breakwater_core::Failure;
use breakwater_operations::strategies::closest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A JSON body whose fields are known.
pub(crate) trait Known: DeserializeOwned {
    /// The names of its fields.
    const FIELDS: &'static [&'static str];
}

/// Reads a request.
///
/// # Errors
/// `request.json-invalid`, `request.unknown-field`, `request.field-invalid`.
pub(crate) fn read<T: Known>(bytes: &[u8]) -> Result<T, Failure> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Failure::invalid("request.json-invalid", format!("the body is not valid JSON: {error}")))?;
    let Value::Object(fields) = &value else {
        return Err(Failure::invalid("request.json-invalid", "the body must be a JSON object"));
    };
    if let Some(unknown) = fields.keys().find(|name| !T::FIELDS.contains(&name.as_str())) {
        return Err(unknown_field(unknown, T::FIELDS.iter().copied()));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer = pointer(error.path());
        let message: String = error.into_inner().to_string().chars().take(300).collect();
        let detail = json!({ "violations": [{ "pointer": pointer, "message": message }] });
        Failure::invalid("request.field-invalid", told_at(&pointer, &message)).with_detail(detail)
    })
}

/// What is wrong, after its place, if it is not about the whole.
pub(crate) fn told_at(place: &str, message: &str) -> String {
    if place.is_empty() { message.to_owned() } else { format!("{place}: {message}") }
}

/// Reads a request whose body may be left out.
///
/// # Errors
/// `http.unsupported-media-type`, and as [`read`].
pub(crate) fn read_optional<T: Known + Default>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Failure> {
    if bytes.is_empty() {
        return Ok(T::default());
    }
    BodyKind::require_json(headers)?;
    read(bytes)
}

/// Reads a JSON object.
///
/// # Errors
/// `request.json-invalid`.
pub(crate) fn object(bytes: &[u8]) -> Result<serde_json::Map<String, Value>, Failure> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Failure::invalid("request.json-invalid", "the body must be a JSON object")),
        Err(error) => Err(Failure::invalid("request.json-invalid", format!("the body is not valid JSON: {error}"))),
    }
}

/// A field nobody knows.
pub(crate) fn unknown_field<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Failure {
    let name: String = name.chars().take(64).collect();
    let closest = closest(&name, known.clone());
    let suggestion = closest.map(|known| format!("; did you mean {known:?}?")).unwrap_or_default();
    let message = format!("there is no field {name:?}{suggestion}");
    let known: Vec<_> = known.collect();
    let detail = json!({ "violations": [{ "pointer": format!("/{name}"), "message": message }], "known": known, "closest": closest });
    Failure::invalid("request.unknown-field", message).with_detail(detail)
}

/// A JSON Pointer to where something is wrong.
pub(crate) fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segment = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    };
    path.iter().map(segment).collect()
}

/// Whether the body is JSON or a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyKind {
    Json,
    Form,
}

impl BodyKind {
    /// From the content type.
    ///
    /// # Errors
    /// `http.unsupported-media-type`.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Ok(Self::Json),
            "multipart/form-data" => Ok(Self::Form),
            _ => {
                let message = "send Content-Type: application/json or multipart/form-data";
                Err(Failure::invalid("http.unsupported-media-type", message))
            }
        }
    }

    /// Refuses what is not JSON. A web page of another origin may send anything else without asking first.
    ///
    /// # Errors
    /// `http.unsupported-media-type`.
    pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Failure> {
        match Self::of(headers) {
            Ok(Self::Json) => Ok(()),
            _ => Err(Failure::invalid("http.unsupported-media-type", "send Content-Type: application/json")),
        }
    }
}

/// A JSON answer that no cache keeps.
pub(crate) fn answer(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let cache = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            ([content_type, cache], body).into_response()
        }
        Err(error) => crate::problem::Refusal(Failure::internal("an answer could not be written as JSON").caused_by(error)).into_response(),
    }
}

/// A JSON answer with the path of what it is about.
pub(crate) fn located(status: StatusCode, location: &str, value: &impl Serialize) -> Response {
    let mut response = (status, answer(value)).into_response();
    // Paths are made of ids and names, which have nothing in them that a header has not.
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(default)]
    struct Sample {
        width: Option<u32>,
        boxes: Option<Vec<Inner>>,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Inner {
        x: f32,
    }

    impl Known for Sample {
        const FIELDS: &'static [&'static str] = &["width", "boxes"];
    }

    impl Known for Inner {
        const FIELDS: &'static [&'static str] = &["x"];
    }

    fn code(text: &str) -> (String, Option<Value>) {
        let failure = read::<Sample>(text.as_bytes()).unwrap_err();
        (failure.code.into_owned(), failure.detail)
    }

    #[test]
    fn a_wrong_value_is_named_by_its_pointer() {
        let (code, detail) = code(r#"{"boxes":[{"x":1},{"x":"left"}]}"#);
        assert_eq!((code.as_str(), &detail.unwrap()["violations"][0]["pointer"]), ("request.field-invalid", &json!("/boxes/1/x")));
    }

    #[test]
    fn what_is_wrong_with_the_whole_is_told_without_a_place() {
        let failure = read::<Inner>(b"{}").unwrap_err();
        assert_eq!((&*failure.code, &*failure.message), ("request.field-invalid", "missing field `x`"));
        assert_eq!(failure.detail.unwrap()["violations"], json!([{ "pointer": "", "message": "missing field `x`" }]));
        let inner = read::<Sample>(br#"{"boxes":[{}]}"#).unwrap_err();
        assert_eq!(inner.message, "/boxes/0: missing field `x`");
    }

    #[test]
    fn a_slip_in_a_name_is_answered_with_the_name_that_was_meant() {
        let (code, detail) = code(r#"{"widht":1}"#);
        assert_eq!((code.as_str(), &detail.unwrap()["closest"]), ("request.unknown-field", &json!("width")));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["", "[]", "1", "{", "{\"width\":1e}"] {
            assert_eq!(code(text).0, "request.json-invalid", "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(code(&deep).0, "request.json-invalid");
        let sample = read::<Sample>(br#"{"width":null,"boxes":[{"x":0.5}]}"#).unwrap();
        assert_eq!((sample.width, sample.boxes.unwrap()[0].x), (None, 0.5));
    }

    #[test]
    fn the_content_type_decides_how_a_body_is_read() {
        let kind = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
            BodyKind::of(&headers).map_err(|failure| failure.code.into_owned())
        };
        assert_eq!(kind("Application/JSON; charset=utf-8"), Ok(BodyKind::Json));
        assert_eq!(kind("multipart/form-data; boundary=x"), Ok(BodyKind::Form));
        assert_eq!(kind("image/jpeg"), Err("http.unsupported-media-type".into()));
        assert!(BodyKind::of(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_body_may_be_left_out_and_is_json_otherwise() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "text/plain".parse().unwrap());
        let read = |headers: &HeaderMap, body: &[u8]| read_optional::<Sample>(headers, body);
        assert_eq!(read(&headers, b"").unwrap().width, None);
        assert_eq!(read(&headers, b"{}").unwrap_err().code, "http.unsupported-media-type");
        assert_eq!(read(&HeaderMap::new(), b"{}").unwrap_err().code, "http.unsupported-media-type");
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        assert_eq!(read(&headers, br#"{"width":3}"#).unwrap().width, Some(3));
        assert_eq!(read(&headers, br#"{"widht":1}"#).unwrap_err().code, "request.unknown-field");
    }

    #[test]
    fn an_answer_may_say_where_it_is() {
        let response = located(StatusCode::CREATED, "/api/services/1", &json!({}));
        assert_eq!((response.status(), response.headers()["location"].as_bytes()), (StatusCode::CREATED, &b"/api/services/1"[..]));
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
}
