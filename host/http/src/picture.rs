//! The picture of a request: bytes of a form, base64 in JSON, or a path below the media root. Exactly one of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use breakwater_core::Failure;
use breakwater_operations::ImageSource;
use bytes::Bytes;
use serde_json::json;

/// The longest address of a picture, in bytes. A `data:` URL may be as long as the picture may be large.
const MAX_URL: usize = 4096;

/// The picture that was sent.
///
/// # Errors
/// `request.image-missing`, `request.image-ambiguous`, `request.base64-invalid`, `image.too-many-bytes` (limit).
pub(crate) fn source(file: Option<Bytes>, path: Option<String>, base64: Option<String>, max_bytes: u64) -> Result<ImageSource, Failure> {
    match (file, path, base64) {
        (Some(bytes), None, None) => Ok(ImageSource::Bytes(bytes)),
        (None, Some(path), None) => Ok(ImageSource::Path(path)),
        (None, None, Some(text)) => decode(&text, max_bytes).map(ImageSource::Bytes),
        (None, None, None) => {
            let message = "send a picture: the form field image, or image_base64, or image_path below the media root";
            Err(Failure::invalid("request.image-missing", message))
        }
        _ => Err(ambiguous()),
    }
}

fn ambiguous() -> Failure {
    Failure::invalid("request.image-ambiguous", "send one picture: image, image_base64, image_path or image_url, not several")
}

/// The picture that was sent, if one was; `url` is an address to fetch it from, or a `data:` URL.
///
/// # Errors
/// `request.image-ambiguous`, `request.base64-invalid`, `request.url-invalid`, `image.too-many-bytes` (limit).
pub(crate) fn optional(
    file: Option<Bytes>,
    path: Option<String>,
    base64: Option<String>,
    url: Option<String>,
    max_bytes: u64,
) -> Result<Option<ImageSource>, Failure> {
    match (file, path, base64, url) {
        (None, None, None, None) => Ok(None),
        (None, None, None, Some(url)) => referred(&url, max_bytes).map(Some),
        (file, path, base64, None) => source(file, path, base64, max_bytes).map(Some),
        _ => Err(ambiguous()),
    }
}

/// The picture at an address, or in a `data:` URL. Whether the service fetches it at all is decided where that is done.
///
/// # Errors
/// `request.url-invalid`, `request.base64-invalid`, `image.too-many-bytes` (limit).
pub(crate) fn referred(url: &str, max_bytes: u64) -> Result<ImageSource, Failure> {
    let url = url.trim();
    if url.starts_with("data:") {
        return decode(url, max_bytes).map(ImageSource::Bytes);
    }
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if matches!(scheme.as_deref(), Some("http" | "https")) && url.len() <= MAX_URL {
        return Ok(ImageSource::Url(url.to_owned()));
    }
    let message = format!("a picture's address begins with http://, https:// or data: and has at most {MAX_URL} bytes");
    Err(Failure::invalid("request.url-invalid", message))
}

/// Decodes standard base64, also as a `data:` URL. The size is checked before anything is decoded.
pub(crate) fn decode(text: &str, max_bytes: u64) -> Result<Bytes, Failure> {
    let text = text.trim();
    let text = match text.strip_prefix("data:") {
        Some(url) => url.split_once(";base64,").map(|(_, data)| data).ok_or_else(invalid)?,
        None => text,
    };
    let padding = text.bytes().rev().take(2).filter(|byte| *byte == b'=').count();
    let decoded = (text.len() / 4 * 3).saturating_sub(padding);
    if decoded as u64 > max_bytes {
        let message = format!("the picture has more than {max_bytes} bytes");
        return Err(Failure::limit("image.too-many-bytes", message).with_detail(json!({ "max_bytes": max_bytes })));
    }
    STANDARD.decode(text).map(Bytes::from).map_err(|_| invalid())
}

fn invalid() -> Failure {
    Failure::invalid("request.base64-invalid", "image_base64 is not standard base64 with padding, nor a data: URL of it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(file: Option<&'static str>, path: Option<&str>, base64: Option<&str>) -> String {
        let file = file.map(|text| Bytes::from_static(text.as_bytes()));
        source(file, path.map(str::to_owned), base64.map(str::to_owned), 6).unwrap_err().code.into_owned()
    }

    #[test]
    fn exactly_one_picture_is_taken() {
        assert_eq!(code(None, None, None), "request.image-missing");
        assert_eq!(code(Some("x"), Some("y"), None), "request.image-ambiguous");
        assert_eq!(code(None, Some("y"), Some("eA==")), "request.image-ambiguous");
        let path = source(None, Some("/a.jpg".into()), None, 6).unwrap();
        assert_eq!(path, ImageSource::Path("/a.jpg".into()));
    }

    #[test]
    fn a_picture_may_be_referred_to() {
        let optional = |path: Option<&str>, url: Option<&str>| {
            optional(None, path.map(str::to_owned), None, url.map(str::to_owned), 6).map_err(|failure| failure.code.into_owned())
        };
        assert_eq!(optional(None, None), Ok(None));
        assert_eq!(optional(None, Some("HTTPS://a.example/b.jpg")), Ok(Some(ImageSource::Url("HTTPS://a.example/b.jpg".into()))));
        assert_eq!(optional(None, Some("data:image/png;base64,cGljdHVy")), Ok(Some(ImageSource::Bytes(Bytes::from_static(b"pictur")))));
        assert_eq!(optional(Some("a"), Some("http://a/b")), Err("request.image-ambiguous".into()));
        let long = format!("http://a/{}", "x".repeat(MAX_URL));
        for url in ["a.jpg", "file:///etc/passwd", "ftp://a/b", "//a/b", &long] {
            assert_eq!(optional(None, Some(url)), Err("request.url-invalid".into()), "{url}");
        }
    }

    #[test]
    fn base64_is_decoded_with_and_without_a_data_url_and_no_further_than_the_limit() {
        for text in ["cGljdHVy", "data:image/png;base64,cGljdHVy", " cGljdHVy\n"] {
            assert_eq!(source(None, None, Some(text.into()), 6).unwrap(), ImageSource::Bytes(Bytes::from_static(b"pictur")), "{text}");
        }
        assert_eq!(code(None, None, Some("cGljdHVyZQ==")), "image.too-many-bytes");
        for text in ["cGljd", "????", "data:image/png,abc"] {
            assert_eq!(code(None, None, Some(text)), "request.base64-invalid", "{text}");
        }
    }
}
