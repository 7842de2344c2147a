//! Reading `multipart/form-data`: bounded in parts, in bytes of each, and in names.

use axum::body::Body;
use axum::extract::{FromRequest, Multipart};
use axum::http::{HeaderMap, Request, header};
use breakwater_core::Failure;
use bytes::{Bytes, BytesMut};
use serde_json::json;

use crate::body::{self, BodyError, BodyLimits};
use crate::json::{told_at, unknown_field};

/// Fields whose bytes are a picture.
const PICTURES: [&str; 4] = ["image", "images", "file", "files"];

/// How large a form may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormLimits {
    pub(crate) body: BodyLimits,
    pub(crate) max_fields: usize,
    /// Of a text field; files are bounded by `max_file_bytes`.
    pub(crate) max_field_bytes: usize,
    pub(crate) max_file_bytes: u64,
}

/// Which fields a form has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields {
    /// Fields with the bytes of a file.
    pub(crate) files: &'static [&'static str],
    /// Fields of text.
    pub(crate) texts: &'static [&'static str],
    /// Those of them that may be there more than once.
    pub(crate) repeated: &'static [&'static str],
}

/// One part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) file_name: Option<String>,
    pub(crate) media_type: Option<String>,
    pub(crate) bytes: Bytes,
}

/// A form that was read.
#[derive(Debug, Default)]
pub(crate) struct Form(Vec<Part>);

impl Form {
    /// Reads a form.
    ///
    /// # Errors
    /// `http.form-invalid`, `request.unknown-field`, `request.repeated-field`, `http.too-many-fields` (limit), `http.field-too-large`
    /// (limit), `image.too-many-bytes` (limit), and what [`body::read`] fails with.
    pub(crate) async fn read(headers: &HeaderMap, body: Body, fields: Fields, limits: FormLimits) -> Result<Self, Failure> {
        let pieces = body::guarded(headers, body, limits.body);
        let mut request = Request::new(Body::from_stream(pieces));
        if let Some(content_type) = headers.get(header::CONTENT_TYPE) {
            request.headers_mut().insert(header::CONTENT_TYPE, content_type.clone());
        }
        // The guard above counts the bytes; axum's own limit would only say it less clearly.
        let layer = axum::extract::DefaultBodyLimit::disable();
        layer.apply(&mut request);
        let mut multipart = Multipart::from_request(request, &()).await.map_err(|error| invalid(&error.body_text()))?;
        let mut form = Self::default();
        while let Some(field) = multipart.next_field().await.map_err(failure)? {
            if form.0.len() == limits.max_fields {
                let message = format!("a form has at most {} fields", limits.max_fields);
                return Err(Failure::limit("http.too-many-fields", message));
            }
            let name = field.name().unwrap_or_default().to_owned();
            form.check_name(&name, fields)?;
            let file_name = field.file_name().map(str::to_owned);
            let media_type = field.content_type().map(str::to_owned);
            let bytes = read_field(field, &name, fields.files.contains(&name.as_str()), limits).await?;
            form.0.push(Part { name, file_name, media_type, bytes });
        }
        Ok(form)
    }

    fn check_name(&self, name: &str, fields: Fields) -> Result<(), Failure> {
        let known = || fields.files.iter().chain(fields.texts).copied();
        if !known().any(|known| known == name) {
            return Err(unknown_field(name, known()));
        }
        let again = self.0.iter().any(|part| part.name == name);
        if again && !fields.repeated.contains(&name) {
            return Err(at(name, "request.repeated-field", "is there more than once"));
        }
        Ok(())
    }

    /// Takes the bytes of a field out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Part> {
        let index = self.0.iter().position(|part| part.name == name)?;
        Some(self.0.remove(index))
    }

    /// Takes the picture out: the field `image`, or `file`, which other services call it.
    ///
    /// # Errors
    /// `request.image-ambiguous` when both are there.
    pub(crate) fn picture(&mut self) -> Result<Option<Part>, Failure> {
        match (self.take("image"), self.take("file")) {
            (Some(_), Some(_)) => Err(Failure::invalid("request.image-ambiguous", "send one picture: image or file, not both")),
            (image, file) => Ok(image.or(file)),
        }
    }

    /// What is left, in the order of the form.
    pub(crate) fn into_parts(self) -> Vec<Part> {
        self.0
    }

    /// Takes the text of a field out; an empty one counts as absent, as browsers send empty inputs.
    ///
    /// # Errors
    /// `request.field-invalid` when it is not UTF-8.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Failure> {
        let Some(part) = self.take(name) else { return Ok(None) };
        let text = String::from_utf8(part.bytes.into()).map_err(|_| field_invalid(name, "is not UTF-8 text"))?;
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }

    /// Reads a field's text as `T`.
    ///
    /// # Errors
    /// `request.field-invalid` with what `T` says about it.
    pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self, name: &str) -> Result<Option<T>, Failure> {
        let text = self.text(name)?;
        text.map(|text| text.trim().parse().map_err(|error: T::Err| field_invalid(name, &error.to_string()))).transpose()
    }

    /// Reads a field's text as JSON.
    ///
    /// # Errors
    /// `request.field-invalid` with the place of the mistake.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Failure> {
        let text = self.text(name)?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| field_invalid(name, &error.to_string()))).transpose()
    }
}

async fn read_field(mut field: axum::extract::multipart::Field<'_>, name: &str, file: bool, limits: FormLimits) -> Result<Bytes, Failure> {
    let max = if file { limits.max_file_bytes } else { limits.max_field_bytes as u64 };
    let mut bytes = BytesMut::new();
    while let Some(piece) = field.chunk().await.map_err(failure)? {
        if (bytes.len() + piece.len()) as u64 > max {
            let message = format!("the field {name} has more than {max} bytes");
            let code = if PICTURES.contains(&name) { "image.too-many-bytes" } else { "http.field-too-large" };
            return Err(Failure::limit(code, message).with_detail(json!({ "max_bytes": max })));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

/// A field whose value cannot be meant.
pub(crate) fn field_invalid(name: &str, problem: &str) -> Failure {
    at(name, "request.field-invalid", problem)
}

/// A failure with the field's place; without a name it is about the whole.
pub(crate) fn at(name: &str, code: &'static str, problem: &str) -> Failure {
    let problem: String = problem.chars().take(300).collect();
    let pointer = if name.is_empty() { String::new() } else { format!("/{name}") };
    let violation = json!({ "violations": [{ "pointer": pointer, "message": problem }] });
    Failure::invalid(code, told_at(name, &problem)).with_detail(violation)
}

fn invalid(problem: &str) -> Failure {
    Failure::invalid("http.form-invalid", format!("the form cannot be read: {problem}"))
}

/// Our own limits come back wrapped in the parser's errors.
fn failure(error: axum::extract::multipart::MultipartError) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if let Some(own) = current.downcast_ref::<BodyError>() {
            return (*own).into();
        }
        cause = current.source();
    }
    invalid(&error.body_text()).caused_by(error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const FIELDS: Fields = Fields { files: &["image"], texts: &["width", "note", "crop_strategy"], repeated: &["note"] };
    const LIMITS: FormLimits = FormLimits {
        body: BodyLimits { max_bytes: 1000, idle: Duration::from_secs(1), total: Duration::from_secs(3) },
        max_fields: 3,
        max_field_bytes: 8,
        max_file_bytes: 20,
    };

    async fn read(fields: &[(&str, &str)]) -> Result<Form, Failure> {
        let mut text = String::new();
        for (name, value) in fields {
            text.push_str(&format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
        }
        text.push_str("--b--\r\n");
        read_text(text).await
    }

    async fn read_text(text: String) -> Result<Form, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "multipart/form-data; boundary=b".parse().unwrap());
        Form::read(&headers, Body::from(text), FIELDS, LIMITS).await
    }

    #[tokio::test]
    async fn fields_are_read_by_name() {
        let mut form = read(&[("width", " 40 "), ("image", "bytes"), ("crop_strategy", "")]).await.unwrap();
        assert_eq!(form.parsed::<u32>("width").unwrap(), Some(40));
        assert_eq!(form.take("image").unwrap().bytes, "bytes");
        assert_eq!(form.text("crop_strategy").unwrap(), None);
        assert_eq!(form.text("note").unwrap(), None);
    }

    #[tokio::test]
    async fn a_value_that_cannot_be_meant_is_named() {
        let mut form = read(&[("width", "wide"), ("note", "{")]).await.unwrap();
        let failure = form.parsed::<u32>("width").unwrap_err();
        assert_eq!(failure.code, "request.field-invalid");
        assert_eq!(failure.detail.unwrap()["violations"][0]["pointer"], "/width");
        assert_eq!(form.json::<serde_json::Value>("note").unwrap_err().code, "request.field-invalid");
        let whole = field_invalid("", "is wrong");
        assert_eq!((&*whole.message, &whole.detail.unwrap()["violations"][0]["pointer"]), ("is wrong", &json!("")));
    }

    #[tokio::test]
    async fn every_limit_of_a_form_holds() {
        for (fields, code) in [
            (vec![("note", "1"), ("note", "2"), ("note", "3"), ("note", "4")], "http.too-many-fields"),
            (vec![("note", "123456789")], "http.field-too-large"),
            (vec![("image", "123456789012345678901")], "image.too-many-bytes"),
            (vec![("width", "1"), ("width", "2")], "request.repeated-field"),
            (vec![("crop_stratgey", "x")], "request.unknown-field"),
        ] {
            assert_eq!(read(&fields).await.unwrap_err().code, code);
        }
        assert!(read(&[("crop_stratgey", "x")]).await.unwrap_err().message.contains("crop_strategy"));
        assert_eq!(read_text("x".repeat(1001)).await.unwrap_err().code, "http.body-too-large");
        assert_eq!(
            read_text("--b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\ncut".into()).await.unwrap_err().code,
            "http.form-invalid"
        );
    }
}
