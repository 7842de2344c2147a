//! An image of a batch as a caller or a manifest names it.

use breakwater_core::Failure;
use serde_json::{Map, Value};

use super::input::Item;
use super::{OptionsJson, ProcessingOptions};
use crate::json::batch::check_options;
use crate::json::read;

/// The longest path, in bytes; paths of the media root are shorter.
const MAX_PATH: usize = 1024;
/// The longest id, in bytes.
const MAX_ID: usize = 256;

/// An image, what it is called, and what is done with it in another way than with the others.
#[derive(Debug, Clone)]
pub struct BatchEntry {
    image_path: String,
    id: Option<String>,
    own: Option<Map<String, Value>>,
}

impl BatchEntry {
    /// An image with nothing of its own.
    #[must_use]
    pub fn of_path(image_path: String) -> Self {
        Self { image_path, id: None, own: None }
    }

    /// A path, or an object with `image_path`, `id` and any of the processing options.
    ///
    /// # Errors
    /// `batch.entry-invalid` with the violations.
    pub fn of_json(value: Value) -> Result<Self, Failure> {
        let mut own = match value {
            Value::String(path) => return Self::of_path(path).checked(),
            Value::Object(fields) => fields,
            _ => return Err(invalid("it is neither a path nor an object with `image_path`")),
        };
        let mut text = |name: &str| match own.remove(name) {
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Null) | None => Ok(None),
            Some(_) => Err(invalid(&format!("`{name}` is no text"))),
        };
        let (image_path, id) = (text("image_path")?, text("id")?);
        let image_path = image_path.ok_or_else(|| invalid("it has no `image_path`"))?;
        let own = if own.is_empty() {
            None
        } else {
            check_options(&Value::Object(own.clone())).map_err(|mut failure| {
                let told = invalid(&failure.message);
                (failure.code, failure.message) = (told.code, told.message);
                failure
            })?;
            Some(own)
        };
        Self { image_path, id, own }.checked()
    }

    fn checked(self) -> Result<Self, Failure> {
        if !(1..=MAX_PATH).contains(&self.image_path.len()) || self.image_path.contains('\0') {
            return Err(invalid(&format!("a path has 1 to {MAX_PATH} bytes and no NUL")));
        }
        if self.id.as_ref().is_some_and(|id| id.len() > MAX_ID || id.chars().any(char::is_control)) {
            return Err(invalid(&format!("an id has at most {MAX_ID} printable bytes")));
        }
        Ok(self)
    }

    /// The options of this image, if it has any of its own.
    pub(super) fn own_options(&self, all: &ProcessingOptions) -> Result<Option<ProcessingOptions>, Failure> {
        let Some(own) = &self.own else { return Ok(None) };
        read::<OptionsJson>(Value::Object(own.clone()))?.over(all).map(Some)
    }

    /// As the journal keeps it.
    pub(super) fn item(self, own: Option<&ProcessingOptions>) -> Item {
        Item {
            image_path: self.image_path,
            id: self.id,
            options: own.map(ProcessingOptions::crop_fields),
            detect: own.map(|own| own.detect_fields().map_or(Value::Bool(false), Value::Object)),
        }
    }
}

fn invalid(what: &str) -> Failure {
    Failure::invalid("batch.entry-invalid", format!("an image of the list cannot be read: {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_may_have_options_of_its_own() {
        let all = ProcessingOptions { strategy: Some("center".into()), quality: Some(70), ..ProcessingOptions::default() };
        let entry = BatchEntry::of_json(json!({ "image_path": "/a.jpg", "id": "x", "quality": 90, "detection_types": [] })).unwrap();
        let own = entry.own_options(&all).unwrap().unwrap();
        assert_eq!((own.quality, own.strategy.as_deref()), (Some(90), Some("center")));
        let item = entry.item(Some(&own));
        assert_eq!((item.id.as_deref(), item.options.unwrap()["quality"].clone(), item.detect), (Some("x"), json!(90), Some(json!(false))));
        assert!(BatchEntry::of_json(json!("/b.jpg")).unwrap().own_options(&all).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let long = "x".repeat(MAX_PATH + 1);
        for wrong in [
            json!(7),
            json!(""),
            json!({ "id": "x" }),
            json!({ "image_path": 3 }),
            json!({ "image_path": "/a.jpg", "quality": 0 }),
            json!({ "image_path": "/a.jpg", "qualty": 80 }),
            json!({ "image_path": "/a.jpg", "id": "x".repeat(MAX_ID + 1) }),
            json!(long),
            json!("a\u{0}b"),
        ] {
            assert_eq!(BatchEntry::of_json(wrong.clone()).unwrap_err().code, "batch.entry-invalid", "{wrong}");
        }
        BatchEntry::of_json(json!("x".repeat(MAX_PATH))).unwrap();
    }
}
