//! Reading JSON, with the place of what is wrong.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::failure::Failure;

/// Reads all of `text` as a `T`.
///
/// # Errors
/// What is wrong, for a person, with the JSON Pointer of the place.
///
/// ```
/// let wrong = breakwater_guest::json::read::<Vec<u8>>(b"[1, 2, -3]").unwrap_err();
/// assert!(wrong.starts_with("/2: "), "{wrong}");
/// ```
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| at(&error))?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Reads a value as a `T`.
///
/// # Errors
/// As [`read`].
pub fn read_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| at(&error))
}

/// The input of an operation as a `T`.
///
/// # Errors
/// `operation.input-invalid` (invalid-request). An input that fits the operation's schema should fit its type too.
pub fn read_input<T: DeserializeOwned>(input: serde_json::Value) -> Result<T, Failure> {
    read_value(input).map_err(|what| Failure::invalid_request("operation.input-invalid", &format!("the input cannot be read: {what}")))
}

fn at<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>) -> String {
    let mut pointer = String::new();
    for segment in error.path() {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&name);
    }
    let what = error.inner();
    if pointer.is_empty() { what.to_string() } else { format!("{pointer}: {what}") }
}
